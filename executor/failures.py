"""From an exception that left a stage, an opener or the caller's stream to a reason and a problem.

`StageFailure` and `OutsideError` say themselves what is wrong. Anything else is a bug in the code behind the stage: it
ends the run like any failure, with the traceback in the problem's detail.
"""

from __future__ import annotations

import traceback
from dataclasses import replace
from typing import cast

from ..base.problems import OutsideError, Problem
from ..base.source import Span
from . import problems
from .kinds import StageFailure

Failed = tuple[str, Problem]


def stage_failed(error: BaseException, stage: str, span: Span | None) -> Failed:
    known = _known(error)
    if known is not None:
        return _placed(known, span)
    return "crashed", problems.stage_crashed(stage, _title(error), _trace(error), span)


def handle_failed(error: BaseException, name: str, span: Span | None) -> Failed:
    known = _known(error)
    if known is not None:
        return _placed(known, span)
    return "crashed", problems.handle_crashed(name, _title(error), _trace(error), span)


def input_failed(error: BaseException, name: str) -> Failed:
    known = _known(error)
    if known is not None:
        return known
    return "bad_input", problems.input_failed(name, _title(error))


def approver_failed(error: BaseException, stage: str) -> Problem:
    known = _known(error)
    return known[1] if known is not None else problems.approver_crashed(stage, _title(error), _trace(error))


def blamed(error: BaseException) -> str | None:
    """The stage to blame, where the error says that it is another."""
    return next((leaf.blame for leaf in _leaves(error) if isinstance(leaf, StageFailure)), None)


def _placed(failed: Failed, span: Span | None) -> Failed:
    """With the place of the stage or handle, where the problem has none of its own."""
    reason, problem = failed
    return (reason, replace(problem, span=span)) if problem.span is None else failed


def _known(error: BaseException) -> Failed | None:
    for leaf in _leaves(error):
        if isinstance(leaf, StageFailure):
            return leaf.reason, leaf.problem
        if isinstance(leaf, OutsideError):
            return leaf.reason, leaf.problem
    return None


def _leaves(error: BaseException) -> list[BaseException]:
    """The exceptions in a group (a kind may hold a task group of its own), or the one."""
    if isinstance(error, BaseExceptionGroup):
        inner = cast("BaseExceptionGroup[BaseException]", error).exceptions
        return [leaf for one in inner for leaf in _leaves(one)]
    return [error]


def _title(error: BaseException) -> str:
    leaf = _leaves(error)[0]
    text = " ".join(str(leaf).split())
    name = type(leaf).__name__
    if len(text) > 200:
        text = text[:200] + "…"
    return f"{name}: {text}" if text else name


def _trace(error: BaseException) -> str:
    return "".join(traceback.format_exception(error)).rstrip()
