"""Names of the blocks of a prompt. A name stands for the tokens of a block and all before it, so that equal names at
the same place are equal beginnings, and one set of names says what a replica has."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence

Block = int


def chained(keys: Iterable[Hashable]) -> tuple[Block, ...]:
    """A name for each key, of it and of those before it. Within one process: texts are hashed anew in each."""
    out: list[Block] = []
    before = 0
    for key in keys:
        before = hash((before, key))
        out.append(before)
    return tuple(out)


def blocks_of(tokens: Sequence[int], size: int, scope: str = "") -> tuple[Block, ...]:
    """The names of the full blocks of `size` tokens, for requests of a scope: those of others are never shared."""
    full = len(tokens) // size
    parts: Iterable[Hashable] = (tuple(tokens[size * index : size * (index + 1)]) for index in range(full))
    return chained((scope, part) for part in parts)
