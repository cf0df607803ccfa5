"""Whatever happens to a program of ours, the processes of its tools go with it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

_TOOL = """
import os, subprocess, time
def hang():
    child = subprocess.Popen(["sleep", "1000"], start_new_session=True)
    with open("processes.part", "w") as file:
        file.write(f"{os.getpid()} {os.getppid()} {child.pid}")
    os.rename("processes.part", "processes")
    while True:
        "x" * 10
"""
_PROGRAM = """
import sys, anyio
from pathlib import Path
from agentlang.executor.kinds import Context, Usage
from agentlang.stdlib.library import Library
library = Library(Path(sys.argv[1]))
async def main():
    try:
        await library.kind("python:call")(Context("s", Usage(), settings={"target": "tool:hang"}), {})
    finally:
        with anyio.CancelScope(shield=True):
            await library.aclose()
anyio.run(main)
"""


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks at processes through /proc")
def test_nothing_is_left(tmp_path: Path, how: signal.Signals) -> None:
    (tmp_path / "tool.py").write_text(_TOOL)
    program = subprocess.Popen([sys.executable, "-c", _PROGRAM, str(tmp_path)], stderr=subprocess.DEVNULL)
    try:
        _until(lambda: (tmp_path / "processes").exists(), 10)
        worker, keeper, child = map(int, (tmp_path / "processes").read_text().split())
        assert all(map(_alive, (worker, keeper, child)))
        os.kill(program.pid, how)
        program.wait(10)
        _until(lambda: not any(map(_alive, (worker, keeper, child))), 5)
    finally:
        program.kill()
        program.wait()


def _alive(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def _until(holds: object, seconds: float) -> None:
    assert callable(holds)
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, "it did not come to that"
        time.sleep(0.01)
