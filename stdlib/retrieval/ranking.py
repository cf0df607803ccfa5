"""Putting the passages that answer a question first."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

from .index import Passage


def best(scores: Sequence[float], passages: Sequence[Passage], keep: int) -> list[Passage]:
    """The `keep` passages of the highest scores, best first; equal ones in the order given.

    `scores` are unbounded numbers (logits) that a reranker gives, one for each passage. A passage's score becomes the
    chance, from 0 to 1, that it answers the question, as the reranker sees it.
    """
    found = sorted(zip(scores, passages, strict=True), key=lambda scored: -scored[0])[: max(keep, 0)]
    return [replace(passage, score=_chance(score)) for score, passage in found]


def _chance(logit: float) -> float:
    return 1 / (1 + math.exp(-logit)) if logit >= 0 else math.exp(logit) / (1 + math.exp(logit))
