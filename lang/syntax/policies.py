"""Policies of a call, as written after `with`."""

from __future__ import annotations

from typing import TypeAlias

from ...base.frozen import field, frozen
from ...base.source import Span
from .expressions import Name, Number, Quantity, Template
from .names import Ident

# A figure of a policy: written out, or the name of a constant.
Figure: TypeAlias = Number | Quantity | Name


@frozen
class Timeout:
    """`timeout 800 ms`"""

    after: Figure
    span: Span = field(compare=False, kw_only=True)


@frozen
class Idle:
    """`idle 2 s`: the longest time between two items of a stream."""

    after: Figure
    span: Span = field(compare=False, kw_only=True)


@frozen
class Retry:
    """`retry 2 backoff 50 ms`"""

    count: Figure
    backoff: Figure | None
    span: Span = field(compare=False, kw_only=True)


@frozen
class Breaker:
    """`breaker 5 pause 30 s`: after so many failures in a row, calls fail at once for a while."""

    failures: Figure
    pause: Figure
    span: Span = field(compare=False, kw_only=True)


@frozen
class Hedge:
    """`hedge after 300 ms`"""

    after: Figure
    span: Span = field(compare=False, kw_only=True)


@frozen
class RateLimit:
    """`rate 4 per s`: at most so many calls; always written out."""

    rate: Quantity
    span: Span = field(compare=False, kw_only=True)


@frozen
class Cache:
    """`cache 1 h`"""

    duration: Figure
    span: Span = field(compare=False, kw_only=True)


@frozen
class Buffer:
    """`buffer 64 drop oldest`; without `drop` a full buffer makes the writer wait."""

    size: Figure
    drop: Ident | None
    span: Span = field(compare=False, kw_only=True)


@frozen
class Latest:
    """`buffer latest`: only the newest item waits, which is `buffer 1 drop oldest`."""

    span: Span = field(compare=False, kw_only=True)


@frozen
class Place:
    """`place on gpu`"""

    tier: Ident
    span: Span = field(compare=False, kw_only=True)


@frozen
class Approve:
    """`approve "Refund {amount}?"`"""

    question: Template
    span: Span = field(compare=False, kw_only=True)


Policy: TypeAlias = Timeout | Idle | Retry | Breaker | Hedge | RateLimit | Cache | Buffer | Latest | Place | Approve
