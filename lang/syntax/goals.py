"""Goals (what a pipeline must promise) and fleets (what it may run on)."""

from __future__ import annotations

from typing import TypeAlias

from ...base.frozen import field, frozen
from ...base.source import Span
from .expressions import Expr, Number, Quantity
from .names import Doc, Ident, Label, Path


@frozen
class RateTerm:
    """`rate 4 per s`"""

    rate: Quantity
    span: Span = field(compare=False, kw_only=True)


@frozen
class Assumption:
    """`question 40 tokens`, `intent.Refund 10 %`, `reply output 120 tokens` (`output` is then true)."""

    subject: Path
    output: bool
    amount: Quantity
    span: Span = field(compare=False, kw_only=True)


@frozen
class AssumeTerm:
    assumptions: tuple[Assumption, ...]
    span: Span = field(compare=False, kw_only=True)


@frozen
class BoundTerm:
    """`first_token p95 <= 800 ms`, `cost <= $0.40 per 1000 runs`: which metrics exist is the checker's business."""

    metric: Ident
    percentile: Ident | None
    limit: Quantity
    span: Span = field(compare=False, kw_only=True)


@frozen
class KeepTerm:
    """`keep @pii on [onprem]`"""

    label: Label
    tiers: tuple[Ident, ...]
    span: Span = field(compare=False, kw_only=True)


@frozen
class SoftTerm:
    """`soft finish 10`"""

    metric: Ident
    weight: Number
    span: Span = field(compare=False, kw_only=True)


@frozen
class PreferTerm:
    """`prefer cheapest`"""

    aim: Ident
    span: Span = field(compare=False, kw_only=True)


GoalTerm: TypeAlias = RateTerm | AssumeTerm | BoundTerm | KeepTerm | SoftTerm | PreferTerm


@frozen
class GoalDecl:
    pipeline: Ident
    terms: tuple[GoalTerm, ...]
    doc: Doc | None = None
    span: Span = field(compare=False, kw_only=True)


@frozen
class Range:
    """`0..8`, both ends included."""

    low: Number
    high: Number
    span: Span = field(compare=False, kw_only=True)


@frozen
class TierSetting:
    """`count 0..8`, `serves ["gpt-oss-120b"]`, `price $0.60 per 1_000_000 tokens`"""

    name: Ident
    value: Expr | Range
    span: Span = field(compare=False, kw_only=True)


@frozen
class TierDecl:
    """`tier gpu = catalog.h100 { count 0..8 }`"""

    name: Ident
    device: Expr
    settings: tuple[TierSetting, ...]
    span: Span = field(compare=False, kw_only=True)


@frozen
class LinkDecl:
    """`link gpu <-> cpu 200 Gbit/s, 10 us`; the end `*` is every tier."""

    left: Ident
    right: Ident
    bandwidth: Quantity
    latency: Quantity
    span: Span = field(compare=False, kw_only=True)


@frozen
class FleetDecl:
    """Tiers and links in the order they were written."""

    name: Ident
    entries: tuple[TierDecl | LinkDecl, ...]
    doc: Doc | None = None
    span: Span = field(compare=False, kw_only=True)

    @property
    def tiers(self) -> tuple[TierDecl, ...]:
        return tuple(entry for entry in self.entries if isinstance(entry, TierDecl))

    @property
    def links(self) -> tuple[LinkDecl, ...]:
        return tuple(entry for entry in self.entries if isinstance(entry, LinkDecl))
