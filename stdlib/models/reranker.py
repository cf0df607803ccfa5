"""Cross-encoders as `search.reranker` opens them: they read a question and a passage together and say how well the
passage answers. A pair that is longer than the model's context is read in windows of the passage.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from ...base.problems import OutsideError
from .. import problems
from .wordpiece import Encoded, WordPiece

_CONTEXT = 512
_READING_VERSION = 1


class RerankerSource:
    """A `ScoringSource` of the executor: `files` are an ONNX file (`weights`) and its `tokenizer`. Thread-safe."""

    def __init__(self, files: Mapping[str, Path], name: str, weights_hash: str) -> None:
        self.files = files
        self.key = f"{weights_hash} {_CONTEXT} {_READING_VERSION}"
        self._tokenizer = WordPiece(files["tokenizer"], name)
        self._name = name

    def windows(self, question: str, passages: Sequence[str]) -> list[list[tuple[list[int], list[int]]]]:
        """The windows of each pair. Raises `OutsideError`: question-too-long, model-does-not-load."""
        return [[(part.ids, part.types) for part in self._windows(pair)] for pair in self.pairs(question, passages)]

    def pairs(self, question: str, passages: Sequence[str]) -> list[Encoded]:
        """The question with each passage, whole. Raises as `windows`."""
        pairs = self._tokenizer.pairs(question, passages)
        if pairs:
            asked = pairs[0].types.index(1) if 1 in pairs[0].types else len(pairs[0].types)
            if asked > _CONTEXT // 2:
                raise OutsideError(problems.question_too_long(self._name, asked - 2, _CONTEXT // 2 - 2))
        return pairs

    def _windows(self, pair: Encoded) -> list[Encoded]:
        """The pair itself, or the question with overlapping parts of a passage that is too long."""
        if len(pair.ids) <= _CONTEXT:
            return [pair]
        asked = pair.types.index(1)
        question, passage, end = pair.ids[:asked], pair.ids[asked:-1], pair.ids[-1]
        room = _CONTEXT - asked - 1
        step = room - room // 4
        windows: list[Encoded] = []
        for start in range(0, len(passage) - room // 4, step):
            part = passage[start : start + room]
            windows.append(Encoded([*question, *part, end], [0] * asked + [1] * (len(part) + 1)))
        return windows
