"""What a journal says, line by line: an event that the machine was told; `Begun`, that a stage which acts on the world
was about to; `Given`, that the caller came back from an item that it had read. Each is a JSON list: what it is, when,
and its parts in the order in which the class has them.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, cast

from ...base.problems import Edit, Fix, Problem, Related, Severity
from ...base.source import Span
from ..machine import events
from .values import Unreadable, from_data, to_data

VERSION = 1


@dataclass(frozen=True, slots=True)
class Begun:
    """The stage was about to act. It is written before that, so that a stage without this has not acted, and one with
    this and no end may have."""

    at: float
    stage: int


@dataclass(frozen=True, slots=True)
class Given:
    """The caller is through with the item of this number: it asked for what comes after. One that was only read may
    have been lost with the process, and is given again."""

    at: float
    seq: int


@dataclass(frozen=True, slots=True)
class Of:
    """A record of one of several islands, as a line."""

    at: float
    tier: str
    said: str


Record = events.Event | Begun | Given | Of

_KINDS: tuple[type[Record], ...] = (
    events.RunRequested,
    events.HandleOpened,
    events.HandleFailed,
    events.StageItem,
    events.StageItems,
    events.StageEnded,
    events.StageFailed,
    events.StageStopped,
    events.Taken,
    events.ReaderClosed,
    events.TimerFired,
    events.Answered,
    events.CancelRequested,
    Begun,
    Given,
    Of,
)
_BY_NAME = {kind.__name__: kind for kind in _KINDS}
_FIELDS = {kind: tuple(each.name for each in fields(kind)) for kind in _KINDS}
# A text may hold half of a surrogate pair, which only ASCII can write.
_encode = json.JSONEncoder(separators=(",", ":"), check_circular=False, allow_nan=False).encode


def line(record: Record) -> str:
    """The record as one line of JSON, without its newline."""
    kind = type(record)
    said: list[object] = [kind.__name__]
    for name in _FIELDS[kind]:
        part = getattr(record, name)
        if name in _VALUES:
            part = to_data(tuple(cast("Sequence[object]", part)) if name == "items" else part)
        elif name == "problem" and part is not None:
            part = problem_data(part)
        elif name == "usage":
            part = {unit: float(amount) for unit, amount in cast("Mapping[str, float]", part).items()}
        said.append(part)
    return _encode(said)


_VALUES = frozenset({"item", "items", "value", "inputs"})


def read(text: str, lost: Callable[[int], object]) -> Record:
    """The record of a line. `lost` is given the number of the stage that gave what cannot be written. Raises
    `Unreadable`."""
    try:
        said = json.loads(text)
        kind = _BY_NAME[said[0]]
        names = _FIELDS[kind]
        if len(said) != len(names) + 1:
            raise ValueError(f"{said[0]} has {len(names)} parts")
        parts = dict(zip(names, said[1:], strict=True))
        stage = parts.get("stage", 0)
        for name in _VALUES & parts.keys():
            parts[name] = from_data(parts[name], lambda: lost(stage))
        if parts.get("problem") is not None:
            parts["problem"] = problem_of(parts["problem"])
        return cast(Record, cast(Any, kind)(**parts))
    except Unreadable:
        raise
    except (ValueError, KeyError, TypeError, IndexError, AttributeError, RecursionError) as error:
        raise Unreadable(f"it is no record: {error}") from None


def problem_data(problem: Problem) -> dict[str, object]:
    """All of a problem, which `base.render.as_json` rounds for people."""
    fix = problem.fix
    return {
        "slug": problem.slug,
        "title": problem.title,
        "span": _span_data(problem.span),
        "severity": problem.severity.value,
        "hint": problem.hint,
        "related": [[_span_data(each.span), each.text] for each in problem.related],
        "fix": None if fix is None else [fix.title, [[_span_data(each.span), each.text] for each in fix.edits]],
        "detail": problem.detail,
    }


def problem_of(data: Mapping[str, Any]) -> Problem:
    fix = data["fix"]
    return Problem(
        data["slug"],
        data["title"],
        _span_of(data["span"]),
        Severity(data["severity"]),
        data["hint"],
        tuple(Related(cast(Span, _span_of(span)), text) for span, text in data["related"]),
        None if fix is None else Fix(fix[0], tuple(Edit(cast(Span, _span_of(span)), text) for span, text in fix[1])),
        data["detail"],
    )


def _span_data(span: Span | None) -> list[object] | None:
    if span is None:
        return None
    return [span.path, span.start, span.end, span.line, span.column, span.end_line, span.end_column]


def _span_of(data: list[Any] | None) -> Span | None:
    return None if data is None else Span(*data)
