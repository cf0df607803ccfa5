"""The executor beside its peers, in one run, as one table.

    make bench-executor                                          # its environment, and into docs/performance.md
    python -m benchmarks.executor [--write PAGE] [--only hop …]

Peers that are not installed are left out of the table. Systems take turns where they can; Ray and DBOS have processes
of their own. Where a floor or a peer is ahead, the table says so.
"""

from __future__ import annotations

import argparse
import asyncio
import importlib.util
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import anyio

from .. import wire
from ..journal import steps
from . import streaming
from .costs import bare_await, best, tasks_one_by_one
from .table import Row, page, write_into


def here(name: str) -> bool:
    return importlib.util.find_spec(name) is not None


def child(module: str, *words: str) -> Any:
    """The JSON of a module that runs in a process of its own; None where it fails."""
    command = [sys.executable, "-W", "ignore", "-m", f"benchmarks.executor.{module}", *words]
    done = subprocess.run(command, capture_output=True, text=True, timeout=400)
    if done.returncode:
        print(f"{module} failed: {done.stderr.strip().splitlines()[-1:]}", file=sys.stderr)
        return None
    return json.loads(done.stdout.strip().splitlines()[-1])


def items() -> list[Row]:
    found = asyncio.run(streaming.measure(10_000, 3))
    floors = {name.removeprefix("floor: "): value for name, value in found.items() if name != "agentlang"}
    what = f"{streaming.STAGES} stages with buffers of {streaming.BUFFER}, one process"
    return [Row(what, "items/s", 60_000.0, found["agentlang"], floors, {}, more=True)]


def steps_of_graphs() -> list[Row]:
    """A stage and a branch; needs all three libraries."""
    floor = {
        "plain await": asyncio.run(best(lambda: bare_await(10_000), 3)) / 1e4 * 1e6,
        "anyio task": asyncio.run(best(lambda: tasks_one_by_one(1000), 3)) / 1e3 * 1e6,
    }
    if not all(map(here, ("langgraph", "pydantic_graph", "haystack"))):
        return [Row("a stage of a chain of 50", "us", 8.0, None, floor, {}, note="the peers are not installed")]
    from ..peers import __main__ as peers

    found = asyncio.run(peers.measure(50, 1000, 7))
    words = {"chain": "a stage of a chain of 50", "fan": "a branch of 1,000"}
    return [
        Row(
            *(words[kind], "us", peers.AIMS[kind], taken["agentlang"], floor),
            {name: value for name, value in taken.items() if name != "agentlang"},
        )
        for kind, taken in found.items()
    ]


def hops() -> list[Row]:
    loop, found = wire.run(12)
    rays: dict[str, dict[str, float]] = (child("rays") or {}) if here("ray") else {}
    rows: list[Row] = []
    for kind, what, key, aim in (
        ("hop", "to another process and back, 64 bytes", "echo p50", 30.0),
        ("tensor", "1 MiB to another process, 64 bytes back", "tensor p50", 120.0),
    ):
        peers = {name: row[key] for name, row in found.items() if name == "pyzmq"}
        peers |= {name: row[kind] for name, row in rays.items()}
        floor = {"bare socket": found["bare socket"][key]}
        rows.append(Row(what, "us p50", aim, found["agentlang"][key], floor, peers, note=loop))
    return rows


def journaled() -> list[Row]:
    """On the disk of the working folder, and in memory where there is such a folder: what is ours of it."""
    rows: list[Row] = []
    for where, folder in (("on disk", Path.cwd()), ("in memory", Path("/dev/shm"))):
        if not folder.is_dir():
            continue
        with tempfile.TemporaryDirectory(dir=folder) as made:
            floor, step = anyio.run(steps, Path(made), 200)
            dbos = child("dbos_steps", made) if here("dbos") else None
        peers = {} if dbos is None else {"DBOS on SQLite": float(dbos["ms"])}
        bare = {"bare sqlite3": statistics.median(floor) * 1e3}
        ours = statistics.median(step) * 1e3
        rows.append(Row(f"a journaled step, FULL, {where}", "ms p50", 0.3, ours, bare, peers))
    return rows


def at_once() -> list[Row]:
    runs = "10000"
    ours, floor = child("many", "--runs", runs), child("many", "--runs", runs, "--floor")
    assert ours is not None
    behind = ours["items of the slowest when the first was through"]
    first, last = ours["seconds to the first end"], ours["seconds to the last end"]
    note = (
        f"when the first was through, the slowest had {behind} of its 8"
        f" items; first end after {first:.1f} s, last {last - first:.1f} s later"
    )
    floors = {} if floor is None else {"anyio tasks and streams alone": floor["peak MB"]}
    return [
        Row(
            "10,000 runs of 4 stages at once, one process",
            "MB at the peak",
            1000.0,
            ours["peak MB"],
            floors,
            {},
            note=note,
        )
    ]


PARTS: dict[str, Callable[[], list[Row]]] = {
    "items": items,
    "graphs": steps_of_graphs,
    "hops": hops,
    "journal": journaled,
    "many": at_once,
}


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--only", nargs="*", choices=PARTS, help="parts of it")
    parser.add_argument("--write", type=Path, metavar="PAGE", help="put the table between the markers of a page")
    given = parser.parse_args()
    before, rows = os.getloadavg()[0], list[Row]()
    for name, part in PARTS.items():
        if not given.only or name in given.only:
            rows += part()
    load = f"load {before:.1f} before and {os.getloadavg()[0]:.1f} after"
    today = datetime.now(UTC).date()
    text = page(rows, f"Measured on {today}: {os.cpu_count()} cores, {load}. In brackets: of ours.")
    print(text)
    if given.write:
        write_into(given.write, text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
