"""What a stage makes without waiting is told in bunches: all of it arrives, in order, no later than it would otherwise,
and nobody waits longer for it than the others do."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import suppress
from typing import Any

import anyio
import pytest
from graphs import Body
from hypothesis import given, settings
from hypothesis import strategies as st

from agentlang.executor.backends.local import LocalBackend
from agentlang.executor.channels import Channel
from agentlang.executor.clock import VirtualEventLoop
from agentlang.executor.deployment import Deployment
from agentlang.executor.frames import Item
from agentlang.executor.kinds import Context, Kind, Opener
from agentlang.executor.machine import Machine, events
from agentlang.executor.shell import Shell, open_shell
from agentlang.ir.graph import Graph
from agentlang.lang.types import INT, StreamType

INTS = StreamType(INT)
Arguments = Mapping[str, Any]


class Counting:
    """A source of so many numbers, of which each in `slow` takes a second; a stage that passes them on, one that
    does so by tasks of its own, and one that ends after three."""

    def __init__(self, count: int, slow: frozenset[int] = frozenset()) -> None:
        self.count = count
        self.slow = slow
        self.made = 0

    def kind(self, entry: str) -> Kind:
        kinds: dict[str, Kind] = {"x:source": self.source, "x:pass": passing, "x:task": by_a_task, "x:three": three}
        return kinds[entry]

    def opener(self, entry: str) -> Opener:
        raise KeyError(entry)

    async def source(self, _: Context, __: Arguments) -> AsyncIterator[int]:
        for number in range(self.count):
            if number in self.slow:
                await anyio.sleep(1)
            self.made += 1
            yield number


async def passing(_: Context, arguments: Arguments) -> AsyncIterator[int]:
    async for item in arguments["of"]:
        yield item


async def by_a_task(_: Context, arguments: Arguments) -> AsyncIterator[int]:
    """Reads each in a task of its own, which the executor does not know."""
    items = aiter(arguments["of"])

    async def read() -> int:
        return await anext(items)

    with suppress(StopAsyncIteration):
        while True:
            yield await asyncio.ensure_future(read())


async def three(_: Context, arguments: Arguments) -> AsyncIterator[int]:
    left = 3
    async for item in arguments["of"]:
        yield item
        left -= 1
        if not left:
            return


def chain(*entries: str) -> Graph:
    body = Body("p")
    made = body.stage("x:source", INTS)
    for entry in entries:
        made = body.stage(entry, INTS, of=made)
    return body.graph(made)


def on_virtual_time(work: Any, *arguments: object) -> Any:
    return anyio.run(work, *arguments, backend_options={"loop_factory": VirtualEventLoop})


async def came(graph: Graph, library: Counting, buffer: int) -> list[tuple[float, object]]:
    async with open_shell(Deployment(graph, buffer=buffer), LocalBackend(library)) as shell:
        frames = [frame async for frame in shell.run("p", {})]
    assert frames[-1].outcome.status == "done"  # type: ignore[union-attr]
    return [(frame.t, frame.output) for frame in frames if isinstance(frame, Item)]


@settings(max_examples=40, deadline=None)
@given(
    count=st.integers(0, 150),
    buffer=st.integers(1, 70),
    entries=st.lists(st.sampled_from(["x:pass", "x:task", "x:three"]), max_size=4),
    slow=st.frozensets(st.integers(0, 150), max_size=5),
)
def test_all_of_it_comes_in_order_and_as_soon_as_it_is_made(
    count: int, buffer: int, entries: list[str], slow: frozenset[int]
) -> None:
    expected = range(min(count, 3)) if "x:three" in entries else range(count)
    times = [float(sum(each <= number for each in slow)) for number in expected]
    found = on_virtual_time(came, chain(*entries), Counting(count, slow), buffer)
    assert [item for _, item in found] == list(expected)
    assert [round(at, 3) for at, _ in found] == times


def test_bunches_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    heard: list[events.Event] = []
    tell = Shell._tell

    def listening(shell: Shell, event: events.Event) -> None:
        heard.append(event)
        tell(shell, event)

    monkeypatch.setattr(Shell, "_tell", listening)
    on_virtual_time(came, chain("x:pass"), Counting(640), 64)
    # One by one these were two thousand: each is made and taken three times.
    assert len(heard) < 200
    assert sum(len(event.items) for event in heard if isinstance(event, events.StageItems)) > 1000


def test_a_machine_that_is_not_told_to_gives_no_bunches() -> None:
    for bunches, most in ((False, 1), (True, 5)):
        machine = Machine(Deployment(chain("x:pass"), buffer=5), bunches=bunches)
        source = machine.handle(events.RunRequested(0.0, 1, "p", {}))[0].stage  # type: ignore[union-attr]
        made = machine.handle(events.StageItems(0.0, source, [0, 1, 2, 3, 4]))
        found = [getattr(order, "items", None) or (order.item,) for order in made if hasattr(order, "reader")]  # type: ignore[union-attr]
        assert [len(items) for items in found] == [most] * (5 // most)
        assert [item for items in found for item in items] == [0, 1, 2, 3, 4]


@given(st.lists(st.tuples(st.sampled_from(["push", "read", "take"]), st.integers(1, 9)), max_size=40))
def test_a_channel_gives_several_as_it_gives_one(steps: list[tuple[str, int]]) -> None:
    class Quiet:
        def notify(self) -> None: ...

        def withdraw(self, places: tuple[int, ...]) -> None: ...

        def more(self) -> None: ...

        def unwanted(self) -> None: ...

    made: list[tuple[Channel, Any, list[object]]] = []
    for _ in range(2):
        channel = Channel(8, "s")
        channel.hold(kept=False)
        made.append((channel, channel.open(Quiet(), kept=False), []))
    (one, single, singly), (other, bunch, bunched) = made
    number = 0
    for what, count in steps:
        if what == "push":
            items = list(range(number, number + min(count, one.room())))
            number += len(items)
            for item in items:
                one.push(item)
            other.push_several(items)
        elif what == "read":
            taken = min(count, single.behind)
            singly.extend(single.hand_out() for _ in range(taken))
            if taken:
                bunched.extend(bunch.hand_out_several(count))
        else:
            taken = min(count, single.position - single.taken)
            single.confirm(taken)
            bunch.confirm(taken)
        assert (one.room(), one.base, list(one.items), single.behind) == (
            *(other.room(), other.base, list(other.items), bunch.behind),
        )
    assert singly == bunched


def test_no_run_is_starved() -> None:
    """Forty runs at once, none of which ever waits: when the first is over, the last is nearly there."""
    runs, count = 40, 400
    got = [0] * runs
    left_behind: list[int] = []

    async def read(shell: Shell, number: int) -> None:
        async for frame in shell.run("p", {}):
            got[number] += isinstance(frame, Item)
        if not left_behind:
            left_behind.append(count - min(got))

    async def all_of_them() -> None:
        async with (
            open_shell(Deployment(chain("x:pass", "x:pass")), LocalBackend(Counting(count))) as shell,
            anyio.create_task_group() as group,
        ):
            for number in range(runs):
                group.start_soon(read, shell, number)

    on_virtual_time(all_of_them)
    assert got == [count] * runs
    assert left_behind[0] <= 128
