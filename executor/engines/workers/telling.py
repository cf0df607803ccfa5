"""Problems across processes: a worker tells of one in words, and whoever asked raises it again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ....base.problems import OutsideError, Problem
from ..problems import PromptTooLong


def problem_words(error: OutsideError) -> dict[str, Any]:
    """A problem as plain values, for `told_problem`."""
    problem = error.problem
    words = {"slug": problem.slug, "title": problem.title, "hint": problem.hint, "detail": problem.detail}
    figures = {"tokens": error.tokens, "limit": error.limit} if isinstance(error, PromptTooLong) else {}
    return {**words, **figures}


def told_problem(name: str, words: Mapping[str, Any]) -> OutsideError:
    """The error that a worker told of model `name`."""
    if "limit" in words:
        return PromptTooLong(name, int(words["tokens"]), int(words["limit"]))
    return OutsideError(Problem(words["slug"], words["title"], hint=words["hint"], detail=words["detail"]))
