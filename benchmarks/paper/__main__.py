"""The paper's example, tables and pairs, computed again: seconds, on any machine, without a model or a GPU.

    python -m benchmarks.paper                                  # everything as text
    python -m benchmarks.paper --write docs/paper.md            # and into the page, with its figures beside it
    python -m benchmarks.paper --rent h100=2.5 gaudi3=1.2       # pairs at rents of yours

What is written by hand on the page says what the figures come to; tests hold its claims against them.
"""

from __future__ import annotations

import argparse
import sys
from functools import partial
from pathlib import Path

from . import devices, example, report
from .figures import FIGURES
from .page import filled

PARTS = {
    "example": example.page,
    "devices": devices.devices_page,
    "network": devices.network_page,
    "claims": report.claims_page,
    "promise": partial(report.mode_page, True),
    "throughput": partial(report.mode_page, False),
    "sizes": report.sizes_page,
    "groups": report.groups_page,
    "worth": report.devices_page,
    "rent": report.rent_page,
}
"""Parts of the page by the name of their markers."""


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--write", type=Path, metavar="PAGE", help="put all parts into a page, and figures beside it")
    parser.add_argument(
        "--rent", nargs="+", metavar="DEVICE=DOLLARS", help="only pairs of these, at these rents an hour"
    )
    given = parser.parse_args()
    if given.rent:
        rents = {name: float(dollars) for name, _, dollars in (one.partition("=") for one in given.rent)}
        print(report.rent_page(rents))
        return 0
    for name, made in PARTS.items():
        print(f"== {name}\n\n{made()}\n")
    if given.write:
        page: Path = given.write
        page.write_text(filled(page.read_text("utf-8"), PARTS), "utf-8")
        folder = page.parent / page.stem
        folder.mkdir(exist_ok=True)
        for name, drawn in FIGURES.items():
            (folder / name).write_text(drawn(), "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
