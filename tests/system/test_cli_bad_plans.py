"""What a plan cannot be made from, as a user meets it: fleets of nothing, figures that are none, missing units, models
that nothing holds, promises that physics forbids, prices that nobody states. Each is told at its line, with what to do
next; what `check` can know is told by `check` in the same words."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import pytest
from cli_runs import agentlang, fresh_home

from agentlang import api
from agentlang.base.problems import Severity
from agentlang.base.source import Source

PROGRAM = """use std/llm

model writer = llm.chat("llama-3-70b-instruct", dtype: "fp8")

pipeline chat(prompt: Text) -> stream Text {
  return writer.chat(prompt, max_tokens: 512)
}

goal chat {
  rate         1 per s
  assume { prompt 512 tokens }
  first_token  p95 <= 2 s
  prefer       cheapest
}

fleet lab {
  tier gpu = catalog.h100 { count 0..8 }
  link * <-> * 400 Gbit/s, 5 us
}
"""
TIER, LINK = "  tier gpu = catalog.h100 { count 0..8 }\n", "  link * <-> * 400 Gbit/s, 5 us\n"


class Bad(NamedTuple):
    """A part of the program, what stands there instead, and what is said: slug, title, line, hint."""

    old: str
    new: str
    slug: str
    says: str
    line: int
    hint: str


CHECKED = (
    Bad(TIER + LINK, "", "empty-block", "a fleet has at least one tier", 16, "tier gpu = catalog.h100"),
    Bad(TIER, "", "bad-bound", "a fleet without tiers runs nothing", 16, "tier gpu = catalog.h100"),
    Bad("0..8", "0", "bad-bound", "a tier of no devices", 17, "count 1"),
    Bad("0..8", "0..0", "bad-bound", "a tier of no devices", 17, "count 1"),
    Bad("0..8", "8..2", "bad-bound", "holds no number", 17, "count 2..8"),
    Bad("0..8", "-1", "wrong-type", "this is below zero", 17, "count 1"),
    Bad("0..8", "-1..8", "unexpected-token", "below zero means nothing", 17, "remove the `-`"),
    Bad("0..8", '"many"', "wrong-type", "this is a text", 17, "count 1"),
    Bad("0..8", "1, price $nan per h", "bad-character", "no amount follows this `$`", 17, "$1.80"),
    Bad("0..8", "1, price $-1.80 per h", "bad-character", "no amount follows this `$`", 17, "$1.80"),
    Bad("0..8", "1, price -$1.80 per h", "wrong-type", "this is below zero", 17, "price $1.80 per h"),
    Bad("0..8", "1, price 1.80", "unit-mismatch", "this is a number", 17, "price $1.80 per h"),
    Bad("0..8", "1, price $1.80", "unit-mismatch", "this is Money", 17, "price $1.80 per h"),
    Bad("5 us", "-5 us", "unexpected-token", "below zero means nothing", 18, "remove the `-`"),
    Bad("5 us", "5", "unit-mismatch", "this is number", 18, "10 us"),
    Bad("400 Gbit/s", "0 Gbit/s", "bad-bound", "carries nothing", 18, "leave it out"),
    Bad("400 Gbit/s", "400", "unit-mismatch", "this is number", 18, "200 Gbit/s"),
    Bad("1 per s", "nan per s", "unexpected-token", "`nan` does not fit here", 10, "a number or a quantity"),
    Bad("1 per s", "-1 per s", "unexpected-token", "below zero means nothing", 10, "remove the `-`"),
    Bad("1 per s", "0 per s", "goal-contradictory", "a `rate` of nothing", 10, "above zero"),
    Bad("1 per s", "1e300 per s", "goal-contradictory", "a `rate` of 1e+300 per s", 10, "at most 1_000_000 per s"),
    Bad("1 per s", "1", "unit-mismatch", "`rate` is measured in Rate", 10, "4 per s"),
    Bad("512 tokens", "512", "unit-mismatch", "assumed in Tokens", 11, "40 tokens"),
    Bad("512 tokens", "-512 tokens", "unexpected-token", "below zero means nothing", 11, "remove the `-`"),
    Bad("2 s\n", "2\n", "unit-mismatch", "`first_token` is measured in Duration", 12, "800 ms"),
    Bad("2 s\n", "0 s\n", "goal-contradictory", "a `first_token` of nothing", 12, "above zero"),
    Bad("p95", "p0", "goal-percentile", "`p0` is no percentile", 12, "p95"),
)
PLANNED = (
    Bad("catalog.h100", "catalog.h1000", "plan-unknown-device", "'h1000'", 17, "`catalog.h100`"),
    Bad("h100 { count 0..8", "l4 { count 1", "plan-does-not-fit", "needs 65.94 GiB", 3, "choose a smaller model"),
    Bad("h100", "tpu_v6e", "plan-needs-price", "a price of tpu_v6e", 17, "catalog.tpu_v6e { price $1.80 per h }`"),
    Bad("h100", "tpu_v6e", "plan-needs-price", "a price of tpu_v6e", 17, "or plan with `--cost rent`"),
    Bad("2 s\n", "1 us\n", "plan-goal-missed", "is predicted even when idle, most of it", 12, "it holds with"),
    Bad("first_token  p95 <= 2 s", "token_gap p95 <= 10 us", "plan-goal-missed", "most of it", 12, "it holds with"),
    Bad("prefer       cheapest", "energy <= 1 J per run", "plan-no-plan", "`energy <= 1 J per run`", 13, "J per run`"),
    Bad(
        "prefer       cheapest", "cost <= $0.01 per 1000 runs", "plan-no-plan", "cheapest plan costs", 13, "cost <= $0."
    ),
)


def broken(bad: Bad) -> str:
    assert bad.old in PROGRAM
    return PROGRAM.replace(bad.old, bad.new, 1)


@pytest.mark.parametrize("bad", CHECKED, ids=lambda bad: f"{bad.slug} {bad.new.strip()}")
def test_what_a_file_says_is_refused_when_it_is_checked(bad: Bad) -> None:
    errors = [
        problem
        for problem in api.check(Source("lab.agent", broken(bad))).problems
        if problem.severity is Severity.ERROR
    ]
    assert [problem.slug for problem in errors] == [bad.slug]
    (problem,) = errors
    assert bad.says in problem.title
    assert problem.span is not None and problem.span.line == bad.line
    assert bad.hint in (problem.hint or "")


@pytest.mark.slow
@pytest.mark.parametrize("bad", (*CHECKED[::6], *PLANNED), ids=lambda bad: f"{bad.slug} {bad.new.strip()}")
def test_the_command_says_it_at_its_line(bad: Bad, tmp_path: Path) -> None:
    (tmp_path / "lab.agent").write_text(broken(bad))
    home = str(fresh_home(tmp_path / "home"))
    done = agentlang("plan", "lab.agent", "--enforce-goal", cwd=tmp_path, AGENTLANG_HOME=home)
    assert done.code == 1, done.err
    assert done.err.startswith(f"error[{bad.slug}]: ")
    assert f"--> lab.agent:{bad.line}:" in done.err
    assert bad.says in done.err
    assert bad.hint in done.err.split("= next: ")[1]
    assert "Traceback" not in done.err


@pytest.mark.slow
@pytest.mark.parametrize("price", ["nan", "inf", "-1", "much"])
def test_a_price_of_the_environment_that_is_none_is_told(price: str, tmp_path: Path) -> None:
    (tmp_path / "lab.agent").write_text(PROGRAM)
    home = str(fresh_home(tmp_path / "home"))
    done = agentlang("plan", "lab.agent", cwd=tmp_path, AGENTLANG_HOME=home, AGENTLANG_PRICE_PER_HOUR=price)
    assert done.code == 1
    assert done.err.startswith(f"error[plan-bad-price]: AGENTLANG_PRICE_PER_HOUR is {price!r}")
    assert "= next: for example AGENTLANG_PRICE_PER_HOUR=0.06" in done.err
