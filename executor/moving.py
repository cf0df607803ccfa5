"""A runner that can be moved: new runs go to what is newest, old ones end where they are, nothing is dropped.

    async with Moving(lambda: open_shell(first, backend)) as runner:
        running = runner.start("answer", inputs)
        await runner.move(lambda: open_shell(second, another))

`move` opens the new one first; only when that is open do runs go there (make before break), and one that cannot be
opened changes nothing. What was there before is closed when its last run is over. Whatever is a `Runner` in an `async
with` and gives a `Running` can be moved.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from types import TracebackType

import anyio
from anyio.abc import TaskGroup

from .running import Approver, Runner, Running

Opens = Callable[[], AbstractAsyncContextManager[Runner]]


class _Generation:
    """One runner while it is open. `stay` ends it when nobody runs there any more."""

    def __init__(self, opens: Opens) -> None:
        self._opens = opens
        self.runner: Runner | None = None
        self.failed: BaseException | None = None
        self.runs = 0
        self._left = anyio.Event()
        self._last = False

    async def stay(self, opened: anyio.Event) -> None:
        """Open, say so, and close when the last run is over. The task that opens it closes it."""
        try:
            async with self._opens() as runner:
                self.runner = runner
                opened.set()
                await self._left.wait()
        except Exception as error:
            if self.runner is not None:
                raise
            self.failed = error
            opened.set()

    def leave(self) -> None:
        """No new runs come."""
        self._last = True
        self._look()

    def over(self) -> None:
        self.runs -= 1
        self._look()

    def _look(self) -> None:
        if self._last and not self.runs:
            self._left.set()


class Moving(Runner):
    """See the module. `opens` gives the first runner."""

    def __init__(self, opens: Opens) -> None:
        self._first = opens
        self._now: _Generation | None = None
        self._group: TaskGroup | None = None
        self._stack = AsyncExitStack()
        self._turn = anyio.Lock()
        self.moves = 0

    async def __aenter__(self) -> Moving:
        self._group = await self._stack.enter_async_context(anyio.create_task_group())
        try:
            await self.move(self._first)
        except BaseException:
            self._group.cancel_scope.cancel()
            await self._stack.aclose()
            raise
        self.moves = 0
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        assert self._group is not None
        if self._now is not None and kind is None:
            self._now.leave()
            self._now = None
        else:
            self._group.cancel_scope.cancel()
        return await self._stack.__aexit__(kind, error, trace)

    async def move(self, opens: Opens) -> None:
        """New runs go there from now on. Raises what opening it raised; then all is as it was."""
        assert self._group is not None
        async with self._turn:
            made, opened = _Generation(opens), anyio.Event()
            self._group.start_soon(made.stay, opened)
            await opened.wait()
            if made.failed is not None:
                raise made.failed
            before, self._now = self._now, made
            self.moves += 1
            if before is not None:
                before.leave()

    def start(
        self,
        pipeline: str,
        inputs: Mapping[str, object],
        timeout: float | None = None,
        *,
        session: str | None = None,
        approve: Approver | None = None,
    ) -> Running:
        """See `Runner.start`; RuntimeError where it is not open."""
        here = self._now
        if here is None or here.runner is None or self._group is None:
            raise RuntimeError("the runner is not open")
        running = here.runner.start(pipeline, inputs, timeout, session=session, approve=approve)
        if not isinstance(running, Running):
            raise TypeError("a runner that moves gives runs that say when they are over")
        here.runs += 1
        self._group.start_soon(_watch, running, here)
        return running


async def _watch(running: Running, generation: _Generation) -> None:
    await running.over.wait()
    generation.over()
