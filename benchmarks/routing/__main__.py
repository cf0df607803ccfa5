"""Round robin, the fewest requests, and cache-aware routing beside each other, on recorded sessions of agents.

    python -m benchmarks.routing                # simulated and real
    python -m benchmarks.routing --quick        # fewer sessions
    python -m benchmarks.routing --simulated    # no engine runs
    python -m benchmarks.routing --real

1. Replicas of Llama 3.1 8B on simulated H100s, one each: throughput where there is always something to do, and first
   tokens. Then with a smaller cache, and ordinary memory for what makes way of it.
2. Two processes of a small model here, a thread each, on the same sessions.
3. One engine here whose cache is too small, without and with a place for what makes way.

The traces are read where they lie (`AGENTLANG_DATA`).
"""

from __future__ import annotations

import argparse
import os
from dataclasses import replace

import anyio

from agentlang.executor.routing import POLICIES

from .real import Measured, away, routing, spec
from .sessions import Session, Step, agents, traces
from .simulated import Fleet, Outcome, closed, llama

POSITION = 131_072
"""Bytes of a position of Llama 3.1 8B in the cache, in 16 bits."""
LINK = 25e9
"""Bytes a second between an accelerator and ordinary memory, by PCIe 4."""


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.routing")
    for name in ("quick", "simulated", "real"):
        parser.add_argument(f"--{name}", action="store_true")
    asked = parser.parse_args()
    if not traces().is_dir():
        print(f"no traces at {traces()}: set AGENTLANG_DATA")
        return
    page, sessions = agents()
    print(f"{len(sessions)} sessions of agents, {sum(map(len, sessions))} steps; load {os.getloadavg()[0]:.1f}")
    if not asked.real:
        _simulated(page, sessions, asked.quick)
    if not asked.simulated:
        anyio.run(_real, sessions, asked.quick)
    print(f"load {os.getloadavg()[0]:.1f}")


def _simulated(page: int, sessions: list[Session], quick: bool) -> None:
    times = llama("llama-3.1-8b", "h100")
    small = Fleet("4 replicas, 48 sessions each", times, 4, 400_000, 192, rows=128)
    large = Fleet("8 replicas, 80 sessions each", times, 8, 450_000, 640, rows=128)
    for fleet in (small,) if quick else (small, large):
        found = repeated(sessions, 1 + 2 * fleet.sessions // len(sessions))
        print(f"simulated: {fleet.name}, Llama 3.1 8B on an H100, {fleet.tokens:,} positions of cache")
        _table([closed(fleet, page, found, policy) for policy in reversed(POLICIES)])
    found = repeated(sessions, 3)
    for host in (0, 800_000):
        fleet = replace(small, tokens=100_000, sessions=96, host=host, copies=POSITION / LINK)
        print(f"simulated: 4 replicas, 24 sessions each, 100,000 positions of cache, {host:,} in ordinary memory")
        _table([closed(fleet, page, found, policy) for policy in reversed(POLICIES)])


async def _real(sessions: list[Session], quick: bool) -> None:
    long = [session for session in sessions if len(session) >= 6]
    count, steps = (4, 4) if quick else (8, 6)
    print(f"real: two processes of {spec()[0]}, a thread each; {count} sessions, 4 at once")
    _table(await routing(long, tuple(reversed(POLICIES)), count, steps))
    print(f"real: one engine, {spec()[0]}, sessions in turns, a cache for hardly more than one of them")
    _table(await away(long, 4 if quick else 6, 4))


def repeated(sessions: list[Session], times: int) -> list[Session]:
    """The sessions so many times over, each time with prompts of its own."""
    return [
        tuple(Step(step.prompt, step.reply, tuple((turn, key) for key in step.keys), step.tools) for step in session)
        for turn in range(times)
        for session in sessions
    ]


def _table(rows: list[Outcome] | list[Measured]) -> None:
    first = rows[0]
    for row in rows:
        name = row.policy if isinstance(row, Outcome) else row.name
        print(
            f"  {name:18} {row.throughput:7.2f} steps/s ({row.throughput / first.throughput:4.2f} x)   first token "
            f"p50 {1e3 * row.percentile(0.5):6.0f} ms, p95 {1e3 * row.percentile(0.95):6.0f} ms   "
            f"cached {row.cached:5.1%}   {row.steps} steps",
            flush=True,
        )


if __name__ == "__main__":
    main()
