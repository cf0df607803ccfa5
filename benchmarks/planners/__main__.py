"""The same problems, planned in other ways: seconds, on any machine.

python -m benchmarks.planners                            # the tables
python -m benchmarks.planners --write docs/paper.md      # and into the page
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from ..paper.page import filled
from . import table

PARTS = {"planners": table.page}


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--write", type=Path, metavar="PAGE", help="put the tables into a page")
    given = parser.parse_args()
    print(table.page())
    if given.write:
        page: Path = given.write
        page.write_text(filled(page.read_text("utf-8"), PARTS), "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
