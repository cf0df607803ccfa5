"""Barge-in over islands: what a newer input interrupts stops on every tier, and nothing of it is heard any more."""

from __future__ import annotations

from collections.abc import AsyncIterator

import anyio
import pytest
from island_runs import divided
from test_islands import Ran, Told, heard, ready, together, whole

from agentlang.executor.backends import Call
from agentlang.executor.backends.null import Answer

pytestmark = pytest.mark.anyio

VOICE = """
use std/llm
use std/text

model writer = llm.chat("smollm2-135m-instruct")

pipeline assistant(microphone: stream Text) -> stream Text {
  return for turn in microphone {
    interruptible {
      heard = text.redact(turn)
      reply = writer.chat("Reply to {heard}", max_tokens: 80)
      text.sentences(reply)
    }
  }
}

fleet desk {
  tier cpu = catalog.laptop { count 1 }
  tier gpu = catalog.laptop { count 1 }
  tier far = catalog.laptop { count 1 }
  link * <-> * 1 Gbit/s, 1 ms
}
"""
EARS, WRITER = "assistant.turn.redact", "assistant.turn.chat.decode"
PLACES = {EARS: "gpu", "assistant.turn.chat.prefill": "far", WRITER: "far", "assistant.turn.sentences": "gpu"}


def answers(call: Call) -> Answer:
    match call.entry:
        case "text:redact":
            return Answer(call.arguments["text"], seconds=0.2)
        case "llm:tokenize":
            return Answer((1, 2, 3))
        case "llm:prefill":
            return Answer("kv", seconds=0.2)
        case "llm:decode":
            return Answer(items=tuple(range(20)), seconds=0.1, gap=0.1)
        case "llm:detokenize":
            return Answer(items=tuple(f"{number}. " for number in range(20)), gap=0.1)
        case _:
            return Answer(items=tuple(f"{call.index[0]}:{number}" for number in range(10)), seconds=0.2, gap=0.2)


def spoken(*pauses: float) -> AsyncIterator[str]:
    async def said() -> AsyncIterator[str]:
        for number, pause in enumerate(pauses):
            await anyio.sleep(pause)
            yield f"utterance {number}"

    return said()


@pytest.mark.parametrize("pauses", [(0.0,), (0.0, 1.33), (0.0, 0.11, 0.13), (0.0, 1.33, 0.27, 5.0)])
async def test_a_newer_utterance_stops_the_older_on_every_tier(pauses: tuple[float, ...]) -> None:
    module = ready(VOICE)
    made = divided(module, PLACES)
    assert made.notes == ()
    assert set(made.islands) == {"cpu", "gpu", "far"}
    alone = await whole(module.graph(), "assistant", {"microphone": spoken(*pauses)}, answers)
    told = Told()
    async with together(made.graphs(), told, answers) as islands:
        apart = await heard(islands.start("assistant", {"microphone": spoken(*pauses)}))
    assert apart.result == alone.result
    assert apart.end.timings.finish == pytest.approx(alone.end.timings.finish, abs=1e-6)
    assert {tier for tier, stage, _ in told.calls if stage == EARS} == {"gpu"}
    assert {tier for tier, stage, _ in told.calls if stage == WRITER} <= {"far"}
    assert not +told.running, "nothing runs when the run is over"
    if len(pauses) == 2:
        assert WRITER in told.stopped
        # Of the first reply what had been heard, of the second all.
        assert 0 < len([item for item in apart.items if str(item).startswith("0:")]) < 10
        assert [item for item in apart.items if str(item).startswith("1:")] == [f"1:{number}" for number in range(10)]


async def test_a_newer_run_of_a_session_stops_the_older_on_every_tier() -> None:
    module = ready(VOICE)
    told = Told()
    async with together(divided(module, PLACES).graphs(), told, answers) as islands:
        first = islands.start("assistant", {"microphone": spoken(0.0)}, session="ann")
        ran: list[Ran] = []

        async def follow() -> None:
            ran.append(await heard(first))

        async with anyio.create_task_group() as group:
            group.start_soon(follow)
            await anyio.sleep(1.5)
            second = islands.start("assistant", {"microphone": spoken(0.0)}, session="ann")
            after = await heard(second)
    assert 0 < len(ran[0].items) < 10
    assert len(after.items) == 10
    assert WRITER in told.stopped
    assert not +told.running
