"""Putting the passages that answer a question first."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Protocol

from .index import Passage


class Judge(Protocol):
    """What scores passages for a question: unbounded numbers (logits), the higher the better."""

    def score(self, question: str, passages: Sequence[str]) -> list[float]: ...


def rerank(judge: Judge, question: str, passages: Sequence[Passage], keep: int) -> list[Passage]:
    """The `keep` best passages, best first; equal ones in the order given.

    A passage's score becomes the chance, from 0 to 1, that it answers the question, as the judge sees it.
    """
    scores = judge.score(question, [passage.text for passage in passages])
    best = sorted(zip(scores, passages, strict=True), key=lambda scored: -scored[0])[: max(keep, 0)]
    return [replace(passage, score=_chance(score)) for score, passage in best]


def _chance(logit: float) -> float:
    return 1 / (1 + math.exp(-logit)) if logit >= 0 else math.exp(logit) / (1 + math.exp(logit))
