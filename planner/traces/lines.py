"""Lines of a file of any size, one at a time, with the hash of them all: nothing of it is kept but what somebody asks
to be shown."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from typing import IO

from ...base.problems import Problem
from ...base.source import Source, Span
from .. import trace_problems as problems

LONGEST = 1 << 20
"""Bytes of a line. A request of a million tokens has its blocks named in 40,000."""

_SHOWN = 400
"""Characters of a line that are kept for people to see."""


class Wrong(Exception):
    """A line that is no request."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.title)
        self.problem = problem


@dataclass(frozen=True, slots=True)
class Line:
    """`number` counts from 1."""

    path: str
    number: int
    text: str

    @property
    def span(self) -> Span:
        return Span(self.path, 0, 0, self.number, 1, self.number, min(len(self.text), _SHOWN) + 1)


class Lines:
    """The lines with something in them. `Wrong` where one is no text, or too long; after that there are no more."""

    def __init__(self, path: str, stream: IO[bytes]) -> None:
        self.path = path
        self._stream = stream
        self._hash = sha256()
        self._shown: dict[int, str] = {}

    def __iter__(self) -> Iterator[Line]:
        number = 0
        while data := self._next():
            number += 1
            self._hash.update(data)
            if b"\0" in data:
                raise Wrong(problems.trace_not_text(self.path, "it holds zero bytes", self._place(number)))
            if len(data) == LONGEST:
                raise Wrong(problems.trace_long(LONGEST, self._place(number)))
            try:
                text = data.decode("utf-8-sig" if number == 1 else "utf-8")
            except UnicodeDecodeError as error:
                why = f"byte {error.start + 1:,} of this line is not UTF-8"
                raise Wrong(problems.trace_not_text(self.path, why, self._place(number))) from None
            text = text.rstrip("\r\n")
            if text.strip():
                yield Line(self.path, number, text)

    def _next(self) -> bytes:
        try:
            return self._stream.readline(LONGEST)
        except OSError as error:
            raise Wrong(problems.trace_unreadable(self.path, (error.strerror or str(error)).lower())) from None

    def _place(self, number: int) -> Span:
        return Span(self.path, 0, 0, number, 1, number, 2)

    def show(self, number: int, text: str) -> None:
        """Keep a line for people to see."""
        self._shown[number] = text[:_SHOWN]

    @property
    def digest(self) -> str:
        """The SHA-256 (hex) of what was read."""
        return self._hash.hexdigest()

    def source(self) -> Source:
        """The lines to be shown, each at its number, and nothing of the others."""
        last = max(self._shown, default=0)
        return Source(self.path, "\n".join(self._shown.get(number, "") for number in range(1, last + 1)))
