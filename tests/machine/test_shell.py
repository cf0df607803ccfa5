"""The shell on virtual time: streams that flow while upstream runs, stops that arrive, ends that are clean."""

from __future__ import annotations

import os
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any

import anyio
import pytest
from graphs import Body, hello

from agentlang.base.problems import OutsideError, Problem
from agentlang.executor.backends.local import LocalBackend
from agentlang.executor.backends.null import Answer, NullBackend, by_name
from agentlang.executor.deployment import Deployment
from agentlang.executor.frames import End, Frame, Item, ProblemFrame, Start, frame_json
from agentlang.executor.kinds import Context, Kind, Opener, StageFailure
from agentlang.executor.observers import FirstItem, Observer, RunOver, StageOver, StageStarted
from agentlang.executor.shell import open_shell
from agentlang.ir.graph import Graph, HandleName
from agentlang.lang.types import INT, TEXT, ListType, StreamType

pytestmark = pytest.mark.anyio
STREAM = StreamType(TEXT)
Arguments = Mapping[str, Any]


class Library:
    """Kinds made for a test; entries are the part behind the colon."""

    def __init__(self, *kinds: Callable[..., Any], **openers: Opener) -> None:
        self._kinds = {kind.__name__: kind for kind in kinds}
        self._openers = openers

    def kind(self, entry: str) -> Kind:
        return self._kinds[entry.partition(":")[2]]

    def opener(self, entry: str) -> Opener:
        return self._openers[entry.partition(":")[2]]


def deployed(graph: Graph, **settings: Any) -> Deployment:
    return Deployment(graph, **settings)


async def frames_of(graph: Graph, library: Library, timeout: float | None = None, **inputs: object) -> list[Frame]:
    async with open_shell(Deployment(graph), LocalBackend(library)) as shell:
        return [frame async for frame in shell.run(graph.pipelines[0].name, inputs, timeout)]


def items_of(frames: list[Frame]) -> list[object]:
    return [frame.output for frame in frames if isinstance(frame, Item)]


def end_of(frames: list[Frame]) -> End:
    assert isinstance(frames[0], Start)
    assert isinstance(frames[-1], End)
    return frames[-1]


async def write(_: Context, arguments: Arguments) -> AsyncIterator[str]:
    """A reply of two sentences, a piece every 100 ms."""
    for piece in ("Hel", "lo. ", "How ", "are ", "you", "?"):
        await anyio.sleep(0.1)
        yield piece


async def sentences(_: Context, arguments: Arguments) -> AsyncIterator[str]:
    text = ""
    async for piece in arguments["text"]:
        text += piece
        while ". " in text:
            sentence, text = text.split(". ", 1)
            yield sentence + "."
    if text:
        yield text


# --- streams ---


async def test_the_first_sentence_is_there_before_the_reply_ends() -> None:
    spoken: list[tuple[float, str]] = []
    ended: list[float] = []

    async def reply(context: Context, arguments: Arguments) -> AsyncIterator[str]:
        async for piece in write(context, arguments):
            yield piece
        ended.append(anyio.current_time())

    async def speak(_: Context, arguments: Arguments) -> str:
        async for sentence in arguments["text"]:
            spoken.append((anyio.current_time(), sentence))
        return "spoken"

    body = Body("p")
    graph = body.graph(
        body.stage("x:speak", TEXT, text=body.stage("x:sentences", STREAM, text=body.stage("x:reply", STREAM)))
    )
    start = anyio.current_time()
    end = end_of(await frames_of(graph, Library(reply, sentences, speak)))
    assert end.outcome.value == "spoken"
    assert [(round(at - start, 3), text) for at, text in spoken] == [(0.2, "Hello."), (0.6, "How are you?")]
    assert round(ended[0] - start, 3) == 0.6


async def test_items_leave_as_they_come() -> None:
    body = Body("p")
    frames = await frames_of(body.graph(body.stage("x:write", STREAM)), Library(write))
    assert [(round(f.t, 3), f.output) for f in frames if isinstance(f, Item)] == [
        (0.1, "Hel"),
        (0.2, "lo. "),
        (0.3, "How "),
        (0.4, "are "),
        (0.5, "you"),
        (0.6, "?"),
    ]
    timings = end_of(frames).timings
    assert timings.first_item is not None and round(timings.first_item, 3) == 0.1
    assert [round(gap, 3) for gap in timings.gaps] == [0.1] * 5


