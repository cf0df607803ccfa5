"""Demand to seconds: the roofline of one stage on one tier, as named terms.

    seconds = (max(operations / compute rate, bytes / bandwidth) + cpu + disk + launches x launch overhead) x factor

The larger of computing and reading counts, not their sum: products and the reading of their operands overlap in every
engine, and only the maximum keeps the roofline a lower bound, which is what a measurement is checked against. What is
above the bound is the `factor`, fitted from runs (see `calibrate`), and is shown as a term of its own, so that the
terms add up and a reader sees physics and its excess apart.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import fsum

from ..ir.formula import Formula
from ..ir.graph import Demand, Handle, Operation
from .calibrate import Calibration, Factor, stage_key
from .figures import Basis, Figure, Prediction, Term, predicted, show_value
from .rates import Rates

Sizes = Mapping[str, float]
HOST = "host"
EXCESS = "beyond the roofline"
ENGINE_OPERATIONS = frozenset({"agent.prefill", "agent.decode"})


@dataclass(frozen=True, slots=True)
class StageTime:
    """One execution of a stage. `roofline` is its lower bound in seconds; `heavy` says that it takes the whole machine
    (compute or bandwidth limits it), else it takes one core. `first` is the part of `seconds` before its first item."""

    id: str
    key: str
    engine: str
    entry: str
    model: str
    heavy: bool
    roofline: float
    time: Prediction
    factor: Factor
    tokens_out: float
    first: float
    footprint: float

    @property
    def seconds(self) -> float:
        return self.time.value


def stage_time(
    operation: Operation,
    demand: Demand,
    sizes: Sizes,
    rates: Rates,
    calibration: Calibration,
    *,
    model: str = "",
    engine: str = HOST,
    fitted_for: str = "",
) -> StageTime:
    """The time of one execution of `operation` at these sizes. KeyError names a size that has no value.

    `model` is the handle that the program declares, `fitted_for` the name under which its factor is kept.
    """
    rates = rates.with_engine(engine)
    entry = str(operation.attributes.get("entry", operation.name))
    compute = _compute(demand, sizes, rates)
    memory = _memory(operation, demand, sizes, rates)
    cpu = demand.cpu.value(sizes)
    compute_seconds, memory_seconds = _total(compute), _total(memory)
    resource = "compute" if compute_seconds >= memory_seconds else "memory"
    limit = max(compute_seconds, memory_seconds)
    heavy = limit > cpu
    terms = list(compute if resource == "compute" else memory)
    terms += _host(operation, demand, sizes, rates, cpu)
    roofline = _total(terms)
    key = stage_key(engine, entry, fitted_for)
    factor = calibration.factor(key, resource if heavy else "cpu")
    excess = (factor.value - 1.0) * roofline
    if excess:
        terms.append(Term(EXCESS, excess, "s", factor.basis, f"x {factor.value:.3g}, {factor.reason}"))
    terms = [Term(t.name, t.value, t.unit, t.basis, t.detail, operation.id) for t in terms]
    launch = rates.launch.value * factor.value
    return StageTime(
        id=operation.id,
        key=key,
        engine=engine,
        entry=entry,
        model=model,
        heavy=heavy,
        roofline=roofline,
        time=predicted(operation.id, "s", terms, factor.error),
        factor=factor,
        tokens_out=demand.tokens_out.value(sizes),
        first=min(launch, roofline * factor.value),
        footprint=demand.footprint.value(sizes),
    )


def resource_of(time: Prediction) -> str:
    """The physical term that dominates a stage's time, for people."""
    physical = [term for term in time.terms if term.name != EXCESS]
    return max(physical, key=lambda term: term.value).name if physical else "nothing"


# --- terms -----------------------------------------------------------------------------------------------------------


