"""The words for what can be wrong with a trace, each with its line and what to do."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ..base.problems import Problem
from ..base.source import Span


def trace_empty(path: str) -> Problem:
    return Problem(
        "trace-empty",
        f"{path} has no request in it",
        hint="give a trace with a line for each request, or `--rate` for requests at random",
    )


def trace_columns(missing: Sequence[str], known: Iterable[Sequence[str]], span: Span) -> Problem:
    return Problem(
        "trace-columns",
        f"the trace has no column {', '.join(missing)}",
        span,
        hint=f"a trace has {'; or '.join(', '.join(names) for names in known)}",
    )


def trace_gap(name: str, span: Span) -> Problem:
    return Problem("trace-line", f"nothing is said of {name}", span, hint="fill it in, or leave the line out")


def trace_number(name: str, value: str, span: Span, least: float | None = None) -> Problem:
    bound = "a finite number" if least is None else f"a finite number of at least {least:g}"
    return Problem(
        "trace-line", f"{name} is {value!r}, and not {bound}", span, hint="correct it, or leave the line out"
    )


def trace_time(name: str, value: str, span: Span) -> Problem:
    return Problem("trace-line", f"{name} is {value!r}, which is no time", span, hint="as in 2023-11-16 18:17:03.97996")


def trace_unsorted(seconds: float, span: Span) -> Problem:
    return Problem(
        "trace-unsorted",
        f"this request came {seconds:.6g} s before the one above it",
        span,
        hint="sort the lines by their time",
    )


def trace_json(why: str, span: Span) -> Problem:
    return Problem("trace-line", f"this line is no JSON: {why}", span, hint="one object on each line")
