"""What completion offers of the world outside a text: modules, files beside it, devices of the catalogue."""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path

from ...lang.ide.completion import World
from ...stdlib.interfaces import MODULES

_MOST_FILES = 200


def world_of(path: str) -> World:
    """For a file: only what lies in its folder or below can be imported."""
    return World(MODULES, _files(path), _devices())


def _files(path: str) -> tuple[str, ...]:
    file = Path(path)
    if not file.is_absolute():
        return ()
    found: list[str] = []
    for folder, inner, names in os.walk(file.parent):
        inner[:] = [name for name in inner if not name.startswith((".", "node_modules"))][:20]
        for name in sorted(names):
            other = Path(folder) / name
            if other.suffix == ".agent" and other != file:
                found.append(f"./{other.relative_to(file.parent).with_suffix('').as_posix()}")
        if len(found) > _MOST_FILES or folder.count(os.sep) > str(file).count(os.sep) + 3:
            break
    return tuple(found[:_MOST_FILES])


@cache
def _devices() -> tuple[str, ...]:
    from ...planner.catalogue import catalogue

    return tuple(sorted(catalogue()))
