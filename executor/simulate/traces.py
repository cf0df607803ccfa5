"""Recorded requests as arrivals: Azure's CSV (TIMESTAMP, ContextTokens, GeneratedTokens), Mooncake's JSON Lines
(timestamp in milliseconds, input_length, output_length, hash_ids), and sessions of agents as CSV (agent, session, step,
timestamp_us, input_chars, output_chars, prefix_shared_with_prev_input_chars).

Pure: text in, arrivals and problems out, each at its line. Times count from the first request.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from math import isfinite
from typing import cast

from ...base.problems import Problem, Problems
from ...base.source import Source, Span
from .. import trace_problems as problems
from .arrivals import Arrival

AZURE = ("TIMESTAMP", "ContextTokens", "GeneratedTokens")
MOONCAKE = ("timestamp", "input_length", "output_length")
SESSIONS = ("session", "step", "timestamp_us", "input_chars", "output_chars", "prefix_shared_with_prev_input_chars")

BLOCK = 512
"""Tokens that one of Mooncake's hashes names."""
PAGE = 16
"""Tokens of a page, where a trace says how much of a prompt is shared."""
CHARACTERS = 4.0
"""Of a token, where a trace counts characters."""

MOST_SHOWN = 5
"""Problems of one trace; who has more of them has the wrong file."""


@dataclass(frozen=True, slots=True)
class Trace:
    """`page` is how many tokens one of its keys names, 0 where it has none. `notes` say how it was read."""

    format: str
    arrivals: tuple[Arrival, ...]
    page: int = 0
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Named:
    """The pipeline's sizes that a trace's prompts and replies are; None where it has none."""

    prompt: str | None
    reply: str | None

    def sizes(self, prompt: float, reply: float) -> dict[str, float]:
        return {name: count for name, count in ((self.prompt, prompt), (self.reply, reply)) if name is not None}


