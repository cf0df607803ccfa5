"""From the median of a run to a percentile: runs are log-normal around their median, so the percentile is the median
times exp(z * sigma), with the sigma of this machine's runs where there are enough, else an assumed one. (What waiting
adds under load stands in `space.evaluate`.)"""

from __future__ import annotations

from math import exp
from statistics import NormalDist

from .figures import Basis
from .plan import Tail


def tail(term: str, percentile: float, noise: float, basis: Basis) -> Tail:
    """The factor of a percentile over the median under log-normal noise."""
    factor = exp(NormalDist().inv_cdf(percentile / 100.0) * noise)
    return Tail(term, percentile, factor, basis, f"runs differ by {noise:.0%} (log-normal)")
