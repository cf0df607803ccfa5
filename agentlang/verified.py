"""A plan against its program: what it was made from derived again, then every number and choice of it.

The plan is the document as it stands in its file; that its program's text and its inputs are those that it names is
looked at first, as nothing else could be compared otherwise.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING

from .api import Compiled, problem_again
from .base.problems import Problems
from .engine_choice import engines_of, with_engines
from .planner.cells.plan import CellsPlan
from .planner.codec import digest
from .planner.plan import Plan

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .planner.space.build import Built
    from .planner.verify import Finding, Summary


@dataclass(frozen=True, slots=True)
class Verdict:
    """`other` is the input that the plan was not made from, or empty; else there may be `problems`, which keep it from
    being derived again at all, or `findings`, which are wrong with it. `summary` is of a plan that holds."""

    other: str = ""
    problems: Problems = ()
    findings: tuple[Finding, ...] = ()
    summary: Summary | None = None


def verified(
    compiled: Compiled, files: Iterable[str], plan: Plan | CellsPlan, document: Mapping[str, object]
) -> Verdict:
    """The verdict on a plan for a compiled program, whose files are called `files` here. `document` is the plan as it
    stands in its file."""
    other = _program(compiled, plan) or _carried(plan)
    if other:
        return Verdict(other)
    built, found = derived(compiled, files, plan)
    if built is None:
        return Verdict(problems=found)
    other = differing(plan, built)
    return Verdict(other) if other else compared(plan, document, built)


def _program(compiled: Compiled, plan: Plan | CellsPlan) -> str:
    program = compiled.program
    if plan.inputs.program != hashlib.sha256(program.source.text.encode()).hexdigest():
        return "program"
    return "" if program.pipeline(plan.pipeline) else "pipeline"


def _carried(plan: Plan | CellsPlan) -> str:
    """What of that which a plan carries has not the hash that it names."""
    made, inputs = plan.made, plan.inputs
    named = (
        ("hardware", inputs.hardware, digest(made.machine)),
        ("calibration", inputs.calibration, made.calibration.digest),
        ("options", inputs.options, digest(made.options)),
    )
    return next((name for name, said, known in named if said != known), "")


def derived(compiled: Compiled, files: Iterable[str], plan: Plan | CellsPlan) -> tuple[Built | None, Problems]:
    """The problem that a plan answers, from its program and what it was made from beside that; its lines are in files
    as whoever made it called them."""
    from .planner.verify.places import named_then, placed_as

    parts = (plan,) if isinstance(plan, Plan) else tuple(cell.plan for cell in plan.cells[:1])
    engines = {name: engine for one in parts for name, engine in engines_of(one, compiled.program).items()}
    built, found = problem_again(with_engines(compiled, engines), plan.pipeline, plan.made)
    if built is None:
        return None, found
    names = named_then(files, compiled.program.source.path, plan.made.file)
    return replace(built, problem=placed_as(built.problem, names)), found


def differing(plan: Plan | CellsPlan, built: Built) -> str:
    """What the plan was made from that is not what was given; empty if all is the same."""
    ours, theirs = built.inputs, plan.inputs
    return next((each.name for each in fields(ours) if getattr(ours, each.name) != getattr(theirs, each.name)), "")


def compared(plan: Plan | CellsPlan, document: Mapping[str, object], built: Built) -> Verdict:
    """The verdict where the inputs are the same."""
    from .planner.verify import summary, verify
    from .planner.verify.cells import summary_of_cells, verify_cells
    from .planner.verify.given import given_of

    if isinstance(plan, Plan):
        findings = verify(document, built.problem, given_of(built))
        return Verdict(findings=findings, summary=None if findings else summary(document, built.problem))
    findings = verify_cells(document, built.problem, lambda problem: given_of(replace(built, problem=problem)))
    return Verdict(findings=findings, summary=None if findings else summary_of_cells(document))
