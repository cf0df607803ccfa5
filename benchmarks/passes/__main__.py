"""`python -m benchmarks.passes [PASS …]`"""

from __future__ import annotations

import importlib
import sys

from . import PARTS


def main() -> None:
    for name in sys.argv[1:] or PARTS:
        print(f"-- {name}", flush=True)
        importlib.import_module(f"{__package__}.{name}").main()


if __name__ == "__main__":
    main()
