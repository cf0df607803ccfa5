"""What every backend keeps to. Anyone may call `check_backend` with a backend of theirs that serves the stages of
`STAGES`; a violation is an AssertionError that says which rule.

It drives the backend as the shell does, one call at a time, without a machine.
"""

from __future__ import annotations

from collections.abc import Callable

import anyio

from agentlang.base.problems import OutsideError
from agentlang.executor.backends import Backend, Call
from agentlang.executor.kinds import StageFailure, Usage
from agentlang.ir.graph import Handle, Operation

# Entries that the backend must serve, and what each does.
STAGES = {
    "check:value": "takes 1 s, counts 3 tokens_out, gives the text 'value'",
    "check:five": "a stream of 0 1 2 3 4",
    "check:fail": "fails with StageFailure or OutsideError",
    "check:long": "a stream of many items, one a second",
    "check:quick": "gives the text 'quick' and counts 1 tokens_out, without waiting",
}
HANDLE = Handle("thing", "check.Thing", "check:thing", {})
_SOON = 5.0


class Recorder:
    """Stands for the shell: gives credits, takes items."""

    def __init__(self, entry: str, streams: bool, credits: int = 1_000_000) -> None:
        self.items: list[object] = []
        self.usage = Usage()
        self.credits = credits
        self.asked = 0
        self.more = anyio.Event()
        operation = Operation(f"check.{entry}", "agent.stage", (), (), {"entry": entry, "parameters": ()})
        self.call = Call(1, operation, (), entry, {}, streams, None, self.usage, self.ready, self.send)

    async def ready(self) -> None:
        while self.credits <= 0:
            self.more = anyio.Event()
            await self.more.wait()
        self.asked += 1

    def send(self, item: object) -> None:
        assert self.asked > len(self.items), "an item was sent that nobody was ready for"
        self.credits -= 1
        self.items.append(item)


async def check_backend(make: Callable[[], Backend]) -> None:
    """All rules, each on a fresh backend that has opened `HANDLE`."""
    for rule in (
        gives_values,
        sends_streams,
        waits_for_credit,
        fails_by_name,
        stops_when_cancelled,
        takes_many_at_once,
        runs_at_once_what_never_waits,
    ):
        backend = make()
        await backend.open(HANDLE)
        with anyio.fail_after(1000):
            await rule(backend)
        await backend.close()


async def gives_values(backend: Backend) -> None:
    recorder = Recorder("check:value", streams=False)
    assert await backend.run(recorder.call) == "value"
    assert recorder.items == []
    assert recorder.usage.counts == {"tokens_out": 3}, "what a stage counts reaches the call's usage"


async def sends_streams(backend: Backend) -> None:
    recorder = Recorder("check:five", streams=True)
    assert await backend.run(recorder.call) is None, "a stream has no value"
    assert recorder.items == [0, 1, 2, 3, 4]


async def waits_for_credit(backend: Backend) -> None:
    recorder = Recorder("check:five", streams=True, credits=2)
    async with anyio.create_task_group() as group:
        group.start_soon(backend.run, recorder.call)
        await anyio.sleep(_SOON)
        assert recorder.items == [0, 1], "as many items as there are credits"
        # Three more, and one for a backend that has to ask for an item in order to find the end.
        recorder.credits += 4
        recorder.more.set()
    assert recorder.items == [0, 1, 2, 3, 4]


async def fails_by_name(backend: Backend) -> None:
    try:
        await backend.run(Recorder("check:fail", streams=False).call)
    except (StageFailure, OutsideError) as failure:
        assert failure.problem.title
    else:
        raise AssertionError("a failure is an exception")


async def stops_when_cancelled(backend: Backend) -> None:
    recorder = Recorder("check:long", streams=True)
    with anyio.move_on_after(3.5) as scope:
        await backend.run(recorder.call)
    assert scope.cancelled_caught, "cancellation is not swallowed"
    seen = len(recorder.items)
    assert 0 < seen <= 4
    await anyio.sleep(_SOON)
    assert len(recorder.items) == seen, "nothing comes from a stage that was stopped"


async def takes_many_at_once(backend: Backend) -> None:
    recorders = [Recorder("check:value", streams=False) for _ in range(50)]
    start = anyio.current_time()
    async with anyio.create_task_group() as group:
        for recorder in recorders:
            group.start_soon(backend.run, recorder.call)
    assert anyio.current_time() - start < 10, "calls do not wait for each other"


async def runs_at_once_what_never_waits(backend: Backend) -> None:
    recorder = Recorder("check:quick", streams=False)
    if backend.immediate("check:quick"):
        assert backend.now(recorder.call) == "quick"
    else:
        assert await backend.run(recorder.call) == "quick"
    assert recorder.usage.counts == {"tokens_out": 1}
    if backend.immediate("check:quick"):
        again = backend.bound(recorder.call)
        if again is not None:
            assert [await again({}), await again({})] == ["quick", "quick"], "what is bound runs again and again"
            assert recorder.usage.counts == {"tokens_out": 3}
    assert not backend.immediate("check:value"), "what waits is not immediate"
    assert not backend.immediate("check:nothing"), "what is not there fails when it is run, and not before"
