"""Tools that misbehave, and readers that are slow or go away, as whole commands: how it ends, by which name, and what
memory it took."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from cli_runs import COMMAND, agentlang, fresh_home

pytestmark = pytest.mark.slow

TOOLS = """
import os, time

def hangs(n): time.sleep(1000)
def raises(n): raise ValueError("no such order")
def dies(n): os._exit(7)
def wrong(n): return {"not": "a number"}
def large(n): return "x" * 1_000_000_000
def count(n):
    with open("made.txt", "w") as file:
        for i in range(n):
            file.seek(0); file.write(str(i)); file.flush()
            yield str(i) * 2_000
"""
PROGRAM = """
tool hangs(n: Int) -> Int = python("bad:hangs") effects []
tool raises(n: Int) -> Int = python("bad:raises") effects []
tool dies(n: Int) -> Int = python("bad:dies") effects []
tool wrong(n: Int) -> Int = python("bad:wrong") effects []
tool large(n: Int) -> Text = python("bad:large") effects []
tool count(n: Int) -> stream Text = python("bad:count") effects []

pipeline hang(n: Int) -> Int { return hangs(n) with timeout 500 ms }
pipeline raised(n: Int) -> Int { return raises(n) }
pipeline died(n: Int) -> Int { return dies(n) }
pipeline misfit(n: Int) -> Int { return wrong(n) }
pipeline huge(n: Int) -> Text { return large(n) }
pipeline stream(n: Int) -> stream Text { return count(n) }
pipeline mended(n: Int) -> Int {
  return (hangs(n) with timeout 300 ms)
    otherwise raises(n) otherwise dies(n) otherwise wrong(n) otherwise 7
}
"""


# By a small process: what a large one starts is as large as itself until it is another program.
PEAK = """
import resource, subprocess, sys
code = subprocess.call(sys.argv[1:])
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
sys.exit(code)
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("faults")
    (folder / "bad.py").write_text(TOOLS)
    (folder / "bad.agent").write_text(PROGRAM)
    fresh_home(folder / "home")
    return folder


@pytest.mark.parametrize("durable", [False, True], ids=["plain", "durable"])
@pytest.mark.parametrize(
    ("pipeline", "reason"),
    [
        ("hang", "timeout"),
        ("raised", "tool_error"),
        ("died", "tool_error"),
        ("misfit", "bad_output"),
        ("huge", "tool_error"),
    ],
)
def test_each_has_its_reason(folder: Path, pipeline: str, reason: str, durable: bool) -> None:
    words = ("run", f"bad.agent:{pipeline}", "n=1", "--json", *(("--durable",) if durable else ()))
    started = time.monotonic()
    command = [sys.executable, "-c", PEAK, COMMAND, *words]
    environment = {**os.environ, "AGENTLANG_HOME": str(folder / "home")}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert time.monotonic() - started < 30
    *_, end, peak = done.stdout.splitlines()
    assert (done.returncode, json.loads(end)["reason"]) == (3, reason), done.stdout
    assert "Traceback" not in done.stderr and "error[bug]" not in done.stderr
    # The result of a gigabyte is made in the tool's process and refused there.
    assert int(peak) < 2_500_000, f"{int(peak):,} KiB"


def test_a_program_may_mend_all_of_them(folder: Path) -> None:
    done = agentlang("run", "bad.agent:mended", "n=1", cwd=folder, AGENTLANG_HOME=str(folder / "home"))
    assert (done.code, done.out.strip()) == (0, "7"), done.err


def begun(folder: Path, *more: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [COMMAND, "run", "bad.agent:stream", "n=100000", "--json", *more],
        cwd=folder,
        env={**os.environ, "AGENTLANG_HOME": str(folder / "home")},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )


@pytest.mark.parametrize("durable", [False, True], ids=["plain", "durable"])
def test_a_reader_that_stands_still_holds_all_back_and_one_that_goes_ends_it(folder: Path, durable: bool) -> None:
    made = folder / "made.txt"
    made.unlink(missing_ok=True)
    process = begun(folder, *(("--durable", "--quiet") if durable else ()))
    try:
        assert process.stdout is not None and process.stderr is not None
        assert process.stdout.readline().startswith(b'{"type":"start"')
        end, last = time.monotonic() + 20, -1
        # It comes to rest: what is made ahead of who reads is bounded.
        while time.monotonic() < end:
            time.sleep(0.7)
            now = int(made.read_text() or 0) if made.exists() else -1
            if now == last and now >= 0:
                break
            last = now
        assert 0 <= last < 1_000, "it was made ahead of its reader without end"
        memory = Path(f"/proc/{process.pid}/status").read_text()
        resident = int(next(line for line in memory.splitlines() if line.startswith("VmRSS")).split()[1])
        assert resident < 600_000, f"{resident:,} KiB"
        process.stdout.close()
        process.wait(timeout=30)
        assert b"Traceback" not in process.stderr.read()
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        if process.stderr is not None:
            process.stderr.close()
