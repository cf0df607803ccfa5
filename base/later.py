"""Modules that are loaded when something of them is first asked for.

Words for problems and their layout are needed by those who have one. The others should not wait for them: without
compiled modules at hand, a tenth of what a command needs to start goes into reading its own source.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any


class Later:
    """Stands for a module, named as in `import_module`. Under `TYPE_CHECKING`, import the module itself instead."""

    __slots__ = ("_name", "_package")

    def __init__(self, name: str, package: str | None) -> None:
        self._name = name
        self._package = package

    def __getattr__(self, word: str) -> Any:
        return getattr(import_module(self._name, self._package), word)
