"""Demands and sizes as plain data, for attributes and JSON: formulas as texts, those that are zero left out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from ..formula import ZERO, Formula, as_formula, parse
from ..graph import Demand, Size

NAMES = tuple(field.name for field in fields(Demand))


def demand(**formulas: Formula | float) -> Demand:
    """A demand from the terms that are not zero. TypeError for an unknown term."""
    unknown = set(formulas) - set(NAMES)
    if unknown:
        raise TypeError(f"a demand has no {', '.join(sorted(unknown))}")
    return Demand(**{name: as_formula(formulas.get(name, ZERO)) for name in NAMES})


FREE = demand()
"""A stage that needs nothing worth counting."""


def demand_from(data: Mapping[str, str]) -> Demand:
    """The inverse of `demand_data`. ValueError for a text that is no formula, TypeError for an unknown term."""
    return demand(**{name: parse(text) for name, text in data.items()})


def demand_data(given: Demand) -> dict[str, str]:
    return {name: str(getattr(given, name)) for name in NAMES if getattr(given, name) != ZERO}


def size_data(size: Size) -> dict[str, str | tuple[str, ...]]:
    bound = {} if size.bound is None else {"bound": str(size.bound)}
    group = {} if size.group is None else {"group": size.group}
    also = {"also": size.also} if size.also else {}
    return {"name": size.name, "default": str(size.default), "basis": size.basis, **bound, **group, **also}


def size_from(data: Mapping[str, Any]) -> Size:
    """The inverse of `size_data`."""
    bound = parse(data["bound"]) if "bound" in data else None
    return Size(
        data["name"], parse(data["default"]), bound, data["basis"], data.get("group"), tuple(data.get("also", ()))
    )
