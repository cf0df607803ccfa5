"""All benchmarks in turn, each in a process of its own: `make bench` prints the figures of `docs/performance.md`."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path


def main() -> int:
    worst = 0
    here = Path(__file__).parent
    names = sorted([*(p.stem for p in here.glob("*.py") if "def main" in p.read_text()), "passes"])
    for name in names:
        if name == "__main__":
            continue
        print(f"\n== {name}", flush=True)
        worst = max(worst, subprocess.run([sys.executable, "-m", f"benchmarks.{name}"], check=False).returncode)
    return worst


if __name__ == "__main__":
    sys.exit(main())
