"""How a KV cache lies in memory, declared: so that two processes need not agree on more than a value.

A sender says the form of what it sends, a receiver converts it to its own (`conversions`) or refuses it by name. Two
forms of one cache differ in the order of axes, in the type of its numbers and in its pages, never in what it holds.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

import msgspec

HEADS, POSITIONS, WIDTH = "heads", "positions", "width"
AXES = (HEADS, POSITIONS, WIDTH)
ITEM_BYTES: Mapping[str, int] = {"float32": 4, "float16": 2, "bfloat16": 2}


class Unusable(ValueError):
    """A form that is none, or that cannot become the one that is wanted. The text says why."""


@dataclass(frozen=True, slots=True)
class CacheForm:
    """Of one cache: `keys` and `values` are the order of their axes, slowest first.

    `page` 0 is one piece for each of a layer's keys and values. Otherwise they are pages of so many positions, one
    behind the other, each with its axes in the order above; positions behind the last real one are zero.
    """

    layers: int
    kv_heads: int
    head_dim: int
    positions: int
    dtype: str = "float32"
    keys: tuple[str, ...] = AXES
    values: tuple[str, ...] = AXES
    page: int = 0

    def __post_init__(self) -> None:
        if min(self.layers, self.kv_heads, self.head_dim, self.positions) < 1 or self.page < 0:
            raise Unusable("a cache has at least one layer, head, number and position")
        if self.dtype not in ITEM_BYTES:
            raise Unusable(f"numbers of type {self.dtype!r} are not known; known: {', '.join(ITEM_BYTES)}")
        for axes in (self.keys, self.values):
            if sorted(axes) != sorted(AXES):
                raise Unusable(f"the axes of keys and values are {', '.join(AXES)} in any order, not {', '.join(axes)}")

    @property
    def pages(self) -> int:
        """How many pages a layer's keys take; 0 where they lie in one piece."""
        return -(-self.positions // self.page) if self.page else 0

    def shape(self, axes: tuple[str, ...]) -> tuple[int, ...]:
        """Of one layer's keys or values, whose order of axes is `axes`."""
        sizes = {HEADS: self.kv_heads, POSITIONS: self.page or self.positions, WIDTH: self.head_dim}
        inner = tuple(sizes[axis] for axis in axes)
        return (self.pages, *inner) if self.page else inner

    @property
    def part_bytes(self) -> int:
        """Of one layer's keys, and of its values."""
        return math.prod(self.shape(self.keys)) * ITEM_BYTES[self.dtype]

    @property
    def all_bytes(self) -> int:
        """Of the whole cache."""
        return 2 * self.layers * self.part_bytes

    def of(self, positions: int) -> CacheForm:
        """The same for another number of positions."""
        return replace(self, positions=positions)


def words_of(form: CacheForm) -> dict[str, Any]:
    """A form as plain values."""
    return asdict(form)


def form_of(words: object) -> CacheForm:
    """A form from plain values of anybody. Raises `Unusable`."""
    try:
        return msgspec.convert(words, CacheForm)
    except msgspec.ValidationError as error:
        raise Unusable(f"what came is no form of a cache: {error}") from error


def check_convertible(given: CacheForm, wanted: CacheForm) -> None:
    """Raise `Unusable` unless a cache in the one form can be brought into the other."""
    for what, has, needs in (
        ("layers", given.layers, wanted.layers),
        ("heads", given.kv_heads, wanted.kv_heads),
        ("numbers in a head", given.head_dim, wanted.head_dim),
    ):
        if has != needs:
            raise Unusable(f"it has {has:,} {what}, not {needs:,}")
    if given.positions > wanted.positions:
        raise Unusable(f"it has {given.positions:,} positions, and there is room for {wanted.positions:,}")


def is_exact(given: CacheForm, wanted: CacheForm) -> bool:
    """Whether no digit is lost on the way."""
    return wanted.dtype in ("float32", given.dtype)
