"""What was built before: found, built once, built again where it is damaged."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from agentlang import builds
from agentlang.base.paths import UnsafeFolder


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("AGENTLANG_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def test_a_result_is_made_once() -> None:
    made: list[int] = []

    def make() -> bytes:
        made.append(1)
        return b"result"

    assert [builds.once("a", make) for _ in range(3)] == [b"result"] * 3
    assert builds.once("b", make) == b"result"
    assert len(made) == 2


def test_nothing_is_kept_of_what_fails() -> None:
    assert builds.once("a", lambda: None) is None
    assert builds.once("a", lambda: b"later") == b"later"


@pytest.mark.parametrize("damage", ["cut", "empty", "altered", "head", "folder"])
def test_a_damaged_result_is_made_again(home: Path, damage: str) -> None:
    builds.keep("a", b"result")
    file = home / "private" / "builds" / "a"
    data = file.read_bytes()
    if damage == "folder":
        file.unlink()
        file.mkdir()
    else:
        bad = {"cut": data[:-1], "empty": b"", "altered": data[:-1] + b"X", "head": b"X" + data[1:]}[damage]
        file.write_bytes(bad)
    assert builds.recall("a") is None
    assert builds.once("a", lambda: b"result") == b"result"
    if damage != "folder":
        assert builds.recall("a") == b"result"


def test_the_folder_is_this_users_alone(home: Path) -> None:
    builds.keep("a", b"result")
    folder = home / "private" / "builds"
    assert folder.stat().st_mode & 0o777 == 0o700
    assert (folder / "a").stat().st_mode & 0o777 == 0o600
    folder.chmod(0o777)
    with pytest.raises(UnsafeFolder):
        builds.recall("a")


def test_a_home_that_cannot_be_written_costs_time_and_no_result(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("AGENTLANG_HOME", str(tmp_path / "file" / "home"))
    assert builds.once("a", lambda: b"result") == b"result"


def test_the_key_names_what_is_asked_and_the_code(monkeypatch: pytest.MonkeyPatch) -> None:
    keys = {builds.key("text", 1), builds.key("text", 2), builds.key("text", "1"), builds.key(["text", 1])}
    assert len(keys) == 4
    assert builds.key("text", 1) == builds.key("text", 1)
    before = builds.key("text", 1)
    monkeypatch.setattr(builds, "stamp", lambda: "another code")
    assert builds.key("text", 1) != before


def test_the_oldest_results_go(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(builds, "_MOST", 3)
    folder = home / "private" / "builds"
    for number in range(5):
        builds.keep(f"r{number}", b"x")
        os.utime(folder / f"r{number}", ns=(number * 10**9, number * 10**9))
    lock = folder / "old.lock"
    lock.touch()
    os.utime(lock, (0, 0))
    (folder / "new.lock").touch()
    builds.keep("r5", b"x")
    left = {path.name for path in folder.iterdir()}
    assert len([name for name in left if name.startswith("r")]) == 3 and "r5" in left
    assert "old.lock" not in left and "new.lock" in left


_WORKER = """
import sys, time
from pathlib import Path
from agentlang import builds
log = Path(sys.argv[1])
def make():
    with log.open("a") as file:
        file.write("made\\n")
    time.sleep(0.5)
    return b"result"
assert builds.once("shared", make) == b"result"
"""


def test_two_processes_build_the_same_thing_once(tmp_path: Path) -> None:
    log = tmp_path / "log"
    workers = [subprocess.Popen([sys.executable, "-c", _WORKER, str(log)]) for _ in range(3)]
    assert [worker.wait(60) for worker in workers] == [0, 0, 0]
    assert log.read_text() == "made\n"


def test_a_builder_that_is_killed_leaves_no_lock(tmp_path: Path) -> None:
    log = tmp_path / "log"
    worker = subprocess.Popen([sys.executable, "-c", _WORKER.replace("sleep(0.5)", "sleep(60)"), str(log)])
    until = time.monotonic() + 30
    while not log.exists() and time.monotonic() < until:
        time.sleep(0.02)
    worker.kill()
    worker.wait()
    assert builds.once("shared", lambda: b"result") == b"result"
