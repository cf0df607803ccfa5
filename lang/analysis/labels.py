"""Labels that arrive where they may not: at a tool, at a tier, at a dangerous tool without a person's word."""

from __future__ import annotations

from collections.abc import Iterator

from ...base.problems import Problem, Related
from ...base.source import Span
from ...base.suggest import suggest
from .. import program as p
from ..problems import labels as problems
from .flow import UNTRUSTED, Flows, Reach, receiver
from .paths import steps
from .sources import source_of, text_at
from .whole import Whole


def label_problems(whole: Whole, strict: bool) -> Iterator[Problem]:
    """Nothing is looked for where no goal keeps a label and no dangerous tool could be misled."""
    program = whole.program
    kept = [(goal, term) for goal in program.goals for term in goal.terms if term.kind == "keep" and term.word]
    effects = [effect for tool in program.tools for effect in tool.effects]
    misled = any(e.kind == "network" for e in effects) and any(e.dangerous for e in effects)
    if not kept and not misled:
        return
    if kept:
        yield from _unknown(program, [term for _, term in kept])
    flows = Flows(whole, strict)
    seen: set[object] = set()
    for goal, term in kept:
        for reach in flows.within(goal.pipeline):
            if reach.origin == f"@{term.word}":
                key = (reach.call.span, reach.place, term.word)
                if key not in seen and (problem := _kept(flows, goal, term, reach)):
                    seen.add(key)
                    yield problem
    for summary in flows.summaries.values():
        for reach in summary.reaches:
            key = (reach.call.span, UNTRUSTED)
            if reach.origin == f"@{UNTRUSTED}" and not reach.approved and key not in seen:
                effect = next((e for e in reach.call.stage.effects if e.dangerous), None)
                if effect is not None:
                    seen.add(key)
                    name = reach.call.stage.name
                    # The tool of an agent is called where it is listed: there is no call to put a policy behind.
                    listed = text_at(program, reach.call.span) == name
                    related = _way(program, reach, effect.span, name)
                    yield problems.untrusted_input(name, effect.kind, listed, reach.span, related)


def _kept(flows: Flows, goal: p.Goal, term: p.GoalTerm, reach: Reach) -> Problem | None:
    """What is wrong with a kept label at this call."""
    label, stage = term.word or "", reach.call.stage
    keeps = Related(term.span, f"@{label} is kept here")
    effect = next((e for e in stage.effects if e.kind in ("network", "process")), None)
    if effect is not None:
        related = (*_way(flows.program, reach, effect.span, stage.name), keeps)
        return problems.label_reaches_tool(
            label, stage.name, effect.kind, goal.pipeline, term.tiers, reach.span, related
        )
    called = _called(reach.call)
    if reach.place is not None:
        if reach.place in term.tiers:
            return None
        placed = (Related(reach.placed, "placed here"),) if reach.placed else ()
        tier = f"is placed on `{reach.place}`"
        related = (*_way(flows.program, reach), *placed, keeps)
        return problems.label_reaches_tier(label, called, tier, goal.pipeline, term.tiers, reach.span, related)
    model = served_model(flows, reach.call)
    for fleet in flows.program.fleets if model else ():
        serving = [tier for tier in fleet.tiers if serves(tier, model or "")]
        named = {tier.name for tier in fleet.tiers} & set(term.tiers)
        if named and serving and not named & {tier.name for tier in serving}:
            tier = f"only `{serving[0].name}` of fleet `{fleet.name}` can serve"
            related = (*_way(flows.program, reach), Related(serving[0].span, "it is declared here"), keeps)
            return problems.label_reaches_tier(label, called, tier, goal.pipeline, term.tiers, reach.span, related)
    return None


def _way(program: p.Program, reach: Reach, effect: Span | None = None, tool: str = "") -> tuple[Related, ...]:
    """The related places: how the label got there, the call if its argument is elsewhere, and the tool's effect. What
    the loop of an agent binds is left out, for nobody wrote these names."""
    way: list[Related] = []
    for step in steps(reach.path):
        text = text_at(program, step.span)
        if step.span != reach.span and (not step.name or not text or step.name in text):
            way.append(Related(step.span, step.text))
    return (*way, Related(effect, f"what `{tool}` does is declared here")) if effect else tuple(way)


def _called(call: p.StageCall) -> str:
    handle = receiver(call)
    return f"{handle}.{call.stage.name.rpartition('.')[2]}" if handle else call.stage.name


def served_model(flows: Flows, call: p.StageCall) -> str | None:
    """The catalogue name of the model that a call asks."""
    handle = flows.handles.get(receiver(call) or "")
    if handle is None or handle.keyword != "model":
        return None
    for argument in handle.arguments:
        if argument.name == "name" and isinstance(argument.value, p.Literal) and isinstance(argument.value.value, str):
            return argument.value.value
    return None


def serves(tier: p.Tier, model: str) -> bool:
    """Whether a model may run there, as far as the text says: an endpoint serves what it lists, a device any model."""
    return model in tier.endpoint.serves if tier.endpoint else tier.count[1] > 0


def _unknown(program: p.Program, terms: list[p.GoalTerm]) -> Iterator[Problem]:
    known = _labels(program)
    for term in terms:
        label = term.word or ""
        if label not in known:
            text = text_at(program, term.span)
            at = text.find(f"@{label}")
            span = term.span
            if at >= 0:
                source = source_of(program, span)
                span = source.span(span.start + at, span.start + at + 1 + len(label)) if source else span
            written = tuple(sorted(known - {UNTRUSTED}))
            yield problems.unknown_label(label, span, suggest(label, sorted(known)), written)


def _labels(program: p.Program) -> set[str]:
    """Every label that something has."""
    parameters = [
        *(parameter for pipeline in program.pipelines for parameter in pipeline.parameters),
        *(field for record in program.records.values() for field in record.fields),
        *(field for enum in program.enums.values() for case in enum.cases for field in case.payload),
        *(parameter for tool in program.tools for parameter in tool.parameters),
    ]
    found = {label for parameter in parameters for label in parameter.labels} | {UNTRUSTED}
    for results in (*program.pipelines, *program.tools):
        found |= results.result_labels
    return found
