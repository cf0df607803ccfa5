"""Cassettes and given answers: what was recorded comes again, without what gave it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from typing import Any

import anyio
import pytest
from graphs import Body, hello
from test_shell import Arguments, Library, end_of, items_of

from agentlang.base.problems import Problem
from agentlang.executor.backends import Backend, Call
from agentlang.executor.backends.local import LocalBackend
from agentlang.executor.backends.recorded import Given, RecordingBackend, ReplayBackend
from agentlang.executor.cassettes import Recorded, read, write
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


async def record(graph: Graph, backend: Backend, **inputs: object) -> tuple[list[Frame], tuple[Recorded, ...]]:
    """A run, and its cassette as it comes out of its text."""
    calls: list[Recorded] = []
    frames = await run(graph, RecordingBackend(backend, calls.append), **inputs)
    again, problems = read(write(calls), "x.jsonl")
    assert not problems
    return frames, again


async def test_a_chat_is_played_back_without_its_model() -> None:
    model = Model()
    first, cassette = await record(hello(), LocalBackend(model.library()), name="Ada")
    assert [call.name for call in cassette] == ["llm:tokenize", "llm:detokenize", "llm:decode"]
    assert cassette[0].arguments == {"self": {"handle": "writer"}, "prompt": "Greet Ada in one short sentence."}
    frames = await run(hello(), ReplayBackend(cassette), name="Ada")
    assert items_of(frames) == items_of(first) == list("Greet")
    assert model.opened == 1


async def test_what_was_not_recorded_fails_or_is_run() -> None:
    model = Model()
    _, cassette = await record(hello(), LocalBackend(model.library()), name="Ada")
    outcome = end_of(await run(hello(), ReplayBackend(cassette), name="Bob")).outcome
    assert outcome.reason == "unreachable" and outcome.problem is not None and outcome.problem.slug == "no-answer"
    frames = await run(hello(), ReplayBackend(cassette, LocalBackend(model.library())), name="Bob")
    assert items_of(frames) == list("Greet")
    assert model.opened == 2


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
    again = await run(tool(), ReplayBackend(cassette), items=(1, 2, 1, 1))
    assert end_of(again).outcome.value == (*expected, "order 1, call 3"), "the last one again"
    assert inner.calls == 3


@pytest.mark.parametrize("immediate", [True, False])
async def test_failures_are_played_back(immediate: bool) -> None:
    _, cassette = await record(tool(), Backing(immediate), items=(3,))
    outcome = end_of(await run(tool(), ReplayBackend(cassette), items=(3,))).outcome
    assert outcome.reason == "tool_error" and outcome.problem is not None
    assert outcome.problem.title == "no order 3"


async def test_what_is_masked_is_still_found() -> None:
    def mask(call: Call, name: str | None, value: object) -> object:
        return "(masked)" if name == "id" else value

    calls: list[Recorded] = []
    await run(tool(), RecordingBackend(Backing(False), calls.append, mask), items=(7,))
    text = write(calls)
    assert "(masked)" in text and '"id": 7' not in text
    cassette, _ = read(text, "x.jsonl")
    assert end_of(await run(tool(), ReplayBackend(cassette), items=(7,))).outcome.value == ("order 7, call 1",)


@pytest.mark.parametrize("answers", [[Given("order", "the first", {"id": 1}), Given("order", "any")]])
async def test_given_answers_come_first(answers: Iterable[Given]) -> None:
    frames = await run(tool(), ReplayBackend((), None, tuple(answers)), items=(1, 2))
    assert end_of(frames).outcome.value == ("the first", "any")


async def test_a_chat_can_be_given_its_answer() -> None:
    frames = await run(hello(), ReplayBackend((), None, (Given("writer.chat", "Hello!"),)), name="Ada")
    assert "".join(map(str, items_of(frames))) == "Hello!"


def test_a_cassette_that_was_edited_into_something_else_says_where() -> None:
    good = write([Recorded("order", "k", "p.order", {"id": 1}, "x")])
    calls, problems = read(good + "{\n[]\n" + '{"call": "order"}\n', "x.jsonl")
    assert len(calls) == 1
    assert [problem.title.partition(" is no")[0] for problem in problems] == [
        f"line {number} of x.jsonl" for number in (3, 4, 5)
    ]
    assert read("{}", "x.jsonl")[1][0].slug == "cassette-unreadable"