async def test_every_use_of_a_stream_gets_every_item() -> None:
    async def count(_: Context, arguments: Arguments) -> str:
        return str(len([piece async for piece in arguments["text"]]))

    async def slowly(_: Context, arguments: Arguments) -> AsyncIterator[str]:
        async for piece in arguments["text"]:
            await anyio.sleep(1)
            yield piece

    body = Body("p")
    reply = body.stage("x:write", STREAM)
    slow = body.collect(body.stage("x:slowly", STREAM, text=reply))
    graph = body.graph(body.template(body.stage("x:count", TEXT, text=reply), " ", slow, " ", body.collect(reply)))
    end = end_of(await frames_of(graph, Library(write, count, slowly)))
    assert end.outcome.value == "6 Hello. How are you? Hello. How are you?"


async def test_a_slow_reader_holds_the_producer_at_the_bound() -> None:
    made: list[float] = []
    taken = 0

    async def endless(_: Context, arguments: Arguments) -> AsyncIterator[str]:
        while True:
            made.append(anyio.current_time())
            yield "x"

    body = Body("p")
    graph = body.graph(body.stage("x:endless", STREAM))
    async with (
        open_shell(Deployment(graph, buffer=8), LocalBackend(Library(endless))) as shell,
        shell.start("p", {}) as running,
    ):
        async for frame in running:
            if isinstance(frame, Item):
                taken += 1
                await anyio.sleep(1)
                # Eight wait in the channel, and two are on their way to the caller.
                assert len(made) <= taken + 10
            if taken == 20:
                break
    assert len(made) >= 20
    assert running.end is not None and running.end.outcome.status == "cancelled"


async def test_a_caller_may_feed_a_stream() -> None:
    async def microphone() -> AsyncIterator[object]:
        for word in ("one", "two. ", "three"):
            await anyio.sleep(1)
            yield word

    body = Body("p")
    heard = body.input("heard", STREAM)
    frames = await frames_of(
        body.graph(body.stage("x:sentences", STREAM, text=heard)), Library(sentences), heard=microphone()
    )
    assert items_of(frames) == ["onetwo.", "three"]
    times = [frame.t for frame in frames if isinstance(frame, Item)]
    assert [round(t, 3) for t in times] == [2, 3]


async def test_a_stream_from_the_caller_that_breaks_off_fails_the_run() -> None:
    async def microphone() -> AsyncIterator[object]:
        yield "one"
        raise OSError("unplugged")

    body = Body("p")
    frames = await frames_of(body.graph(body.collect(body.input("heard", STREAM))), Library(), heard=microphone())
    outcome = end_of(frames).outcome
    assert outcome.reason == "bad_input" and outcome.problem is not None
    assert "unplugged" in outcome.problem.title


async def test_stages_that_do_not_depend_on_each_other_run_at_the_same_time() -> None:
    async def second(_: Context, arguments: Arguments) -> str:
        await anyio.sleep(1)
        return arguments["text"]

    body = Body("p")
    items = body.input("items", ListType(TEXT))
    graph = body.graph(
        body.each(items, lambda inner, item: inner.stage("x:second", TEXT, text=item), ListType(TEXT), at_most=2)
    )
    end = end_of(await frames_of(graph, Library(second), items=("a", "b", "c", "d")))
    assert end.outcome.value == ("a", "b", "c", "d")
    assert round(end.timings.finish, 3) == 2


# --- stops ---


class Steps:
    """A decode loop: a step of half a second that cannot be broken off, as one in a worker thread cannot."""

    def __init__(self) -> None:
        self.steps = 0
        self.released = 0

    async def decode(self, _: Context, arguments: Arguments) -> AsyncIterator[str]:
        try:
            while True:
                with anyio.CancelScope(shield=True):
                    await anyio.sleep(0.5)
                self.steps += 1
                yield f"{self.steps} "
        finally:
            with anyio.CancelScope(shield=True):
                await anyio.sleep(0.01)
            self.released += 1

    def library(self) -> Library:
        async def decode(context: Context, arguments: Arguments) -> AsyncIterator[str]:
            iterator = self.decode(context, arguments)
            try:
                async for item in iterator:
                    yield item
            finally:
                with anyio.CancelScope(shield=True):
                    await iterator.aclose()  # type: ignore[attr-defined]

        return Library(decode)


def decoding() -> Graph:
    body = Body("p")
    return body.graph(body.stage("x:decode", STREAM))


