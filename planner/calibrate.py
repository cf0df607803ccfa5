"""How far real stages are from the roofline, learned from runs: one factor for each kind of stage on each machine.

A roofline is a lower bound; what is above it (cache misses, small products, the engine's own work) is proportional to
the work for a given engine, operation and model to a good approximation, so one factor is fitted: the median of
measured / roofline over the last runs. It is robust (one disturbed run moves nothing), bounded (a broken clock cannot
ruin a plan), and converges, since the factor covers the whole time of a stage. Its error is cross-validated: each run
is left out in turn and predicted from the others, and four of five such predictions were no further off. Fewer than
three runs cannot say that, so the error stays the prior's, and the reason says so.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from ..base.paths import home
from ..base.store import write_atomic
from .codec import DecodeError, decode, digest, encode
from .figures import Basis

KEEP = 32
LOWEST, HIGHEST = 0.01, 1e7
"""A tool that says nothing of itself is predicted at what a call costs, some 10 us, and may take a minute."""
PRIOR_ERROR = 0.5
PRIOR_NOISE = 0.10
# Medians of measurements on data-centre GPUs (large bf16 products, products of a matrix and one vector); until a stage
# has run here they stand in for it.
PRIOR_EFFICIENCY = {"compute": 0.75, "memory": 0.80}
_ENOUGH_FOR_NOISE = 5
ENOUGH = 3
"""Runs from which an error can be cross-validated: two others must agree or differ about the one left out."""
COVERED = 0.8
"""The part of predictions that an error is to cover."""
LEAST_ERROR = 0.01
"""What the same runs agree on better than this is how often the clock ticks, not what the next run will take."""


@dataclass(frozen=True, slots=True)
class Observation:
    """One execution, or several of one stage in a run summed: seconds by roofline at its true sizes, and measured."""

    key: str
    roofline: float
    measured: float


@dataclass(frozen=True, slots=True)
class Factor:
    """Measured over roofline, its relative error, the relative noise between runs, and where that comes from."""

    value: float
    error: float
    noise: float
    basis: Basis
    reason: str


@dataclass(frozen=True, slots=True)
class Calibration:
    """Ratios of the last runs on one machine, by stage key, oldest first. `profiled` are the engines that somebody
    asked to be measured with a model: only those are weighed against each other, so that which engine a program runs on
    does not change because another one ran once."""

    machine: str
    ratios: tuple[tuple[str, tuple[float, ...]], ...] = ()
    profiled: tuple[tuple[str, str], ...] = ()
    """Engine and model."""

    @property
    def digest(self) -> str:
        return digest(self)

    def factor(self, key: str, resource: str) -> Factor:
        """The factor of a stage that `resource` (`compute`, `memory`, `cpu`) limits; the prior's if it never ran
        here."""
        ratios = dict(self.ratios).get(key, ())
        if not ratios:
            efficiency = PRIOR_EFFICIENCY.get(resource, 1.0)
            reason = (
                f"{efficiency:.0%} of the {resource} rate is usual" if efficiency != 1.0 else "as the library states it"
            )
            return Factor(1.0 / efficiency, PRIOR_ERROR, PRIOR_NOISE, Basis.ASSUMED, reason)
        value = statistics.median(ratios)
        noise = spread(ratios) if len(ratios) >= _ENOUGH_FOR_NOISE else PRIOR_NOISE
        error, reason = self._error(ratios)
        return Factor(value, error, noise, Basis.FITTED, reason)

    @staticmethod
    def _error(ratios: tuple[float, ...]) -> tuple[float, str]:
        """The relative error of what was fitted, and why it is believed."""
        fitted = f"fitted from {len(ratios)} run{'s' if len(ratios) > 1 else ''}"
        if len(ratios) < ENOUGH:
            return PRIOR_ERROR, f"{fitted}, too few to cross-validate: ±{PRIOR_ERROR:.0%} assumed"
        error = cross_validated(ratios)
        return error, f"{fitted}, ±{error:.0%} with each left out in turn"

    def runs(self, key: str) -> int:
        return len(dict(self.ratios).get(key, ()))

    def with_profiled(self, engine: str, models: Iterable[str]) -> Calibration:
        """With the models that were measured on an engine."""
        return replace(self, profiled=tuple(sorted({*self.profiled, *((engine, model) for model in models)})))

    def refined(self, observations: Iterable[Observation]) -> Calibration:
        """With the ratios of these observations; the oldest are forgotten. Observations without time are skipped."""
        table = {key: list(ratios) for key, ratios in self.ratios}
        for seen in observations:
            if seen.roofline > 0.0 and seen.measured > 0.0 and math.isfinite(seen.measured):
                ratio = min(HIGHEST, max(LOWEST, seen.measured / seen.roofline))
                table.setdefault(seen.key, []).append(ratio)
        return replace(self, ratios=tuple((key, tuple(table[key][-KEEP:])) for key in sorted(table)))


def stage_key(engine: str, entry: str, model: str) -> str:
    """Names what one factor is fitted for."""
    return f"{engine}|{entry}|{model}"


def left_out(ratios: tuple[float, ...]) -> tuple[float, ...]:
    """How far each ratio is from the median of the others, relative to that: what a prediction made without it would
    have been off by. Needs at least two."""
    others = (statistics.median(ratios[:at] + ratios[at + 1 :]) for at in range(len(ratios)))
    return tuple(abs(ratio / other - 1.0) for ratio, other in zip(ratios, others, strict=True))


def cross_validated(ratios: tuple[float, ...]) -> float:
    """The error that covers the next run with the wanted probability, if it is like those before (the jackknife's
    quantile; of three runs the largest, which covers two of three); at least `LEAST_ERROR`."""
    errors = sorted(left_out(ratios))
    place = min(len(errors), math.ceil((len(errors) + 1) * COVERED))
    return max(LEAST_ERROR, errors[place - 1])


def spread(ratios: tuple[float, ...]) -> float:
    """The relative standard deviation, from the median absolute deviation of the logarithms."""
    logs = [math.log(ratio) for ratio in ratios]
    middle = statistics.median(logs)
    return 1.4826 * statistics.median(abs(value - middle) for value in logs)


def default_path() -> Path:
    return home() / "calibration.json"


def load(machine: str, path: Path | None = None) -> Calibration:
    """What is known of this machine; nothing where the file is absent, damaged or of other machines."""
    found = _read(path or default_path()).get(machine)
    return found or Calibration(machine)


def save(calibration: Calibration, path: Path | None = None) -> None:
    """Keep it beside those of other machines. Of two writers at once the last wins; the file is whole either way."""
    place = path or default_path()
    table = {**_read(place), calibration.machine: calibration}
    write_atomic(place, encode(list(table.values()), indent=2) + b"\n")


def _read(path: Path) -> Mapping[str, Calibration]:
    try:
        kept = decode(path.read_bytes(), tuple[Calibration, ...])
    except (OSError, DecodeError):
        return {}
    return {calibration.machine: calibration for calibration in kept}
