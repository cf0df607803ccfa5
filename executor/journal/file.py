"""A journal as a file: one SQLite database for one run, so that a commit is all or nothing and outlasts a crash.

WAL with `synchronous=FULL` syncs once for each commit. A thread commits what has been appended since its last commit
together: the event loop hands over a record in a microsecond and waits only where something is to leave the process. If
nobody waits, the thread lingers a few milliseconds for more. The connection holds the database exclusively, which is
also the lock against a second resumer: the system lets go of it when the process is gone, however it went.

Each record carries a CRC-32 of itself and the one before, so that a damaged or missing record is found.
"""

from __future__ import annotations

import asyncio
import json
import os
import sqlite3
import threading
import zlib
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field, fields
from functools import partial
from pathlib import Path
from typing import Any, cast

import anyio
import anyio.to_thread

from ...base.problems import OutsideError, Problem
from .. import journal_problems as problems
from .log import NotWritten
from .records import VERSION, Record, line

_APPLICATION = 0x61676C6A  # "aglj" in the header of the file
_COLUMNS = "number INTEGER PRIMARY KEY, said TEXT NOT NULL, crc INTEGER NOT NULL"
_LINGER = 0.005  # seconds that the thread waits for more where nobody waits for it
MAGIC = b"SQLite format 3\0"


@dataclass(frozen=True, slots=True)
class Head:
    """What a run began with. `digest` is the graph's; `immediate` are the entries that ran at once, which decides how
    stages are fused; `settings` are the deployment's; `seed` is that of its luck, `salt` of its digests. `kept` are the
    labels whose values are written, `promises` what it was promised to take (`promised`).
    `islands` are the heads of all islands, by tier, where there are several; the rest is that of home. `file`,
    `profile` and `engines` say how the command line comes to the program (`program` where it cannot be resumed, but
    looked at)."""

    run: str
    pipeline: str
    digest: str
    agentlang: str
    seed: int = 0
    salt: str = ""
    immediate: tuple[str, ...] = ()
    settings: Mapping[str, object] = field(default_factory=dict[str, object])
    kept: tuple[str, ...] = ()
    promises: Sequence[Mapping[str, Any]] = ()
    islands: Mapping[str, Mapping[str, Any]] = field(default_factory=dict[str, Mapping[str, Any]])
    file: str = ""
    program: str = ""
    source: str = ""
    profile: str | None = None
    engines: Mapping[str, str] = field(default_factory=dict[str, str])

    @classmethod
    def of(cls, data: Mapping[str, Any]) -> Head:
        known = {each.name for each in fields(cls)}
        parts = {name: part for name, part in data.items() if name in known}
        for name in ("immediate", "kept"):
            parts[name] = tuple(map(str, parts.get(name, ())))
        parts["promises"] = tuple(parts.get("promises", ()))
        return cls(**parts)


class Journal:
    """An open journal. `lines` are the records that it had when it was opened. `append` and its like are for the event
    loop that calls `begin`."""

    def __init__(
        self, path: Path, connection: sqlite3.Connection, head: Head, lines: tuple[str, ...], check: int
    ) -> None:
        self.path = path
        self.head = head
        self.lines = lines
        self.failed: Problem | None = None
        self.fresh = False
        """Whether no run has begun in it yet."""
        self._connection = connection
        self._check = check
        self._numbers = self._written = len(lines)
        self._queue: list[Record] = []
        self._urgent = False
        self._closing = False
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._waiting: list[tuple[int, anyio.Event]] = []
        self._wake: Callable[[Callable[[], None]], object] = _never
        self._on_failure: Callable[[Problem], None] = _unheard

    # --- for the event loop ---

    def begin(self, on_failure: Callable[[Problem], None]) -> None:
        """Start to write; see `Log.begin`."""
        self._wake = _waker()
        self._on_failure = on_failure
        self._thread = threading.Thread(target=self._write, name=f"journal {self.head.run}", daemon=True)
        self._thread.start()

    def append(self, record: Record) -> int:
        self._numbers += 1
        with self._changed:
            self._queue.append(record)
            if len(self._queue) == 1:
                self._changed.notify()
        return self._numbers

    def is_written(self, number: int) -> bool:
        return self._written >= number

    async def written(self, number: int) -> None:
        while self._written < number:
            if self.failed is not None:
                raise NotWritten(self.failed)
            event = anyio.Event()
            self._waiting.append((number, event))
            with self._changed:
                self._urgent = True
                self._changed.notify()
            await event.wait()

    async def close(self) -> None:
        with self._changed:
            self._closing = True
            self._changed.notify()
        if self._thread is not None:
            await anyio.to_thread.run_sync(self._thread.join)
        self._connection.close()

    def release(self) -> None:
        """Let go of it without writing; for who only reads `lines`."""
        self._connection.close()

    def remove(self) -> None:
        """The run is over, and its caller has heard so: nothing of it is kept."""
        erase(self.path)

    def _settled(self) -> None:
        """In the event loop, after a commit."""
        written = self._written
        stay: list[tuple[int, anyio.Event]] = []
        for number, event in self._waiting:
            if number <= written or self.failed is not None:
                event.set()
            else:
                stay.append((number, event))
        self._waiting = stay

    def _lost(self, problem: Problem) -> None:
        self.failed = problem
        self._settled()
        self._on_failure(problem)

    def _why(self, error: Exception) -> Problem:
        again = f"agentlang run --resume {self.head.run}" if self.head.file else None
        return problems.not_written(self.path.name, str(error), again)

    # --- the thread ---

    def _write(self) -> None:
        while True:
            with self._changed:
                while not (self._queue or self._closing):
                    self._changed.wait()
                if not (self._urgent or self._closing):
                    self._changed.wait(_LINGER)
                batch, self._queue = self._queue, []
                self._urgent = False
                closing = self._closing
            if batch:
                try:
                    self._check = _insert(self._connection, self._written, self._check, map(line, batch))
                except Exception as error:
                    # Whatever it is, those who wait must hear of it.
                    problem = self._why(error)
                    self._wake(partial(self._lost, problem))
                    return
                self._written += len(batch)
                if self._waiting:
                    self._wake(self._settled)
            elif closing:
                return


