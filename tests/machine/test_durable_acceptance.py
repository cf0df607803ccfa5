"""Every acceptance program, killed after every record of its journal and resumed, on virtual time and without models;
and what goes on is killed once more. `test_durable_programs.check` says what must hold.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Any

import pytest
from agent_sources import ACCEPTANCE, ROOT
from durable_runs import resumed
from program_runs import compiled
from test_durable_programs import LOOP, Made, check, yes

from agentlang.api import Compiled
from agentlang.base.audio import Audio
from agentlang.executor.frames import Item
from agentlang.executor.values import to_json

SOUND = [Audio(b"\1\0" * 8000)] * 6
FOUND = '{"found": true, "quote": "It rained for three days."}'
REFUND = '{"Refund": {"order": 7, "amount": 40.0}}'
VERDICT = '{"done": false, "why": "Not yet."}'
STEPS = ('{"Use": {"calls": [{"weather": {"city": "Oslo"}}]}}', '{"Answer": {"answer": "It is."}}')
LOOKUP = '{"Lookup": {"query": "rain"}}'

# Where, which program, its pipeline and inputs; what a model says that is asked for a document; the labels that may be
# written (minions has a model quote what is personal, so it is durable only where that may be kept).
Run = tuple[str, str, Mapping[str, object], dict[str, Any]]
RUNS: list[Run] = [
    ("debate", "debate", {"task": "Which way?"}, {"document": VERDICT}),
    ("handbook", "answer", {"question": "How long?"}, {}),
    ("handbook", "sources", {"question": "How long?"}, {}),
    ("hello", "hello", {"name": "Ada"}, {}),
    ("minions", "ask", {"document": "It rained. " * 900, "question": "?"}, {"document": FOUND, "kept": ("pii",)}),
    ("react", "ask", {"question": "Is it warm in Oslo?"}, {"document": STEPS}),
    ("remember", "chat", {"messages": [{"role": "User", "text": "Hello"}]}, {}),
    ("summarise", "digest", {"documents": ["one", "two", "three"]}, {}),
    ("tiers", "chat", {"prompt": "Hello"}, {}),
    ("triage", "triage", {"mail": "I want my money back."}, {}),
    ("voice", "assistant", {"microphone": SOUND}, {"document": LOOKUP}),
    ("voice", "companion", {"microphone": SOUND}, {}),
]


def program(name: str, pipeline: str) -> Compiled:
    """As it stands among the examples; one that cannot run there lies beside a checkout in development."""
    for path in (ROOT / "examples" / name / f"{name}.agent", ACCEPTANCE / f"{name}.agent"):
        if path.is_file() and f"pipeline {pipeline}(" in path.read_text():
            return compiled(path)
    pytest.skip(f"{name} lies beside a checkout in development only")


def test_every_acceptance_program_is_among_them() -> None:
    if not ACCEPTANCE.is_dir():
        pytest.skip("the acceptance programs lie beside a checkout in development only")
    assert {path.stem for path in ACCEPTANCE.glob("*.agent")} <= {name for name, _, _, _ in RUNS}


@pytest.mark.slow
@pytest.mark.parametrize(("name", "pipeline", "inputs", "more"), RUNS, ids=[f"{run[0]}.{run[1]}" for run in RUNS])
def test_killed_at_every_message(name: str, pipeline: str, inputs: Mapping[str, object], more: dict[str, Any]) -> None:
    done = program(name, pipeline)
    whole = check(done, pipeline, inputs, **{"document": REFUND, **more})
    assert whole.end.outcome.status == "done", whole.end.outcome.problem
    # And killed again, at a moment of each life: what was given and what was written goes on from there.
    moments = random.Random(name)
    options: dict[str, Any] = {
        "approve": yes,
        "loop": LOOP,
        "backend": lambda: Made(done, more.get("document", REFUND)),
    }
    life = whole
    for _ in range(8):
        life, had = resumed(done, life, moments.randint(1, len(life.lines)), inputs, **options)
        given = [(frame.seq, to_json(frame.output)) for frame in had if isinstance(frame, Item)]
        if life.end.outcome.reason == "may_have_acted":
            break
        assert given + life.items == whole.items
        assert to_json(life.end.outcome.value) == to_json(whole.end.outcome.value)
