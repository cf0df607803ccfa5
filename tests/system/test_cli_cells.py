"""Plans of several cells from the command line: made, verified, simulated, compared, drawn; and what refuses them."""

import json
from pathlib import Path
from xml.etree import ElementTree

import pytest

from agentlang.cli.main import main
from agentlang.planner.cells.plan import CellsPlan, read

PROGRAM = """use std/llm

model large = llm.chat("llama-3-70b-instruct")

pipeline ask(question: Text) -> stream Text {
  return large.chat(question, max_tokens: 400)
}

goal ask {
  rate   RATE per s
  finish p95 <= 60 s
}

fleet office {
  tier old = catalog.a100 { count 0..8 }
  tier new = catalog.h100 { count 0..8 }
  link old <-> new 100 Gbit/s, 10 us
}
"""


@pytest.fixture
def busy(tmp_path: Path) -> str:
    """Neither eight of the old nor eight of the new carry 40 runs a second; together they do."""
    return program(tmp_path, 40)


def program(folder: Path, rate: float) -> str:
    path = folder / "busy.agent"
    path.write_text(PROGRAM.replace("RATE", f"{rate:g}"), "utf-8")
    return str(path)


def planned(file: str, out: Path) -> CellsPlan:
    assert main(["plan", file, "--out", str(out)]) == 0
    plan = read(out.read_bytes())
    assert isinstance(plan, CellsPlan)
    return plan


