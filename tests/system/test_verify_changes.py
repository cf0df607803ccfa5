"""Any one number or choice of a plan that is another than the planner wrote is found out, of every kind of plan: with a
new seal, so that deriving it again has to find it, but for what `EXEMPT` names.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

import pytest
from cli_runs import fresh_home
from plans_made import Where, changed_at, leaves
from recorded import CHAT, two_minutes

from agentlang.cli.main import main
from agentlang.cli.target import Refused, Target, open_target
from agentlang.planner.cells.plan import CellsPlan, read
from agentlang.planner.codec import DecodeError
from agentlang.planner.plan import Plan
from agentlang.planner.profile import made, save
from agentlang.planner.space.build import Built
from agentlang.planner.verify import EXEMPT, seal
from agentlang.verified import Verdict, compared, derived, differing, verified

ALONE = """use std/llm

model writer = llm.chat("llama-3-8b-instruct", dtype: "fp8")
model judge = llm.chat("llama-3-8b-instruct")

type Verdict { asks: Bool }

pipeline ask(question: Text @pii) -> stream Text {
  verdict = judge.chat("Is this a question? {question}", max_tokens: 16) into Verdict
  return writer.chat("{question} {verdict.asks}", max_tokens: 256)
}

goal ask {
  rate 2 per s
  assume { question 512 tokens, ask output 256 tokens }
  first_token p95 <= LIMIT
  cost <= $5 per 1000 runs
  soft finish 0.001
  finish p99 <= 4 s
  keep @pii on [quick, cheap]
  prefer cheapest
}

fleet market {
  tier quick = catalog.h100 { count 0..8 }
  tier cheap = catalog.l40s { count 1..8 }
  tier other = catalog.a100 { count 0..8 }
  link * <-> * 100 Gbit/s, 5 us
}
"""

BUSY = """use std/llm

model large = llm.chat("llama-3-70b-instruct")

pipeline ask(question: Text) -> stream Text {
  return large.chat(question, max_tokens: 400)
}

goal ask {
  rate   40 per s
  finish p95 <= 60 s
}

fleet office {
  tier old = catalog.a100 { count 0..8 }
  tier new = catalog.h100 { count 0..8 }
  link old <-> new 100 Gbit/s, 10 us
}
"""

HERE = """use std/text

pipeline clean(document: Text) -> Text {
  return text.join(for piece in text.split(document, tokens: 600) { text.redact(piece) }, "\\n")
}

goal clean { finish p95 <= 5 s }
"""

PROGRAMS: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "alone": (ALONE.replace("LIMIT", "500 ms"), ()),
    "missed": (ALONE.replace("LIMIT", "5 ms"), ()),
    "cells": (BUSY, ()),
    "traced": (CHAT, ("--trace", "requests.csv")),
    "here": (HERE, ()),
}
PROFILED = ("alone", "traced")
"""Programs that were profiled before they are planned."""


@dataclass(frozen=True)
class Made:
    target: Target
    plan: Plan | CellsPlan
    document: dict[str, Any]
    built: Built


def planned(name: str, folder: Path) -> Made:
    """A plan as the command writes it, and the problem that it answers."""
    text, options = PROGRAMS[name]
    file = folder / f"{name}.agent"
    file.write_text(text)
    (folder / "requests.csv").write_bytes(two_minutes())
    target = open_target(str(file))
    assert not isinstance(target, Refused), target.problems
    of = target.compiled.graph.pipeline(target.pipeline)
    if name in PROFILED:
        save(made(of, 3, {size.name: 40.0 for size in of.sizes if size.name.endswith(".output")}))
    given = [str(folder / word) if word.endswith(".csv") else word for word in options]
    assert main(["plan", str(file), *given, "--out", str(folder / f"{name}.json")]) == 0
    data = (folder / f"{name}.json").read_bytes()
    plan = read(data)
    built, found = derived(target.compiled, target.sources, plan)
    assert built is not None, found
    return Made(target, plan, json.loads(data), built)


def verdict(of: Made, document: dict[str, Any]) -> Verdict | None:
    """What `agentlang verify` says of a document with a new seal; None where it is no plan. Where nothing of what the
    plan was made from has changed, it is not derived again each time."""
    sealed = {**document, "seal": seal(document)}
    try:
        plan = read(json.dumps(sealed))
    except DecodeError:
        return None
    same = plan.made == of.plan.made and plan.pipeline == of.plan.pipeline
    if not same or plan.inputs.program != of.plan.inputs.program:
        return verified(of.target.compiled, of.target.sources, plan, sealed)
    other = differing(plan, of.built)
    return Verdict(other) if other else compared(plan, sealed, of.built)


def kind_of(where: Where) -> str:
    return ".".join(str(key) for key in where if isinstance(key, str))


def some_of_each(document: dict[str, Any], most: int) -> list[tuple[Where, Any]]:
    """So many leaves of each kind, which is a path without the places in lists."""
    kinds: defaultdict[str, list[tuple[Where, Any]]] = defaultdict(list)
    for where, leaf in leaves(document):
        kinds[kind_of(where)].append((where, leaf))
    rng = Random(0)
    chosen = [rng.sample(each, min(most, len(each))) for kind, each in kinds.items() if kind != "seal"]
    return [leaf for each in chosen for leaf in each]


def exempt(where: Where) -> bool:
    named = kind_of(where).removeprefix("cells.plan.")
    return named in EXEMPT or named.partition(".")[0] == "notes" or named.rpartition(".")[2] in EXEMPT


@pytest.mark.slow
@pytest.mark.parametrize("name", PROGRAMS)
def test_whatever_is_changed_of_any_plan_is_refused(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("AGENTLANG_HOME", str(fresh_home(tmp_path / "home")))
    of = planned(name, tmp_path)
    capsys.readouterr()
    assert isinstance(of.plan, CellsPlan) == (name == "cells")
    untouched = verdict(of, of.document)
    assert untouched is not None and untouched.summary is not None
    tried = some_of_each(of.document, 3)
    unseen: list[Where] = []
    for where, leaf in tried:
        changed = changed_at(of.document, where, leaf)
        assert changed["seal"] != seal(changed), where
        told = verdict(of, changed)
        if told is not None and told.summary is not None:
            unseen.append(where)
    by_seal = sorted({kind_of(where) for where in unseen})
    with capsys.disabled():
        print(f"\n{name}: {len(tried)} changes, {len(unseen)} found by the seal alone: {', '.join(by_seal)}")
    assert [where for where in unseen if not exempt(where)] == []
    assert len(tried) > 200
