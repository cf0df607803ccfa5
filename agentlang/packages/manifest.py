"""What `manifest.json` says: everything that a package holds and needs, each file with its hash.

The manifest is the root of trust: a file that it does not name is not there, and a file whose bytes differ from what it
says is not read. It is read strictly; a field that is unknown belongs to a version that is unknown.
"""

from __future__ import annotations

import hashlib
from pathlib import PurePosixPath
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from .. import package_problems as problems
from ..base.problems import Problem
from .names import NAME, SIGNATURE

VERSION = 1
LARGEST = 16 << 20
"""Bytes of a manifest that is read."""
MOST_FILES = 100_000


def _plain_path(text: str) -> str:
    """A path inside the package, the same on every system: no way up, nothing absolute, nothing hidden in it."""
    parts = text.split("/")
    if text != str(PurePosixPath(text)) or text.startswith("/") or any(part in ("", ".", "..") for part in parts):
        raise ValueError("is no path inside the package")
    for part in parts:
        if any(ord(character) < 32 or character in '\\:*?"<>|' for character in part) or part.endswith((".", " ")):
            raise ValueError("has a name that not every system can have")
    if parts[0] in (NAME, SIGNATURE):
        raise ValueError("is a name that packages use themselves")
    return text


Hash = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Inside = Annotated[str, Field(min_length=1, max_length=512), AfterValidator(_plain_path)]
Text = Annotated[str, Field(max_length=4096)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class File(_Part):
    """The bytes of a file of the package."""

    bytes: Annotated[int, Field(ge=0)]
    sha256: Hash


class ProgramSource(_Part):
    """The source that was compiled, which is not in the package. Paths are relative to the program's folder."""

    path: Text
    sha256: Hash
    imports: dict[Text, Hash] = {}


class Module(_Part):
    """The agent module: MLIR bytecode after `passes`. `digest` names its meaning (`Module.digest`)."""

    path: Inside
    digest: Hash
    passes: tuple[Text, ...]


class WeightFile(_Part):
    """A file of a model's weights, which is not in the package."""

    role: Text
    name: Text
    bytes: Annotated[int, Field(ge=0)]
    sha256: Hash


class Model(_Part):
    """A model that the program opens, by its name in the catalogue; none of its weights is in the package."""

    name: Text
    role: Text
    files: tuple[WeightFile, ...]


class Function(_Part):
    """One function of a model, built for one target. `entry` is what a caller has to know of it (`ir.artifact`): names,
    shapes and roles of arguments and results; its `sha256` is that of the StableHLO it was built from."""

    model: Text
    target: Text
    variant: Text
    builder: Text
    kind: Literal["stablehlo", "iree"]
    path: Inside
    checks: dict[Text, Text]
    entry: dict[str, Any]


class Resource(_Part):
    """A file of the program's folder, at `files/<path>` in the package. `code` is run; `documents` are read."""

    path: Inside
    purpose: Literal["code", "documents", "settings", "included"]


class Needs(_Part):
    """What a run needs and the package does not have: programs of the machine, MCP servers, hosts, secrets, by name."""

    commands: tuple[Text, ...] = ()
    servers: tuple[Text, ...] = ()
    hosts: tuple[Text, ...] = ()
    secrets: tuple[Text, ...] = ()


class Manifest(_Part):
    """A package."""

    format: Literal["agentlang package"]
    version: Literal[1]
    made_by: Text
    program: ProgramSource
    pipelines: tuple[Text, ...]
    default: Text | None
    module: Module
    targets: tuple[Text, ...]
    longest: Annotated[int, Field(ge=1)]
    models: tuple[Model, ...]
    functions: tuple[Function, ...]
    resources: tuple[Resource, ...]
    needs: Needs
    files: Annotated[dict[Inside, File], Field(max_length=MOST_FILES)]
    checksum: str = ""
    """The SHA-256 of all else, by which damage is told; a signature tells who wrote it."""

    @model_validator(mode="after")
    def _names_what_it_has(self) -> Manifest:
        named = {self.module.path, *(function.path for function in self.functions)}
        named |= {f"files/{resource.path}" for resource in self.resources}
        if named != set(self.files):
            raise ValueError(
                f"names files that it does not list, or the other way round: {_some(named ^ set(self.files))}"
            )
        folders = {str(parent) for path in self.files for parent in PurePosixPath(path).parents}
        if folders & set(self.files):
            raise ValueError(f"has a file that is a folder too: {_some(folders & set(self.files))}")
        if len({path.casefold() for path in self.files}) != len(self.files):
            raise ValueError("has two files whose names differ in case alone")
        return self

    def sealed(self) -> Manifest:
        """With its checksum."""
        return self.model_copy(update={"checksum": self.sum()})

    def sum(self) -> str:
        return hashlib.sha256(self.model_dump_json(exclude={"checksum"}).encode()).hexdigest()

    def text(self) -> bytes:
        """As it stands in the file: the same manifest is the same bytes."""
        return self.model_dump_json(indent=1).encode() + b"\n"


def parse(data: bytes, name: str) -> Manifest | Problem:
    """A manifest from its bytes; `name` is the package in problems. Never raises, whatever the bytes are."""
    if len(data) > LARGEST:
        return problems.manifest_unreadable(name, f"it has {len(data):,} bytes, and {LARGEST:,} are read")
    try:
        made = Manifest.model_validate_json(data)
    except ValidationError as error:
        version = _version(data)
        if version is not None and version > VERSION:
            return problems.version_unknown(name, version, VERSION)
        return problems.manifest_unreadable(name, _why(error))
    except (ValueError, RecursionError) as error:
        return problems.manifest_unreadable(name, str(error).splitlines()[0])
    if made.checksum != made.sum() or made.text() != data:
        return problems.file_altered(name, NAME)
    return made


def _version(data: bytes) -> int | None:
    import json

    try:
        given: Any = json.loads(data)
        found: Any = given["version"]
    except (ValueError, TypeError, KeyError, RecursionError):
        return None
    return found if type(found) is int else None


def _why(error: ValidationError) -> str:
    """The first thing that is wrong, and where."""
    first = error.errors(include_url=False, include_context=False, include_input=False)[0]
    place = ".".join(str(part) for part in first["loc"])
    said = first["msg"].removeprefix("Value error, ")
    return f"{place}: {said}" if place else said


def _some(names: set[str]) -> str:
    shown = sorted(names)[:3]
    return ", ".join(shown) + (", …" if len(names) > 3 else "")
