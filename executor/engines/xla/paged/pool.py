"""The pages of all layers on the device. Used by the device's thread alone."""

# JAX's own annotations leave parts of its functions' types unknown.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .budget import Budget
from .programs import PagedPrograms

Floats = NDArray[np.float32]
KeysValues = tuple[Floats, Floats]
"""Keys and values of one layer, both `[kv_heads, positions, head_dim]`."""


class Pool:
    """`layers[n]` is a layer's pool, flat; steps replace it. One page behind the others is `scratch`: rows that nobody
    asked for write there."""

    def __init__(self, programs: PagedPrograms, budget: Budget, layers: int) -> None:
        self._programs = programs
        self._budget = budget
        self._count = layers
        self.layers: list[list[Any]] = []
        self.scratch = 0

    @property
    def tier(self) -> int:
        """How many pages a layer's pool has, `scratch` among them."""
        return self.scratch + 1

    @property
    def compiled(self) -> int:
        """Programs compiled so far, here and elsewhere."""
        return self._programs.compiled

    @property
    def first(self) -> int:
        """The pages to begin with."""
        return self._budget.tier(1)

    def hold(self, page: int) -> None:
        """Have room for a page of that number."""
        if page < self.scratch:
            return
        tier = self._budget.tier(page + 1)
        if not self.layers:
            create = self._programs.create(tier + 1)
            self.layers = [create() for _ in range(self._count)]
        else:
            grow = self._programs.grow(self.tier, tier + 1)
            for number, layer in enumerate(self.layers):
                # One after the other: for a moment one layer is there twice, not all.
                self.layers[number] = grow(layer)
        self.scratch = tier

    def copy(self, source: int, target: int) -> None:
        self.hold(max(source, target))
        copy, pages = self._programs.copy(self.tier), (np.int32(source), np.int32(target))
        for number, layer in enumerate(self.layers):
            self.layers[number] = copy(layer, *pages)

    def table(self, pages: tuple[int, ...]) -> NDArray[np.int32]:
        """All entries of a sequence's table."""
        table = np.full(self._programs.most, self.scratch, np.int32)
        table[: len(pages)] = pages
        return table

    def read(self, pages: tuple[int, ...], start: int, stop: int) -> list[KeysValues]:
        """Keys and values of each layer from position `start` up to `stop` of a sequence. Waits for the device."""
        return [self.of_layer(reads, start, stop) for reads in self.reading(pages, start, stop)]

    def reading(self, pages: tuple[int, ...], start: int, stop: int) -> list[list[Any]]:
        """Has the device read what `of_layer` takes, of each layer, as it is now."""
        read, size = self._programs.read(self.tier), self._programs.page
        numbers = [np.int32(page) for page in pages[start // size : -(-stop // size)]]
        return [[read(layer, number) for number in numbers] for layer in self.layers]

    def of_layer(self, reads: list[Any], start: int, stop: int) -> KeysValues:
        """One layer's keys and values, `[kv_heads, stop - start, head_dim]`, once they are there."""
        first = start % self._programs.page
        keys, values = (
            np.concatenate([np.asarray(both[part]) for both in reads], axis=1)[:, first : first + stop - start]
            for part in (0, 1)
        )
        return keys, values

    def write(self, pages: tuple[int, ...], start: int, given: list[KeysValues]) -> None:
        """Fill a sequence's positions from `start` on, by layer."""
        size, count = self._programs.page, given[0][0].shape[1]
        write = self._programs.write(self.tier)
        for index in range(start // size, -(-(start + count) // size)):
            first, stop = max(start - index * size, 0), min(start + count - index * size, size)
            at = index * size + first - start
            bounds = np.int32(first), np.int32(stop)
            for number, (keys, values) in enumerate(given):
                parts: list[Floats] = []
                for part in (keys, values):
                    padded = np.zeros((part.shape[0], size, part.shape[2]), np.float32)
                    padded[:, first:stop] = part[:, at : at + stop - first]
                    parts.append(padded)
                self.layers[number] = write(self.layers[number], np.int32(pages[index]), *parts, *bounds)

    def drop(self) -> None:
        """Free everything. What is held next is new."""
        self.layers, self.scratch = [], 0