async def test_cancelling_stops_a_decode_within_one_step() -> None:
    steps = Steps()
    async with open_shell(Deployment(decoding()), LocalBackend(steps.library())) as shell:
        start = anyio.current_time()
        async with shell.start("p", {}) as running:
            await anyio.sleep(1.2)
            running.cancel()
            end = await running.result()
        assert end.outcome.status == "cancelled"
        assert anyio.current_time() - start <= 1.2 + 0.5
        assert (steps.steps, steps.released) == (3, 1)


async def test_an_interrupt_gives_every_caller_an_end() -> None:
    steps = Steps()
    ends: list[End] = []

    async def call() -> None:
        ends.append(await shell.start("p", {}).result())

    backend = LocalBackend(steps.library())
    async with open_shell(Deployment(decoding()), backend) as shell, anyio.create_task_group() as group:
        for _ in range(3):
            group.start_soon(call)
        await anyio.sleep(1.2)
        shell.interrupt()
    assert [end.outcome.status for end in ends] == ["interrupted"] * 3
    assert steps.released == 3


async def test_a_signal_interrupts() -> None:
    steps = Steps()
    async with open_shell(Deployment(decoding()), LocalBackend(steps.library()), signals=[signal.SIGINT]) as shell:
        async with shell.start("p", {}) as running:
            async for frame in running:
                if isinstance(frame, Item) and frame.seq == 1:
                    os.kill(os.getpid(), signal.SIGINT)
        assert running.end is not None and running.end.outcome.status == "interrupted"
        assert steps.released == 1


async def test_a_caller_that_leaves_stops_its_run() -> None:
    steps = Steps()
    async with open_shell(Deployment(decoding()), LocalBackend(steps.library())) as shell:
        frames = shell.run("p", {})
        async for frame in frames:
            if isinstance(frame, Item):
                break
        await frames.aclose()  # type: ignore[attr-defined]
        await anyio.sleep(1)
        assert steps.released == 1


async def test_leaving_the_shell_stops_what_runs() -> None:
    steps = Steps()
    async with open_shell(Deployment(decoding()), LocalBackend(steps.library())) as shell:
        running = shell.start("p", {})
        await anyio.sleep(0.7)
    assert steps.released == 1
    assert running.end is not None and running.end.outcome.status == "interrupted"


async def test_a_cancelled_host_takes_the_shell_down_cleanly() -> None:
    steps = Steps()
    with anyio.move_on_after(1.2) as scope:
        async with open_shell(Deployment(decoding()), LocalBackend(steps.library())) as shell:
            await shell.start("p", {}).result()
    assert scope.cancelled_caught
    assert (steps.steps, steps.released) == (3, 1)


async def test_what_the_caller_raises_is_raised_as_it_is() -> None:
    steps = Steps()
    with pytest.raises(LookupError, match="mine"):
        async with open_shell(Deployment(decoding()), LocalBackend(steps.library())) as shell:
            shell.start("p", {})
            await anyio.sleep(0.7)
            raise LookupError("mine")
    assert steps.released == 1


async def test_a_stage_that_reads_no_further_stops_its_producer() -> None:
    """As detokenize does at a stop text."""
    steps = Steps()

    async def until(_: Context, arguments: Arguments) -> AsyncIterator[str]:
        async for item in arguments["items"]:
            yield item
            if item == "2 ":
                return

    library = steps.library()
    library._kinds["until"] = until
    body = Body("p")
    frames = await frames_of(body.graph(body.stage("x:until", STREAM, items=body.stage("x:decode", STREAM))), library)
    assert items_of(frames) == ["1 ", "2 "]
    assert end_of(frames).outcome.status == "done"
    assert steps.released == 1 and steps.steps <= 3


async def test_a_result_that_holds_something_is_released_whatever_happens() -> None:
    released: list[str] = []

    class Cache:
        async def release(self) -> None:
            await anyio.sleep(0.1)
            released.append("cache")

    async def prefill(_: Context, arguments: Arguments) -> Cache:
        return Cache()

    async def wait(_: Context, arguments: Arguments) -> int:
        await anyio.sleep(10)
        return 1

    async def use(_: Context, arguments: Arguments) -> str:
        raise AssertionError("never started")

    body = Body("p")
    graph = body.graph(body.stage("x:use", TEXT, kv=body.stage("x:prefill", TEXT), after=body.stage("x:wait", INT)))
    frames = await frames_of(graph, Library(prefill, wait, use), timeout=1)
    assert end_of(frames).outcome.reason == "timeout"
    assert released == ["cache"]


