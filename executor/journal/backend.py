"""Between the durable shell and the stages: what acts on the world waits until the journal has all that led to it, and
after a restart models are opened when they are needed, and lost values made again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace

import anyio

from ...ir.graph import Handle
from ..backends import Backend, Bound, Call
from ..backends.lazy import LazyBackend
from ..kinds import Usage
from ..machine import orders
from ..values import Shapes
from .acting import effects_of
from .clock import RunClock
from .course import Lost
from .log import Log
from .records import Begun


class DurableBackend:
    """Runs stages by `inner`. `immediate` are the entries that run at once, as they did when the run began; `keep` is
    given what was made again."""

    def __init__(
        self,
        inner: Backend,
        log: Log,
        clock: RunClock,
        shapes: Shapes,
        immediate: frozenset[str],
        opened: Mapping[str, Handle],
        keep: Callable[[object], None],
        run: str,
    ) -> None:
        self._inner = LazyBackend(inner, opened)
        self._log = log
        self._clock = clock
        self._shapes = shapes
        self._immediate = immediate
        self._opened = dict(opened)
        self._keep = keep
        self._run_name = run
        self._made: dict[int, object] = {}
        self._making: dict[int, anyio.Lock] = {}

    async def open(self, handle: Handle) -> None:
        await self._put_off()
        await self._inner.open(handle)

    async def warm(self, names: Iterable[str]) -> None:
        """Open handles that were open before the restart, where somebody will need them at once."""
        await self._put_off()
        await self._inner.need(names)

    def immediate(self, entry: str) -> bool:
        return entry in self._immediate

    def now(self, call: Call) -> object:
        return self._inner.now(self._outside(call))

    def bound(self, call: Call) -> Bound | None:
        return self._inner.bound(call)

    async def run(self, call: Call) -> object:
        if effects_of(call.operation):
            await self._log.written(self._log.append(Begun(self._clock.now(), call.number)))
        return await self._run(call)

    async def close(self) -> None:
        await self._inner.close()

    async def _run(self, call: Call) -> object:
        await self._put_off()
        arguments = {name: await self._found(value) for name, value in call.arguments.items()}
        return await self._inner.run(replace(self._outside(call), arguments=arguments))

    def _outside(self, call: Call) -> Call:
        """The call as stages know it: their clock does not know that the run was ever away."""
        deadline = None if call.deadline is None else self._clock.outer(call.deadline)
        began = None if call.began is None else self._clock.outer(call.began)
        due = None if call.due is None else call.due.left(self._clock.shift)
        return replace(call, deadline=deadline, due=due, began=began, key=f"{self._run_name}-{call.number}")

    async def _put_off(self) -> None:
        """Handles that were open before the restart are opened when the first call needs them."""
        opened, self._opened = self._opened, {}
        for handle in opened.values():
            await self._inner.open(handle)

    async def _found(self, value: object) -> object:
        if isinstance(value, Lost):
            return await self._again(value)
        return value

    async def _again(self, lost: Lost) -> object:
        """What a stage gave before the restart, by running it again, once for all who need it."""
        order = lost.order
        async with self._making.setdefault(order.stage, anyio.Lock()):
            if order.stage not in self._made:
                value = await self._run(_call(order, self._shapes))
                self._keep(value)
                self._made[order.stage] = value
        return self._made[order.stage]


def _call(order: orders.StartStage, shapes: Shapes) -> Call:
    return Call(
        order.stage,
        order.operation,
        order.index,
        order.entry,
        order.arguments,
        False,
        None,  # the time for it was counted when it ran first
        Usage(),
        _no_stream,
        _no_item,
        order.session,
        shapes,
        order.began,
        order.run,
    )


async def _no_stream() -> None:
    raise AssertionError("a value that was lost is no stream")


def _no_item(item: object) -> None:
    del item
    raise AssertionError("a value that was lost is no stream")
