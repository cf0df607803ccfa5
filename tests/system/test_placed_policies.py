"""Policies, sessions, approvals and deadlines of stages in other processes: what `docs/execution.md` says holds."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from placed_runs import PROGRAM, heard, placing, ready

from agentlang.executor.running import Question

pytestmark = pytest.mark.slow

POLICIES = """
use std/text

tool count(n: Int, pause: Int) -> stream Text = python("tools:count") effects []
tool slow(text: Text) -> Text = python("tools:slow") effects []
tool pay(text: Text) -> Text = python("tools:pay") effects [writes "ledger"]

pipeline hurried(word: Text) -> Text {
  return (slow(word) with place on far, timeout 100 ms) otherwise on timeout "too slow"
}

pipeline raced(word: Text) -> Text {
  return race {
    slow(word) with place on far
    text.redact("me@home.org") with place on beyond
  }
}

pipeline asked(word: Text) -> Text {
  return pay(word) with place on far, approve "pay for {word}?"
}

pipeline tried(word: Text) -> Text {
  return (slow(word) with place on far, timeout 100 ms, retry 1) otherwise "given up"
}

pipeline silent(word: Text) -> stream Text {
  return count(3, 400) with place on far, idle 100 ms
}

pipeline firsts(n: Int) -> stream Text {
  return count(n, 0) with place on far
}

"""


def test_policies_hold_across_processes(tmp_path: Path) -> None:
    made = placing(tmp_path, "hurried", POLICIES + PROGRAM[PROGRAM.index("fleet desk") :])
    questions: list[str] = []

    async def yes(question: Question) -> bool:
        questions.append(question.text)
        return True

    async def work() -> None:
        async with ready(made) as placed:
            assert await heard(placed.start("hurried", {"word": "a"})) == ("done", "too slow", None, [])
            assert (await heard(placed.start("raced", {"word": "a"})))[:2] == ("done", "[email]")
            assert (await heard(placed.start("tried", {"word": "a"})))[:2] == ("done", "given up")
            assert (await heard(placed.start("silent", {"word": "a"})))[::2] == ("failed", "timeout")
            assert (await heard(placed.start("asked", {"word": "a"})))[::2] == ("failed", "denied")
            assert (await heard(placed.start("asked", {"word": "a"}, approve=yes)))[:2] == ("done", "paid a")
            assert questions == ["pay for a?"]
            # The deadline of a run ends it everywhere.
            assert (await heard(placed.start("tried", {"word": "a"}, 0.05)))[::2] == ("failed", "timeout")
            # Who reads no further stops who makes it.
            run = placed.start("firsts", {"n": 1_000_000})
            async with run:
                async for frame in run:
                    if hasattr(frame, "output"):
                        break
            assert run.over.is_set()
            # Nothing of all that is left behind.
            assert (await heard(placed.start("firsts", {"n": 3})))[3] == ["0", "1", "2"]

    asyncio.run(work())
    assert (tmp_path / "log").read_text().split().count("paid") == 1