def test_two_kinds_of_device_carry_together_what_neither_does_alone(
    busy: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "plan.json"
    plan = planned(busy, out)
    shown = capsys.readouterr()
    assert "meets its goal with 2 cells (no placement alone does)" in shown.out
    assert "confirmed by simulation" in shown.out
    # What simpler ways to choose come to, or why to nothing.
    assert "chosen another way" in shown.out and "all on the quickest tier, new" in shown.out
    assert [name for name, _ in plan.search.unable] == [
        name for name, value in plan.search.baselines[1:] if value is None
    ]
    assert shown.err == ""
    assert sum(cell.rate for cell in plan.cells) == pytest.approx(40.0)
    for tier in plan.tiers:
        assert 0 < tier.devices == sum(c.plan.tiers[plan.tiers.index(tier)].devices for c in plan.cells) <= 8
    assert main(["verify", str(out), "--program", busy]) == 0
    assert "is what it says" in capsys.readouterr().out
    changed = json.loads(out.read_text("utf-8"))
    changed["cells"][0]["rate"] += 0.1
    out.write_text(json.dumps(changed), "utf-8")
    assert main(["verify", str(out), "--program", busy]) == 1
    assert "plan-differs" in capsys.readouterr().err


@pytest.mark.slow
def test_what_takes_plans_takes_those_of_cells(busy: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    one, two, picture = (str(tmp_path / name) for name in ("one.json", "two.json", "plan.svg"))
    plan = planned(busy, Path(one))
    assert main(["plan", busy, "--what-if", "rate 41 per s", "--out", two]) == 0
    assert "cell 1" in capsys.readouterr().out
    assert main(["plan", "diff", one, two]) == 0
    assert "cell 2" in capsys.readouterr().out
    assert main(["simulate", busy, "--plan", one, "--json", "--runs", "400"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert [cell["share"] for cell in told["cells"]] == [cell.share for cell in plan.cells]
    assert sum(cell["runs"] for cell in told["cells"]) == 400
    trace = tmp_path / "trace.csv"
    rows = [f"2024-01-01 00:00:{at // 10:02d}.{at % 10}00000,20,200" for at in range(300)]
    trace.write_text("\n".join(["TIMESTAMP,ContextTokens,GeneratedTokens", *rows]), "utf-8")
    assert main(["simulate", busy, "--plan", one, "--json", "--trace", str(trace)]) == 0
    told = json.loads(capsys.readouterr().out)
    assert sum(cell["runs"] for cell in told["cells"]) == 300
    assert main(["plan", busy, "--json"]) == 0
    assert read(capsys.readouterr().out).digest == plan.digest
    assert main(["plan", busy, "--out", picture]) == 0
    assert ElementTree.parse(picture).getroot().tag.endswith("svg")


def test_whoever_shows_a_plan_shows_its_cells(
    busy: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What explains a stage, a line, draws a graph, or hovers, knows a plan wherever `agentlang plan` has one."""
    monkeypatch.chdir(tmp_path)
    assert main(["plan", busy, "--explain", "decode"]) == 0
    shown = capsys.readouterr().out
    assert shown.startswith("cell 1, 64.0% of the runs: ask.chat.decode on new")
    assert "\ncell 2, 36.0% of the runs: ask.chat.decode on old" in shown
    assert main(["plan", busy, "--explain", "decode", "--json"]) == 0
    cells = json.loads(capsys.readouterr().out)["cells"]
    assert [cell["tier"] for cell in cells] == ["new", "old"]
    assert main(["graph", busy, "--plan"]) == 0
    assert "on new and old" in capsys.readouterr().out
    assert main(["explain", f"{busy}:6"]) == 0
    assert "stage ask.chat.decode on tier old in cell 2, 36.0% of the runs: " in capsys.readouterr().out
    console = tmp_path / "typed"
    console.write_text(":plan ask\n")
    with console.open() as typed:
        monkeypatch.setattr("sys.stdin", typed)
        main(["repl", busy])
    assert "meets its goal with 2 cells" in capsys.readouterr().out


@pytest.mark.slow
def test_what_needs_one_placement_refuses_cells_by_name(
    busy: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = str(tmp_path / "plan.json")
    planned(busy, Path(out))
    for asked in (["--top", "2"], ["--frontier"]):
        capsys.readouterr()
        assert main(["plan", busy, *asked]) == 1
        assert "plan-has-cells" in capsys.readouterr().err
    assert main(["run", busy, "--plan", out, "question=hello"]) == 1
    assert "plan-not-here" in capsys.readouterr().err
    # More than all devices carry is refused as it is without cells.
    more = program(tmp_path, 200)
    assert main(["plan", more, "--enforce-goal"]) == 1
    assert "plan-no-plan" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.parametrize("convention", ["capex", "annuity", "paper"])
def test_six_kinds_of_accelerator_serve_a_rate_that_none_of_them_does(
    convention: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """40 replies of 4,096 tokens a second, within 20 ms a token, from at most 64 of each kind."""
    names = ("b200", "h100", "a100", "a40", "gaudi3", "mi300x")
    tiers = "\n".join(f"  tier {name} = catalog.{name} {{ count 0..64 }}" for name in names)
    file = tmp_path / "market.agent"
    file.write_text(
        'use std/llm\n\nmodel writer = llm.chat("llama-3-70b-instruct", dtype: "fp8")\n\n'
        "pipeline chat(prompt: Text) -> stream Text {\n  return writer.chat(prompt, max_tokens: 4096)\n}\n\n"
        "goal chat {\n  rate 40 per s\n  assume {\n    prompt 512 tokens\n    chat output 4096 tokens\n  }\n"
        "  first_token p95 <= 250 ms\n  token_gap p95 <= 20 ms\n  prefer cheapest\n}\n\n"
        f"fleet market {{\n{tiers}\n  link * <-> * 400 Gbit/s, 5 us\n}}\n",
        "utf-8",
    )
    out = tmp_path / "plan.json"
    assert main(["plan", str(file), "--cost", convention, "--out", str(out)]) == 0
    plan = read(out.read_bytes())
    assert isinstance(plan, CellsPlan)
    assert plan.feasible
    assert all(tier.devices <= 64 for tier in plan.tiers)
    assert plan.search.gap is not None and plan.search.gap < 0.12
    assert main(["verify", str(out), "--program", str(file)]) == 0
    capsys.readouterr()