# --- time ---


async def test_a_call_that_takes_too_long_fails_with_timeout() -> None:
    async def hang(_: Context, arguments: Arguments) -> str:
        await anyio.sleep(1e6)
        return ""

    body = Body("p")
    frames = await frames_of(body.graph(body.stage("x:hang", TEXT)), Library(hang))
    end = end_of(frames)
    assert end.outcome.reason == "timeout" and round(end.timings.finish, 3) == 60
    (problem,) = [frame.problem for frame in frames if isinstance(frame, ProblemFrame)]
    assert problem.slug == "call-timeout" and "1 min" in problem.title


async def test_a_run_has_a_deadline_too() -> None:
    steps = Steps()
    body = Body("p")
    graph = body.graph(body.stage("x:decode", STREAM))
    frames = await frames_of(graph, steps.library(), timeout=2.2)
    end = end_of(frames)
    assert end.outcome.problem is not None and end.outcome.problem.slug == "run-timeout"
    assert 2.2 <= end.timings.finish <= 2.8
    assert len(items_of(frames)) == 4


# --- failures ---


async def failing(error: BaseException) -> End:
    stopped: list[bool] = []

    async def broken(_: Context, arguments: Arguments) -> str:
        await anyio.sleep(0.5)
        raise error

    async def beside(_: Context, arguments: Arguments) -> str:
        try:
            await anyio.sleep(100)
        finally:
            stopped.append(True)
        return ""

    body = Body("p")
    both = body.template(body.stage("x:broken", TEXT), body.stage("x:beside", TEXT))
    frames = await frames_of(body.graph(both), Library(broken, beside))
    assert stopped == [True]
    return end_of(frames)


async def test_a_stage_fails_with_its_reason() -> None:
    problem = Problem("order-unknown", "no such order")
    outcome = (await failing(StageFailure("tool_error", problem))).outcome
    assert (outcome.status, outcome.reason, outcome.problem) == ("failed", "tool_error", problem)


async def test_something_outside_fails() -> None:
    problem = Problem("model-not-here", "not here")
    outcome = (await failing(OutsideError(problem))).outcome
    assert (outcome.reason, outcome.problem) == ("unreachable", problem)


async def test_a_failure_in_a_group_is_the_failure() -> None:
    problem = Problem("order-unknown", "no such order")
    outcome = (await failing(ExceptionGroup("x", [StageFailure("tool_error", problem)]))).outcome
    assert (outcome.reason, outcome.problem) == ("tool_error", problem)


async def test_a_crash_says_what_crashed() -> None:
    outcome = (await failing(ZeroDivisionError("division by zero"))).outcome
    assert outcome.reason == "crashed" and outcome.problem is not None
    assert "ZeroDivisionError: division by zero" in outcome.problem.title
    assert outcome.problem.detail is not None and "broken" in outcome.problem.detail


async def test_an_entry_that_nothing_stands_behind() -> None:
    body = Body("p")
    outcome = end_of(await frames_of(body.graph(body.stage("x:nothing", TEXT)), Library())).outcome
    assert outcome.problem is not None and outcome.problem.slug == "stage-unknown"


# --- handles ---


async def test_handles_open_once_and_close_in_reverse() -> None:
    log: list[str] = []

    class Opened:
        def __init__(self, name: str) -> None:
            self.name = name

        async def aclose(self) -> None:
            log.append(f"close {self.name}")

    async def index(name: str, arguments: Mapping[str, object]) -> object:
        assert isinstance(arguments["encoder"], Opened)
        log.append(f"open {name}")
        return Opened(name)

    async def model(name: str, arguments: Mapping[str, object]) -> object:
        await anyio.sleep(1)
        log.append(f"open {name}")
        return Opened(name)

    async def use(_: Context, arguments: Arguments) -> str:
        return arguments["index"].name + arguments["encoder"].name

    body = Body("p")
    handbook = body.open("handbook", "search:index", encoder=HandleName("encoder"))  # type: ignore[arg-type]
    encoder = body.open("encoder", "embed:model")
    graph = body.graph(body.stage("x:use", TEXT, index=handbook, encoder=encoder))
    async with open_shell(Deployment(graph), LocalBackend(Library(use, index=index, model=model))) as shell:
        first = await shell.start("p", {}).result()
        second = await shell.start("p", {}).result()
    assert first.outcome.value == second.outcome.value == "handbookencoder"
    assert (first.timings.opening, second.timings.opening) == (1, 0)
    assert log == ["open encoder", "open handbook", "close handbook", "close encoder"]