def create(path: Path, head: Head) -> Journal:
    """A new journal, which nobody else can read. Raises `NotWritten`, also where there is such a file."""
    try:
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
        connection = _connected(path)
        connection.execute(f"PRAGMA application_id = {_APPLICATION}")
        connection.execute(f"PRAGMA user_version = {VERSION}")
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("CREATE TABLE head (said TEXT NOT NULL)")
        connection.execute(
            "CREATE TABLE records (number INTEGER PRIMARY KEY, said TEXT NOT NULL, crc INTEGER NOT NULL)"
        )
        text = json.dumps(asdict(head))
        connection.execute("INSERT INTO head VALUES (?)", (text,))
        connection.execute("COMMIT")
    except (sqlite3.Error, OSError) as error:
        why = (error.strerror or str(error)).lower() if isinstance(error, OSError) else str(error)
        raise NotWritten(problems.not_written(str(path), why, None)) from None
    journal = Journal(path, connection, head, (), zlib.crc32(text.encode()))
    journal.fresh = True
    return journal


def erase(path: Path) -> None:
    """Remove a journal, with what SQLite keeps beside one that was not closed: it must not be taken for another's."""
    for name in (path.name, f"{path.name}-wal", f"{path.name}-shm", f"{path.name}-journal"):
        with suppress(OSError):
            path.with_name(name).unlink()


def open_journal(path: Path) -> Journal:
    """A journal that was written before, held by this process alone. Raises `OutsideError` for one that is held by
    another, is damaged, or is of another version."""
    name = path.name
    try:
        with path.open("rb") as file:
            if file.read(len(MAGIC)) != MAGIC:
                raise OutsideError(problems.not_a_journal(name, "it does not begin as one"))
        connection = _connected(path)
        with _closed_on_error(connection):
            # What was written is read before anything else is: a lock is tried here.
            (application,) = connection.execute("PRAGMA application_id").fetchone()
            (version,) = connection.execute("PRAGMA user_version").fetchone()
            if application != _APPLICATION:
                raise OutsideError(problems.not_a_journal(name, "it is another kind of database"))
            if version != VERSION:
                raise OutsideError(problems.other_version(name, version, VERSION))
            connection.execute("BEGIN IMMEDIATE")
            connection.execute("COMMIT")
            rows = connection.execute("SELECT number, said, crc FROM records ORDER BY number").fetchall()
            (text,) = connection.execute("SELECT said FROM head").fetchone()
            head = Head.of(json.loads(text))
            lines, check = _checked(name, rows, zlib.crc32(text.encode()))
    except sqlite3.OperationalError as error:
        if "locked" in str(error) or "busy" in str(error):
            raise OutsideError(problems.in_use(path.stem)) from None
        raise OutsideError(problems.not_a_journal(name, str(error))) from None
    except (sqlite3.Error, ValueError, TypeError) as error:
        raise OutsideError(problems.not_a_journal(name, str(error))) from None
    except OSError as error:
        raise OutsideError(problems.not_a_journal(name, (error.strerror or str(error)).lower())) from None
    return Journal(path, connection, head, lines, check)


def _connected(path: Path) -> sqlite3.Connection:
    # The thread that writes is another than the one that opens; never both at once.
    connection = sqlite3.connect(path, timeout=0.2, isolation_level=None, check_same_thread=False)
    with _closed_on_error(connection):
        connection.execute("PRAGMA locking_mode = EXCLUSIVE")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA wal_autocheckpoint = 4000")
    return connection


@contextmanager
def _closed_on_error(connection: sqlite3.Connection) -> Generator[None]:
    try:
        yield
    except BaseException:
        connection.close()
        raise


def _insert(connection: sqlite3.Connection, written: int, check: int, lines: Iterable[str]) -> int:
    """Commit the lines as the next records; the check of the last."""
    rows: list[tuple[int, str, int]] = []
    for number, text in enumerate(lines, written + 1):
        check = zlib.crc32(text.encode(), check)
        rows.append((number, text, check))
    connection.execute("BEGIN IMMEDIATE")
    try:
        connection.executemany("INSERT INTO records VALUES (?, ?, ?)", rows)
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
    return check


def _checked(name: str, rows: list[tuple[int, str, int]], check: int) -> tuple[tuple[str, ...], int]:
    lines: list[str] = []
    for place, (number, text, crc) in enumerate(rows, 1):
        if number != place:
            raise OutsideError(problems.damaged(name, place, "it is not there"))
        check = zlib.crc32(text.encode(), check)
        if check != crc:
            raise OutsideError(problems.damaged(name, place, "it is not what was written"))
        lines.append(text)
    return tuple(lines), check


def _waker() -> Callable[[Callable[[], None]], object]:
    """Runs something in this event loop, from another thread."""
    try:
        return asyncio.get_running_loop().call_soon_threadsafe
    except RuntimeError:
        import trio

        return cast("Callable[[Callable[[], None]], object]", trio.lowlevel.current_trio_token().run_sync_soon)


def _never(work: Callable[[], None]) -> None:
    del work


def _unheard(problem: Problem) -> None:
    del problem
