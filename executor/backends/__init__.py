"""Where stages run. A backend is handed one call at a time and knows nothing of pipelines; the machine decides, the
shell tells it when to begin and when to stop.

Contract, checked by `tests/conformance/check_backend.py`: `run` returns the stage's value, or None after the last item
of a stream; it asks `call.ready()` before each item that it makes and hands the item to `call.send`. It may
ask once more than there are items, to find the end. It fails by `StageFailure` or `OutsideError`. It is stopped by
cancellation, and has let go of everything when it is gone.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Protocol

from ...ir.graph import Handle, Operation
from ..kinds import Usage
from ..messages import message
from ..promises import Due
from ..values import NO_SHAPES, Shapes


@message
class Call:
    """One execution of a leaf stage. In `arguments` a stream is an async iterator with `aclose`, an opened handle is
    `machine.orders.HandleValue`, for only the backend knows the object. `deadline` is on the shell's clock,
    after which it is stopped; so is `due`, by which the run needs it (None where nothing is promised).

    `ready` returns when an item may be made (back-pressure), `send` hands it over; neither is for a stage whose result
    is a plain value (`streams` is false). `run` is the number of its run in the shell, `session` is the run's, `began`
    when that began; `shapes` are the graph's records and enums; `key` is for `Context`."""

    number: int
    operation: Operation
    index: tuple[int, ...]
    entry: str
    arguments: Mapping[str, object]
    streams: bool
    deadline: float | None
    usage: Usage
    ready: Callable[[], Awaitable[None]]
    send: Callable[[object], None]
    session: str | None = None
    shapes: Shapes = NO_SHAPES
    began: float | None = None
    run: int = 0
    due: Due | None = None
    key: str | None = None


Bound = Callable[[Mapping[str, object]], Awaitable[object]]


class Backend(Protocol):
    async def open(self, handle: Handle) -> None:
        """Open a declared handle; those in its arguments are open. Once per handle, unless it failed."""
        ...

    async def run(self, call: Call) -> object: ...

    def immediate(self, entry: str) -> bool:
        """Whether calls of the entry never wait, so that `now` may run them without a task of their own."""
        ...

    def now(self, call: Call) -> object:
        """Run a call of an immediate entry, whose result and arguments are no streams; as `run`, but here and now."""
        ...

    def bound(self, call: Call) -> Bound | None:
        """A call of an immediate entry with its arguments left open, to be made again and again: what is given them
        runs it as `now`. None where each call has to be known."""
        ...

    async def close(self) -> None:
        """Let go of every handle. No call is running any more."""
        ...
