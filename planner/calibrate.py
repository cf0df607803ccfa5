"""How far real stages are from the roofline, learned from runs: one factor for each kind of stage on each machine.

A roofline is a lower bound; what is above it (cache misses, small products, the engine's own work) is proportional to
the work for a given engine, operation and model to a good approximation, so one factor is fitted: the median of
measured / roofline over the last runs. It is robust (one disturbed run moves nothing), bounded (a broken clock cannot
ruin a plan), and converges, since the factor covers the whole time of a stage. Its error is the leave-one-out error on
the same runs, mixed with the prior's as if that were one more run, so that one lucky run does not look like certainty.
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
LOWEST, HIGHEST = 0.01, 1000.0
PRIOR_ERROR = 0.5
PRIOR_NOISE = 0.10
# Medians of measurements on data-centre GPUs (large bf16 products, products of a matrix and one vector); until a stage
# has run here they stand in for it.
PRIOR_EFFICIENCY = {"compute": 0.75, "memory": 0.80}
_ENOUGH_FOR_NOISE = 5


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
        runs = len(ratios)
        error = (runs * leave_one_out(ratios) + PRIOR_ERROR) / (runs + 1)
        noise = spread(ratios) if runs >= _ENOUGH_FOR_NOISE else PRIOR_NOISE
        return Factor(value, error, noise, Basis.FITTED, f"fitted from {runs} run{'s' if runs > 1 else ''}")

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


def leave_one_out(ratios: tuple[float, ...]) -> float:
    """The mean relative error when each ratio is predicted by the median of the others; the prior's for a single
    one."""
    if len(ratios) < 2:
        return PRIOR_ERROR
    errors = [abs(statistics.median(ratios[:i] + ratios[i + 1 :]) / ratio - 1.0) for i, ratio in enumerate(ratios)]
    return statistics.fmean(errors)


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
