"""`agentlang verify` as a user runs it: plans that hold, plans that somebody touched, files that are none.

The first test runs the installed command; the others do what it does in this process, in a tenth of the time.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cli_runs import EXAMPLES, Done, agentlang, fresh_home

from agentlang.cli.main import main
from agentlang.planner.verify import seal

HELLO = EXAMPLES / "hello" / "hello.agent"
FLEET = """\
use std/llm

model writer = llm.chat("llama-3-8b-instruct", dtype: "fp8")

pipeline ask(question: Text) -> stream Text {
  return writer.chat(question, max_tokens: 256)
}

goal ask {
  rate 2 per s
  assume {
    question 512 tokens
    ask output 256 tokens
  }
  first_token p95 <= 500 ms
  prefer cheapest
}

fleet market {
  tier quick = catalog.h100 { count 0..8 }
  tier cheap = catalog.l40s { count 0..8 }
  link * <-> * 100 Gbit/s, 5 us
}
"""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a program, its plan, and a home."""
    folder = tmp_path_factory.mktemp("verify")
    fresh_home(folder / "home")
    (folder / "ask.agent").write_text(FLEET)
    done = agentlang("plan", "ask.agent", "--out", "plan.json", cwd=folder, AGENTLANG_HOME=str(folder / "home"))
    assert done.code == 0, done.err
    return folder


Verify = Callable[..., Done]


def sealed(plan: dict[str, Any]) -> dict[str, Any]:
    """With a new seal, so that the arithmetic alone has to find what was changed."""
    return {**plan, "seal": seal(plan)}


@pytest.fixture
def verify(place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Verify:
    monkeypatch.chdir(place)
    monkeypatch.setenv("AGENTLANG_HOME", str(place / "home"))

    def run(*words: str, plan: str = "plan.json") -> Done:
        code = main(["verify", plan, *words])
        told = capsys.readouterr()
        assert "error[bug]" not in told.err, told.err
        return Done(code, told.out, told.err)

    return run


def test_a_plan_on_a_fleet_holds_here_and_on_another_machine(verify: Verify, place: Path) -> None:
    home = str(place / "home")
    done = agentlang("verify", "plan.json", "--program", "ask.agent", cwd=place, AGENTLANG_HOME=home)
    assert done.code == 0, done.err
    assert "inequalities derived again" in done.out
    assert "another machine" not in done.out
    told = json.loads(verify("--program", "ask.agent", "--json").out)
    assert told["holds"] and told["findings"] == []
    assert told["inequalities"] > 8
    elsewhere = agentlang("verify", "plan.json", "--program", "ask.agent", cwd=place, AGENTLANG_HOME=str(place / "new"))
    assert elsewhere.code == 0, elsewhere.err


def test_a_touched_plan_is_refused_with_what_should_stand_there(verify: Verify, place: Path) -> None:
    plan = json.loads((place / "plan.json").read_text())
    plan["pools"][0]["replicas"] += 1
    plan["stages"][-1]["time"]["value"] *= 1.01
    (place / "touched.json").write_text(json.dumps(plan))
    done = verify("--program", "ask.agent", plan="touched.json")
    assert done.code == 1
    assert "plan-differs" in done.err
    assert "seal" in done.err and f"stages[{len(plan['stages']) - 1}].time.value" in done.err
    told = json.loads(verify("--program", "ask.agent", "--json", plan="touched.json").out)
    assert not told["holds"] and len(told["findings"]) > 2


def test_another_program_is_said_at_once(verify: Verify, place: Path) -> None:
    (place / "other.agent").write_text(FLEET.replace("max_tokens: 256", "max_tokens: 255"))
    done = verify("--program", "other.agent")
    assert done.code == 1
    assert "plan-other-inputs" in done.err and "another program" in done.err


def test_measurements_of_another_machine_are_no_false_alarm(verify: Verify, place: Path) -> None:
    mine = place / "home" / "hardware.json"
    assert verify("--program", "ask.agent", "--hardware", str(mine)).code == 0
    other = json.loads(mine.read_text())
    other["bandwidth"]["value"] *= 2
    (place / "other.json").write_text(json.dumps(other))
    done = verify("--program", "ask.agent", "--hardware", "other.json")
    assert done.code == 1 and "plan-other-measurements" in done.err
    (place / "bad.json").write_text("{}")
    done = verify("--program", "ask.agent", "--calibration", "bad.json")
    assert done.code == 2 and "not-measurements" in done.err


def test_another_catalogue_is_said(verify: Verify, place: Path) -> None:
    import agentlang.planner.catalogue as catalogue

    text = (Path(str(catalogue.__file__)).parent / "devices.toml").read_text()
    (place / "same.toml").write_text(text)
    done = verify("--program", "ask.agent", "--catalogue", "same.toml")
    assert done.code == 0, done.err
    start = text.index("[h100]")
    dearer = text[:start] + text[start:].replace("price = { value = ", "price = { value = 1", 1)
    (place / "dearer.toml").write_text(dearer)
    done = verify("--program", "ask.agent", "--catalogue", "dearer.toml")
    assert done.code == 1 and "another catalogue" in done.err
    (place / "none.toml").write_text("[h100")
    assert verify("--program", "ask.agent", "--catalogue", "none.toml").code == 2


@pytest.mark.parametrize(
    ("text", "slug"),
    [
        ("", "not-a-plan"),
        ("{", "not-a-plan"),
        ("[]", "not-a-plan"),
        ('{"format": 1}', "not-a-plan"),
        ("[" * 100_000, "not-a-plan"),
        ("\x00\xff", "not-a-plan"),
    ],
)
def test_what_is_no_plan_is_said_so(verify: Verify, place: Path, text: str, slug: str) -> None:
    (place / "none.json").write_text(text)
    done = verify("--program", "ask.agent", plan="none.json")
    assert done.code == 2 and slug in done.err


def test_a_plan_cut_short_or_of_another_format_is_none(verify: Verify, place: Path) -> None:
    whole = (place / "plan.json").read_text()
    for text in (whole[: len(whole) // 2], whole.replace('"format": 2', '"format": 99')):
        (place / "cut.json").write_text(text)
        done = verify("--program", "ask.agent", plan="cut.json")
        assert done.code == 2 and "not-a-plan" in done.err
    assert verify("--program", "ask.agent", plan="nowhere.json").code == 2
    assert verify("--program", "nowhere.agent").code == 2


@pytest.mark.parametrize("named", ["./ask.agent", "here/../ask.agent", "deeper/copy.agent"])
def test_a_program_may_be_called_otherwise_or_lie_elsewhere(verify: Verify, place: Path, named: str) -> None:
    """Its text is what counts; the lines that a plan names are those of the file as it was called then."""
    (place / "here").mkdir(exist_ok=True)
    (place / "deeper").mkdir(exist_ok=True)
    (place / "deeper" / "copy.agent").write_text(FLEET)
    for name in (named, str(place / named)):
        done = verify("--program", name)
        assert done.code == 0, done.err
    plan = json.loads((place / "plan.json").read_text())
    plan["goals"][0]["place"] = plan["goals"][0]["place"].replace(":10:", ":11:")
    (place / "moved.json").write_text(json.dumps(sealed(plan)))
    done = verify("--program", named, plan="moved.json")
    assert done.code == 1 and "goals[0].place" in done.err
