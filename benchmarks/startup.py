"""What starting costs: `agentlang check` beside an interpreter that imports lark alone, and the first token and peak
memory of `agentlang run hello.agent` with everything cached.

Processes are timed whole, in turns, and the medians compared; the ratios are the figures. Both find their modules
compiled, as an installed package's are, whatever the environment says of writing bytecode.
"""

from __future__ import annotations

import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]
HANDBOOK = ROOT / "examples" / "handbook" / "handbook.agent"
HELLO = ROOT / "examples" / "hello" / "hello.agent"
AGENTLANG = str(Path(sys.executable).with_name("agentlang"))
CHECKED = (HELLO, HANDBOOK)
LARK = [sys.executable, "-c", "import lark"]
RUN = [AGENTLANG, "run", "--quiet", str(HELLO)]
MOST = 2.5
"""Times an interpreter that imports lark alone, that checking a small file may take."""
GIB = 2**30


# Compiled modules are part of an installation: without them every start would compile ours, and none of lark's.
ENVIRONMENT = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}


def seconds(command: list[str]) -> float:
    began = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=ENVIRONMENT)
    return time.perf_counter() - began


def first_byte(command: list[str]) -> tuple[float, float]:
    """Seconds from starting the process to its first byte on stdout, and the peak memory of the process in bytes."""
    began = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=ENVIRONMENT)
    assert process.stdout is not None
    if not os.read(process.stdout.fileno(), 1):
        raise SystemExit("the run printed nothing")
    first = time.perf_counter() - began
    process.stdout.read()
    process.stdout.close()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"the run ended with {process.returncode}")
    return first, float(usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024))


def main(repeats: int = 7) -> None:
    for path in CHECKED:
        command = [AGENTLANG, "check", str(path)]
        seconds(command), seconds(LARK)  # files into the page cache, modules into theirs
        pairs = [(seconds(command), seconds(LARK)) for _ in range(repeats)]
        check, lark = (statistics.median(column) for column in zip(*pairs, strict=True))
        ratio = statistics.median(a / b for a, b in pairs)
        told = f"{check * 1e3:.0f} ms, import lark alone {lark * 1e3:.0f} ms: {ratio:.2f} x, at most {MOST}"
        print(f"agentlang check {path.name:15} {told}")
    first_byte(RUN)
    runs = [first_byte(RUN) for _ in range(max(3, repeats // 2))]
    first = statistics.median(f for f, _ in runs)
    peak = max(p for _, p in runs)
    print(f"agentlang run hello.agent first token {first:.2f} s after process start, peak memory {peak / GIB:.2f} GiB")


if __name__ == "__main__":
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with tempfile.TemporaryDirectory() as folder:
        os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
        os.environ["PYTHONPYCACHEPREFIX"] = folder
        main()
