"""A `for` over a stream that gives a list: it is the `for` over `all` of it in everything but time."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from random import Random
from typing import Any

import anyio
import pytest
from driver import Driver
from graphs import Body

from agentlang.base.problems import Problem
from agentlang.executor.backends.local import LocalBackend
from agentlang.executor.deployment import Deployment
from agentlang.executor.frames import End, Item
from agentlang.executor.kinds import Context, Kind, Opener, StageFailure
from agentlang.executor.shell import open_shell
from agentlang.ir.graph import Graph, Value
from agentlang.lang.types import BOOL, INT, TEXT, ListType, StreamType

pytestmark = pytest.mark.anyio
Arguments = Mapping[str, Any]
NUMBERS = StreamType(INT)


class Kinds:
    """A stream of `count` numbers, `gap` seconds apart, that may break off; turns that take `turn` seconds each and
    fail for some. `under_way` is how many turns there were at once, `made` when the stream had made its items."""

    def __init__(
        self,
        count: int,
        gap: float = 1.0,
        turn: Callable[[int], float] = lambda _: 2.0,
        breaks: int | None = None,
        fails: tuple[int, ...] = (),
    ) -> None:
        self.count, self.gap, self.turn, self.breaks, self.fails = count, gap, turn, breaks, fails
        self.active = self.under_way = 0
        self.made: list[float] = []

    def kind(self, entry: str) -> Kind:
        return getattr(self, entry.partition(":")[2])

    def opener(self, entry: str) -> Opener:
        raise KeyError(entry)

    async def numbers(self, _: Context, __: Arguments) -> AsyncIterator[int]:
        for number in range(self.count):
            await anyio.sleep(self.gap)
            if number == self.breaks:
                raise StageFailure("unreachable", Problem("gone", "it broke off"))
            self.made.append(anyio.current_time())
            yield number

    async def work(self, _: Context, arguments: Arguments) -> str:
        number = arguments["of"]
        self.active += 1
        self.under_way = max(self.under_way, self.active)
        await anyio.sleep(self.turn(number))
        self.active -= 1
        if number in self.fails:
            raise StageFailure("refused", Problem("it-said-no", f"{number} is not taken"))
        return f"<{number}>"


def loop(arriving: bool, at_most: int = 4, odd: bool = False) -> Graph:
    """The list of all turns, and before it what is sent out at once."""
    body = Body("p")
    stream = body.stage("x:numbers", NUMBERS)

    def where(inner: Body, item: Value) -> Value:
        rest = inner.binary("%", item, inner.constant(2, INT), INT)
        return inner.binary("==", rest, inner.constant(1, INT), BOOL)

    made = body.each(
        stream if arriving else body.collect(stream),
        lambda inner, item: inner.stage("x:work", TEXT, of=item),
        ListType(TEXT),
        where if odd else None,
        at_most,
    )
    return body.graph(made)


async def run(graph: Graph, kinds: Kinds, buffer: int = 64) -> tuple[End, list[object]]:
    items: list[object] = []
    async with open_shell(Deployment(graph, buffer=buffer), LocalBackend(kinds)) as shell:
        running = shell.start("p", {})
        async with running:
            async for frame in running:
                if isinstance(frame, Item):
                    items.append(frame.output)
        return await running.result(), items


async def both(make: Callable[[], Kinds], **options: Any) -> tuple[End, End, Kinds]:
    """How it ends as the items arrive, and with the whole stream first: the same way."""
    kinds = make()
    (first, sent), (second, sent_before) = (
        await run(loop(True, **options), kinds),
        await run(loop(False, **options), make()),
    )
    assert (first.outcome.status, first.outcome.value, sent) == (
        second.outcome.status,
        second.outcome.value,
        sent_before,
    )
    return first, second, kinds


async def test_turns_begin_as_items_come() -> None:
    """Ten items, one a second; turns of two seconds, four at once."""
    first, second, kinds = await both(lambda: Kinds(10))
    assert first.outcome.value == tuple(f"<{number}>" for number in range(10))
    assert first.timings.finish == pytest.approx(12.0)
    assert second.timings.finish == pytest.approx(16.0)
    assert kinds.under_way == 2


async def test_no_more_turns_at_once_than_it_says() -> None:
    first, second, kinds = await both(lambda: Kinds(9, 0.1, lambda _: 5.0), at_most=3)
    assert kinds.under_way == 3
    assert first.timings.finish == pytest.approx(15.3) and second.timings.finish == pytest.approx(15.9)


async def test_slow_turns_do_not_hold_the_stream_back() -> None:
    kinds = Kinds(40, 0.01, lambda _: 10.0)
    end, _ = await run(loop(True, at_most=1), kinds, buffer=2)
    assert end.outcome.status == "done"
    assert kinds.made[-1] - kinds.made[0] == pytest.approx(0.39)


async def test_results_are_in_the_order_of_the_stream() -> None:
    first, _, _ = await both(lambda: Kinds(6, 0.1, lambda number: 6.0 - number))
    assert first.outcome.value == tuple(f"<{number}>" for number in range(6))


@pytest.mark.parametrize("count", [0, 1, 5])
async def test_a_filter_and_a_short_stream(count: int) -> None:
    first, _, _ = await both(lambda: Kinds(count), odd=True)
    assert first.outcome.value == tuple(f"<{number}>" for number in range(count) if number % 2)


async def test_a_stream_that_breaks_off_gives_nothing() -> None:
    first, second, _ = await both(lambda: Kinds(5, breaks=3))
    assert first.outcome.reason == second.outcome.reason == "unreachable"
    assert first.outcome.stage == second.outcome.stage


async def test_a_turn_that_fails_fails_sooner() -> None:
    first, second, _ = await both(lambda: Kinds(10, fails=(1,)))
    assert first.outcome.reason == second.outcome.reason == "refused"
    assert first.timings.finish == pytest.approx(4.0) and second.timings.finish == pytest.approx(12.0)


@pytest.mark.parametrize("seed", range(30))
async def test_however_long_it_all_takes(seed: int) -> None:
    draw = Random(seed)
    count, gap, at_most = draw.randrange(8), draw.random(), draw.randrange(1, 5)
    seconds = [3.0 * draw.random() for _ in range(count)]
    breaks = draw.choice([None, None, draw.randrange(8)])
    first, second, kinds = await both(
        lambda: Kinds(count, gap, lambda number: seconds[number], breaks), at_most=at_most, odd=draw.random() < 0.3
    )
    assert first.outcome.reason == second.outcome.reason
    assert first.timings.finish <= second.timings.finish + 1e-9
    assert kinds.under_way <= at_most


def test_it_is_stopped_with_all_that_it_began() -> None:
    there = Driver(loop(True))
    there.begin()
    there.item("numbers", 0)
    there.item("numbers", 1)
    assert there.running() == ["numbers", "work", "work"]
    there.fail("numbers")
    assert there.outcome()[0] == "failed"
    there.check_idle()