class _Wrong(Exception):
    """A line that is no request."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.title)
        self.problem = problem


@dataclass(frozen=True, slots=True)
class _Line:
    """One record with its place."""

    span: Span
    fields: Mapping[str, object]

    def number(self, name: str, least: float = 0.0) -> float:
        value = self.fields.get(name)
        if value is None or value == "" or isinstance(value, bool):
            raise _Wrong(problems.trace_gap(name, self.span))
        try:
            number = float(cast("str | float", value))
        except (TypeError, ValueError):
            raise _Wrong(problems.trace_number(name, str(value), self.span)) from None
        if not isfinite(number) or number < least:
            raise _Wrong(problems.trace_number(name, str(value), self.span, least))
        return number

    def time(self, name: str) -> float:
        value = self.fields.get(name)
        if not value:
            raise _Wrong(problems.trace_gap(name, self.span))
        try:
            # Seven digits behind the point are more than Python reads.
            whole, _, part = str(value).strip().partition(".")
            stamp = datetime.fromisoformat(whole).replace(tzinfo=UTC).timestamp()
            return stamp + (float(f"0.{part}") if part else 0.0)
        except ValueError:
            raise _Wrong(problems.trace_time(name, str(value), self.span)) from None


def read_trace(source: Source, named: Named) -> tuple[Trace | None, Problems]:
    """The requests of a trace, whatever its format. None with problems where a line is no request: something is
    missing, is no number, is negative or not finite, or comes before the line above it."""
    lines = _lines(source)
    if not lines:
        return None, (problems.trace_empty(source.path),)
    head = lines[0][1]
    if head.lstrip().startswith("{"):
        return _read("mooncake", _json(source, lines), source, lambda found: _mooncake(found, named), BLOCK)
    columns = [name.strip() for name in head.split(",")]
    if all(name in columns for name in SESSIONS):
        return _sessions(source, lines, columns, named)
    missing = [name for name in AZURE if name not in columns]
    if missing:
        return None, (problems.trace_columns(missing, (AZURE, SESSIONS, MOONCAKE), _span(source, *lines[0])),)
    return _read("azure", _csv(source, lines, columns), source, lambda found: _azure(found, named), 0)


def _lines(source: Source) -> list[tuple[int, str]]:
    """The lines with something in them, each with where it begins."""
    out: list[tuple[int, str]] = []
    start = 0
    for line in source.text.split("\n"):
        if line.strip():
            out.append((start, line.rstrip("\r")))
        start += len(line) + 1
    return out


def _span(source: Source, start: int, line: str) -> Span:
    return source.span(start, start + len(line))


def _csv(source: Source, lines: list[tuple[int, str]], columns: list[str]) -> Iterator[_Line]:
    for start, line in lines[1:]:
        cells = next(csv.reader([line]))
        yield _Line(_span(source, start, line), dict(zip(columns, (cell.strip() for cell in cells), strict=False)))


def _json(source: Source, lines: list[tuple[int, str]]) -> Iterator[_Line]:
    for start, line in lines:
        span = _span(source, start, line)
        try:
            found: object = json.loads(line)
        except ValueError as error:
            raise _Wrong(problems.trace_json(str(error), span)) from None
        if not isinstance(found, dict):
            raise _Wrong(problems.trace_json("no object", span))
        yield _Line(span, cast("dict[str, object]", found))


def _read(
    name: str,
    lines: Iterator[_Line],
    source: Source,
    read: Callable[[_Line], Arrival],
    page: int,
) -> tuple[Trace | None, Problems]:
    found: list[Problem] = []
    out: list[Arrival] = []
    last: tuple[float, Span] | None = None
    while len(found) < MOST_SHOWN:
        try:
            line = next(lines, None)
            if line is None:
                break
            arrival = read(line)
        except _Wrong as wrong:
            found.append(wrong.problem)
            continue
        if last is not None and arrival.at < last[0]:
            found.append(problems.trace_unsorted(last[0] - arrival.at, line.span))
            break
        last = (arrival.at, line.span)
        out.append(arrival)
    if found:
        return None, tuple(found)
    if not out:
        return None, (problems.trace_empty(source.path),)
    return Trace(name, _from_zero(out), page), ()


def _from_zero(arrivals: list[Arrival]) -> tuple[Arrival, ...]:
    zero = arrivals[0].at
    return tuple(Arrival(a.at - zero, a.sizes, a.keys, a.session) for a in arrivals)


def _azure(line: _Line, named: Named) -> Arrival:
    sizes = named.sizes(line.number("ContextTokens"), line.number("GeneratedTokens"))
    return Arrival(line.time("TIMESTAMP"), sizes)


def _mooncake(line: _Line, named: Named) -> Arrival:
    sizes = named.sizes(line.number("input_length"), line.number("output_length"))
    hashes = line.fields.get("hash_ids", [])
    if not isinstance(hashes, list):
        raise _Wrong(problems.trace_number("hash_ids", str(line.fields["hash_ids"]), line.span))
    keys = cast("list[object]", hashes)
    if any(not isinstance(key, int | str) for key in keys):
        raise _Wrong(problems.trace_number("hash_ids", str(keys)[:40], line.span))
    return Arrival(line.number("timestamp") / 1000.0, sizes, cast("tuple[int, ...]", tuple(keys)))


def _sessions(
    source: Source, lines: list[tuple[int, str]], columns: list[str], named: Named
) -> tuple[Trace | None, Problems]:
    """Each line names its session, so they need not stand in order of time; what a step shares with the step before it
    is of the same session."""
    before: dict[str, tuple[object, ...]] = {}

    def read(line: _Line) -> Arrival:
        session = str(line.fields.get("session") or "")
        if not session:
            raise _Wrong(problems.trace_gap("session", line.span))
        step = int(line.number("step"))
        prompt = max(1.0, line.number("input_chars") / CHARACTERS)
        reply = line.number("output_chars") / CHARACTERS
        shared = int(line.number("prefix_shared_with_prev_input_chars") / CHARACTERS) // PAGE
        known = before.get(session, ())[:shared]
        keys = (*known, *((session, step, place) for place in range(len(known), int(prompt) // PAGE)))
        before[session] = keys
        return Arrival(line.number("timestamp_us") / 1e6, named.sizes(prompt, reply), keys, session)

    found: list[Problem] = []
    out: list[Arrival] = []
    for line in _csv(source, lines, columns):
        try:
            out.append(read(line))
        except _Wrong as wrong:
            found.append(wrong.problem)
            if len(found) == MOST_SHOWN:
                break
    if found:
        return None, tuple(found)
    if not out:
        return None, (problems.trace_empty(source.path),)
    out.sort(key=lambda arrival: arrival.at)
    notes = (f"a token of it counts as {CHARACTERS:g} characters",)
    return Trace("sessions", _from_zero(out), PAGE, notes), ()
