"""What a line of each format says: Azure's CSV (TIMESTAMP, ContextTokens, GeneratedTokens), Mooncake's JSON Lines
(timestamp in milliseconds, input_length, output_length, hash_ids), and sessions of agents as CSV (agent, session, step,
timestamp_us, input_chars, output_chars, prefix_shared_with_prev_input_chars)."""

from __future__ import annotations

import csv
import json
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import cast

from .. import trace_problems as problems
from .lines import Line, Wrong

AZURE = ("TIMESTAMP", "ContextTokens", "GeneratedTokens")
MOONCAKE = ("timestamp", "input_length", "output_length")
SESSIONS = ("session", "step", "timestamp_us", "input_chars", "output_chars", "prefix_shared_with_prev_input_chars")

BLOCK = 512
"""Tokens that one of Mooncake's hashes names."""
PAGE = 16
"""Tokens of a page, where a trace says how much of a prompt is shared."""
CHARACTERS = 4.0
"""Of a token, where a trace counts characters."""

MOST = 1e7
"""Tokens of a prompt or a reply: what is above is a mistake."""
LATEST = 1e18
"""Milliseconds or microseconds of a moment."""


@dataclass(frozen=True, slots=True)
class Request:
    """One recorded call, at `line`: it came `at` so many seconds (of an epoch of the trace's own) with so many tokens
    of `prompt`, and was answered with so many of `reply`. `keys` name the tokens of its prompt, one for each page of
    them: equal keys behind equal keys are equal tokens. `session` is whose it is."""

    at: float
    prompt: float
    reply: float
    line: int
    keys: tuple[Hashable, ...] = ()
    session: str | None = None


@dataclass(frozen=True, slots=True)
class Fields:
    """The fields of a line by their names."""

    line: Line
    values: Mapping[str, object]

    def number(self, name: str, most: float = MOST) -> float:
        """From 0 to `most`. `Wrong` for anything else."""
        value = self.values.get(name)
        if value is None or value == "" or isinstance(value, bool):
            raise Wrong(problems.trace_missing(name, self.line.span))
        try:
            number = float(cast("str | float", value))
        except (TypeError, ValueError, OverflowError):
            raise Wrong(problems.trace_number(name, str(value)[:80], self.line.span)) from None
        if not 0.0 <= number <= most:
            raise Wrong(problems.trace_number(name, str(value)[:80], self.line.span, (0.0, most)))
        return number

    def time(self, name: str) -> float:
        """A moment as people write it, in seconds; UTC where it says no zone."""
        value = self.values.get(name)
        if not value:
            raise Wrong(problems.trace_missing(name, self.line.span))
        try:
            stamp = datetime.fromisoformat(str(value).strip())
            return (stamp if stamp.tzinfo else stamp.replace(tzinfo=UTC)).timestamp()
        except (ValueError, OverflowError):
            raise Wrong(problems.trace_time(name, str(value), self.line.span)) from None


def csv_fields(line: Line, columns: Sequence[str]) -> Fields:
    try:
        cells = next(csv.reader([line.text]), list[str]())
    except csv.Error as error:
        raise Wrong(problems.trace_csv(str(error), line.span)) from None
    return Fields(line, dict(zip(columns, (cell.strip() for cell in cells), strict=False)))


def json_fields(line: Line) -> Fields:
    try:
        found: object = json.loads(line.text)
    except (ValueError, RecursionError) as error:
        raise Wrong(problems.trace_json(str(error), line.span)) from None
    if not isinstance(found, dict):
        raise Wrong(problems.trace_json("no object", line.span))
    return Fields(line, cast("dict[str, object]", found))


def azure(fields: Fields) -> Request:
    prompt, reply = fields.number("ContextTokens"), fields.number("GeneratedTokens")
    return Request(fields.time("TIMESTAMP"), prompt, reply, fields.line.number)


def mooncake(fields: Fields) -> Request:
    prompt, reply = fields.number("input_length"), fields.number("output_length")
    hashes = fields.values.get("hash_ids", [])
    if not isinstance(hashes, list):
        raise Wrong(problems.trace_number("hash_ids", str(hashes)[:80], fields.line.span))
    keys = cast("list[object]", hashes)
    if any(not isinstance(key, int | str) for key in keys):
        raise Wrong(problems.trace_number("hash_ids", str(keys[:8]), fields.line.span))
    at = fields.number("timestamp", LATEST) / 1000.0
    return Request(at, prompt, reply, fields.line.number, cast("tuple[int, ...]", tuple(keys)))


class Sessions:
    """Lines of sessions: what a step shares with the step before it is of the same session."""

    def __init__(self) -> None:
        self._before: dict[str, tuple[Hashable, ...]] = {}

    def __call__(self, fields: Fields) -> Request:
        session = str(fields.values.get("session") or "")
        if not session:
            raise Wrong(problems.trace_missing("session", fields.line.span))
        step = int(fields.number("step"))
        prompt = max(1.0, fields.number("input_chars", MOST * CHARACTERS) / CHARACTERS)
        reply = fields.number("output_chars", MOST * CHARACTERS) / CHARACTERS
        shared = int(fields.number("prefix_shared_with_prev_input_chars", MOST * CHARACTERS) / CHARACTERS) // PAGE
        known = self._before.get(session, ())[:shared]
        keys = (*known, *((session, step, place) for place in range(len(known), int(prompt) // PAGE)))
        self._before[session] = keys
        at = fields.number("timestamp_us", LATEST) / 1e6
        return Request(at, prompt, reply, fields.line.number, keys, session)
