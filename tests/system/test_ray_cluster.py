"""A cluster of Ray with two machines, one of which is killed in the middle of a stream."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.slow

SCRIPT = Path(__file__).parents[1] / "ray_cluster_runs.py"
WHOLE = "".join(f"{number} " for number in range(40))


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, bool], dict[str, Any]]:
    """What became of each run, by its pipeline and whether a machine was killed."""
    folder = tmp_path_factory.mktemp("ray")
    done = subprocess.run(
        [sys.executable, "-W", "ignore", str(SCRIPT), str(folder)],
        capture_output=True,
        text=True,
        timeout=240,
        env={**os.environ, "RAY_USAGE_STATS_ENABLED": "0"},
        check=False,
    )
    found = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    assert done.returncode == 0, done.stderr[-3000:]
    return {(each["pipeline"], each["killed"]): each for each in found}


def test_too_few_machines_of_a_tier_are_said_before_anything_begins(
    runs: dict[tuple[str, bool], dict[str, Any]],
) -> None:
    assert runs["", False]["slug"] == "ray-no-tier"


def test_a_run_goes_over_the_wire_between_actors(runs: dict[tuple[str, bool], dict[str, Any]]) -> None:
    run = runs["gathered", False]
    assert (run["status"], run["value"], run["workers"]) == ("done", WHOLE, 1)
    assert run["told"] == []


def test_a_run_whose_machine_is_killed_is_redone_on_another(runs: dict[tuple[str, bool], dict[str, Any]]) -> None:
    run = runs["gathered", True]
    assert (run["status"], run["value"], run["workers"]) == ("done", WHOLE, 2)
    assert run["told"] == ["worker-gone"]


def test_what_has_left_the_run_is_not_said_twice(runs: dict[tuple[str, bool], dict[str, Any]]) -> None:
    run = runs["streamed", True]
    assert (run["status"], run["reason"], run["slug"]) == ("failed", "unreachable", "worker-gone")
    assert run["workers"] == 1
    assert 0 < len(run["items"]) < 40
    assert WHOLE.startswith("".join(run["items"]))


def test_what_may_have_acted_is_not_done_again(runs: dict[tuple[str, bool], dict[str, Any]]) -> None:
    run = runs["booked", True]
    assert (run["status"], run["reason"], run["slug"]) == ("failed", "unreachable", "worker-gone")
    assert run["workers"] == 1


def test_the_program_decides_what_a_lost_machine_leads_to(runs: dict[tuple[str, bool], dict[str, Any]]) -> None:
    run = runs["mended", True]
    assert (run["status"], run["value"], run["workers"]) == ("done", "nobody knows", 1)


def test_no_worker_outlives_its_run(runs: dict[tuple[str, bool], dict[str, Any]]) -> None:
    assert [run["pipeline"] for run in runs.values() if run["left"]] == []
