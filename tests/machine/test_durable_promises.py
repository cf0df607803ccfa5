"""Durable runs that promise something: what counts after a resume, wherever the run was cut off."""

from __future__ import annotations

import itertools
import json
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from agent_sources import ROOT
from durable_runs import Durable, durable, resumed
from program_runs import compiled
from test_durable_programs import LOOP, Made, check, yes

from agentlang.api import Compiled
from agentlang.executor.blame import counted
from agentlang.executor.journal.file import Head
from agentlang.executor.journal.records import read
from agentlang.executor.journal.replay import Replayed
from agentlang.executor.promises import Promise, Promises

# Each of the tools takes a tenth of a second.
STEPS = """
tool look(id: Int) -> Int = python("shop:look") effects [reads "orders"]
tool send(id: Int) -> Text = python("shop:send") effects [writes "mail"] idempotent by id
tool ask(id: Int) -> Int = python("shop:ask") effects []
tool slow(id: Int) -> Int = python("shop:slow") effects []

pipeline main(id: Int) -> Text {
  return send(ask(ask(look(id))))
}

pipeline beside(id: Int) -> Int {
  short = ask(ask(look(id)))
  return slow(id) + short
}

pipeline caught(id: Int) -> Text {
  return send(ask(ask(ask(look(id))))) otherwise on timeout "late"
}
"""


@pytest.fixture
def shop(tmp_path: Path) -> Compiled:
    (tmp_path / "shop.agent").write_text(STEPS)
    (tmp_path / "shop.py").write_text("")
    return compiled(tmp_path / "shop.agent")


def promised(done: Compiled, pipeline: str, limit: float, enforce: bool = True) -> Promises:
    stages = [each.id for each in done.graph.pipeline(pipeline).body.operations if "entry" in each.attributes]
    slices = dict.fromkeys(stages, limit / max(1, len(stages)))
    promise = Promise("finish", limit, slices, dict.fromkeys(stages, 0.05), "finish p99")
    return Promises(pipeline, (promise,), dict.fromkeys(stages, 0.1), (), enforce)


def options(done: Compiled) -> dict[str, Any]:
    return {"approve": yes, "loop": LOOP, "backend": lambda: Made(done)}


def test_wide_promises_change_nothing_wherever_it_is_cut_off(shop: Compiled) -> None:
    whole = check(shop, "main", {"id": 1}, promises=promised(shop, "main", 10.0))
    assert whole.end.outcome.status == "done" and not whole.end.blame


def test_what_is_done_twice_counts_twice_and_what_nobody_ran_does_not(shop: Compiled) -> None:
    """`slow` runs beside three records of others; cut off after one of them, it takes its time from there once more."""
    slow: dict[str, Any] = {**options(shop), "backend": lambda: Made(shop, seconds={"slow": 0.35})}
    for enforce in (False, True):
        whole = durable(shop, "beside", {"id": 1}, promises=promised(shop, "beside", 0.5, enforce), **slow)
        assert whole.end.outcome.status == "done" and not whole.end.blame
        late = 0
        for cut in range(1, len(whole.lines) + 1):
            again, _ = resumed(shop, whole, cut, {"id": 1}, **slow)
            took, at = again.end.timings.finish, read(whole.lines[cut - 1], lambda _: None).at
            expected = 0.35 if cut == len(whole.lines) else 0.35 + at
            if enforce and expected > 0.5:
                assert again.shown == {"failed": ["timeout", "slice-used"]}
                assert took <= 0.5 + 1e-6
            else:
                assert took == pytest.approx(expected)
                assert again.end.outcome.status == "done" and bool(again.end.blame) == (expected > 0.5)
            late += expected > 0.5
        assert late


def test_a_stage_that_is_over_due_after_a_resume_fails_by_name_and_may_be_caught(shop: Compiled) -> None:
    """Killed at every message, an enforced limit that is too short ends as it ends without a kill."""
    for pipeline, ends in (("main", {"failed": ["timeout", "slice-used"]}), ("caught", "late")):
        promises = promised(shop, pipeline, 0.35)
        whole = durable(shop, pipeline, {"id": 1}, promises=promises, **options(shop))
        assert whole.shown == ends
        for cut in range(1, len(whole.lines) + 1):
            again, _ = resumed(shop, whole, cut, {"id": 1}, **options(shop))
            assert again.shown == ends
            assert counted(again.end.timings, again.end.timings.finish) <= 0.35 + 1e-6


def test_a_miss_that_is_not_enforced_is_told_with_its_blame_after_a_resume_and_in_a_replay(shop: Compiled) -> None:
    whole = durable(shop, "main", {"id": 1}, promises=promised(shop, "main", 0.3, enforce=False), **options(shop))
    assert whole.end.outcome.status == "done"
    (missed,) = whole.end.blame
    assert missed.measured == pytest.approx(0.4)
    replayed = Replayed(shop.graph, whole.head, whole.lines)
    assert replayed.frames() == whole.frames
    for cut in range(1, len(whole.lines) + 1):
        again, _ = resumed(shop, whole, cut, {"id": 1}, **options(shop))
        assert sum(part.seconds for part in again.end.blame[0].parts) == pytest.approx(again.end.blame[0].measured)


def test_promises_come_back_from_a_head_as_they_were(shop: Compiled) -> None:
    whole = durable(shop, "main", {"id": 1}, promises=promised(shop, "main", 1 / 3), **options(shop))
    head = Head.of(json.loads(json.dumps(asdict(whole.head))))
    assert Replayed(shop.graph, head, whole.lines).frames() == whole.frames


def test_opening_again_and_asking_are_not_counted() -> None:
    done = compiled(ROOT / "examples" / "triage" / "triage.agent")
    slow: dict[str, Any] = {**options(done), "backend": lambda: Made(done, opening=5.0)}
    promises = promised(done, "triage", 3.0)
    whole = durable(done, "triage", {"mail": "My money!"}, promises=promises, **slow)
    assert whole.end.outcome.status == "done", whole.end.outcome.problem
    for cut in range(1, len(whole.lines) + 1):
        again: Durable
        again, _ = resumed(done, whole, cut, {"mail": "My money!"}, **slow)
        assert again.end.outcome.status == "done", (cut, again.end.outcome.problem)


@pytest.mark.parametrize("step", [-86_400.0 * 400, 3600.0])
def test_a_wall_clock_that_jumps_changes_nothing(shop: Compiled, monkeypatch: pytest.MonkeyPatch, step: float) -> None:
    """Deadlines, promises, pauses and what is left of them after a resume go by a clock that only goes on."""
    promises = promised(shop, "beside", 0.6)
    slow: dict[str, Any] = {**options(shop), "backend": lambda: Made(shop, seconds={"slow": 0.35})}
    before = [durable(shop, "beside", {"id": 1}, promises=promises, **slow)]
    before += [resumed(shop, before[0], cut, {"id": 1}, **slow)[0] for cut in range(1, len(before[0].lines) + 1)]
    jumped = itertools.count()
    monkeypatch.setattr(time, "time", lambda: 1.0e9 + step * next(jumped))
    after = [durable(shop, "beside", {"id": 1}, promises=promises, **slow)]
    after += [resumed(shop, after[0], cut, {"id": 1}, **slow)[0] for cut in range(1, len(after[0].lines) + 1)]
    assert [each.lines for each in after] == [each.lines for each in before]
