"""A cross-encoder: reads a question and a passage together and says how well the passage answers.

An ONNX model with 8-bit weights, run by onnxruntime. Its activations are quantised with one scale for a whole batch,
so that passages scored together change each other's scores (by up to 0.5, measured), and shorter ones pay for padding.
Pairs are therefore scored one by one, which is also the faster way on a CPU: some 8 ms for 60 tokens and 23 ms for 180
on one core. Two threads that do not spin: spinning ones double the time as soon as anything else runs.
"""

# onnxruntime has no types.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from ...base.problems import OutsideError
from ...executor.engines.problems import model_does_not_load
from .. import problems
from .wordpiece import Encoded, WordPiece

_THREADS = 2
_CONTEXT = 512


class Reranker:
    """Scores passages for a question. Opened when first used; thread-safe."""

    def __init__(self, files: Mapping[str, Path], name: str) -> None:
        self._weights = files["weights"]
        self._tokenizer = WordPiece(files["tokenizer"], name)
        self._name = name

    def score(self, question: str, passages: Sequence[str]) -> list[float]:
        """A number for each passage, the higher the better the passage answers (logits, unbounded).

        The score of a passage does not depend on the others. Of a pair that is longer than the model's context
        (512 tokens) the passage is read in windows, and the best window counts.
        Raises `OutsideError`: question-too-long if the question alone leaves no room, model-does-not-load.
        """
        if not passages:
            return []
        return [max(self._run(part) for part in self._windows(pair)) for pair in self._pairs(question, passages)]

    def open(self) -> None:
        """Read the model now instead of at the first score."""
        _ = self._session

    def _pairs(self, question: str, passages: Sequence[str]) -> list[Encoded]:
        pairs = self._tokenizer.pairs(question, passages)
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

    def _run(self, pair: Encoded) -> float:
        import numpy as np

        ids = np.array([pair.ids], dtype=np.int64)
        types = np.array([pair.types], dtype=np.int64)
        given = {"input_ids": ids, "attention_mask": np.ones_like(ids), "token_type_ids": types}
        return float(self._session.run(["logits"], given)[0][0, 0])

    @cached_property
    def _session(self) -> Any:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = _THREADS
        options.inter_op_num_threads = 1
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        try:
            return onnxruntime.InferenceSession(str(self._weights), options, providers=["CPUExecutionProvider"])
        except Exception as error:  # the library has no common base for its errors
            raise OutsideError(model_does_not_load(self._name, f"{self._weights.name}: {error}")) from error
