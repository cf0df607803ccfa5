"""What a journal costs: `python -m benchmarks.journal`.

A step is made durable: its event handed to the journal, and waited for until it would outlast a crash of the machine.
Beside it stands the floor, in turns with it: the same record committed by `sqlite3` alone, WAL and FULL, in the same
thread. Then a chain of 50 stages that only compute, plain and durable, and one whose every stage acts on the world.
"""

from __future__ import annotations

import argparse
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path

import anyio

from agentlang.executor.backends.local import LocalBackend
from agentlang.executor.deployment import Deployment
from agentlang.executor.frames import End
from agentlang.executor.journal.file import Head, Journal, create
from agentlang.executor.journal.opening import new_head, open_durable
from agentlang.executor.journal.records import line
from agentlang.executor.kinds import Context, Kind, Opener
from agentlang.executor.machine import events
from agentlang.executor.shell import open_shell
from agentlang.ir.graph import Graph, GraphPipeline, Input, Operation, Region, Value
from agentlang.lang.types import TEXT

STAGES = 50
TEXT_OF_A_STEP = "A step's answer, of about the length of a sentence or two: forty words would be more than this is."


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--runs", type=int, default=40)
    parser.add_argument("--folder", help="where the files are written: what is measured is its disk")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=given.folder) as folder:
        floor, step = anyio.run(steps, Path(folder), given.steps)
        print(f"one step, FULL: {_shown(step)}")
        print(f"bare sqlite3:   {_shown(floor)}")
        print(f"beside it:      {statistics.median(step) / statistics.median(floor):.2f} x the floor at the median\n")
        plain, durable, acting = anyio.run(_chains, Path(folder), given.runs)
        print(f"{STAGES} stages, plain:               {_shown(plain)}")
        print(f"{STAGES} stages, durable:             {_shown(durable)}")
        added = (statistics.median(durable) - statistics.median(plain)) / STAGES
        print(f"durable adds:                   {added * 1e6:.0f} us a stage")
        print(f"{STAGES} stages that act, durable:    {_shown(acting)}")


def _shown(seconds: list[float]) -> str:
    ordered = sorted(seconds)
    at = [ordered[int(part * (len(ordered) - 1))] for part in (0.5, 0.95)]
    return f"{at[0] * 1e3:.3f} ms p50, {at[1] * 1e3:.3f} ms p95 (n={len(ordered)})"


async def steps(folder: Path, count: int) -> tuple[list[float], list[float]]:
    """Seconds of each: one after the other, by turns, so that both meet the same disk."""
    database = sqlite3.connect(folder / "bare.db", isolation_level=None)
    database.execute("PRAGMA journal_mode = WAL")
    database.execute("PRAGMA locking_mode = EXCLUSIVE")
    database.execute("PRAGMA synchronous = FULL")
    database.execute("CREATE TABLE records (number INTEGER PRIMARY KEY, said TEXT NOT NULL, crc INTEGER NOT NULL)")
    journal = create(folder / "steps.journal", Head("steps", "p", "", "0"))
    journal.begin(_failed)
    floor: list[float] = []
    step: list[float] = []
    for number in range(count):
        event = events.StageEnded(float(number), number, TEXT_OF_A_STEP, {"tokens_out": 21.0})
        text = line(event)
        began = time.perf_counter()
        database.execute("BEGIN IMMEDIATE")
        database.execute("INSERT INTO records VALUES (?, ?, ?)", (number, text, 0))
        database.execute("COMMIT")
        floor.append(time.perf_counter() - began)
        began = time.perf_counter()
        await journal.written(journal.append(event))
        step.append(time.perf_counter() - began)
    database.close()
    await journal.close()
    return floor, step


class _Library:
    """One stage that answers at once, by a task of its own."""

    def kind(self, entry: str) -> Kind:
        del entry
        return _answer

    def opener(self, entry: str) -> Opener:
        raise KeyError(entry)


async def _answer(context: Context, arguments: Mapping[str, object]) -> object:
    del context
    await anyio.sleep(0)
    return arguments["text"]


def _chain(effects: tuple[str, ...]) -> Graph:
    values = [Value(number, TEXT) for number in range(STAGES + 1)]
    stages = [
        Operation(
            f"chain.s{number}",
            "agent.stage",
            (values[number],),
            (values[number + 1],),
            {"entry": "x:answer", "parameters": ("text",), "effects": effects},
        )
        for number in range(STAGES)
    ]
    last = Operation("chain.return", "agent.return", (values[-1],), (), {})
    body = Region((values[0],), (*stages, last))
    return Graph("chain", (), (), (GraphPipeline("chain", (Input("text", TEXT, True),), TEXT, body),))


async def _chains(folder: Path, count: int) -> tuple[list[float], list[float], list[float]]:
    pure, acts = _chain(()), _chain(("writes payments",))
    found: tuple[list[float], list[float], list[float]] = ([], [], [])
    for number in range(count):
        async with open_shell(Deployment(pure), LocalBackend(_Library())) as shell:
            found[0].append(await _timed(lambda: shell.start("chain", {"text": TEXT_OF_A_STEP}).result()))
        for graph, seconds in ((pure, found[1]), (acts, found[2])):
            deployment, backend = Deployment(graph), LocalBackend(_Library())
            head, _ = new_head(deployment, backend, "chain", f"run{number}", "0")
            journal: Journal = create(folder / f"{number}-{len(seconds)}-{id(graph)}.journal", head)
            async with open_durable(deployment, backend, journal, head) as durable:
                seconds.append(await _timed(lambda: durable.start("chain", {"text": TEXT_OF_A_STEP}).result()))
    return found


async def _timed(work: Callable[[], Awaitable[End]]) -> float:
    began = time.perf_counter()
    end = await work()
    assert end.outcome.status == "done"
    return time.perf_counter() - began


def _failed(problem: object) -> None:
    raise SystemExit(f"the journal cannot be written: {problem}")


if __name__ == "__main__":
    main()
