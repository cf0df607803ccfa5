"""What people read of an `expect` that does not hold: the values that decided it, each on a line, shortened."""

from __future__ import annotations

import json

from ...base.units import Quantity
from ...base.units import show as show_quantity
from ...ir.graph import ValueType
from ...lang.types import DIMENSIONS, Primitive
from ..values import to_json
from .orders import Expectation

LONGEST = 300
_AROUND = 60  # characters shown before the place where two long texts part

_WANTED = {
    "==": "",
    "!=": "anything but ",
    "<": "less than ",
    "<=": "at most ",
    ">": "more than ",
    ">=": "at least ",
    "contains": "something that contains ",
}


def lines(expectation: Expectation) -> tuple[str, ...]:
    """`got` and `wanted` of a comparison; of another condition each value under the text that it is written as."""
    operation = expectation.operation
    types = [value.type for value in operation.operands[1:]]
    operator = operation.attributes.get("operator")
    if isinstance(operator, str) and len(expectation.values) == 2:
        left, right = expectation.values
        got, wanted = (text(value, type_) for value, type_ in zip(expectation.values, types, strict=True))
        said = [f"got     {got}", f"wanted  {_WANTED[operator]}{wanted}"]
        if operator == "==" and isinstance(left, str) and isinstance(right, str) and "…" in (got[-1:], wanted[-1:]):
            said.append(_parting(left, right))
        return tuple(said)
    names = operation.attributes.get("shown") or ()
    assert isinstance(names, tuple)
    said = [
        f"{name} is {text(value, type_)}" for name, value, type_ in zip(names, expectation.values, types, strict=True)
    ]
    return tuple(dict.fromkeys(said))


def text(value: object, type_: ValueType) -> str:
    """A value as people would write it, shortened."""
    if isinstance(type_, Primitive) and type_.name in DIMENSIONS and isinstance(value, int | float):
        return show_quantity(Quantity(float(value), DIMENSIONS[type_.name]))
    if value is None:
        return "none"
    whole = json.dumps(to_json(value), ensure_ascii=False)
    return whole if len(whole) <= LONGEST else whole[: LONGEST - 1] + "…"


def _parting(left: str, right: str) -> str:
    """Where two texts of which one is too long to be shown differ."""
    both = zip(left, right, strict=False)
    at = next((i for i, (one, other) in enumerate(both) if one != other), min(len(left), len(right)))
    start = max(0, at - _AROUND)
    pieces = [json.dumps(one[start : at + _AROUND], ensure_ascii=False) for one in (left, right)]
    return f"they part at character {at + 1:,}: {pieces[0]} and {pieces[1]}"
