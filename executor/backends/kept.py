"""Handles that outlive a run's shell: what a loop of many small programs needs, each of which names the same model.

Two handles are the same if the same entry opens them with the same arguments, whatever their programs call them.
"""

from __future__ import annotations

import json

from ...ir.graph import Handle, HandleName
from ..kinds import Kinds
from .local import LocalBackend


class KeptHandles:
    """Gives backends that share what they opened. `aclose` closes all of it, and the library behind it."""

    def __init__(self, kinds: Kinds) -> None:
        self.kinds = kinds
        self.opened: dict[str, object] = {}

    def backend(self) -> LocalBackend:
        return _Keeping(self)

    async def aclose(self) -> None:
        last = _Closing(self.kinds, self.opened)
        self.opened = {}
        await last.close()


class _Closing(LocalBackend):
    def __init__(self, kinds: Kinds, opened: dict[str, object]) -> None:
        super().__init__(kinds)
        self._opened = opened


class _Keeping(LocalBackend):
    def __init__(self, kept: KeptHandles) -> None:
        super().__init__(kept.kinds)
        self._kept = kept
        self._keys: dict[str, str] = {}

    async def open(self, handle: Handle) -> None:
        arguments = {
            name: {"handle": self._keys[value.name]} if isinstance(value, HandleName) else value
            for name, value in handle.arguments.items()
        }
        key = self._keys[handle.name] = f"{handle.entry} {json.dumps(arguments, sort_keys=True, default=str)}"
        known = self._kept.opened.get(key)
        if known is None:
            await super().open(handle)
            known = self._kept.opened[key] = self._opened[handle.name]
        self._opened[handle.name] = known

    async def close(self) -> None:
        """The run is over; what it opened stays."""
        self._opened.clear()
