"""Tokens from logits: what sequences ask for, as arguments of the programs that choose."""

# JAX's own annotations leave parts of its functions' types unknown.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...constraint.masks import without
from ...protocol import TokenLogprob
from .programs import PagedPrograms
from .sequence import Making


@dataclass(frozen=True, slots=True)
class Picks:
    """The sequences whose tokens are chosen behind rows of `logits`; `tokens` may still be computed."""

    logits: Any
    """`[bucket, vocabulary]`"""
    rows: tuple[tuple[int, Making], ...]
    tokens: Any
    """int32 `[bucket]`"""


class Picker:
    """Chooses tokens for sequences."""

    def __init__(self, programs: PagedPrograms, vocabulary: int) -> None:
        self._programs = programs
        self._vocabulary = vocabulary

    def pick(self, logits: Any, rows: Sequence[tuple[int, Making]]) -> Picks:
        """Hand over the choice of a token for each of `rows`. Masks are worked out while the device computes."""
        for _, making in rows:
            if making.constraint is not None:
                making.mask = making.constraint.mask()
        return Picks(logits, tuple(rows), self._choose(logits, rows))

    def again(self, picks: Picks, index: int, making: Making, refused: int) -> int:
        """Another token in place of one that cannot be taken."""
        making.mask = without(making.mask, refused)
        return int(self._choose(self.row(picks.logits, index), ((0, making),))[0])

    def row(self, logits: Any, index: int) -> Any:
        """One row of logits, `[1, vocabulary]`."""
        rows = logits.shape[0]
        return logits if rows == 1 else self._programs.row(rows, self._vocabulary)(logits, np.int32(index))

    def likelihoods(self, picks: Picks, tokens: Sequence[tuple[int, int, int]]) -> list[TokenLogprob]:
        """How likely tokens were: `(row, token, most)` of each, the likeliest `most` beside it."""
        rows = picks.logits.shape[0]
        asked = np.zeros(rows, np.int32)
        for row, token, _ in tokens:
            asked[row] = token
        found = self._programs.likelihoods(rows, self._vocabulary)(picks.logits, asked)
        own, top, which = (np.asarray(part) for part in found)
        return [
            TokenLogprob(
                token,
                float(own[row]),
                tuple((int(which[row, place]), float(top[row, place])) for place in range(min(most, top.shape[1]))),
            )
            for row, token, most in tokens
        ]

    def ready(self, masks: bool, draws: bool, rows: int = 1) -> None:
        """Compile, or load, what replies need: `rows` of them in a step. May be called in any thread."""
        self._programs.choose(rows, self._vocabulary, masks, draws)

    def is_ready(self, masks: bool, draws: bool, rows: int) -> bool:
        """Whether `ready` need not compile."""
        return self._programs.has_choose(rows, self._vocabulary, masks, draws)

    def _choose(self, logits: Any, rows: Sequence[tuple[int, Making]]) -> Any:
        count = logits.shape[0]
        masks, draws = needs(making for _, making in rows)
        arguments: list[Any] = [logits]
        if masks:
            words = np.full((count, (self._vocabulary + 31) // 32), 0xFFFFFFFF, np.uint32)
            for row, making in rows:
                if making.constraint is not None:
                    words[row] = making.mask
            arguments.append(words)
        if draws:
            arguments += _asked(count, rows)
        return self._programs.choose(count, self._vocabulary, masks, draws)(*arguments)


def needs(makings: Iterable[Making]) -> tuple[bool, bool]:
    """Whether any of them is held to a document, and whether any draws."""
    masks = draws = False
    for making in makings:
        masks = masks or making.constraint is not None
        draws = draws or (making.sampling is not None and making.sampling.temperature > 0)
    return masks, draws


def _asked(count: int, rows: Sequence[tuple[int, Making]]) -> list[Any]:
    """`choosing.Asked` of the rows; one that nobody asked for is greedy."""
    temperature, top_k, top_p = np.zeros(count, np.float32), np.zeros(count, np.int32), np.ones(count, np.float32)
    low, high, index = (np.zeros(count, np.uint32) for _ in range(3))
    for row, making in rows:
        sampling = making.sampling
        if sampling is None or not sampling.temperature > 0:
            continue
        seed = sampling.seed % (1 << 64)
        temperature[row], top_k[row], top_p[row] = sampling.temperature, sampling.top_k, sampling.top_p
        low[row], high[row], index[row] = seed & 0xFFFFFFFF, seed >> 32, making.count
    return [temperature, top_k, top_p, low, high, index]
