"""What else `agentlang plan` answers, from the command line: why a stage is on its tier, other plans, the frontier,
changes, differences, pictures."""

import json
from pathlib import Path
from xml.etree import ElementTree

import pytest

from agentlang.cli.main import main
from agentlang.planner.plan import from_json

PROGRAM = """use std/text

pipeline clean(document: Text) -> Text {
  return text.join(for piece in text.split(document, tokens: 600) { text.redact(piece) }, "\\n")
}

goal clean {
  rate 2 per s
  finish p95 <= 5 s
}

fleet room {
  tier big   = catalog.epyc { count 0..2 }
  tier small = catalog.xeon { count 0..2 }
  link big <-> small 1 Gbit/s, 1 ms
}
"""


@pytest.fixture
def program(tmp_path: Path) -> str:
    path = tmp_path / "clean.agent"
    path.write_text(PROGRAM, "utf-8")
    return str(path)


def asked(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    assert main(["plan", *words]) == 0
    return capsys.readouterr().out


def test_a_stage_is_explained_by_the_end_of_its_name(program: str, capsys: pytest.CaptureFixture[str]) -> None:
    text = asked(capsys, program, "--explain", "redact")
    assert text.startswith("clean.piece.redact on small (host)\n")
    lines = text.splitlines()
    assert any(line.startswith("cpu ") and "assumed" in line for line in lines)
    (big,) = (line for line in lines if line.startswith("big "))
    assert "+" in big
    plain = json.loads(asked(capsys, program, "--explain", "clean.piece.redact", "--json"))
    assert sum(term["seconds"] for term in plain["terms"]) == pytest.approx(plain["seconds"])
    assert plain["elsewhere"][0]["objective"] > plain["objective"]


def test_a_stage_that_is_none_is_wrong_usage(program: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plan", program, "--explain", "redcat"]) == 2
    assert "no-such-stage" in capsys.readouterr().err


def test_the_best_plans_come_best_first_and_can_be_written(
    program: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked(capsys, program, "--top", "3", "--out", str(tmp_path / "plans"))
    plans = [from_json((tmp_path / "plans" / f"{number}.json").read_bytes()) for number in (1, 2, 3)]
    costs = [plan.cost.per_1000_runs for plan in plans]
    assert costs == sorted(costs)
    assert len({tuple(stage.pool for stage in plan.stages) for plan in plans}) == 3
    assert all(plan.feasible for plan in plans)


def test_the_frontier_is_a_table_a_picture_and_runnable_plans(
    program: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    picture = tmp_path / "frontier.svg"
    text = asked(capsys, program, "--frontier", "--out", str(picture))
    *rows, last = text.splitlines()[1:]
    assert last == "each keeps the goal; what misses it is left out"
    assert len(rows) >= 2
    circles = [
        each for each in ElementTree.fromstring(picture.read_text("utf-8")).iter() if each.tag.endswith("circle")
    ]
    assert len(circles) == len(rows)
    plain = json.loads(asked(capsys, program, "--frontier", "--json"))
    assert len(plain["plans"]) == len(plain["points"])
    for point, plan in zip(plain["points"], plain["plans"], strict=True):
        made = from_json(json.dumps(plan))
        assert made.feasible == point["keeps_goal"]
        assert made.cost.per_run.value == pytest.approx(point["dollars"])
    asked(capsys, program, "--frontier", "--out", str(tmp_path / "points"))
    for path in (tmp_path / "points").iterdir():
        assert main(["verify", str(path), "--program", program]) == 0


def test_what_if_says_what_changes(program: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "cheaper.json"
    text = asked(capsys, program, "--what-if", "tier big price $0.10 per h", "--out", str(out))
    assert text.startswith("if tier big price $0.10 per h:\n")
    (cost,) = (line for line in text.splitlines() if line.startswith("cost "))
    assert "-7" in cost
    plan = from_json(out.read_bytes())
    assert {stage.tier for stage in plan.stages} == {"big"}
    plain = json.loads(asked(capsys, program, "--what-if", "rate 4 per s", "--json"))
    assert {"goal", "cost"} <= {change["group"] for change in plain["changes"]}


def test_a_change_that_is_none_is_wrong_usage(program: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plan", program, "--what-if", "tier huge count 1"]) == 2
    assert "fleet room has no tier 'huge'; it has big, small" in capsys.readouterr().err


def test_a_change_that_the_language_refuses_says_where(program: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plan", program, "--what-if", "tier small count 0..0"]) == 1
    assert "bad-bound" in capsys.readouterr().err


def test_two_plans_are_compared_and_one_is_drawn(
    program: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first, second, picture = (tmp_path / name for name in ("a.json", "b.json", "a.svg"))
    asked(capsys, program, "--out", str(first))
    asked(capsys, program, "--what-if", "rate 4 per s", "--out", str(second))
    asked(capsys, program, "--out", str(picture))
    text = asked(capsys, "diff", str(first), str(second))
    assert any(line.split()[:2] == ["goal", "rate"] and "rate 4 per s" in line for line in text.splitlines())
    assert asked(capsys, "diff", str(first), str(first)) == "the plans are the same\n"
    plain = json.loads(asked(capsys, "diff", str(first), str(second), "--json"))
    assert {"group", "name", "before", "after", "ratio"} == set(plain["changes"][0])
    words = "".join(ElementTree.fromstring(picture.read_text("utf-8")).itertext())
    assert "clean.piece.redact" in words
    assert "meets its goal" in words
    assert main(["plan", "diff", str(first), str(tmp_path / "none.json")]) == 2


def test_no_plan_names_the_lines_that_stand_against_each_other(
    program: str, capsys: pytest.CaptureFixture[str]
) -> None:
    Path(program).write_text(PROGRAM.replace("rate 2 per s", "rate 200_000 per s"), "utf-8")
    assert main(["plan", program, "--enforce-goal"]) == 1
    shown = capsys.readouterr().err
    assert "error[plan-no-plan]: no plan keeps `rate 200000 per s` and at most 2 of big or small together" in shown
    assert "clean.agent:8:3" in shown
    assert "there is a plan with" in shown