async def test_a_handle_that_does_not_open() -> None:
    problem = Problem("model-not-here", "not here")

    def model(name: str, arguments: Mapping[str, object]) -> Awaitable[object]:
        raise OutsideError(problem)

    outcome = end_of(await frames_of(hello(), Library(model=model))).outcome
    assert (outcome.status, outcome.problem, outcome.stage) == ("failed", problem, "writer")


# --- the null backend, observers, frames ---

HELLO = {
    "llm:tokenize": Answer((1, 2, 3), seconds=0.001, usage={"tokens_in": 3}),
    "llm:prefill": Answer("kv", seconds=0.2),
    "llm:transfer": Answer("kv"),
    "llm:decode": Answer(items=tuple(range(4)), seconds=0.03, gap=0.03, usage={"tokens_out": 4}),
    "llm:detokenize": Answer(items=("He", "llo ", "Ad", "a")),
}


async def test_a_chat_on_the_null_backend_takes_the_time_it_is_given() -> None:
    async with open_shell(Deployment(hello()), NullBackend(by_name(HELLO), {"writer": 2.0})) as shell:
        frames = [frame async for frame in shell.run("hello", {"name": "Ada"})]
    assert "".join(map(str, items_of(frames))) == "Hello Ada"
    end = end_of(frames)
    assert end.timings.first_item is not None and round(end.timings.first_item, 6) == 2.231
    assert round(end.timings.finish, 6) == 2.321
    assert end.usage == {"tokens_in": 3, "tokens_out": 4}
    stages = {timing.stage.split(".")[1].rstrip("0123456789"): timing for timing in end.timings.stages}
    assert round(stages["prefill"].end - stages["prefill"].start, 6) == 0.2
    assert stages["decode"].items == 4


async def test_an_answer_that_is_not_recorded_is_a_problem() -> None:
    async with open_shell(Deployment(hello()), NullBackend(by_name({}))) as shell:
        end = await shell.start("hello", {}).result()
    assert end.outcome.problem is not None and end.outcome.problem.slug == "no-answer"


async def test_observers_see_stages_begin_and_end_and_one_that_fails_is_dropped() -> None:
    seen: list[object] = []

    class Trace(Observer):
        def stage_started(self, event: StageStarted, /) -> None:
            seen.append(("started", event.entry))

        def first_item(self, event: FirstItem, /) -> None:
            seen.append(("first", event.stage.split(".")[1].rstrip("0123456789")))

        def stage_over(self, event: StageOver, /) -> None:
            seen.append((event.how, event.items))

        def run_over(self, event: RunOver, /) -> None:
            seen.append(event.outcome.status)

    class Broken(Observer):
        def stage_started(self, event: StageStarted, /) -> None:
            raise BrokenPipeError

    backend = NullBackend(by_name(HELLO))
    async with open_shell(Deployment(hello()), backend, observers=[Broken(), Trace()]) as shell:
        await shell.start("hello", {}).result()
    assert seen[:6] == [
        ("started", "llm:tokenize"),
        ("ended", 0),
        ("started", "llm:prefill"),
        ("ended", 0),
        ("started", "llm:transfer"),
        ("ended", 0),
    ]
    assert seen[6:10] == [
        ("started", "llm:decode"),
        ("started", "llm:detokenize"),
        ("first", "decode"),
        ("first", "detokenize"),
    ]
    assert seen[-1] == "done"


async def test_frames_as_json() -> None:
    async with open_shell(Deployment(hello()), NullBackend(by_name(HELLO))) as shell:
        lines = [frame_json(frame) async for frame in shell.run("hello", {})]
    assert [line["type"] for line in lines] == ["start", "item", "item", "item", "item", "end"]
    assert {key: lines[2][key] for key in ("output", "seq", "t")} == {"output": "llo ", "seq": 1, "t": 0.261}
    usage = lines[-1]["usage"]
    assert isinstance(usage, dict)
    assert {unit: usage[unit] for unit in ("tokens", "seconds", "dollars")} == {
        "tokens": 7,
        "seconds": 0.321,
        "dollars": 0,
    }


async def test_an_unknown_pipeline_is_a_key_error() -> None:
    async with open_shell(Deployment(hello()), NullBackend(by_name(HELLO))) as shell:
        with pytest.raises(KeyError):
            shell.start("goodbye", {})
