"""Islands whose channels go over a real socket: the same results as in one place."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from agent_sources import checked
from ir_programs import SmallLibrary
from island_runs import divided, leaves
from wire_peers import served, until

from agentlang.base.audio import Audio
from agentlang.base.problems import Problem
from agentlang.base.source import Span
from agentlang.executor import wire
from agentlang.executor.backends import Call
from agentlang.executor.backends.null import Answer, NullBackend
from agentlang.executor.deployment import Deployment
from agentlang.executor.frames import End, Item
from agentlang.executor.islands import open_islands
from agentlang.executor.machine.faults import Failure
from agentlang.executor.shell import open_shell
from agentlang.executor.wire.pipes import WireLinks, decoded, encoded
from agentlang.ir import compile as irc
from agentlang.ir.compile import Module
from agentlang.ir.graph import Graph

STREAM = """
use std/llm
use std/text

model writer = llm.chat("smollm2-135m-instruct")

pipeline say(question: Text) -> stream Text {
  return text.sentences(writer.chat(question, max_tokens: 8))
}
"""
LOOP = """
use std/text

pipeline clean(texts: [Text]) -> [Text] {
  return for part in texts where part != "b", at most 2 at once {
    once = text.redact(part)
    text.redact("{text.redact("{once}?")}.")
  }
}
"""
SAFE = """
use std/text

