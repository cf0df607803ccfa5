"""What the catalogue says of one model: what it is for, its shape, its files and where they can be had.

Frozen values that check themselves when made, so that code which reads an entry need not ask again.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath

from .shapes import CatalogueError, Shape

ROLES = ("chat", "embed", "rerank", "recognise", "transcribe", "speak", "listen")
_NAME = re.compile(r"[a-z0-9]+([.-][a-z0-9]+)*")
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class ModelFile:
    """One file: the role that its readers ask for, its name on disk, its SHA-256 in hex and its size in bytes."""

    role: str
    name: str
    sha256: str
    size: int

    def __post_init__(self) -> None:
        _check_hash(self.sha256, self.name)
        if self.name != PurePosixPath(self.name).name or self.name.startswith("."):
            raise CatalogueError(f"{self.name!r} is not a plain file name")
        if self.size <= 0:
            raise CatalogueError(f"{self.name} has no size")


@dataclass(frozen=True, slots=True)
class PathSource:
    """A folder that holds the files under their own names. `~` and `$VARIABLES` are expanded."""

    folder: str

    def __str__(self) -> str:
        return f"folder {self.folder}"


@dataclass(frozen=True, slots=True)
class IndexSource:
    """A wheel of the package index: pinned version, SHA-256 and size in bytes; `files` are places inside it by role.

    Of a package whose wheels differ by what runs them, `wheel` says which: the end of its name, Python, interface and
    platform (`cp311-cp311-manylinux2014_x86_64`). What is taken out of it runs nowhere, so any of them will do."""

    package: str
    version: str
    sha256: str
    size: int
    files: Mapping[str, str]
    wheel: str = ""

    def __post_init__(self) -> None:
        _check_hash(self.sha256, self.package)
        if self.wheel and not re.fullmatch(r"cp3[0-9]+-[a-z0-9]+-[a-z0-9_]+", self.wheel):
            raise CatalogueError(f"{self.wheel!r} does not name a wheel")
        for text in (self.package, self.version):
            # These words reach a requirements file: nothing but what a name or a version may hold.
            if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", text):
                raise CatalogueError(f"{text!r} is not a package name or version")

    def __str__(self) -> str:
        return f"package {self.package} {self.version}"


@dataclass(frozen=True, slots=True)
class HubSource:
    """Single files of a repository on a model hub; `files` are paths in the repository by role."""

    repository: str
    revision: str
    files: Mapping[str, str]

    def __str__(self) -> str:
        return f"hub {self.repository}"


@dataclass(frozen=True, slots=True)
class WheelsSource:
    """Several wheels of the package index. A file of which each has a part is what the parts are, one behind the other,
    in the order of the wheels."""

    wheels: tuple[IndexSource, ...]

    def __post_init__(self) -> None:
        if not self.wheels:
            raise CatalogueError("a source of wheels has none")

    @property
    def files(self) -> Mapping[str, str]:
        """The roles of what is in any of the wheels."""
        return {role: place for wheel in self.wheels for role, place in wheel.files.items()}

    @property
    def size(self) -> int:
        return sum(wheel.size for wheel in self.wheels)

    def __str__(self) -> str:
        return f"packages {', '.join(str(wheel).removeprefix('package ') for wheel in self.wheels)}"


Source = PathSource | IndexSource | WheelsSource | HubSource


@dataclass(frozen=True, slots=True)
class Entry:
    """One model. Without files it has a shape alone: it plans and simulates, but does not run.

    A voice that an installed program speaks needs none: `program`, and its own name for the `voice`. What is no
    transformer has no shape.
    """

    name: str
    role: str
    licence: str
    about: str
    shape: Shape | None
    files: tuple[ModelFile, ...] = ()
    sources: tuple[Source, ...] = ()
    program: str = ""
    voice: str = ""

    def __post_init__(self) -> None:
        try:
            self._check()
        except CatalogueError as error:
            raise CatalogueError(f"model {self.name}: {error}") from None

    def _check(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise CatalogueError("a name has lower-case letters, digits, dots and dashes")
        if self.role not in ROLES:
            raise CatalogueError(f"role {self.role!r} is not one of {', '.join(ROLES)}")
        roles = [file.role for file in self.files]
        if len(set(roles)) != len(roles) or len({file.name for file in self.files}) != len(roles):
            raise CatalogueError("two files have the same role or name")
        if self.shape is None and self.role not in ("embed", "speak", "listen"):
            raise CatalogueError("only voices, listeners and word vectors have no shape")
        if self.program and self.role != "speak":
            raise CatalogueError("only voices are spoken by a program")
        if bool(self.files) != bool(self.sources):
            raise CatalogueError("files and sources go together")
        for source in self.sources:
            if not isinstance(source, PathSource) and set(source.files) != set(roles):
                raise CatalogueError(f"{source} does not name each of {', '.join(roles)} once")

    @property
    def runs(self) -> bool:
        """Whether the model can run here, and not only be planned for."""
        return bool(self.files or self.program)

    @property
    def transformer(self) -> Shape:
        """The shape of what is known to have one."""
        assert self.shape is not None, f"{self.name} is no transformer"
        return self.shape

    @property
    def size(self) -> int:
        """Bytes of all files on disk."""
        return sum(file.size for file in self.files)


def _check_hash(text: str, what: str) -> None:
    if not _SHA256.fullmatch(text):
        raise CatalogueError(f"{what} has no SHA-256 in lower-case hex")
