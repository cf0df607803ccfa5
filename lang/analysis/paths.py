"""Labels on their way: what gave each, and the places that it went through.

A flow is what an expression holds: each origin of a label with one way on which it came. A way is a list that is linked
backwards, so that what two ways have in common is there once.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TypeAlias, cast

from ...base.frozen import EMPTY, frozen
from ...base.source import Span
from ..program import Parameter

# What gives a label: the label with its `@`; or, inside a pipeline, the name of a parameter, which stands for whatever
# a caller passes. Of two places that give one label the first is enough to say what is wrong.
Origin: TypeAlias = str


def is_label(origin: Origin) -> bool:
    return origin.startswith("@")


@frozen
class Step:
    """One place on the way of a label, and the steps before it. `name` is what is spoken of there by name, if it is."""

    span: Span
    text: str
    before: Step | None
    name: str = ""


Flow = Mapping[Origin, Step | None]
NOTHING: Flow = cast("Flow", EMPTY)


def given(parameter: Parameter) -> Flow:
    """The labels that a declaration gives to a parameter, field or payload."""
    return {
        f"@{label}": Step(parameter.span, f"`{parameter.name}` is @{label}", None) for label in sorted(parameter.labels)
    }


def joined(flows: Iterable[Flow]) -> Flow:
    """All that any of them has; of two ways of one label the first."""
    out: dict[Origin, Step | None] = {}
    for flow in flows:
        for origin, path in flow.items():
            out.setdefault(origin, path)
    return out


def stepped(flow: Flow, span: Span, text: str, name: str = "") -> Flow:
    return {origin: Step(span, text, path, name) for origin, path in flow.items()}


def held_by(name: str, flow: Flow, span: Span) -> Flow:
    return stepped(flow, span, f"`{name}` holds it", name)


def onto(path: Step | None, before: Step) -> Step:
    """The steps of `path`, after those of `before`."""
    steps: list[Step] = []
    while path is not None:
        steps.append(path)
        path = path.before
    out = before
    for step in reversed(steps):
        out = Step(step.span, step.text, out, step.name)
    return out


def steps(path: Step | None, most: int = 8) -> tuple[Step, ...]:
    """The way from where a label was given, each place once; of a long one the beginning and the end."""
    found: list[Step] = []
    while path is not None:
        if not found or found[-1].span != path.span:
            found.append(path)
        path = path.before
    found.reverse()
    return tuple(found) if len(found) <= most else (*found[: most // 2], *found[-(most // 2) :])
