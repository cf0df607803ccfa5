"""Models that somebody else serves: what their stages take when this machine only waits for them.

A tier that is an endpoint states how soon its first token comes and how fast the others do. Where a program runs on
this machine, the models that an endpoint of the file serves are asked there: they hold no memory here and keep nothing
busy. What the tier does not state is assumed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..ir.graph import Demand, Graph, Operation
from .calibrate import Calibration, stage_key
from .cost import Sizes, StageTime
from .figures import Basis, Term, predicted

FIRST_TOKEN = 0.5
"""Seconds."""

RATE = 50.0
"""Tokens a second of one call."""

ENDPOINT = "endpoint"


@dataclass(frozen=True, slots=True)
class Served:
    """Where a model is served, and what that place states: seconds to the first token, tokens a second."""

    tier: str
    first_token: float | None
    rate: float | None


def served(graph: Graph) -> dict[str, Served]:
    """The model handles that an endpoint of the file's fleets serves, by name; the first that serves one counts."""
    found: dict[str, Served] = {}
    for fleet in graph.fleets.values():
        tiers: Any = fleet["tiers"]
        for tier in tiers:
            given: Mapping[str, Any] = tier.get("endpoint", {})
            for handle in graph.handles:
                if handle.keyword == "model" and handle.arguments.get("name") in given.get("serves", ()):
                    found.setdefault(
                        handle.name, Served(str(tier["name"]), given.get("first_token"), given.get("rate"))
                    )
    return found


def endpoint_time(
    operation: Operation,
    demand: Demand,
    sizes: Sizes,
    calibration: Calibration,
    place: Served,
    *,
    model: str,
    fitted_for: str,
) -> StageTime:
    """The time of one execution at an endpoint: the prefill waits for the first token, the decode for the others."""
    entry = str(operation.attributes.get("entry", operation.name))
    terms: list[Term] = []
    if operation.name == "agent.prefill" and "ahead" not in operation.attributes:
        terms.append(_term(f"first token of {place.tier}", place.first_token, FIRST_TOKEN, 1.0, "s"))
    elif operation.name == "agent.decode":
        tokens = max(0.0, demand.tokens_out.value(sizes) - 1.0)
        terms.append(_term(f"tokens / rate of {place.tier}", place.rate, RATE, tokens, "tokens per s"))
    key = stage_key(ENDPOINT, entry, fitted_for)
    factor = calibration.factor(key, "cpu")
    terms = [Term(t.name, t.value * factor.value, t.unit, t.basis, t.detail, operation.id) for t in terms]
    roofline = sum(term.value for term in terms) / factor.value
    return StageTime(
        id=operation.id,
        key=key,
        engine=ENDPOINT,
        entry=entry,
        model=model,
        heavy=False,
        roofline=roofline,
        time=predicted(operation.id, "s", terms, factor.error),
        factor=factor,
        tokens_out=demand.tokens_out.value(sizes),
        first=0.0,
        footprint=0.0,
    )


def _term(name: str, stated: float | None, assumed: float, amount: float, unit: str) -> Term:
    figure = assumed if stated is None else stated
    basis = Basis.ASSUMED if stated is None else Basis.GIVEN
    seconds = figure * amount if unit == "s" else amount / figure
    return Term(name, seconds, "s", basis, f"{figure:g} {unit}")
