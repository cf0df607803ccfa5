"""Choosing the next token from logits on the host, as the XLA engine does it on its device.

The draw depends on the seed and on the token's place in the reply alone, so it repeats whoever else is in the batch.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Choice:
    """How tokens are chosen: the part of `Sampling` that the worker needs."""

    temperature: float = 0.0
    seed: int = 0
    top_k: int = 0
    top_p: float = 1.0
    logprobs: int | None = None
    """How many of the likeliest tokens are told beside each one chosen; None tells nothing."""


class Likely(NamedTuple):
    """How likely the token was that was chosen, and the likeliest ones: natural logarithms."""

    logprob: float
    top: tuple[tuple[int, float], ...]


def likely(logits: NDArray[np.float32], token: int, most: int) -> Likely:
    """By the model's own logits `[vocabulary]`, before temperature and masks."""
    scores = logits.astype(np.float64)
    largest = float(scores.max())
    scores -= largest + float(np.log(np.exp(scores - largest).sum()))
    top: tuple[tuple[int, float], ...] = ()
    if most:
        count = min(most, scores.size)
        found = np.argpartition(-scores, count - 1)[:count]
        top = tuple(sorted(((int(at), float(scores[at])) for at in found), key=lambda pair: (-pair[1], pair[0])))
    return Likely(float(scores[token]), top)


def choose(logits: NDArray[np.float32], how: Choice, index: int, mask: NDArray[np.uint32] | None = None) -> int:
    """The token at place `index` of a reply, by logits `[vocabulary]` of which the `mask` bits may be chosen.

    Among the `top_k` most likely (0: all), and of those the fewest whose shares sum to `top_p` at least; equally likely
    ones stay or go together.
    """
    if mask is not None:
        allowed = np.unpackbits(mask.view(np.uint8), count=logits.size, bitorder="little").view(np.bool_)
        logits = np.where(allowed, logits, np.float32(-np.inf))
    if how.temperature <= 0:
        return int(logits.argmax())
    scores: NDArray[np.float64] = logits.astype(np.float64) / how.temperature
    if 0 < how.top_k < scores.size:
        least = np.partition(scores, scores.size - how.top_k)[scores.size - how.top_k]
        scores = np.where(scores >= least, scores, -np.inf)
    shares = np.exp(scores - scores.max())
    shares /= shares.sum()
    if how.top_p < 1.0:
        falling = np.sort(shares)[::-1]
        enough = min(int(np.searchsorted(np.cumsum(falling), how.top_p)), falling.size - 1)
        shares = np.where(shares >= falling[enough], shares, 0.0)
    kept: NDArray[np.float64] = np.cumsum(shares)
    generator = np.random.Generator(np.random.Philox(key=np.array([how.seed % (1 << 64), index], np.uint64)))
    # Strictly below the total, so that the token found has a share.
    drawn = generator.random() * float(kept[-1])
    return int(np.searchsorted(kept, drawn, side="right"))
