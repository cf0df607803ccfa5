"""Mistakes in goals and fleets: figures below nothing, and fleets of nothing. See `mistakes`."""

from __future__ import annotations

from . import structure_problems as problems
from .fault_words import made
from .faults import Edit, Fault, Verdict

_FIGURES = frozenset({"NUMBER", "QUANTITY"})
_TIER = ("TIER", "NAME", "IS", "NAME")


def negative(fault: Fault) -> Verdict | None:
    """`rate -1 per s`: a figure may stand here, and its sign may not."""
    sign, following = fault.token, fault.ahead(1)
    if sign is None or sign.kind != "MINUS" or following is None or following.kind not in _FIGURES:
        return None
    if not _FIGURES & fault.takes:
        return None
    return Verdict(problems.negative(fault.place(sign)), Edit.remove(fault.tokens, fault.index, fault.index + 1))


def negative_range(fault: Fault) -> Verdict | None:
    """`count -1..8`: read as a value until the dots, which no value has."""
    sign, low = fault.ahead(-2), fault.previous
    if not fault.is_kind("TO") or sign is None or sign.kind != "MINUS" or low is None or low.kind != "NUMBER":
        return None
    return Verdict(problems.negative(fault.place(sign)), Edit.remove(fault.tokens, fault.index - 2, fault.index - 1))


def empty_fleet(fault: Fault) -> Verdict | None:
    if not fault.is_kind("RBRACE") or fault.previous is None or fault.previous.kind != "LBRACE":
        return None
    if not {"TIER", "LINK"} <= fault.takes:
        return None
    tier = tuple(token for kind in _TIER for token in made(kind, fault.tokens, fault.index, False))
    return Verdict(problems.empty_fleet(fault.place(fault.previous)), Edit(fault.index, 0, tier))
