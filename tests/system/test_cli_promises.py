"""What `agentlang run` does with the promises of a plan, as a user meets it: a table of what a miss went into, a stage
that is stopped in time, a cheaper way that is taken instead."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from cli_runs import agentlang, fresh_home

TOOL = """
import time


def look(seconds):
    time.sleep(seconds)
    return "looked"
"""
PROGRAM = """tool look(seconds: Float) -> Text = python("things:look") effects [reads "things"]

pipeline find(seconds: Float) -> Text {
  return look(seconds)
}

pipeline safe(seconds: Float) -> Text {
  return look(seconds) otherwise on timeout "too late"
}

goal find { finish p95 <= 300 ms }
goal safe { finish p95 <= 300 ms }
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("promises")
    (place / "things.py").write_text(TOOL)
    (place / "slow.agent").write_text(PROGRAM)
    fresh_home(place / "home")
    return place


def run(folder: Path, *words: str):
    return agentlang("run", *words, cwd=folder, AGENTLANG_HOME=str(folder / "home"))


def test_a_miss_is_told_with_what_it_went_into_and_stops_nothing(folder: Path) -> None:
    done = run(folder, "--json", "slow.agent:find", "seconds=0.5")
    assert done.code == 0, done.err
    end = json.loads(done.out.splitlines()[-1])
    assert end["value"] == "looked"
    (blame,) = end["blame"]
    assert (blame["promise"], blame["limit"]) == ("finish p95", 0.3)
    assert blame["measured"] > 0.5
    assert blame["parts"][0]["stage"] == "find.look" and blame["parts"][0]["cause"] == "tool"
    assert blame["parts"][0]["slice"] == 0.3
    assert sum(part["seconds"] for part in blame["parts"]) == pytest.approx(blame["measured"], abs=1e-4)


def test_the_same_as_a_table(folder: Path) -> None:
    done = run(folder, "slow.agent:find", "seconds=0.5")
    assert (done.code, done.out) == (0, "looked\n")
    assert "300 ms were promised:" in done.err
    assert "slice" in done.err and "find.look  tool" in done.err


def test_an_enforced_goal_stops_the_stage_that_is_late(folder: Path) -> None:
    done = run(folder, "--enforce-goal", "slow.agent:find", "seconds=30")
    assert (done.code, done.out) == (1, "")
    assert "error[slice-used]: find.look was not over 300 ms after the run began" in done.err
    assert "its slice is 300 ms" in done.err
    assert "slow.agent:4:" in done.err


def test_a_fallback_is_taken_in_time(folder: Path) -> None:
    done = run(folder, "--enforce-goal", "--quiet", "slow.agent:safe", "seconds=30")
    assert done.out == "too late\n"


def test_nothing_is_said_of_a_goal_that_was_kept(folder: Path) -> None:
    (folder / "easy.agent").write_text(PROGRAM.replace("300 ms", "90 s"))
    done = run(folder, "--enforce-goal", "easy.agent:find", "seconds=0")
    assert (done.code, done.out) == (0, "looked\n")
    assert "were promised" not in done.err
