"""Times on the command line: `30s`, `500 ms`, `2min`."""

from __future__ import annotations

import re

from ..base import units
from ..base.problems import Problem
from . import problems as words

_TIME = re.compile(r"([0-9]+(?:\.[0-9]+)?)\s*(ms|s|min|h)")


def seconds(option: str, text: str | None) -> tuple[float | None, Problem | None]:
    """The seconds of an option; None where it is not given."""
    if text is None:
        return None, None
    match = _TIME.fullmatch(text.strip())
    if match is None or float(match[1]) == 0:
        return None, words.not_a_time(option, text)
    return units.quantity(float(match[1]), match[2]).value, None
