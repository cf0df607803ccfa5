"""`@frozen` classes are dataclasses to everything else."""

from __future__ import annotations

import copy
import dataclasses
import pickle
import subprocess
import sys
from dataclasses import FrozenInstanceError, fields, is_dataclass
from typing import Any, ClassVar, cast

import pytest

from agentlang.base.frozen import field, frozen, names, replace


@frozen(kw_only=True)
class Typed:
    type: str
    labels: frozenset[str] = frozenset()


@frozen
class Point(Typed):
    x: int
    y: int = 0
    span: int = field(default=0, compare=False, kw_only=True)


def test_values() -> None:
    point = Point(1, type="t")
    assert (point.x, point.y, point.type, point.labels, point.span) == (1, 0, "t", frozenset(), 0)
    assert point == Point(1, 0, type="t", span=9) and hash(point) == hash(Point(x=1, type="t", span=9))
    assert point != Point(2, type="t") and point != Typed(type="t") and point != 1
    assert repr(point) == "Point(type='t', labels=frozenset(), x=1, y=0, span=0)"


def test_they_are_dataclasses() -> None:
    point = Point(1, 2, type="t")
    assert is_dataclass(point) and [part.name for part in fields(point)] == ["type", "labels", "x", "y", "span"]
    assert names(Point) == ("type", "labels", "x", "y", "span")
    assert replace(point, y=5) == dataclasses.replace(point, y=5) == Point(1, 5, type="t")
    assert [part.compare for part in fields(point)] == [True, True, True, True, False]
    assert [part.kw_only for part in fields(Point)] == [True, True, False, False, True]
    assert fields(Point)[1].default == frozenset() and fields(Point)[0].default is dataclasses.MISSING
    assert Point.__match_args__ == ("x", "y")
    assert copy.deepcopy(point) == pickle.loads(pickle.dumps(point)) == point


def test_they_cannot_be_changed() -> None:
    point = cast("Any", Point(1, type="t"))
    with pytest.raises(FrozenInstanceError, match=r"Point\.x cannot be changed"):
        point.x = 2
    with pytest.raises(FrozenInstanceError):
        del point.x
    with pytest.raises(FrozenInstanceError):
        point.other = 2


@pytest.mark.parametrize(
    ("values", "named"),
    [((), {}), ((1,), {}), ((1, 2, 3), {"type": "t"}), ((1,), {"x": 1, "type": "t"}), ((1,), {"type": "t", "z": 1})],
)
def test_wrong_fields_are_refused(values: tuple[int, ...], named: dict[str, Any]) -> None:
    with pytest.raises(TypeError, match="Point"):
        cast("Any", Point)(*values, **named)


def test_a_default_that_could_change_is_refused() -> None:
    for default in ([], dataclasses.field(default_factory=list[int])):
        with pytest.raises(TypeError, match="one for all values"):

            @frozen
            class Bad:  # pyright: ignore[reportUnusedClass]
                items: Any = default


def test_constants_of_a_class_are_no_fields() -> None:
    @frozen
    class Kind:
        word: ClassVar[str] = "kind"
        name: str

    assert names(Kind) == ("name",) and Kind("a").word == "kind"


def test_a_class_loads_no_dataclasses() -> None:
    code = "import sys, agentlang.lang.syntax, agentlang.lang.program; sys.exit('dataclasses' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
