"""Rerankers on ONNX Runtime.

The activations of an 8-bit model are quantised with one scale for a whole batch, so that passages scored together
change each other's scores (by up to 0.5, measured), and shorter ones pay for padding. Pairs are therefore scored one by
one, which is also the faster way on a CPU: some 8 ms for 60 tokens and 23 ms for 180 on one core.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

import anyio.to_thread

from ..families import TextModelSource
from .session import Session

Window = tuple[list[int], list[int]]
"""Tokens of a question and a part of a passage, and for each to which of the two it belongs (0 or 1)."""


@runtime_checkable
class ScoringSource(TextModelSource, Protocol):
    """A source whose file scores pairs of texts."""

    def windows(self, question: str, passages: Sequence[str]) -> list[list[Window]]:
        """The windows of each passage, one at least. Raises `base.problems.OutsideError` (question-too-long)."""
        ...


class OnnxScorer:
    """A `ScoringModel`. Opened when first used, or by `open`; thread-safe. The best window of a passage counts."""

    def __init__(self, name: str, source: ScoringSource) -> None:
        self._source = source
        self._session = Session(name, source.files["weights"])

    def open(self) -> None:
        self._session.open()

    async def score(self, question: str, passages: Sequence[str]) -> list[float]:
        if not passages:
            return []
        windows = await anyio.to_thread.run_sync(self._source.windows, question, passages)
        # Passage by passage, so that a call that is stopped ends after the one at hand.
        return [await anyio.to_thread.run_sync(self._best, each) for each in windows]

    async def close(self) -> None:
        self._session.close()

    def _best(self, windows: Sequence[Window]) -> float:
        return max(float(self._session.run([tokens], [types])[0, 0]) for tokens, types in windows)
