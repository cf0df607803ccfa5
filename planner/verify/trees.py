"""How a plan is written down as JSON: figures, terms, predictions; and what of it no choice decides."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from math import fsum

from ..figures import Basis, Figure, Prediction, Term, show_value
from ..space.problem import Promise

Tree = object
"""What JSON can say: dicts, lists, texts, numbers, truth, None; and `WORDS`."""


class Words:
    """Any text, or any list of texts."""


WORDS = Words()
FORMAT = 2
ITEMS = 64
USUAL_NOISE = 0.10
ENDLESS = 1e9
UNITS = {"cost": "$", "energy": "J", "rate": "per s"}
WITH_TAILS = ("first_token", "first_item", "token_gap", "finish")


def _nothing(places: Mapping[str, str]) -> Tree:
    del places
    return whole("load", "s", 0.0, 0.0, [])


@dataclass(frozen=True, slots=True)
class Walked:
    """What the program says of a stage; `tensor` is the degree that it asks for."""

    operation: str = ""
    entry: str = ""
    model: str = ""
    tensor: int = 1


@dataclass(frozen=True, slots=True)
class Given:
    """What a plan says that is no question of the choice: it comes from the program and from what the plan was made
    from, as JSON. `rated` is how often runs come, with its basis. `load` is of the tiers that stages are on, by their
    names."""

    pipeline: str
    fleet: str
    inputs: Tree
    made: Tree
    channels: tuple[tuple[str, str], ...] = ()
    sizes: Tree = ()
    trace: Tree = ()
    rated: Tree = None
    walked: Mapping[str, Walked] = field(default_factory=dict[str, Walked])
    load: Callable[[Mapping[str, str]], Tree] = _nothing
    notes: tuple[str, ...] = ()


def text_of(promise: Promise, percentile: bool) -> str:
    """A promise as a program writes it."""
    if promise.kind == "rate":
        return f"rate {promise.limit:g} per s"
    if promise.kind == "cost":
        return f"cost <= {show_value(promise.limit * 1000, '$')} per 1000 runs"
    at = f" p{promise.percentile:g}" if percentile else ""
    limit = show_value(promise.limit, UNITS.get(promise.kind, "s"))
    return f"{promise.kind}{at} <= {limit}" + (" per run" if promise.kind == "energy" else "")


def weakest(bases: Iterable[Basis]) -> Basis:
    """An argument is no stronger than the weakest of its reasons."""
    order = list(Basis)
    return max(bases, key=order.index, default=Basis.DERIVED)


def error_of(time: Prediction) -> float:
    return (time.high - time.value) / time.value if time.value else 0.0


def term(
    name: str, value: float, unit: str, basis: Basis, detail: str | Words = "", stage: str | None = None
) -> dict[str, Tree]:
    return {"name": name, "value": value, "unit": unit, "basis": basis.value, "detail": detail, "stage": stage}


def whole(name: str, unit: str, value: float, error: float, terms: Sequence[Tree]) -> dict[str, Tree]:
    """A prediction with the relative error of its value."""
    low, high = max(0.0, value * (1.0 - error)), value * (1.0 + error)
    return {"name": name, "value": value, "unit": unit, "low": low, "high": high, "terms": terms}


def stated(found: Prediction) -> Tree:
    """A prediction of the problem, its value the sum of its terms."""

    def plain(each: Term) -> dict[str, Tree]:
        return term(each.name, each.value, each.unit, each.basis, each.detail, each.stage)

    value = fsum(each.value for each in found.terms)
    terms = [plain(each) for each in found.terms]
    return {**whole(found.name, found.unit, value, 0.0, terms), "low": found.low, "high": found.high}


def figure_of(figure: Figure) -> dict[str, Tree]:
    return {
        "value": figure.value,
        "unit": figure.unit,
        "basis": figure.basis.value,
        "source": figure.source,
        "date": figure.date,
        "error": figure.error,
    }
