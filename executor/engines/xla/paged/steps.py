"""What a step of the scheduler is on the device: rows, and chunks of prompts.

Programs are handed over one after the other without waiting for them; whoever reads their results waits. A chunk of a
few tokens may ride along as rows, one for each token, where that is less work than to read all weights once more for
it: a key that a schema leaves no choice about, the end of a prompt whose beginning is cached.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from ....scheduler import Chunk, Step
from .. import buckets
from ..programs import DeviceWeights
from .pool import Pool
from .programs import PagedPrograms

ROWS = (1, 4, 16, 32)
"""How many rows a program takes."""
_ROWS_COST = (26, 42, 68, 130)
"""What such a step costs, in the unit of `buckets`: about a token of a prompt. Measured on a model of 135M."""
_ROOM = 2**30


@dataclass(frozen=True, slots=True)
class Entry:
    """One row: a token of a sequence. `wanted` where the logits behind it are."""

    sequence: int
    position: int
    token: int
    pages: tuple[int, ...]
    wanted: bool


def divided(step: Step, apart: Callable[[int], bool]) -> tuple[list[Entry], list[Chunk]]:
    """The rows of a step, and the chunks that are computed as such, among them all of sequences that are `apart`."""
    rows: list[Entry] = []
    chunks: list[Chunk] = []
    for row in step.decode:
        token = row.token or 0
        if apart(row.sequence):
            chunks.append(Chunk(row.sequence, row.position, 1, (token,), row.pages, True))
        else:
            rows.append(Entry(row.sequence, row.position, token, row.pages, True))
    small: list[Chunk] = []
    for chunk in sorted(step.prefill, key=lambda chunk: chunk.count):
        (chunks if apart(chunk.sequence) else small).append(chunk)
    riding = _riding(len(rows), [chunk.count for chunk in small])
    for chunk in small[:riding]:
        last = chunk.count - 1
        rows += [
            Entry(chunk.sequence, chunk.start + index, token, chunk.pages, chunk.last and index == last)
            for index, token in enumerate(chunk.tokens)
        ]
    return rows, [*chunks, *small[riding:]]


def _riding(rows: int, counts: list[int]) -> int:
    """How many of the chunks of these many tokens, the smallest first, cost least as rows beside so many others."""
    apart = sum(map(chunk_cost, counts))
    best, least = 0, rows_cost(rows) + apart
    for number, count in enumerate(counts, 1):
        rows += count
        apart -= chunk_cost(count)
        if rows > ROWS[-1]:
            break
        if rows_cost(rows) + apart < least:
            best, least = number, rows_cost(rows) + apart
    return best


def bucket(rows: int) -> int:
    return ROWS[bisect_left(ROWS, rows)]


def rows_cost(rows: int) -> int:
    return _ROWS_COST[bisect_left(ROWS, rows)] if rows else 0


def chunk_cost(tokens: int) -> int:
    return sum(part.size + buckets.CHUNK_COST for part in buckets.chunks(tokens, _ROOM))


class Steps:
    """Computes rows and chunks on the pages of `pool`."""

    def __init__(self, programs: PagedPrograms, weights: DeviceWeights, pool: Pool) -> None:
        self.programs = programs
        self.pool = pool
        self._weights = weights

    def rows(self, entries: list[Entry], size: int | None = None) -> Any:
        """Logits `[size, vocabulary]` behind the rows, in order, on the device, before they are there; `size` is by
        default the smallest of `ROWS` that holds them."""
        pool, programs = self.pool, self.programs
        pool.hold(max(max(entry.pages) for entry in entries))
        count = size or bucket(len(entries))
        parts = programs.decode(count, pool.tier)
        tokens, positions = np.zeros(count, np.int32), np.zeros(count, np.int32)
        table = np.full((count, programs.most), pool.scratch, np.int32)
        for index, entry in enumerate(entries):
            tokens[index], positions[index] = entry.token, entry.position
            table[index, : len(entry.pages)] = entry.pages
        hidden, places = parts.enter(self._weights.outer, tokens, positions, table)
        for number, layer in enumerate(self._weights.layers):
            hidden, pool.layers[number] = parts.layer(layer, pool.layers[number], hidden, places)
        return parts.leave(self._weights.outer, hidden)

    def chunk(self, chunk: Chunk) -> Any:
        """Logits `[1, vocabulary]` behind a chunk, on the device, before they are there."""
        pool, programs = self.pool, self.programs
        pool.hold(max(chunk.pages))
        table = pool.table(chunk.pages)
        logits: Any = None
        for part in buckets.chunks(chunk.count, _ROOM):
            parts = programs.prefill(part.size, pool.tier)
            tokens, count = np.zeros(part.size, np.int32), np.int32(part.count)
            tokens[: part.count] = chunk.tokens[part.start : part.start + part.count]
            start = np.int32(chunk.start + part.start)
            hidden, places = parts.enter(self._weights.outer, tokens, start, count, table)
            for number, layer in enumerate(self._weights.layers):
                hidden, pool.layers[number] = parts.layer(layer, pool.layers[number], hidden, places)
            # Of a part that is not the last, only that it is over is of interest.
            end = part.start + part.count == chunk.count
            logits = parts.leave(self._weights.outer, hidden, count) if end and chunk.last else hidden
        return logits

    def ready(self) -> None:
        """Compile, or load, what any reply needs. May be called in any thread."""
        tier = (self.pool.scratch or self.pool.first) + 1
        self.programs.decode(1, tier)

    def close(self) -> None:
        self.pool.drop()
        self._weights = DeviceWeights([], [])
