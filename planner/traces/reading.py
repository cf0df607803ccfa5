"""Requests of a trace, one after another, with everything that is wrong with it, each at its line.

A fault ends the reading after a few of its kind, since who has more of them has the wrong file; what was read so far
then counts for nothing. Times must not go back: a trace that is not sorted is refused and not sorted here, because what
looks like disorder is as often two recordings in one file, or a clock that was set. Lines of sessions, which are
recorded one session after the other, are the exception.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterator
from math import inf, log
from typing import IO

from ...base.problems import Problem, Problems, Severity, has_errors
from ...base.source import Source, Span
from .. import trace_problems as problems
from .formats import (
    AZURE,
    BLOCK,
    CHARACTERS,
    MOONCAKE,
    PAGE,
    SESSIONS,
    Fields,
    Request,
    Sessions,
    azure,
    csv_fields,
    json_fields,
    mooncake,
)
from .lines import Line, Lines, Wrong

MOST_SHOWN = 5
"""Problems of one trace."""

RARE = 1000.0
"""A pause is told that random arrivals would have in one such trace of a thousand."""


class Reader:
    """The requests of a trace, in order of their times, by iterating once. Afterwards `problems` has what is wrong (an
    error forbids to use what was given), `digest` names the bytes, `source` has the lines to be shown."""

    def __init__(self, path: str, stream: IO[bytes]) -> None:
        self.path = path
        self.format = ""
        self.page = 0
        """Tokens that one key of a request names; 0 where it has none."""
        self.notes: tuple[str, ...] = ()
        self._lines = Lines(path, stream)
        self._problems: list[Problem] = []
        self._pauses = _Pauses()

    @property
    def problems(self) -> Problems:
        return tuple(self._problems)

    @property
    def digest(self) -> str:
        return self._lines.digest

    def source(self) -> Source:
        return self._lines.source()

    def __iter__(self) -> Iterator[Request]:
        try:
            read = self._requests()
            found = self._in_order(read) if self.format == "sessions" else self._as_they_stand(read)
            for request in found:
                self._pauses.add(request)
                yield request
        except Wrong as wrong:
            self._tell(wrong)
        if has_errors(self._problems):
            return
        if not self._pauses.count:
            self._problems.append(problems.trace_empty(self.path))
            return
        self._problems += self._pauses.problems(self.path)

    def _tell(self, wrong: Wrong, line: Line | None = None) -> None:
        self._problems.append(wrong.problem)
        if line is not None:
            self._lines.show(line.number, line.text)

    def _requests(self) -> Iterator[tuple[Line, Request]]:
        """Of all lines that are requests; of the others, a problem is kept."""
        lines = iter(self._lines)
        head = next(lines, None)
        if head is None:
            return iter(())
        if head.text.lstrip().startswith("{"):
            self.format, self.page = "mooncake", BLOCK
            return self._read(_before(head, lines), json_fields, mooncake)
        columns = [name.strip() for name in head.text.split(",")]

        def fields(line: Line) -> Fields:
            return csv_fields(line, columns)

        if all(name in columns for name in SESSIONS):
            self.format, self.page = "sessions", PAGE
            self.notes = (f"a token of it counts as {CHARACTERS:g} characters",)
            return self._read(lines, fields, Sessions())
        missing = [name for name in AZURE if name not in columns]
        if missing:
            self._lines.show(head.number, head.text)
            raise Wrong(problems.trace_columns(missing, (AZURE, SESSIONS, MOONCAKE), head.span))
        self.format = "azure"
        return self._read(lines, fields, azure)

    def _read(
        self, lines: Iterator[Line], fields: Callable[[Line], Fields], made: Callable[[Fields], Request]
    ) -> Iterator[tuple[Line, Request]]:
        for line in lines:
            try:
                request = made(fields(line))
            except Wrong as wrong:
                self._tell(wrong, line)
                if len(self._problems) >= MOST_SHOWN:
                    return
                continue
            yield line, request

    def _as_they_stand(self, read: Iterator[tuple[Line, Request]]) -> Iterator[Request]:
        last, before = -inf, None
        for line, request in read:
            if request.at < last:
                self._tell(Wrong(problems.trace_unsorted(last - request.at, line.span)), line)
                return
            if before is not None and self._pauses.is_longest(request.at - last):
                self._lines.show(before.number, before.text)
                self._lines.show(line.number, line.text)
            last, before = request.at, line
            yield request

    def _in_order(self, read: Iterator[tuple[Line, Request]]) -> Iterator[Request]:
        yield from sorted((request for _, request in read), key=lambda request: request.at)


def _before(first: Line, rest: Iterator[Line]) -> Iterator[Line]:
    yield first
    yield from rest


class _Pauses:
    """The times between requests, and whether the mean rate explains the longest: of so many pauses between arrivals
    at random, one above (log n + log 1000) / rate comes in one trace of a thousand."""

    def __init__(self) -> None:
        self.count = 0
        self._pauses = array("d")
        self._last: Request | None = None
        self._longest = (0.0, 0, 0)

    def is_longest(self, pause: float) -> bool:
        return pause > self._longest[0]

    def add(self, request: Request) -> None:
        self.count += 1
        if self._last is not None:
            pause = request.at - self._last.at
            self._pauses.append(pause)
            if self.is_longest(pause):
                self._longest = (pause, self._last.line, request.line)
        self._last = request

    def problems(self, path: str) -> list[Problem]:
        seconds = sum(self._pauses)
        if not seconds > 0.0:
            return [problems.trace_short(path, self.count)]
        count = len(self._pauses)
        rate = count / seconds
        explained = (log(count) + log(RARE)) / rate
        longer = [pause for pause in self._pauses if pause > explained]
        if not longer:
            return []
        rest = seconds - sum(longer)
        rates = (rate, (count - len(longer)) / rest if rest > 0.0 else inf)
        pause, first, second = self._longest
        ends = (Span(path, 0, 0, first, 1, first, 2), Span(path, 0, 0, second, 1, second, 2))
        return [problems.trace_pause(pause, explained, len(longer), sum(longer), rates, ends)]


def warnings(found: Problems) -> Problems:
    """What is worth knowing of a trace that can be used."""
    return tuple(each for each in found if each.severity is not Severity.ERROR)
