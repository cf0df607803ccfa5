"""Dangerous tools inside policies that call them again, call them twice, or leave them out.

For each pipeline the dangerous calls in all it calls are known, with the calls that lead to them; a policy over any of
them is reported where the policy stands.
"""

from __future__ import annotations

from collections.abc import Iterator

from ...base.frozen import frozen
from ...base.problems import Problem, Related
from ...base.source import Span
from .. import program as p
from ..problems import effects as problems
from ..types import INT, TEXT
from .sources import source_of
from .whole import Whole


@frozen
class Use:
    """A call of a dangerous tool, and the calls of pipelines that lead to it, outermost first."""

    call: p.StageCall
    way: tuple[tuple[str, Span], ...]

    @property
    def effect(self) -> p.Effect:
        return next(effect for effect in self.call.stage.effects if effect.dangerous)


def effect_problems(whole: Whole) -> Iterator[Problem]:
    program = whole.program
    if not any(effect.dangerous for tool in program.tools for effect in tool.effects):
        return
    inside: dict[str, tuple[Use, ...]] = {}
    for pipeline in whole.pipelines:
        inside[pipeline.name] = _first_of_each(iter(whole.nodes[pipeline.name]), inside)
        for node in whole.nodes[pipeline.name]:
            match node:
                case p.With():
                    yield from _guarded(program, node, inside)
                case p.Race():
                    for use in _uses(node, inside):
                        if use.call.stage.idempotent_by is None:
                            yield _repeated(program, use, "the losers of a race run too", _head(program, node.span))
                case _:
                    pass


def _guarded(program: p.Program, node: p.With, inside: dict[str, tuple[Use, ...]]) -> Iterator[Problem]:
    policies = node.policies
    if not policies.retries and policies.hedge is None and policies.cache is None:
        return
    for use in _uses(node.call, inside):
        if use.call.stage.idempotent_by is None:
            if policies.retries:
                span = policies.spans.get("retries", node.span)
                yield _repeated(program, use, "`retry` calls it again when its answer is lost", span)
            if policies.hedge is not None:
                span = policies.spans.get("hedge", node.span)
                yield _repeated(program, use, "`hedge` starts a second call beside the first", span)
        if policies.cache is not None:
            span = policies.spans.get("cache", node.span)
            yield problems.dangerous_cached(use.call.stage.name, use.effect.kind, span, _related(use, span))


def _uses(node: p.Expression, inside: dict[str, tuple[Use, ...]]) -> tuple[Use, ...]:
    def below() -> Iterator[p.Expression]:
        stack = [node]
        while stack:
            found = stack.pop()
            yield found
            stack += p.children(found)[::-1]

    return _first_of_each(below(), inside)


def _first_of_each(nodes: Iterator[p.Expression], inside: dict[str, tuple[Use, ...]]) -> tuple[Use, ...]:
    """The first use of each dangerous tool: one is enough to see what is wrong."""
    found: dict[str, Use] = {}
    for node in nodes:
        if isinstance(node, p.StageCall):
            if any(effect.dangerous for effect in node.stage.effects):
                found.setdefault(node.stage.name, Use(node, ()))
        elif isinstance(node, p.PipelineCall):
            for use in inside.get(node.pipeline, ()):
                found.setdefault(use.call.stage.name, Use(use.call, ((node.pipeline, node.span), *use.way)))
    return tuple(found.values())


def _repeated(program: p.Program, use: Use, why: str, span: Span) -> Problem:
    stage = use.call.stage
    return problems.dangerous_repeated(
        stage.name, why, span, _related(use, span), _telling(stage), _after_effects(program, stage)
    )


def _related(use: Use, span: Span) -> tuple[Related, ...]:
    way = [Related(at, f"`{name}` is called here") for name, at in use.way]
    call = [Related(use.call.span, f"`{use.call.stage.name}` is called here")]
    effect = use.effect
    return tuple(r for r in (*way, *call, Related(effect.span, f"it {effect.kind}")) if r.span != span)


def _telling(stage: p.StageSignature) -> str | None:
    """The parameter that most likely tells two calls apart: one that is called a key, else the only one."""
    plain = [q.name for q in stage.parameters if q.type in (TEXT, INT) and q.name != "self"]
    keys = [n for n in plain if n in ("id", "key", "number", "request", "order") or n.endswith(("_id", "_key"))]
    return (keys or (plain if len(plain) == 1 else [None]))[0]


def _after_effects(program: p.Program, stage: p.StageSignature) -> Span | None:
    """Where `idempotent by` belongs: behind the list of effects."""
    last = stage.effects[-1].span
    source = source_of(program, last)
    at = source.text.find("]", last.end) if source else -1
    return source.span(at + 1, at + 1) if source and at >= 0 else None


def _head(program: p.Program, span: Span) -> Span:
    """The word that a construct of many lines begins with."""
    source = source_of(program, span)
    if source is None or not source.text.startswith("race", span.start):
        return span
    return source.span(span.start, span.start + len("race"))
