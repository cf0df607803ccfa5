"""`run --on processes` and `worker` as a user types them: what is left of them when they end, and who is refused."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from cli_runs import COMMAND, agentlang, fresh_home
from placed_runs import PROGRAM, TOOLS, heard, placing, ready

from agentlang.base import version
from agentlang.base.problems import Problem
from agentlang.executor import wire
from agentlang.executor.workers.places import Papers
from agentlang.placed import coordinated

pytestmark = pytest.mark.slow


def program(folder: Path) -> Path:
    (folder / "tools.py").write_text(TOOLS)
    (folder / "log").touch()
    path = folder / "placed.agent"
    path.write_text(PROGRAM)
    return path


def children(process: int) -> list[int]:
    found: list[int] = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            if int(fields[1]) == process and fields[0] != "Z":
                found.append(int(entry.name))
    return found


def gone(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


@contextmanager
def running(*words: str) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [COMMAND, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def test_the_command_gives_what_one_process_gives(tmp_path: Path) -> None:
    path = program(tmp_path)
    words = ["run", f"{path}:clean", 'texts=["a@b.org", "c"]', "--quiet"]
    there = agentlang(*words, "--on", "processes", "--instances", "far=2")
    assert (there.code, there.err) == (0, "")
    assert there.out == agentlang(*words).out


def test_workers_end_without_a_word(tmp_path: Path) -> None:
    home = fresh_home(tmp_path / "home")
    words = (f"{program(tmp_path)}:clean", "--on", "processes", "--quiet", 'texts=["a", "b"]')
    done = agentlang("run", *words, AGENTLANG_HOME=str(home))
    assert done.code == 0, done.err
    assert not (home / "logs").exists(), "a worker has crashed"


def test_a_package_is_placed_too(tmp_path: Path) -> None:
    path, package = program(tmp_path), tmp_path / "placed.package"
    assert agentlang("compile", path, "--target", "cpu", "--out", package).code == 0
    done = agentlang("run", f"{package}:counted", "n=3", "pause=0", "--trust", "--quiet", "--on", "processes")
    assert (done.code, done.out) == (0, "012\n"), done.err


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_no_worker_outlasts_the_command(tmp_path: Path, how: int) -> None:
    path = program(tmp_path)
    with running("run", f"{path}:counted", "n=100000", "pause=5", "--on", "processes", "--quiet") as command:
        assert command.stdout is not None
        assert command.stdout.read(3)
        workers = children(command.pid)
        # The tool runs in a process of the worker's.
        tools = [each for child in workers for each in children(child)]
        assert workers
        assert tools
        command.send_signal(how)
        command.wait(20)
        if how == signal.SIGINT:
            assert command.returncode == 130
        until = time.monotonic() + 10.0
        while not all(map(gone, (*workers, *tools))) and time.monotonic() < until:
            time.sleep(0.05)
        assert all(map(gone, (*workers, *tools)))


def test_a_worker_of_another_version_is_refused_by_name(tmp_path: Path) -> None:
    made = placing(tmp_path, "sure")
    told: list[Problem] = []
    (tmp_path / "sitecustomize.py").write_text(
        "import agentlang.base.version as version\nversion.VERSION = '0.0.1'\n", "utf-8"
    )

    async def work() -> None:
        async with ready(made, tell=told.append, environment={"PYTHONPATH": str(tmp_path)}) as placed:
            assert not placed.workers("far")
            status, _, reason, _ = await heard(placed.start("sure", {"n": 1, "pause": 0}))
            assert (status, reason) == ("failed", "unreachable")

    asyncio.run(work())
    assert "worker-version" in {problem.slug for problem in told}
    assert version.VERSION in told[0].title or "0.0.1" in told[0].title


@pytest.fixture
def papers(tmp_path: Path) -> Iterator[tuple[Path, Path]]:
    pytest.importorskip("cryptography")
    done = agentlang("worker", "--issue", tmp_path / "papers", "worker.test", "home.test")
    assert done.code == 0
    yield tmp_path / "papers" / "worker.test", tmp_path / "papers" / "home.test"


@contextmanager
def waiting(*words: str) -> Iterator[str]:
    """A worker that listens on loopback; its address."""
    listening = ("worker", "--tier", "far", "--listen", "tcp://localhost:0", "--json", *words)
    with running(*listening) as process:
        assert process.stdout is not None
        yield json.loads(process.stdout.readline())["address"]


@pytest.mark.parametrize("trusts", [False, True])
def test_workers_of_other_hosts_run_code_only_where_they_trust_it(
    tmp_path: Path, papers: tuple[Path, Path], trusts: bool
) -> None:
    theirs, ours = papers
    path = program(tmp_path)
    with waiting("--credentials", str(theirs), *(["--trust"] if trusts else [])) as address:
        far = ["--on", "processes", "--worker", f"far={address}", "--credentials", str(ours), "--quiet"]
        done = agentlang("run", f"{path}:counted", "n=3", "pause=0", *far)
        if trusts:
            assert (done.code, done.out.split()) == (0, ["012"])
        else:
            assert done.code == 3
            assert "worker-distrusts" in done.err


def test_what_is_of_the_library_runs_anywhere_and_a_stranger_nowhere(tmp_path: Path, papers: tuple[Path, Path]) -> None:
    theirs, ours = papers
    path = tmp_path / "safe.agent"
    fleet = PROGRAM[PROGRAM.index("fleet desk") :]
    path.write_text(
        "use std/text\n\npipeline clean(part: Text) -> Text {\n  return text.redact(part) with place on far\n}\n\n"
        + fleet
    )
    with waiting("--credentials", str(theirs)) as address:
        words = ["run", str(path), "part=me@home.org", "--on", "processes", "--worker", f"far={address}", "--quiet"]
        for _ in range(2):  # one after the other
            done = agentlang(*words, "--credentials", ours)
            assert (done.code, done.out) == (0, "[email]\n"), done.err
        stranger = tmp_path / "others"
        agentlang("worker", "--issue", stranger, "home.test")
        done = agentlang(*words, "--credentials", stranger / "home.test", "--timeout", "3s")
        assert done.code == 3
        assert "[email]" not in done.out


def test_a_worker_joins_a_run_that_listens(tmp_path: Path, papers: tuple[Path, Path]) -> None:
    theirs, ours = papers
    made = placing(tmp_path, "counted")

    async def work() -> None:
        files = wire.Files(*(ours / f"{name}.pem" for name in ("certificate", "key", "authority")))
        async with (
            asyncio.timeout(60.0),
            coordinated(made, joining=["far"], listen="tcp://localhost:0", papers=Papers.of(files)) as placed,
        ):
            joining = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "agentlang", "worker", "--tier", "far", "--join", placed.address,
                "--credentials", str(theirs), "--trust", stderr=asyncio.subprocess.PIPE,
            )  # fmt: skip
            status, _, _, items = await heard(placed.start("counted", {"n": 5, "pause": 0}))
            assert (status, items) == ("done", list("01234"))
        await asyncio.wait_for(joining.communicate(), 20.0)

    asyncio.run(work())
