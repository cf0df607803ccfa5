"""The same problems, planned in other ways: seconds, on any machine.

    python -m benchmarks.planners                            # the tables
    python -m benchmarks.planners --write docs/paper.md      # and into the page
    python -m benchmarks.planners --program FILE PIPELINE    # a program's own problem, on its fleet

Costs and promises of whole choices are what `planner.space.evaluate` says of them, whoever chose.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from ..paper.page import filled
from . import table
from .programs import problem_of

PARTS = {"planners": table.page}


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--write", type=Path, metavar="PAGE", help="put the tables into a page")
    parser.add_argument("--program", nargs=2, metavar=("FILE", "PIPELINE"), help="only this program's problem")
    given = parser.parse_args()
    if given.program:
        file, pipeline = given.program
        print(table.compared(pipeline, problem_of(Path(file), pipeline)))
        return 0
    print(table.page())
    if given.write:
        page: Path = given.write
        page.write_text(filled(page.read_text("utf-8"), PARTS), "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
