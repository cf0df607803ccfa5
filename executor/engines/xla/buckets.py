"""Which static shapes a request is cut into. Pure arithmetic.

XLA compiles for fixed shapes, so a prompt is fed in chunks of a few sizes and a cache has one of a few lengths. Every
shape costs seconds once on a machine, then milliseconds a process.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

CHUNKS = (16, 32, 64, 128, 256, 512)
SHORTEST_CACHE = 256
CHUNK_COST = 26
"""What a chunk costs besides its tokens, in tokens: it reads all weights once. Measured on a model of 135M."""


@dataclass(frozen=True, slots=True)
class Chunk:
    """`size` positions from `start`, of which the first `count` are real."""

    start: int
    size: int
    count: int


def capacity(context: int) -> int:
    """The longest cache: the context, rounded up so that the smallest chunk fits everywhere."""
    return -(-context // CHUNKS[0]) * CHUNKS[0]


def cache_length(positions: int, context: int) -> int:
    """The shortest cache with room for `positions`, at most `capacity(context)`."""
    length = SHORTEST_CACHE
    while length < positions:
        length *= 2
    return min(length, capacity(context))


def first_free(cached: int, tokens: int, context: int) -> int:
    """Where to go on with a prompt of which `cached` tokens are there already: behind them, or a little before, where
    the chunks would else run over the end of the longest cache."""
    rest = -(-(tokens - cached) // CHUNKS[0]) * CHUNKS[0]
    return cached if cached + rest <= capacity(context) else cached // CHUNKS[0] * CHUNKS[0]


def chunks(tokens: int, context: int, start: int = 0) -> tuple[Chunk, ...]:
    """The cheapest way to feed a prompt from position `start` on (see `first_free`); all but the last chunk are full,
    none exceeds `capacity(context)`."""
    cut: list[Chunk] = []
    for size in _sizes(tokens - start, capacity(context) - start)[1]:
        cut.append(Chunk(start, size, min(size, tokens - start)))
        start += size
    return tuple(cut)


@cache
def _sizes(tokens: int, room: int) -> tuple[int, tuple[int, ...]]:
    """Cost and sizes for `tokens` where `room` positions are left."""
    if tokens <= 0:
        return 0, ()
    options: list[tuple[int, tuple[int, ...]]] = []
    covering = next((size for size in CHUNKS if tokens <= size <= room), None)
    if covering is not None:
        options.append((covering + CHUNK_COST, (covering,)))
    full = next((size for size in reversed(CHUNKS) if size <= tokens), None)
    if full is not None and full != covering:
        cost, sizes = _sizes(tokens - full, room - full)
        options.append((cost + full + CHUNK_COST, (full, *sizes)))
    return min(options)
