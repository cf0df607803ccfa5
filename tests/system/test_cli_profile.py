"""`agentlang profile` with a real model on two engines: what it prints, what it learns, and what that changes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from cli_runs import EXAMPLES, agentlang, fresh_home, models_here

from agentlang.base.paths import home, models_home

HELLO = EXAMPLES / "hello" / "hello.agent"


def test_a_count_that_is_none_is_refused() -> None:
    for given in ("0", "-1", "many", "1001"):
        done = agentlang("profile", HELLO, f"--runs={given}")
        assert done.code == 2
        assert "from 1 to 1000" in done.err


def test_an_engine_that_runs_no_files_is_refused() -> None:
    done = agentlang("profile", HELLO, "--engine", "null")
    assert done.code == 2 and "llamacpp" in done.err


@pytest.mark.slow
@pytest.mark.models
@pytest.mark.skipif(
    not models_here("smollm2-135m-instruct"), reason="needs the model: agentlang models pull smollm2-135m-instruct"
)
def test_two_engines_are_measured_and_one_is_chosen(tmp_path: Path) -> None:
    pytest.importorskip("xllamacpp", reason="llama.cpp is not installed")
    place = fresh_home(tmp_path / "home")
    (place / "models").symlink_to(models_home())
    (place / "private").symlink_to(home() / "private")
    environment = {"AGENTLANG_HOME": str(place)}
    before = json.loads((place / "calibration.json").read_text()) if (place / "calibration.json").exists() else []
    assert not any(known.get("profiled") for known in before)
    done = agentlang("profile", HELLO, "name=Ada", "--runs", "2", "--json", **environment)
    assert done.code == 0, done.err
    told = json.loads(done.out)
    assert [one["engine"] for one in told["engines"]] == ["xla", "llamacpp"]
    assert all(one["runs"] == 2 and one["before"]["finish"]["measured"] > 0 for one in told["engines"])
    assert told["workload"]["runs"] == 4
    sizes = told["workload"]["sizes"]
    (reply,) = (size for name, size in sizes.items() if name.endswith(".output"))
    assert 1.0 <= reply <= 32.0
    chosen = told["chosen"]["writer"]
    planned = json.loads(agentlang("plan", HELLO, "--json", **environment).out)
    known = dict(planned["workload"]["sizes"])
    assert all((known[name]["value"], known[name]["basis"]) == (size, "measured") for name, size in sizes.items())
    assert all(known[name]["source"] == "in 4 runs" for name in sizes)
    engines = {stage["engine"] for stage in planned["stages"] if stage["operation"] == "agent.decode"}
    assert engines == {chosen}
    assert any(note.startswith(f"model writer runs on {chosen}: ") for note in planned["notes"])
    kept = tmp_path / "plan.json"
    assert agentlang("plan", HELLO, "--out", kept, **environment).code == 0
    run = agentlang("run", HELLO, "name=Ada", "--plan", kept, **environment)
    assert run.code == 0 and "Ada" in run.out, run.err
