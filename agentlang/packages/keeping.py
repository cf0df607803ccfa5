"""Packages and texts that were compiled before, by what they were compiled from.

A kept result says which files it was made of: the program's imports and settings, the documents that its patterns find,
the modules that its tools import. Each is looked at again, so that reading them is all that an unchanged program costs;
nothing of the compiler is imported for it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from .. import api, builds
from ..base.source import Source
from ..stdlib.settings import find


@dataclass(frozen=True, slots=True)
class Inputs:
    """What a result was made of besides the program's own text: files (paths as the program's own is written), patterns
    and Python modules below its folder, and whether its settings count."""

    files: tuple[str, ...] = ()
    patterns: tuple[str, ...] = ()
    modules: tuple[str, ...] = ()
    settings: bool = False

    def state(self, folder: Path) -> dict[str, Any]:
        """What they are now, as JSON data."""
        from .resources import matches, python_files

        root = folder.resolve()
        found = {pattern: [path.as_posix() for path in matches(root, pattern)] for pattern in self.patterns}
        imported = {module: [path.as_posix() for path in python_files(root, module)] for module in self.modules}
        settings = find(folder) if self.settings else None
        named = [*found.values(), *imported.values(), list(self.files), [str(settings)] if settings else []]
        paths = sorted({path for group in named for path in group})
        return {
            "files": list(self.files),
            "patterns": found,
            "modules": imported,
            "settings": str(settings) if self.settings else None,
            "hashes": {path: _hash(Path(path)) for path in paths},
        }


def name_of(source: Source, *asked: object) -> str:
    """What a result is kept under: the program, where it lies, and what is asked of it."""
    text = hashlib.sha256(source.text.encode()).hexdigest()
    return builds.key(source.path, str(Path(source.path).absolute()), text, *asked)


def recall(name: str, source: Source) -> tuple[dict[str, Any], list[bytes]] | None:
    """A kept result, its head and its parts, if everything that it was made of is as it was."""
    body = builds.recall(name)
    if body is None:
        return None
    head, _, data = body.partition(b"\n")
    given = cast("dict[str, Any]", json.loads(head))
    state: Mapping[str, Any] = given["inputs"]
    inputs = Inputs(
        tuple(state["files"]), tuple(state["patterns"]), tuple(state["modules"]), state["settings"] is not None
    )
    if inputs.state(Path(source.path).parent) != state:
        return None
    parts: list[bytes] = []
    at = 0
    for length in given["lengths"]:
        parts.append(data[at : at + length])
        at += length
    return given["head"], parts


def keep(name: str, source: Source, inputs: Inputs, head: Mapping[str, Any], parts: Sequence[bytes]) -> None:
    """Keep a result."""
    state = inputs.state(Path(source.path).parent)
    said = {"inputs": state, "head": dict(head), "lengths": [len(part) for part in parts]}
    builds.keep(name, json.dumps(said).encode() + b"\n" + b"".join(parts))


def imports_of(checked: api.Checked) -> tuple[str, ...]:
    """The files that a program imports, by the paths in its problems."""
    root = checked.source.path
    return tuple(path for path in checked.sources if path != root and Path(path).is_file())


def _hash(path: Path) -> str | None:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError:
        return None
