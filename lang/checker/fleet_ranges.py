"""What the figures of a fleet may be: what is beyond every device, network and service is a slip of the pen, and would
make sums that mean nothing."""

from __future__ import annotations

from ...base import units
from ...base.source import Span
from .. import problems
from .context import Context

MOST_DEVICES = 1_000_000
"""Of a tier."""

_HOUR = 3600.0
_RANGES: tuple[tuple[units.Dimension, float, float, str, str], ...] = (
    (units.MONEY_RATE, 1e-6 / _HOUR, 1e6 / _HOUR, "$0.000_001 per h", "$1_000_000 per h"),
    (units.MONEY_PER_TOKEN, 1e-12, 1.0, "$0.000_001 per 1_000_000 tokens", "$1_000_000 per 1_000_000 tokens"),
    (units.BANDWIDTH, 1.0, 1e15, "8 bit/s", "8_000_000 Gbit/s"),
    (units.DURATION, 0.0, _HOUR, "0 s", "1 h"),
    (units.RATE, 1e-6, 1e6, "0.000_001 per s", "1_000_000 per s"),
    (units.TOKENS / units.DURATION, 1e-3, 1e12, "0.001 tokens per s", "1_000_000_000_000 tokens per s"),
)


def sound(context: Context, what: str, amount: units.Quantity, span: Span) -> bool:
    """Whether a figure is one that there can be; reported if not. Of nothing others speak."""
    for dimension, low, high, least, most in _RANGES:
        if amount.dimension == dimension and amount.value and not low <= amount.value <= high:
            small = amount.value < low
            title = f"this is too {'little' if small else 'much'} for {what}"
            bound = f"at least {least}" if small else f"at most {most}"
            context.report(problems.bad_bound(title, span, f"state {bound}, in the unit that is meant"))
            return False
    return True
