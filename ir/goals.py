"""The goals of a graph as the planner takes them: for those who have a module and no source. The inverse of what
lowering writes into `agent.goal`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

from ..base.source import Span
from ..base.units import NAMED, Quantity
from ..lang.program import Assumption, Goal, GoalTerm
from .graph import Graph

_DIMENSIONS = {name: dimension for dimension, name in NAMED.items()}


def goals(graph: Graph) -> tuple[Goal, ...]:
    """All goals. They point to where their pipeline is written. KeyError for a unit that goals do not have."""
    return tuple(_goal(graph, pipeline, given) for pipeline, given in graph.goals.items())


def _goal(graph: Graph, pipeline: str, given: Mapping[str, Any]) -> Goal:
    span = next((each.span for each in graph.pipelines if each.name == pipeline), None) or Span("", 0, 0, 1, 1, 1, 1)
    terms = tuple(
        GoalTerm(
            term["kind"],
            _quantity(term, "limit") if "limit" in term else None,
            span,
            term.get("percentile"),
            term.get("word"),
            tuple(term.get("tiers", ())),
        )
        for term in _entries(given["terms"])
    )
    assumptions = tuple(
        Assumption(entry["name"], _quantity(entry, "value"), span, entry.get("case"), bool(entry.get("output")))
        for entry in _entries(given["assume"])
    )
    return Goal(pipeline, terms, assumptions, span)


def _entries(given: object) -> Sequence[Mapping[str, Any]]:
    return cast("Sequence[Mapping[str, Any]]", given)


def _quantity(given: Mapping[str, Any], name: str) -> Quantity:
    return Quantity(float(given[name]), _DIMENSIONS[given["unit"]])
