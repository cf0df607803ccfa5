"""Journals as files and as text: what is written comes back, and what is not a journal is told apart."""

from __future__ import annotations

import json
import threading
from pathlib import Path

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentlang.base.audio import Audio
from agentlang.base.problems import Edit, Fix, OutsideError, Problem, Related, Severity
from agentlang.base.source import Span
from agentlang.executor.journal.file import Head, create, open_journal
from agentlang.executor.journal.log import NotWritten
from agentlang.executor.journal.records import Begun, Given, Record, line, read
from agentlang.executor.journal.values import Masked, Unreadable, from_data, to_data
from agentlang.executor.machine import events

HEAD = Head("r", "p", "d", "0.1.0", immediate=("text:join",), settings={"buffer": 64}, kept=("pii",))
SPAN = Span("a.agent", 1, 2, 1, 2, 1, 3)
PROBLEM = Problem(
    *("slug", "title", SPAN, Severity.WARNING, "hint"),
    related=(Related(SPAN, "why"),),
    fix=Fix("mend", (Edit(SPAN, "x"),)),
    detail="more",
)
RECORDS: list[Record] = [
    events.RunRequested(0.5, 1, "p", {"a": (1, 2.5, None), "b": Masked(("pii",), "12ab")}, 3.0, "session"),
    events.HandleOpened(1.0, "m"),
    events.HandleFailed(1.0, "m", "unreachable", PROBLEM),
    events.StageItem(1.5, 4, b"\0\xff"),
    events.StageEnded(2.0, 4, {"$": "money", "x": [Audio(b"\1\0", 8000)]}, {"tokens_out": 3.0}),
    events.StageFailed(2.0, 5, "tool_error", PROBLEM, {"seconds": 0.1}, "p.other", "p.inside"),
    events.StageStopped(2.5, 6),
    events.Taken(3.0, 7, 2),
    events.ReaderClosed(3.0, 7),
    events.TimerFired(4.0),
    events.Answered(5.0, 8, True, None),
    events.CancelRequested(6.0, 1, "cancelled"),
    Begun(6.5, 9),
    Given(7.0, 3),
]


def lost(stage: int) -> object:
    return ("lost", stage)


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: type(record).__name__)
def test_every_record_comes_back(record: Record) -> None:
    text = line(record)
    assert "\n" not in text and read(text, lost) == record


plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text() | st.binary(),
    lambda inner: st.lists(inner).map(tuple) | st.lists(inner) | st.dictionaries(st.text() | st.just("$"), inner),
    max_leaves=12,
)


@given(plain)
def test_every_value_comes_back_as_it_was(value: object) -> None:
    again = from_data(json.loads(json.dumps(to_data(value))), lambda: None)
    assert repr(again) == repr(value)  # 1, 1.0 and True differ, and so do lists and tuples


@given(st.text())
def test_no_line_is_read_that_is_no_record(text: str) -> None:
    with pytest.raises(Unreadable):
        read(text, lost)


def test_a_text_may_hold_half_a_character() -> None:
    record = events.StageEnded(0.0, 1, "a\ud800z")
    assert read(line(record).encode().decode(), lost) == record


def test_what_only_this_process_holds_is_lost() -> None:
    for value in (object(), (1, object()), {"a": object()}):
        record = read(line(events.StageEnded(0.0, 12, value)), lost)
        assert isinstance(record, events.StageEnded) and record.value == ("lost", 12)


def unheard(problem: Problem) -> None:
    raise AssertionError(problem)


def write(path: Path, count: int = 20) -> None:
    async def main() -> None:
        journal = create(path, HEAD)
        journal.begin(unheard)
        for number in range(count):
            journal.append(Begun(float(number), number))
        await journal.written(count)
        assert journal.is_written(count)
        await journal.close()

    anyio.run(main)


def test_a_journal_goes_on_where_it_ended(tmp_path: Path) -> None:
    path = tmp_path / "a.journal"
    write(path)
    assert path.stat().st_mode & 0o777 == 0o600
    assert [each.name for each in tmp_path.iterdir()] == ["a.journal"], "one file can be taken elsewhere"

    async def more() -> None:
        journal = open_journal(path)
        assert (journal.head, journal.fresh, len(journal.lines)) == (HEAD, False, 20)
        with pytest.raises(OutsideError) as held:
            open_journal(path)
        assert held.value.problem.slug == "journal-in-use"
        journal.begin(unheard)
        assert journal.append(Begun(20.0, 20)) == 21
        await journal.close()

    anyio.run(more)
    journal = open_journal(path)
    journal.release()
    assert [read(text, lost) for text in journal.lines] == [Begun(float(n), n) for n in range(21)]
    with pytest.raises(NotWritten):
        create(path, HEAD)


def test_many_wait_for_few_commits(tmp_path: Path) -> None:
    """While one commit is under way, what comes is gathered for the next."""

    async def main() -> int:
        journal = create(tmp_path / "a.journal", HEAD)
        journal.begin(unheard)
        commits: list[int] = []
        settle = journal._settled  # pyright: ignore[reportPrivateUsage]

        def settled() -> None:
            commits.append(threading.get_ident())
            settle()

        journal._settled = settled  # pyright: ignore[reportPrivateUsage]
        async with anyio.create_task_group() as group:
            for number in range(200):
                group.start_soon(journal.written, journal.append(Begun(0.0, number)))
        await journal.close()
        return len(commits)

    assert anyio.run(main) < 100


@pytest.mark.parametrize("data", [b"", b"SQLite format 3\0", b"{}\n", bytes(4096)])
def test_what_is_no_journal_is_refused(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "a.journal"
    path.write_bytes(data)
    with pytest.raises(OutsideError) as wrong:
        open_journal(path)
    assert wrong.value.problem.slug == "journal-damaged"


def test_any_byte_that_is_changed_is_found_or_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "a.journal"
    write(path)
    whole = path.read_bytes()
    before = open_journal(path)
    before.release()
    for place in range(0, len(whole), 97):
        damaged = bytearray(whole)
        damaged[place] ^= 0x55
        path.write_bytes(bytes(damaged))
        try:
            journal = open_journal(path)
        except OutsideError as error:
            assert error.problem.slug in ("journal-damaged", "journal-version", "journal-in-use"), place
        else:
            journal.release()
            assert (journal.lines, journal.head) == (before.lines, before.head), place
        for beside in tmp_path.glob("a.journal-*"):
            beside.unlink()
