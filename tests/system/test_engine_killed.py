"""Programs whose engine's process is killed in the middle of a reply, as whole commands: they go on as they say, or end
by the name of what happened; and nothing is left running."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from cli_runs import COMMAND, models_here

pytestmark = [
    pytest.mark.models,
    pytest.mark.skipif(
        not models_here("smollm2-135m-instruct"), reason="needs the model: agentlang models pull smollm2-135m-instruct"
    ),
]

PROGRAM = """
use std/llm
model writer = llm.chat("smollm2-135m-instruct", engine: "llamacpp")
model other = llm.chat("smollm2-135m-instruct")
pipeline plain(ask: Text) -> stream Text { return writer.chat(ask, max_tokens: 3000) }
pipeline named(ask: Text) -> Text {
  return all(writer.chat(ask, max_tokens: 3000)) otherwise on unreachable "somebody else answers"
}
pipeline unnamed(ask: Text) -> Text {
  return all(writer.chat(ask, max_tokens: 3000)) otherwise on timeout "too slow"
}
pipeline moved(ask: Text) -> stream Text {
  return buffered(writer.chat(ask, max_tokens: 3000)) otherwise other.chat(ask, max_tokens: 6)
}
pipeline again(ask: Text) -> Text {
  return all(writer.chat("{ask} Be brief.", max_tokens: 300)) with retry 2
}
"""
ASK = "ask=Count from one to a thousand, in words."


@pytest.fixture
def program(tmp_path: Path) -> Path:
    pytest.importorskip("xllamacpp", reason="llama.cpp is not installed")
    path = tmp_path / "killed.agent"
    path.write_text(PROGRAM)
    return path


def workers(process: int) -> list[int]:
    """The processes that a command started in which llama.cpp runs."""
    found: list[int] = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
                words = (entry / "cmdline").read_bytes()
            except (OSError, ValueError):
                continue
            if parent == process and b"llamacpp.worker" in words:
                found.append(int(entry.name))
    return found


def at_work(worker: int) -> float:
    """Seconds of processor that a process has had, once it has loaded its model."""
    try:
        loaded = Path(f"/proc/{worker}/comm").read_text().strip() == "llama.cpp ready"
        fields = Path(f"/proc/{worker}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK") if loaded else 0.0


@contextmanager
def running(program: Path, pipeline: str, *more: str) -> Iterator[subprocess.Popen[bytes]]:
    command = [COMMAND, "run", f"{program}:{pipeline}", ASK, *more]
    process = subprocess.Popen(command, cwd=program.parent, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        yield process
    finally:
        process.kill()
        process.wait()
        for pipe in (process.stdout, process.stderr):
            if pipe is not None:
                pipe.close()


def busy_worker(process: subprocess.Popen[bytes], seconds: float = 0.5, but: int = 0) -> int:
    """The worker, once it has worked for so long on what it was asked; not that of number `but`."""
    until, since = time.monotonic() + 120, dict[int, float]()
    while time.monotonic() < until and process.poll() is None:
        for worker in workers(process.pid):
            had = at_work(worker)
            if worker != but and had and had - since.setdefault(worker, had) >= seconds:
                return worker
        time.sleep(0.05)
    raise AssertionError(process.communicate()[1].decode())


def ends(process: subprocess.Popen[bytes]) -> tuple[int, str, str]:
    out, err = process.communicate(timeout=90)
    said = err.decode()
    assert "Traceback" not in said and "error[bug]" not in said, said
    assert not workers(process.pid)
    return process.returncode, out.decode(), said


def test_a_stream_that_has_begun_ends_by_the_name_of_what_happened(program: Path) -> None:
    with running(program, "plain", "--json") as process:
        assert process.stdout is not None
        for line in process.stdout:
            if json.loads(line)["type"] == "item":
                break
        os.kill(workers(process.pid)[0], signal.SIGKILL)
        code, out, err = ends(process)
    last = json.loads(out.splitlines()[-1])
    assert (code, last["outcome"], last["reason"], last["stage"]) == (3, "failed", "unreachable", "plain.chat.decode")
    assert "engine-gone" in out + err and "SIGKILL" in out + err, out[-3000:]


def test_a_program_that_says_what_then_goes_on(program: Path) -> None:
    with running(program, "named", "--quiet") as process:
        os.kill(busy_worker(process), signal.SIGKILL)
        assert ends(process)[:2] == (0, "somebody else answers\n")


def test_a_program_that_speaks_of_something_else_does_not(program: Path) -> None:
    with running(program, "unnamed", "--quiet") as process:
        os.kill(busy_worker(process), signal.SIGKILL)
        code, out, err = ends(process)
    assert (code, out) == (3, "") and "error[engine-gone]" in err and "SIGKILL" in err
    assert "killed.agent:10" in err


def test_a_reply_that_nobody_saw_is_begun_anew_on_another_engine(program: Path) -> None:
    with running(program, "moved", "--quiet") as process:
        os.kill(busy_worker(process), signal.SIGKILL)
        code, out, err = ends(process)
    assert (code, err) == (0, "") and 2 <= len(out.split()) <= 8


@pytest.mark.slow
def test_a_call_that_is_made_again_finds_a_fresh_process(program: Path) -> None:
    with running(program, "again", "--quiet") as process:
        killed = busy_worker(process)
        os.kill(killed, signal.SIGKILL)
        assert busy_worker(process, 0.0, but=killed)
        code, out, err = ends(process)
    assert (code, err) == (0, "") and out.strip()