def _compute(demand: Demand, sizes: Sizes, rates: Rates) -> list[Term]:
    # A program may be promised prompts that are shorter than what they begin with.
    operations = max(0.0, demand.compute.value(sizes))
    return [_quotient("FLOPs / peak", operations, "FLOP", rates.compute)] if operations else []


def _memory(operation: Operation, demand: Demand, sizes: Sizes, rates: Rates) -> list[Term]:
    """Bytes over bandwidth, split for model operations into weights and cache.

    Weights are what a prefill moves whatever the prompt, and what a decode moves in proportion to the tokens it makes;
    all other monomials come from the cache or activations.
    """
    if operation.name == "agent.prefill":
        split, rest = _split(demand.traffic, frozenset()), "KV and activations / bandwidth"
    elif operation.name == "agent.decode":
        split, rest = _split(demand.traffic, demand.tokens_out.variables), "KV cache / bandwidth"
    else:
        split, rest = (Formula(), demand.traffic), "bytes / bandwidth"
    weights, others = split[0].value(sizes), max(0.0, split[1].value(sizes))
    terms = [_quotient("weights / bandwidth", weights, "B", rates.bandwidth)] if weights else []
    return [*terms, _quotient(rest, others, "B", rates.bandwidth)] if others else terms


def _split(traffic: Formula, made: frozenset[str]) -> tuple[Formula, Formula]:
    """The monomials of at most one variable, that of the tokens made; and the others."""
    weights = tuple(term for term in traffic.terms if not term[0] or (len(term[0]) == 1 and term[0][0] in made))
    return Formula(weights), Formula(tuple(term for term in traffic.terms if term not in weights))


def _host(operation: Operation, demand: Demand, sizes: Sizes, rates: Rates, cpu: float) -> list[Term]:
    terms: list[Term] = []
    if cpu:
        terms.append(Term("cpu", cpu, "s", Basis.ASSUMED, "stated by the library for one core"))
    disk = demand.disk.value(sizes)
    if disk and rates.disk is not None:
        terms.append(_quotient("bytes / disk", disk, "B", rates.disk))
    launches = 1.0
    if operation.name == "agent.decode":
        # One for each token but the first, and one for the choice of the first.
        launches = max(1.0, demand.tokens_out.value(sizes))
    overhead = launches * rates.launch.value
    detail = f"{launches:.4g} x {show_value(rates.launch.value, 's')}"
    terms.append(Term("fixed overhead", overhead, "s", rates.launch.basis, detail))
    return terms


def _quotient(name: str, amount: float, unit: str, rate: Figure) -> Term:
    detail = f"{show_value(amount, unit)} / {show_value(rate.value, rate.unit)}"
    return Term(name, amount / rate.value, "s", rate.basis, detail)


def _total(terms: list[Term]) -> float:
    return fsum(term.value for term in terms)


def opening_time(
    handle: Handle, sizes: Sizes, disk: Figure | None, calibration: Calibration, fitted_for: str
) -> StageTime | None:
    """Opening a model or resource, once: its bytes from disk, and what comes on top (see `calibrate`). None where that
    is not known."""
    read = handle.demand.disk.value(sizes) if handle.demand else 0.0
    if not read or disk is None:
        return None
    term = _quotient(f"{handle.name} from disk", read, "B", disk)
    key = stage_key("open", handle.entry, fitted_for)
    factor = calibration.factor(key, "disk")
    terms = [term]
    if factor.value != 1.0:
        excess = (factor.value - 1.0) * term.value
        detail = f"x {factor.value:.3g}, {factor.reason}"
        terms.append(Term(f"{handle.name}, the rest of opening", excess, "s", factor.basis, detail))
    return StageTime(
        id=handle.name,
        key=key,
        engine="open",
        entry=handle.entry,
        model=handle.name,
        heavy=True,
        roofline=term.value,
        time=predicted(handle.name, "s", terms, factor.error),
        factor=factor,
        tokens_out=0.0,
        first=0.0,
        footprint=0.0,
    )
