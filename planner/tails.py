"""From the median of a run on an idle machine to a percentile under load: noise between runs, and waiting in line.

Both are simple, stated models. Noise: runs are log-normal around their median, so the percentile is the median times
exp(z * sigma), with the sigma of this machine's runs where there are enough, else an assumed one. Waiting: runs arrive
at random (Poisson) and an instance takes one run after the other (M/G/1); the mean wait is Pollaczek and Khinchine's,
and its tail is exponential with that mean, as in heavy traffic. A closed form is what a search needs; a simulation
confirms.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import exp, log
from statistics import NormalDist

from .calibrate import PRIOR_NOISE
from .cost import StageTime
from .figures import Basis
from .moments import Moment
from .plan import Tail

MEDIAN = 50.0


def noise_of(moment: Moment, times: Mapping[str, StageTime]) -> tuple[float, Basis]:
    """The relative noise of a path: that of its stages, weighted by their seconds; fitted only if the largest is."""
    if not moment.at:
        return PRIOR_NOISE, Basis.ASSUMED
    weighted = sum(part.seconds * times[part.stage].factor.noise for part in moment.path)
    largest = max(moment.path, key=lambda part: part.seconds)
    fitted = times[largest.stage].factor.noise != PRIOR_NOISE
    return weighted / moment.at, Basis.FITTED if fitted else Basis.ASSUMED


def tail(term: str, percentile: float, noise: float, basis: Basis) -> Tail:
    """The factor of a percentile over the median under log-normal noise."""
    factor = exp(NormalDist().inv_cdf(percentile / 100.0) * noise)
    return Tail(term, percentile, factor, basis, f"runs differ by {noise:.0%} (log-normal)")


def waiting(service: float, rate: float, percentile: float, noise: float) -> float | None:
    """Seconds that the percentile of runs waits before it starts, or None where the line grows without end.

    `service` is the machine-seconds of a run, `rate` the runs a second that one instance gets.
    """
    load = rate * service
    if load >= 1.0:
        return None
    share = 1.0 - percentile / 100.0
    if load <= share:
        # That many runs find the machine idle.
        return 0.0
    mean_of_waiters = service * (1.0 + noise * noise) / 2.0 / (1.0 - load)
    return mean_of_waiters * log(load / share)
