"""Cassettes as files: a recording is written call by call beside its place and takes it when it is done, so that an
interrupted one leaves the cassette that was there, and what it has so far in `NAME.part`.

Labelled values are masked, and what is known to be a secret never reaches a line, wherever it came from.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, TextIO, cast

from . import problems
from .base.problems import OutsideError, Problem, Problems, has_errors
from .executor.cassettes import Cassette, Recorded, first_line, line
from .executor.cassettes import read as read_text

if TYPE_CHECKING:
    from .api import Compiled
    from .executor.backends import Backend

LARGEST = 1 << 30
"""Bytes of a cassette that is read."""


class Recording:
    """A cassette that is being written, as a context manager: at its end the file stands at `path`, unless it was left
    by an exception. `programs` are the files that are run; labels in `kept` are not masked."""

    def __init__(self, path: Path | str, programs: Sequence[str] = (), kept: Sequence[str] = ()) -> None:
        self.path = Path(path)
        self.part = self.path.with_name(f"{self.path.name}.part")
        self.calls = 0
        self._head = Cassette((), secrets.token_hex(8), tuple(programs), tuple(kept))
        self._file: TextIO | None = None
        self._whole = True
        self._failed: Problem | None = None

    def __enter__(self) -> Recording:
        try:
            self._file = self.part.open("w", encoding="utf-8", newline="\n")
        except OSError as error:
            raise OutsideError(problems.cassette_unwritable(str(self.path), _reason(error))) from None
        self._write(first_line(self._head))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._file is not None
        try:
            self._file.close()
            if kind is None and self._whole and self._failed is None:
                self.part.replace(self.path)
        except OSError as failed:
            self._failed = problems.cassette_unwritable(str(self.path), _reason(failed))
        if self._failed is not None and kind is None:
            raise OutsideError(self._failed)

    def interrupted(self) -> None:
        """What is recorded is not all: it stays in `part`."""
        self._whole = False

    def backend(self, inner: Backend, compiled: Compiled) -> Backend:
        """Runs by `inner`, and writes down what models and tools answer."""
        from .executor.backends.recording import RecordingBackend
        from .executor.labels import labels_of

        def sink(recorded: Recorded) -> None:
            self.calls += 1
            self._write(line(_without_secrets(recorded, compiled.library.mask)))

        head = self._head
        return RecordingBackend(inner, sink, salt=head.salt, labels=labels_of(compiled.graph), kept=head.kept)

    def _write(self, text: str) -> None:
        assert self._file is not None
        try:
            if self._failed is None:
                self._file.write(text)
                self._file.flush()
        except OSError as error:
            # Told at the end: a disk that is full is no failure of the stage whose answer was to be written.
            self._failed = problems.cassette_unwritable(str(self.path), _reason(error))


@dataclass(frozen=True)
class Tape:
    """A cassette that was read from a file."""

    path: str
    cassette: Cassette

    def backend(self, inner: Backend, compiled: Compiled, missing: Callable[[Problem], None] | None = None) -> Backend:
        """Gives the recorded answers; `inner` runs what only computes. `missing` hears of what is not there."""
        from .executor.backends.replaying import ReplayBackend
        from .executor.labels import labels_of

        return ReplayBackend(self.cassette, inner, missing, labels_of(compiled.graph))


def read(path: Path | str) -> tuple[Tape | None, Problems]:
    """A cassette from its file. A line that is none is a problem; without a first line there is no cassette."""
    name, file = str(path), Path(path)
    try:
        if file.stat().st_size > LARGEST:
            return None, (problems.cassette_unread(name, f"it is larger than {LARGEST >> 30} GiB"),)
        text = file.read_bytes().decode("utf-8")
    except FileNotFoundError:
        part = file.with_name(f"{file.name}.part")
        return None, (problems.no_cassette(name, str(part) if part.exists() else None),)
    except OSError as error:
        return None, (problems.cassette_unread(name, _reason(error)),)
    except UnicodeDecodeError as error:
        return None, (problems.cassette_unread(name, f"byte {error.start:,} is not UTF-8"),)
    cassette, found = read_text(text, name)
    return (None if has_errors(found) else Tape(name, cassette)), found


def _without_secrets(recorded: Recorded, mask: Callable[[str], str]) -> Recorded:
    def clean(value: object) -> object:
        if isinstance(value, str):
            return mask(value)
        if isinstance(value, Mapping):
            return {mask(str(name)): clean(item) for name, item in cast("Mapping[object, object]", value).items()}
        if isinstance(value, list | tuple):
            return [clean(item) for item in cast("Sequence[object]", value)]
        return value

    return replace(
        recorded,
        arguments=cast("Mapping[str, object]", clean(recorded.arguments)),
        value=clean(recorded.value),
        items=None if recorded.items is None else tuple(clean(item) for item in recorded.items),
        failure=recorded.failure and (recorded.failure[0], mask(recorded.failure[1])),
    )


def _reason(error: OSError) -> str:
    return (error.strerror or str(error)).lower()
