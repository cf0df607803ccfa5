"""Cassettes and given answers: what was recorded comes again, without what gave it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import anyio
import pytest
from graphs import Body, hello
from test_shell import Arguments, Library, end_of, items_of

from agentlang.base.problems import Problem
from agentlang.executor.backends import Backend, Call
from agentlang.executor.backends.local import LocalBackend
from agentlang.executor.backends.recording import RecordingBackend
from agentlang.executor.backends.replaying import ReplayBackend
from agentlang.executor.cassettes import Cassette, Recorded, digest, read, write
from agentlang.executor.deployment import Deployment
from agentlang.executor.frames import Frame
from agentlang.executor.kinds import Context, StageFailure
from agentlang.executor.shell import open_shell
from agentlang.ir.graph import Graph
from agentlang.lang.types import INT, TEXT, ListType, StreamType

pytestmark = pytest.mark.anyio
STREAM = StreamType(TEXT)


async def run(graph: Graph, backend: Backend, **inputs: object) -> list[Frame]:
    async with open_shell(Deployment(graph), backend) as shell:
        return [frame async for frame in shell.run(graph.pipelines[0].name, inputs)]


class Model:
    """A chat whose cache is an object without a JSON form; it counts what it did."""

    def __init__(self) -> None:
        self.opened = 0
        self.steps = 0

    def library(self) -> Library:
        model = self

        async def open_model(_: str, __: Arguments) -> object:
            model.opened += 1
            return model

        async def tokenize(_: Context, arguments: Arguments) -> object:
            return [ord(sign) for sign in arguments["prompt"]]

        async def prefill(_: Context, arguments: Arguments) -> object:
            cache = Cache()
            cache.tokens = arguments["tokens"]
            return cache

        async def transfer(_: Context, arguments: Arguments) -> object:
            return arguments["kv"]

        async def decode(_: Context, arguments: Arguments) -> AsyncIterator[int]:
            for token in arguments["kv"].tokens[: arguments["max_tokens"]]:
                await anyio.sleep(0.1)
                model.steps += 1
                yield token

        async def detokenize(_: Context, arguments: Arguments) -> AsyncIterator[str]:
            count = 0
            async for token in arguments["tokens"]:
                yield chr(token)
                count += 1
                if count == 5:
                    return

        return Library(tokenize, prefill, transfer, decode, detokenize, model=open_model)


class Cache:
    tokens: list[int]


async def record(graph: Graph, backend: Backend, **inputs: object) -> tuple[list[Frame], Cassette]:
    """A run, and its cassette as it comes out of its text."""
    calls: list[Recorded] = []
    frames = await run(graph, RecordingBackend(backend, calls.append, salt="s"), **inputs)
    written = Cassette(tuple(calls), "s", ("x.agent",))
    again, problems = read(write(written), "x.jsonl")
    assert not problems
    assert again == written
    return frames, again


class Nothing:
    """Runs nothing: what is replayed needs nobody behind it."""

    async def open(self, handle: Any) -> None:
        raise AssertionError(handle)

    def immediate(self, entry: str) -> bool:
        raise AssertionError(entry)

    def now(self, call: Call) -> object:
        raise AssertionError(call)

    def bound(self, call: Call) -> None:
        raise AssertionError(call)

    async def run(self, call: Call) -> object:
        raise AssertionError(call)

    async def close(self) -> None:
        pass


async def test_a_chat_is_one_call_and_is_played_back_without_its_model() -> None:
    model = Model()
    first, cassette = await record(hello(), LocalBackend(model.library()), name="Ada")
    (call,) = cassette.calls
    assert (call.name, call.items) == ("writer.chat", tuple("Greet"))
    assert call.arguments["prompt"] == "Greet Ada in one short sentence."
    assert call.arguments["max_tokens"] == 32
    frames = await run(hello(), ReplayBackend(cassette, Nothing()), name="Ada")
    assert items_of(frames) == items_of(first) == list("Greet")
    assert model.opened == 1


async def test_what_was_not_recorded_fails_beside_the_nearest_call() -> None:
    _, cassette = await record(hello(), LocalBackend(Model().library()), name="Ada")
    missing: list[Problem] = []
    outcome = end_of(await run(hello(), ReplayBackend(cassette, Nothing(), missing.append), name="Bob")).outcome
    assert outcome.reason == "not_recorded" and outcome.problem is not None and outcome.problem.slug == "not-recorded"
    assert "Greet Bob" in outcome.problem.title
    assert outcome.problem.detail is not None and "Greet Ada" in outcome.problem.detail
    assert [problem.slug for problem in missing] == ["not-recorded"]


def tool(entry: str = "python:call") -> Graph:
    body = Body("p")
    items = body.input("items", ListType(INT))
    result = body.each(
        items,
        lambda b, item: b.operation(
            "agent.stage", (item,), TEXT, (), "order", entry=entry, tool="order", parameters=("id",)
        ),
        ListType(TEXT),
        at_most=1,
    )
    return body.graph(result)


class Backing:
    """Answers `order 1`, `order 1 again`, … and fails for 3; may wait, or be immediate."""

    def __init__(self, immediate: bool) -> None:
        self.calls = 0
        self._immediate = immediate

    async def open(self, handle: Any) -> None:
        raise AssertionError

    def immediate(self, entry: str) -> bool:
        return self._immediate

    def now(self, call: Call) -> object:
        self.calls += 1
        if call.arguments["id"] == 3:
            raise StageFailure("tool_error", Problem("it-broke", "no order 3"))
        return f"order {call.arguments['id']}, call {self.calls}"

    def bound(self, call: Call) -> None:
        del call

    async def run(self, call: Call) -> object:
        await anyio.sleep(1)
        return self.now(call)

    async def close(self) -> None:
        pass


@pytest.mark.parametrize("immediate", [True, False])
async def test_equal_calls_are_answered_in_the_order_in_which_they_were(immediate: bool) -> None:
    inner = Backing(immediate)
    first, cassette = await record(tool(), inner, items=(1, 2, 1))
    expected = ("order 1, call 1", "order 2, call 2", "order 1, call 3")
    assert end_of(first).outcome.value == expected
    again = await run(tool(), ReplayBackend(cassette, Nothing()), items=(1, 2, 1, 1))
    assert end_of(again).outcome.value == (*expected, "order 1, call 3"), "the last one again"
    assert inner.calls == 3


@pytest.mark.parametrize("immediate", [True, False])
async def test_failures_are_played_back(immediate: bool) -> None:
    _, cassette = await record(tool(), Backing(immediate), items=(3,))
    outcome = end_of(await run(tool(), ReplayBackend(cassette, Nothing()), items=(3,))).outcome
    assert outcome.reason == "tool_error" and outcome.problem is not None
    assert outcome.problem.title == "no order 3"


def argument(operation: Any, name: str | None) -> tuple[str, ...]:
    return ("pii",) if name == "id" else ()


def answer(operation: Any, name: str | None) -> tuple[str, ...]:
    return ("pii",)


async def taped(labels: Any, kept: tuple[str, ...] = ()) -> tuple[str, Cassette]:
    calls: list[Recorded] = []
    backend = RecordingBackend(Backing(False), calls.append, salt="s", labels=labels, kept=kept)
    await run(tool(), backend, items=(7345,))
    text = write(Cassette(tuple(calls), "s", kept=kept))
    return text, read(text, "x.jsonl")[0]


async def test_a_masked_argument_is_still_found() -> None:
    text, cassette = await taped(argument)
    assert '"id": "<@pii>"' in text and '"id": 7345' not in text
    outcome = end_of(await run(tool(), ReplayBackend(cassette, Nothing()), items=(7345,))).outcome
    assert outcome.value == ("order 7345, call 1",)


async def test_a_masked_answer_fails_by_name_and_a_label_that_is_kept_does_not() -> None:
    text, cassette = await taped(answer)
    assert "7345" not in text
    outcome = end_of(await run(tool(), ReplayBackend(cassette, Nothing()), items=(7345,))).outcome
    assert outcome.reason == "not_recorded" and outcome.problem is not None
    assert outcome.problem.slug == "recorded-masked" and "@pii" in outcome.problem.title
    assert "7345" not in outcome.problem.title
    _, cassette = await taped(answer, ("pii",))
    outcome = end_of(await run(tool(), ReplayBackend(cassette, Nothing()), items=(7345,))).outcome
    assert outcome.value == ("order 7345, call 1",)


def test_equal_values_have_other_keys_on_another_cassette() -> None:
    assert digest([1], "a") != digest([1], "b")


def test_a_cassette_that_was_edited_into_something_else_says_where() -> None:
    good = write(Cassette((Recorded("order", "k", "p.order", {"id": 1}, "x"),), "s"))
    cassette, problems = read(good + "{\n[]\n" + '{"call": "order"}\n', "x.jsonl")
    assert len(cassette.calls) == 1
    assert [problem.title.partition(" is no")[0] for problem in problems] == [
        f"line {number} of x.jsonl" for number in (3, 4, 5)
    ]


@pytest.mark.parametrize("text", ["", "{}\n", "{}", '{"cassette": 2, "salt": ""}\n', '{"cassette": 1}\n', "[1]\n"])
def test_what_is_no_cassette_is_not_read(text: str) -> None:
    cassette, problems = read(text, "x.jsonl")
    assert cassette.calls == ()
    assert [problem.slug for problem in problems] == ["cassette-unreadable"]


def test_what_was_cut_off_while_it_was_written_is_read_up_to_there() -> None:
    whole = write(Cassette(tuple(Recorded("order", str(n), "p.order", {"id": n}, "x") for n in range(3)), "s"))
    for cut in range(whole.index("\n") + 1, len(whole) + 1):
        cassette, problems = read(whole[:cut], "x.jsonl")
        assert not problems
        assert len(cassette.calls) == whole[:cut].count("\n") - 1
