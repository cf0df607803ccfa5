"""The cross-encoder on real weights: sensible order, scores that do not depend on company, nothing cut silently."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import anyio
import pytest

from agentlang.base.problems import OutsideError
from agentlang.executor.engines.onnx.scoring import OnnxScorer
from agentlang.stdlib import store
from agentlang.stdlib.models.opening import open_reranker

pytestmark = pytest.mark.models

QUESTION = "How long do I have to return something?"
PASSAGES = [
    "The label costs four euros and fifty cents, which we take off the refund.",
    "You have 30 days from the day of delivery to return something you bought.",
    "Our shops open at nine. On Sundays they are closed.",
    "Gift cards are valid for three years and cannot be exchanged for money.",
    "A tent is pitched on level ground, with its door away from the wind. " * 12,
]


@pytest.fixture(scope="module")
def files() -> Mapping[str, Path]:
    try:
        return store.obtain(store.entry("ms-marco-minilm-l12"))
    except OutsideError as error:
        pytest.skip(error.problem.title)


class Judge:
    """The reranker, for callers that do not wait."""

    def __init__(self, files: Mapping[str, Path]) -> None:
        name = "ms-marco-minilm-l12"
        self._model = OnnxScorer(name, open_reranker(store.entry(name), files))

    def score(self, question: str, passages: Sequence[str]) -> list[float]:
        return anyio.run(self._model.score, question, passages)


@pytest.fixture(scope="module")
def judge(files: Mapping[str, Path]) -> Judge:
    return Judge(files)


def test_the_answer_comes_first(judge: Judge) -> None:
    scores = judge.score(QUESTION, PASSAGES)
    assert max(range(len(PASSAGES)), key=scores.__getitem__) == 1
    assert scores[1] > 0 > scores[2], "an answer is above zero, another subject far below"
    assert min(scores, key=lambda score: score) in scores[2:]


def test_another_question_has_another_answer(judge: Judge) -> None:
    scores = judge.score("Are you open on Sunday?", PASSAGES)
    assert scores.index(max(scores)) == 2


def test_a_score_does_not_depend_on_its_company(judge: Judge) -> None:
    together = judge.score(QUESTION, PASSAGES)
    alone = [judge.score(QUESTION, [passage])[0] for passage in PASSAGES]
    assert together == pytest.approx(alone, abs=1e-4)
    assert judge.score(QUESTION, PASSAGES[::-1])[::-1] == pytest.approx(together, abs=1e-4)
    assert judge.score(QUESTION, []) == []


@pytest.mark.parametrize("filler", [45, 200])
def test_a_long_passage_is_read_to_its_end(judge: Judge, filler: int) -> None:
    noise = "The railway runs every hour from the valley to the top. " * filler
    without, with_answer = judge.score(QUESTION, [noise, noise + PASSAGES[1]])
    assert with_answer > without + 3


def test_a_question_that_is_too_long_is_refused(judge: Judge) -> None:
    with pytest.raises(OutsideError) as caught:
        judge.score("why " * 300, PASSAGES)
    assert caught.value.problem.slug == "question-too-long"
    assert "300 tokens, 46 more" in caught.value.problem.title


@pytest.mark.parametrize("data", [b"", b"not a model", None])
def test_damaged_weights_are_one_clear_problem(files: Mapping[str, Path], tmp_path: Path, data: bytes | None) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(files["weights"].read_bytes()[:-5_000_000] if data is None else data)
    with pytest.raises(OutsideError) as caught:
        Judge({**files, "weights": path}).score("a", ["b"])
    assert caught.value.problem.slug == "model-does-not-load"
