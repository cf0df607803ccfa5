"""What an operation can hold: 64 bits of an integer, so many operands. The checker lets no larger number through; a
call with more arguments than that is refused here, at its place.
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager

from ...base.source import Span


class BeyondLimits(Exception):
    """Something at `span` is larger than an operation can hold; the message says what."""

    def __init__(self, what: str, span: Span) -> None:
        super().__init__(what)
        self.span = span


@contextmanager
def within_limits(span: Span) -> Generator[None]:
    """Blame what does not fit inside on that place."""
    try:
        yield
    except OverflowError as error:
        raise BeyondLimits(str(error), span) from error