pipeline safe(mail: Text) -> Text {
  return text.redact("{text.redact(mail)} {text.redact("slow")}") otherwise on unreachable text.redact("no {mail}")
}
"""


def ready(text: str) -> Module:
    program, problems = checked(text)
    assert program is not None, problems
    module, problems = irc.lower(program)
    assert module is not None, problems
    module, problems = irc.run_passes(module, SmallLibrary(), passes=["inline_pipelines", "split_llm"])
    assert module is not None, problems
    return module


async def heard(frames: Any) -> tuple[object, ...]:
    items: list[object] = []
    async for frame in frames:
        if isinstance(frame, Item):
            items.append(frame.output)
        elif isinstance(frame, End):
            return (frame.outcome.status, frame.outcome.value, frame.outcome.reason, items)
    raise AssertionError("a run has no end")


async def whole(graph: Graph, pipeline: str, inputs: Mapping[str, Any], answers: Any) -> tuple[object, ...]:
    async with open_shell(Deployment(graph), NullBackend(answers)) as shell:
        return await heard(shell.start(pipeline, inputs))


def shouting(call: Call) -> Answer | None:
    text = str(call.arguments.get("text", ""))
    match call.entry:
        case "llm:decode":
            return Answer(items=tuple(range(200)))
        case "llm:detokenize" | "text:sentences":
            return Answer(items=tuple(str(number) for number in range(200)))
        case _:
            return None if text == "bad" else Answer(f"{text}!", seconds=0.3 if text == "slow" else 0.01)


@pytest.mark.parametrize(
    ("text", "pipeline", "inputs"),
    [
        (STREAM, "say", {"question": "?"}),
        (LOOP, "clean", {"texts": tuple("abcdef")}),
        (SAFE, "safe", {"mail": "bad"}),
        (SAFE, "safe", {"mail": "good"}),
    ],
)
@pytest.mark.parametrize("cuts", [False, True])
def test_islands_over_a_socket_give_what_one_place_gives(
    tmp_path: Path, text: str, pipeline: str, inputs: dict[str, Any], cuts: bool
) -> None:
    module = ready(text)
    stages = leaves(module)
    placement = {stage: ("far", "gpu")[number % 2] for number, stage in enumerate(stages) if number % 3}
    graphs = divided(module, placement).graphs()
    assert len(graphs) > 1
    address = wire.UnixAddress(tmp_path / "socket", wire.Key.fresh())

    async def work() -> None:
        others: list[wire.Link] = []

        async def take(link: wire.Link) -> None:
            others.append(link)

        async with asyncio.timeout(30.0), served(take, address.path, address.key):
            link = await wire.connect(address)
            await until(lambda: others)
            links = WireLinks(link, others[0])
            expected = await whole(module.graph(), pipeline, inputs, shouting)
            cutting = asyncio.ensure_future(cut(link)) if cuts else None
            async with open_islands(graphs, {t: NullBackend(shouting) for t in graphs}, links=links) as islands:
                for _ in range(2):
                    assert await heard(islands.start(pipeline, inputs)) == expected
            if cutting is not None:
                cutting.cancel()
                assert link.connections > 1
            links.close()
            link.close()

    asyncio.run(work())


def test_a_tier_that_is_gone_is_a_failure_that_a_program_can_catch(tmp_path: Path) -> None:
    module = ready(SAFE)
    slow = next(stage for stage in leaves(module) if stage)
    graphs = divided(module, {slow: "far"}).graphs()
    address = wire.UnixAddress(tmp_path / "socket", wire.Key.fresh())
    settings = wire.Settings(heartbeat=0.1, silence=0.3, tick=0.05, linger=0.2)

    async def work() -> None:
        others: list[wire.Link] = []

        async def take(link: wire.Link) -> None:
            others.append(link)

        async with asyncio.timeout(20.0), served(take, address.path, address.key, settings=settings):
            link = await wire.connect(address, settings=settings)
            await until(lambda: others)
            links = WireLinks(link, others[0])
            link.close()
            await others[0].closed()
            async with open_islands(graphs, {t: NullBackend(shouting) for t in graphs}, links=links) as islands:
                status, _, reason, _ = await heard(islands.start("safe", {"mail": "good"}))
                assert (status, reason) == ("failed", "unreachable")
            links.close()

    asyncio.run(work())


class Growing:
    """What is used while it is still made."""

    async def finished(self) -> object:
        await asyncio.sleep(0.05)
        return "whole"


@pytest.mark.parametrize(
    ("made", "expected"),
    [
        (("a", Growing()), ("done", None, None, ["a", "whole"])),
        (("a", object()), ("failed", None, "bad_value", ["a"])),
    ],
)
def test_what_cannot_cross_fails_by_name_and_what_is_still_made_crosses_when_it_is_whole(
    tmp_path: Path, made: tuple[object, ...], expected: tuple[object, ...]
) -> None:
    def answers(call: Call) -> Answer | None:
        return Answer(items=made, gap=0.1) if call.entry == "text:sentences" else shouting(call)

    module = ready(STREAM)
    (stage,) = [stage for stage in leaves(module) if "sentences" in stage]
    graphs = divided(module, {stage: "far"}).graphs()
    address = wire.UnixAddress(tmp_path / "socket", wire.Key.fresh())

    async def work() -> None:
        others: list[wire.Link] = []

        async def take(link: wire.Link) -> None:
            others.append(link)

        async with asyncio.timeout(20.0), served(take, address.path, address.key):
            link = await wire.connect(address)
            await until(lambda: others)
            links = WireLinks(link, others[0])
            async with open_islands(graphs, {t: NullBackend(answers) for t in graphs}, links=links) as islands:
                assert await heard(islands.start("say", {"question": "?"})) == expected
            links.close()
            link.close()

    asyncio.run(work())


async def cut(link: wire.Link) -> None:
    while True:
        if link.port is not None:
            link.port.close()
            link.cut()
        await asyncio.sleep(0.02)


VALUES: list[object] = [None, True, 1, -(1 << 63), 1.5, "ü", b"\x00", (), ((1, ("a",)),), {"a": (1,), "b": {}}, {1: 2}]
VALUES.append(Audio(bytes(range(10)), 16_000))


@pytest.mark.parametrize("value", VALUES, ids=repr)
def test_values_cross_as_they_are(value: object) -> None:
    back = decoded(encoded(value))
    assert back == value
    assert type(back) is type(value)


def test_a_failure_crosses_with_its_words_and_its_place() -> None:
    span = Span("a.agent", 1, 2, 1, 2, 1, 3)
    problem = Problem("call-timeout", "it took too long", span, hint="wait", detail="two\nlines")
    failure = Failure("timeout", problem, "a.b", final=True)
    assert decoded(encoded(failure)) == failure


@pytest.mark.parametrize(
    ("attempt", "name"),
    [
        (lambda: encoded(object()), "bad-value"),
        (lambda: encoded(1 << 70), "bad-value"),
        (lambda: encoded(nested(65)), "too-deep"),
        (lambda: decoded(b"\x91" * 70 + b"\xc0"), "too-deep"),
        (lambda: decoded(b"\x91" * 100_000), "malformed"),
        (lambda: decoded(b"\xd4\x07\x00"), "malformed"),
        (lambda: decoded(b"\xc7\x01\x01\xc0"), "malformed"),
        (lambda: decoded(b"\xc1"), "malformed"),
        (lambda: decoded(b""), "malformed"),
    ],
)
def test_what_is_no_value_is_named(attempt: Callable[[], object], name: str) -> None:
    with pytest.raises(wire.WireProblem) as raised:
        attempt()
    assert raised.value.name == name


def nested(depth: int) -> object:
    value: object = ()
    for _ in range(depth):
        value = (value,)
    return value
