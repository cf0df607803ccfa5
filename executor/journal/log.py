"""What the durable shell writes to. `MemoryLog` keeps all in this process: for tests, for what is only looked at, and
for a virtual clock, which would not wait for a disk."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from ...base.problems import OutsideError, Problem
from .records import Record, line


class NotWritten(OutsideError):
    """The journal cannot be written any more, so nothing may leave that it has not."""

    reason = "not_journaled"


class Log(Protocol):
    """Records are numbered from 1, in the order in which they are appended, and written in it."""

    @property
    def failed(self) -> Problem | None:
        """Why nothing is written any more."""
        ...

    def begin(self, on_failure: Callable[[Problem], None]) -> None:
        """To be called in the event loop, before anything is appended. `on_failure` hears there why nothing is written
        any more."""
        ...

    def append(self, record: Record) -> int:
        """Take the record, without waiting; its number. Whoever gives it does not change it."""
        ...

    def is_written(self, number: int) -> bool: ...

    async def written(self, number: int) -> None:
        """Returns when all records up to this one outlast a crash of the machine. Raises `NotWritten`."""
        ...

    async def close(self) -> None:
        """Write what was appended, and let go of the journal."""
        ...


class MemoryLog:
    """Records as lines in a list."""

    failed: Problem | None = None

    def __init__(self) -> None:
        self.lines: list[str] = []

    def begin(self, on_failure: Callable[[Problem], None]) -> None:
        del on_failure

    def append(self, record: Record) -> int:
        self.lines.append(line(record))
        return len(self.lines)

    def is_written(self, number: int) -> bool:
        del number
        return True

    async def written(self, number: int) -> None:
        del number

    async def close(self) -> None:
        pass
