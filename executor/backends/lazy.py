"""A backend that opens some handles only when a call really needs them: in a test, the models of calls that it answers
itself unless their arguments are others."""

from __future__ import annotations

from collections.abc import Iterable

import anyio

from ...ir.graph import Handle, HandleName
from ..machine.orders import HandleValue
from . import Backend, Bound, Call
from .calls import PLAIN


class LazyBackend:
    """Puts off opening the handles in `perhaps`. One that is opened late counts into the time of the call that needs
    it."""

    def __init__(self, inner: Backend, perhaps: Iterable[str] = ()) -> None:
        self._inner = inner
        self.perhaps = frozenset(perhaps)
        self._put_off: dict[str, Handle] = {}
        self._opening = anyio.Lock()

    async def open(self, handle: Handle) -> None:
        if handle.name in self.perhaps:
            self._put_off[handle.name] = handle
        else:
            await self.need([n.name for n in handle.arguments.values() if isinstance(n, HandleName)])
            await self._inner.open(handle)

    async def need(self, names: Iterable[str]) -> None:
        """Open those that were put off, and what they stand on first."""
        async with self._opening:
            for name in names:
                await self._open(name)

    async def _open(self, name: str) -> None:
        handle = self._put_off.get(name)
        if handle is None:
            return
        for argument in handle.arguments.values():
            if isinstance(argument, HandleName):
                await self._open(argument.name)
        await self._inner.open(handle)
        del self._put_off[name]

    def immediate(self, entry: str) -> bool:
        # Any other entry may be called with a handle that is to be opened first.
        return entry.partition(":")[0] in PLAIN and self._inner.immediate(entry)

    def now(self, call: Call) -> object:
        return self._inner.now(call)

    def bound(self, call: Call) -> Bound | None:
        return self._inner.bound(call)

    async def run(self, call: Call) -> object:
        if self._put_off:
            await self.need([value.name for value in call.arguments.values() if isinstance(value, HandleValue)])
        return await self._inner.run(call)

    async def close(self) -> None:
        await self._inner.close()
