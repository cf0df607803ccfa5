"""The words for what can be wrong with a trace, each with its line and what to do."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ..base.problems import Problem, Related, Severity
from ..base.source import Span
from ..base.suggest import suggest
from .figures import show_value


def trace_no_such_file(path: str, names: Sequence[str] | None) -> Problem:
    """`names` are the files of its folder; None if there is no such folder."""
    if names is None:
        hint = "there is no such folder either; check the path"
    else:
        near = suggest(path.rpartition("/")[2], names)
        hint = f"did you mean {near}?" if near else "check the path"
    return Problem("no-such-file", f"there is no trace {path}", hint=hint)


def trace_folder(path: str) -> Problem:
    return Problem("not-a-file", f"{path} is a folder, not a trace", hint="name a file in it, CSV or JSON Lines")


def trace_unreadable(path: str, reason: str) -> Problem:
    return Problem("unreadable-file", f"{path} cannot be read: {reason}", hint="check its permissions")


def trace_not_text(path: str, why: str, span: Span) -> Problem:
    hint = "a trace is CSV or JSON Lines in UTF-8; unpack it first if it is compressed"
    return Problem("not-text", f"{path} is not text: {why}", span, hint=hint)


def trace_long(longest: int, span: Span) -> Problem:
    title = f"this line has more than {longest:,} bytes"
    return Problem("trace-line", title, span, hint="give each request a line of its own")


def trace_empty(path: str) -> Problem:
    return Problem(
        "trace-empty",
        f"{path} has no request in it",
        hint="give a trace with a line for each request, or leave `--trace` out",
    )


def trace_columns(missing: Sequence[str], known: Iterable[Sequence[str]], span: Span) -> Problem:
    return Problem(
        "trace-columns",
        f"the trace has no column {', '.join(missing)}",
        span,
        hint=f"a trace has {'; or '.join(', '.join(names) for names in known)}",
    )


def trace_missing(name: str, span: Span) -> Problem:
    return Problem("trace-line", f"nothing is said of {name}", span, hint="fill it in, or leave the line out")


def trace_number(name: str, value: str, span: Span, bounds: tuple[float, float] | None = None) -> Problem:
    wanted = "a finite number" if bounds is None else f"a number from {bounds[0]:,.0f} to {bounds[1]:,.0f}"
    shown = value if len(value) <= 40 else f"{value[:39]}…"
    return Problem(
        "trace-line", f"{name} is {shown!r}, and not {wanted}", span, hint="correct it, or leave the line out"
    )


def trace_time(name: str, value: str, span: Span) -> Problem:
    shown = value if len(value) <= 40 else f"{value[:39]}…"
    return Problem("trace-line", f"{name} is {shown!r}, which is no time", span, hint="as in 2023-11-16 18:17:03.97996")


def trace_unsorted(seconds: float, span: Span) -> Problem:
    return Problem(
        "trace-unsorted",
        f"this request came {seconds:.6g} s before the one above it",
        span,
        hint="sort the lines by their time",
    )


def trace_json(why: str, span: Span) -> Problem:
    return Problem("trace-line", f"this line is no JSON: {why}", span, hint="one object on each line")


def trace_csv(why: str, span: Span) -> Problem:
    return Problem("trace-line", f"this line is no CSV: {why}", span, hint="correct it, or leave the line out")


def trace_pause(
    pause: float, explained: float, pauses: int, paused: float, rates: tuple[float, float], ends: tuple[Span, Span]
) -> Problem:
    """`explained` is the longest pause that arrivals at random would have; `pauses` are longer, `paused` seconds in
    all. `rates` are those of the whole trace and of it without them."""
    several = f", and {pauses - 1} more above {explained:.3g} s" if pauses > 1 else ""
    return Problem(
        "trace-gap",
        f"no request came for {show_value(pause, 's')} after this one{several}: the mean rate hides it",
        ends[0],
        Severity.WARNING,
        hint=(
            f"the mean, {rates[0]:.3g} per s, is {rates[1]:.3g} per s without the {show_value(paused, 's')} in which "
            "nothing came; where the recording stopped, cut the trace there"
        ),
        related=(Related(ends[1], "the next one"),),
    )


def trace_short(path: str, requests: int) -> Problem:
    title = f"{path} has one request" if requests == 1 else f"the {requests:,} requests of {path} came at one moment"
    return Problem(
        "trace-short",
        f"{title}: how often they come does not follow",
        severity=Severity.WARNING,
        hint="state `rate` in the goal, or give a longer trace",
    )
