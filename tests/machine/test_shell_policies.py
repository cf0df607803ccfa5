"""Regions that fail, policies, people and sessions through the shell, on virtual time and both event loops."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable

import anyio
import pytest
from graphs import Body
from test_failures import stage
from test_shell import Arguments, Library, end_of, frames_of, items_of

from agentlang.base.problems import Problem
from agentlang.executor.backends.local import LocalBackend, never_waits
from agentlang.executor.backends.null import Answer, NullBackend, by_name
from agentlang.executor.deployment import Deployment
from agentlang.executor.frames import Item
from agentlang.executor.kinds import Context, StageFailure
from agentlang.executor.observers import Observer, StageOver, StageStarted
from agentlang.executor.running import Question
from agentlang.executor.shell import Shell, open_shell
from agentlang.ir.graph import Graph
from agentlang.lang.types import INT, TEXT, ListType, StreamType

pytestmark = pytest.mark.anyio
STREAM = StreamType(TEXT)


async def broken(_: Context, __: Arguments) -> str:
    await anyio.sleep(1)
    raise StageFailure("tool_error", Problem("it-broke", "it broke"))


async def test_a_fallback_answers() -> None:
    async def sound(_: Context, __: Arguments) -> str:
        await anyio.sleep(1)
        return "sound"

    body = Body("p")
    graph = body.graph(body.attempt(stage("broken"), stage("sound"), TEXT))
    end = end_of(await frames_of(graph, Library(broken, sound)))
    assert end.outcome.value == "sound" and round(end.timings.finish, 3) == 2


async def test_a_timeout_is_met_while_the_loser_takes_its_time_to_go() -> None:
    """Nothing waits for a stage that was stopped, but the end of the run."""
    gone: list[float] = []

    async def slow(_: Context, __: Arguments) -> str:
        try:
            await anyio.sleep(100)
        finally:
            with anyio.CancelScope(shield=True):
                await anyio.sleep(5)
            gone.append(anyio.current_time())
        return "late"

    async def quick(_: Context, __: Arguments) -> AsyncIterator[str]:
        yield "quick"

    body = Body("p")
    graph = body.graph(
        body.attempt(
            lambda b: b.guard(stage("slow", STREAM), STREAM, timeout=1.0), stage("quick", STREAM), STREAM, "timeout"
        )
    )

    async def slowly(context: Context, arguments: Arguments) -> AsyncIterator[str]:
        yield await slow(context, arguments)

    slowly.__name__ = "slow"
    start = anyio.current_time()
    frames = await frames_of(graph, Library(slowly, quick))
    assert [(round(f.t, 3), f.output) for f in frames if isinstance(f, Item)] == [(1, "quick")]
    assert [round(at - start, 3) for at in gone] == [6]
    assert round(end_of(frames).timings.finish, 3) == 6


async def test_retries_hedges_and_rates_keep_time() -> None:
    starts: list[float] = []

    async def call(_: Context, __: Arguments) -> str:
        starts.append(round(anyio.current_time(), 3))
        await anyio.sleep(1)
        if len(starts) < 3:
            raise StageFailure("tool_error", Problem("it-broke", "it broke"))
        return "at last"

    body = Body("p")
    graph = body.graph(body.guard(stage("call"), TEXT, retries=2, backoff=1.0))
    async with open_shell(Deployment(graph), LocalBackend(Library(call)), luck=lambda: 1.0) as shell:
        start = anyio.current_time()
        end = await shell.start("p", {}).result()
    assert end.outcome.value == "at last"
    assert [round(at - start, 3) for at in starts] == [0, 2, 5]


async def test_the_null_backend_runs_the_same_policies() -> None:
    body = Body("p")
    items = body.input("items", ListType(INT))
    graph = body.graph(
        body.each(items, lambda b, item: b.guard(stage("call", of=item), TEXT, rate=2.0), ListType(TEXT), at_most=9)
    )
    backend = NullBackend(by_name({"x:call": Answer("x", seconds=0.1)}))
    async with open_shell(Deployment(graph), backend) as shell:
        end = await shell.start("p", {"items": (1, 2, 3, 4, 5)}).result()
    assert end.outcome.value == ("x",) * 5 and round(end.timings.finish, 3) == 2.1


# --- equal calls at once ---


async def test_equal_calls_at_once_are_made_once_and_each_gets_the_answer() -> None:
    made = 0

    async def call(_: Context, arguments: Arguments) -> str:
        nonlocal made
        made += 1
        await anyio.sleep(2)
        if made == 1:
            raise StageFailure("tool_error", Problem("it-broke", "it broke"))
        return f"{arguments['of']}"

    body = Body("p")
    graph = body.graph(body.guard(stage("call", of=body.input("of", TEXT)), TEXT, cache=60.0))
    async with open_shell(Deployment(graph), LocalBackend(Library(call))) as shell:
        runs = [shell.start("p", {"of": "a"}) for _ in range(5)]
        ends = [await run.result() for run in runs]
        assert [end.outcome.value or end.outcome.reason for end in ends] == ["tool_error", *("a",) * 4] and made == 2
        assert [round(end.timings.finish, 3) for end in ends] == [2, 4, 4, 4, 4]


async def test_each_use_of_equal_streams_gets_every_item() -> None:
    made = 0

    async def call(_: Context, arguments: Arguments) -> AsyncIterator[str]:
        nonlocal made
        made += 1
        for number in range(200):
            await anyio.sleep(0.01)
            yield f"{arguments['of']}{number}"

    body = Body("p")
    graph = body.graph(body.guard(stage("call", STREAM, of=body.input("of", TEXT)), STREAM, cache=60.0))
    found: list[list[object]] = []

    async def reads(shell: Shell, number: int) -> None:
        running = shell.start("p", {"of": "a"})
        items: list[object] = []
        async for frame in running:
            if isinstance(frame, Item):
                items.append(frame.output)
                if number == 0 and len(items) == 50:
                    running.cancel()  # the one that the others wait for
        found.append(items)

    async with open_shell(Deployment(graph), LocalBackend(Library(call))) as shell, anyio.create_task_group() as group:
        for number in range(4):
            group.start_soon(reads, shell, number)
            await anyio.sleep(0.001)
    assert made == 2
    whole = [f"a{number}" for number in range(200)]
    assert sorted(found, key=len)[1:] == [whole] * 3 and min(map(len, found)) < 200


# --- people ---


def paying() -> Graph:
    body = Body("p")
    question = body.template("Pay ", body.input("amount", INT), "?")
    return body.graph(body.guard(stage("pay"), TEXT, question))


async def pay(_: Context, __: Arguments) -> str:
    return "paid"


async def test_a_person_is_asked_through_the_run() -> None:
    asked: list[Question] = []

    async def approve(question: Question) -> bool:
        asked.append(question)
        await anyio.sleep(86_400)
        return question.text == "Pay 3?"

    async with open_shell(Deployment(paying()), LocalBackend(Library(pay))) as shell:
        yes = shell.start("p", {"amount": 3}, 5.0, approve=approve, session="ada")
        no = shell.start("p", {"amount": 4}, approve=approve)
        outcomes = [(await one.result()).outcome for one in (yes, no)]
    assert [outcome.value or outcome.reason for outcome in outcomes] == ["paid", "denied"]
    assert {(question.text, question.session) for question in asked} == {("Pay 3?", "ada"), ("Pay 4?", None)}


async def test_without_anybody_to_ask_it_is_denied_with_the_reason() -> None:
    end = end_of(await frames_of(paying(), Library(pay), amount=3))
    assert end.outcome.reason == "denied" and end.outcome.problem is not None
    assert end.outcome.problem.slug == "nobody-to-ask" and end.outcome.problem.detail == "Pay 3?"


async def test_an_approver_that_breaks_approves_nothing() -> None:
    async def approve(_: Question) -> bool:
        raise RuntimeError("no line")

    async with open_shell(Deployment(paying()), LocalBackend(Library(pay))) as shell:
        end = await shell.start("p", {"amount": 3}, approve=approve).result()
    assert end.outcome.reason == "denied" and end.outcome.problem is not None
    assert end.outcome.problem.slug == "approver-crashed"


async def test_nobody_is_asked_on_after_the_run() -> None:
    left: list[str] = []

    async def approve(_: Question) -> bool:
        try:
            await anyio.sleep_forever()
        finally:
            left.append("gone")
        return True

    async with open_shell(Deployment(paying()), LocalBackend(Library(pay))) as shell:
        running = shell.start("p", {"amount": 3}, approve=approve)
        await anyio.sleep(1)
        running.cancel()
        assert (await running.result()).outcome.status == "cancelled"
        await anyio.sleep(1)
        assert left == ["gone"]


# --- sessions ---


async def reply(_: Context, arguments: Arguments) -> AsyncIterator[str]:
    for number in range(10):
        await anyio.sleep(1)
        yield f"{arguments['text']}{number}"


async def test_barge_in() -> None:
    """The reply stops when the next words come, and what was not heard yet is never heard."""

    async def microphone() -> AsyncIterator[object]:
        yield "a"
        await anyio.sleep(3.5)
        yield "b"

    body = Body("p")
    heard = body.input("heard", STREAM)
    graph = body.graph(
        body.each(heard, lambda b, item: b.interruptible(stage("reply", STREAM, text=item), STREAM), STREAM)
    )
    frames = await frames_of(graph, Library(reply), heard=microphone())
    assert items_of(frames) == ["a0", "a1", "a2", *(f"b{number}" for number in range(10))]
    assert round(end_of(frames).timings.finish, 3) == 13.5


async def test_a_new_run_of_a_session_interrupts_the_last() -> None:
    body = Body("p")
    text = body.input("text", TEXT)
    graph = body.graph(body.interruptible(stage("reply", STREAM, text=text), STREAM))
    async with open_shell(Deployment(graph), LocalBackend(Library(reply))) as shell:
        first = shell.start("p", {"text": "a"}, session="ada")
        await anyio.sleep(2.5)
        second = shell.start("p", {"text": "b"}, session="ada")
        frames = [frame async for frame in first]
        # Nobody had read the items of the first: what still waited when it was interrupted is gone.
        assert items_of(frames) == []
        assert end_of(frames).outcome.status == "done"
        assert len(items_of([frame async for frame in second])) == 10


# --- stages that never wait ---


async def one(_: Context, arguments: Arguments) -> int:
    return arguments["of"] + 1


async def waiting(_: Context, arguments: Arguments) -> int:
    await anyio.sleep(0)
    return arguments["of"] + 1


def test_what_has_no_await_never_waits() -> None:
    async def loops(_: Context, arguments: Arguments) -> int:
        async for _item in arguments["of"]:
            pass
        return 1

    async def contexts(_: Context, arguments: Arguments) -> int:
        async with arguments["of"]:
            return 1

    async def items(_: Context, __: Arguments) -> AsyncIterator[int]:
        yield 1

    def plain(_: Context, __: Arguments) -> Awaitable[object]:
        return anyio.sleep(1)

    assert never_waits(one)
    assert [never_waits(kind) for kind in (waiting, loops, contexts, items, plain)] == [False] * 5  # type: ignore[arg-type]


def chain(stages: int) -> Graph:
    body = Body("p")
    value = body.constant(0, INT)
    for _ in range(stages):
        value = body.stage("x:one", INT, of=value)
    return body.graph(value)


async def test_they_are_seen_and_counted_as_all_are() -> None:
    class Watching(Observer):
        def __init__(self) -> None:
            self.seen: list[str] = []

        def stage_started(self, event: StageStarted, /) -> None:
            self.seen.append("started")

        def stage_over(self, event: StageOver, /) -> None:
            self.seen.append(event.how)

    async def counting(context: Context, arguments: Arguments) -> int:
        context.usage.add("tokens_out", 2)
        if arguments["of"] == 1:
            raise StageFailure("tool_error", Problem("it-broke", "it broke"))
        return arguments["of"] + 1

    counting.__name__ = "one"
    watching = Watching()
    async with open_shell(Deployment(chain(3)), LocalBackend(Library(counting)), observers=[watching]) as shell:
        end = await shell.start("p", {}).result()
    assert watching.seen == ["started", "ended", "started", "failed"]
    assert end.usage == {"tokens_out": 4} and end.outcome.reason == "tool_error"
    assert [timing.count for timing in end.timings.stages] == [1, 1]


async def test_a_long_chain_of_them_lets_others_run_and_can_be_cancelled() -> None:
    turns = 0

    async def others() -> None:
        nonlocal turns
        while True:
            turns += 1
            await anyio.sleep(0)

    async with (
        anyio.create_task_group() as group,
        open_shell(Deployment(chain(3000)), LocalBackend(Library(one))) as shell,
    ):
        group.start_soon(others)
        end = await shell.start("p", {}).result()
        assert end.outcome.value == 3000 and turns >= 10
        running = shell.start("p", {})
        running.cancel()
        assert (await running.result()).outcome.status == "cancelled"
        group.cancel_scope.cancel()


async def test_they_end_a_wide_loop_in_order(anyio_backend_name: str) -> None:
    del anyio_backend_name
    body = Body("p")
    items = body.input("items", ListType(INT))
    graph = body.graph(body.each(items, lambda b, i: b.stage("x:one", INT, of=i), ListType(INT), at_most=1000))
    end = end_of(await frames_of(graph, Library(one), items=tuple(range(1000))))
    assert end.outcome.value == tuple(range(1, 1001))
