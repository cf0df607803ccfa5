"""Memory: what a session said before, as it was when a run began; kept whole, also when runs share a session."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import anyio
import pytest
from tool_calls import BACKENDS, context, library, run, value

from agentlang.base import paths
from agentlang.base.problems import OutsideError
from agentlang.stdlib.kinds.text import estimate_tokens
from agentlang.stdlib.library import Library
from agentlang.stdlib.memory.turns import Turn, newest, size

Messages = tuple[dict[str, object], ...]


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("AGENTLANG_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def asked(text: str) -> Messages:
    return ({"role": "User", "text": text},)


async def opened(shelf: Library, limit: float = 2000.0) -> Any:
    return await shelf.opener("memory:session")("notes", {"limit": limit})


async def load(shelf: Library, notes: Any, session: str | None = "ada", began: float | None = None) -> list[str]:
    found = await value(shelf, "memory:load", context(session=session, began=began), self=notes)
    return [message["text"] for message in found]


async def store(shelf: Library, notes: Any, text: str, session: str | None = "ada", began: float | None = None) -> Any:
    given = {"self": notes, "messages": asked(text), "reply": text.upper()}
    return await value(shelf, "memory:store", context(session=session, began=began), **given)


@pytest.mark.parametrize("backend", BACKENDS)
def test_what_was_said_is_there_next_time(tmp_path: Path, backend: str) -> None:
    async def work() -> None:
        shelf = library(tmp_path)
        notes = await opened(shelf)
        assert await load(shelf, notes) == []
        both = await store(shelf, notes, "hello")
        assert both == (*asked("hello"), {"role": "Assistant", "text": "HELLO"})
        await store(shelf, notes, "again")
        assert await load(shelf, notes) == ["hello", "HELLO", "again", "AGAIN"]
        # Another program run, another session, another folder.
        fresh = library(tmp_path)
        assert await load(fresh, await opened(fresh)) == ["hello", "HELLO", "again", "AGAIN"]
        assert await load(shelf, notes, "grace") == []
        (tmp_path / "other").mkdir()
        other = library(tmp_path / "other")
        assert await load(other, await opened(other)) == []

    run(library(tmp_path), work, backend)


def test_a_run_without_a_session_has_an_empty_one(tmp_path: Path, home: Path) -> None:
    async def work() -> None:
        shelf = library(tmp_path)
        notes = await opened(shelf)
        assert len(await store(shelf, notes, "hello", None)) == 2
        assert await load(shelf, notes, None) == []

    run(library(tmp_path), work)
    assert not list(home.rglob("*.json"))


def test_a_run_sees_the_conversation_as_it_was_when_it_began(tmp_path: Path) -> None:
    async def work() -> None:
        shelf = library(tmp_path)
        notes = await opened(shelf)
        await store(shelf, notes, "before", began=anyio.current_time())
        began = anyio.current_time()
        await anyio.sleep(0.01)
        await store(shelf, notes, "meanwhile", began=anyio.current_time())
        assert await load(shelf, notes, began=began) == ["before", "BEFORE"]
        assert [m["text"] for m in await store(shelf, notes, "mine", began=began)] == [
            "before",
            "BEFORE",
            "mine",
            "MINE",
        ]
        assert await load(shelf, notes) == ["before", "BEFORE", "meanwhile", "MEANWHILE", "mine", "MINE"]

    run(library(tmp_path), work)


@pytest.mark.parametrize("years", [-3, 3])
def test_a_wall_clock_that_is_set_forgets_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, years: int) -> None:
    """Another process stored a turn, and then the clock was set back, or forward; and once more during a run."""

    async def work() -> None:
        first = library(tmp_path)
        await store(first, await opened(first), "before")
        moved = [years * 365 * 86400.0]
        real = time.time
        monkeypatch.setattr(time, "time", lambda: real() + moved[0])
        second = library(tmp_path)
        notes = await opened(second)
        assert await load(second, notes) == ["before", "BEFORE"]
        began = anyio.current_time()
        moved[0] -= 86400.0
        assert await load(second, notes, began=began) == ["before", "BEFORE"]
        await store(second, notes, "after", began=began)
        assert await load(second, notes) == ["before", "BEFORE", "after", "AFTER"]

    run(library(tmp_path), work)


def test_whole_turns_that_fit_the_limit(tmp_path: Path) -> None:
    long = "word " * 100

    async def work() -> None:
        shelf = library(tmp_path)
        notes = await opened(shelf, 500.0)
        for number in range(6):
            await store(shelf, notes, f"{number} {long}")
        kept = await load(shelf, notes)
        assert [text.split()[0] for text in kept] == ["4", "4", "5", "5"]
        small = await opened(shelf, 50.0)
        assert await load(shelf, small) == []

    run(library(tmp_path), work)


def test_newest_is_a_suffix_that_fits() -> None:
    turns = tuple(Turn(str(i), float(i), asked("x " * i)) for i in range(20))
    for limit in range(0, 300, 7):
        kept = newest(turns, limit, estimate_tokens)
        assert kept == turns[len(turns) - len(kept) :]
        assert sum(size(turn.messages, estimate_tokens) for turn in kept) <= limit


@pytest.mark.parametrize("backend", BACKENDS)
def test_runs_at_once_lose_no_turns(tmp_path: Path, backend: str) -> None:
    async def work() -> None:
        shelf = library(tmp_path)
        notes = await opened(shelf)
        async with anyio.create_task_group() as group:
            for number in range(20):
                group.start_soon(store, shelf, notes, f"turn {number}")
        found = await load(shelf, notes)
        assert sorted(text for text in found if text.islower()) == sorted(f"turn {n}" for n in range(20))

    run(library(tmp_path), work, backend)


_STORING = """
import sys
from pathlib import Path
from agentlang.stdlib.memory.sessions import Sessions
from agentlang.stdlib.memory.turns import Turn
for number in range(10):
    turn = Turn(f"{sys.argv[2]}-{number}", 0.0, ({"role": "User", "text": sys.argv[2]},))
    Sessions(Path(sys.argv[1]), "notes").add("ada", turn, tuple)
"""


def test_processes_at_once_lose_no_turns(tmp_path: Path) -> None:
    command = [sys.executable, "-c", _STORING, str(tmp_path)]
    running = [subprocess.Popen([*command, str(number)]) for number in range(3)]
    assert [process.wait() for process in running] == [0, 0, 0]

    async def work() -> list[str]:
        shelf = library(tmp_path)
        return await load(shelf, await opened(shelf))

    assert len(run(library(tmp_path), work)) == 30


def test_files_are_private_and_names_of_sessions_are_no_paths(tmp_path: Path, home: Path) -> None:
    async def work() -> None:
        shelf = library(tmp_path)
        await store(shelf, await opened(shelf), "hello", "../../etc/passwd\0")

    run(library(tmp_path), work)
    (file,) = home.rglob("*.json")
    assert file.stat().st_mode & 0o777 == 0o600
    assert file.is_relative_to(paths.home() / "private")
    assert json.loads(file.read_text())["session"] == "../../etc/passwd\0"


def test_a_damaged_file_is_a_problem(tmp_path: Path, home: Path) -> None:
    async def work() -> None:
        shelf = library(tmp_path)
        notes = await opened(shelf)
        await store(shelf, notes, "hello")
        (file,) = home.rglob("*.json")
        file.write_text("{")
        with pytest.raises(OutsideError) as caught:
            await load(shelf, notes)
        assert caught.value.problem.slug == "memory-unreadable"

    run(library(tmp_path), work)
