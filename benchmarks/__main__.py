"""All benchmarks in turn, each in a process of its own: `make bench` prints the figures of `docs/performance.md`."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path


def main() -> int:
    worst = 0
    here = Path(__file__).parent
    files = [path for path in here.glob("*.py") if "def main" in path.read_text() and path.stem != "__main__"]
    # What peers need is installed apart; calls of functions take their time (`python -m benchmarks.bfcl`).
    folders = [path.parent for path in here.glob("*/__main__.py") if path.parent.name not in ("peers", "bfcl")]
    for name in sorted(path.stem for path in (*files, *folders)):
        print(f"\n== {name}", flush=True)
        worst = max(worst, subprocess.run([sys.executable, "-m", f"benchmarks.{name}"], check=False).returncode)
    return worst


if __name__ == "__main__":
    sys.exit(main())
