"""Microseconds for each stage of a chain and each branch of a fan-out, ours beside LangGraph, pydantic-graph, Haystack.

make bench-peers
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import time
from collections.abc import Awaitable, Callable

from . import graphs, haystacks, langgraphs, ours

# What a stage and a branch may cost, as `docs/performance.md` promises, in microseconds.
AIMS = {"chain": 8.0, "fan": 25.0}


async def median(
    runs: dict[str, Callable[[], Awaitable[object]]], wanted: dict[str, object], rounds: int, each: int
) -> dict[str, float]:
    """Seconds of one run of each system; they take turns, so that a busy moment hits all of them."""
    times: dict[str, list[float]] = {name: [] for name in runs}
    for number in range(rounds + 1):
        for name, run in runs.items():
            start = time.perf_counter()
            for _ in range(each):
                result = await run()
            taken = (time.perf_counter() - start) / each
            assert result == wanted[name], f"{name} computed {result!r}"
            if number:  # the first round warms up
                times[name].append(taken)
    return {name: statistics.median(found) for name, found in times.items()}


async def measure(stages: int, branches: int, rounds: int) -> dict[str, dict[str, float]]:
    async with ours.opened(stages, branches) as (chain, fan):
        chains = {
            "agentlang": chain,
            "LangGraph": langgraphs.chain(stages),
            "pydantic-graph": graphs.chain(stages),
            "Haystack": haystacks.chain(stages),
        }
        fans = {"agentlang": fan, "LangGraph": langgraphs.fan(branches), "pydantic-graph": graphs.fan(branches)}
        added: dict[str, object] = dict.fromkeys(chains, stages)
        lists: dict[str, object] = {name: list(range(1, branches + 1)) for name in fans}
        found = {"chain": await median(chains, added, rounds, 5), "fan": await median(fans, lists, rounds, 1)}
    sizes = {"chain": stages, "fan": branches}
    return {what: {name: s / sizes[what] * 1e6 for name, s in taken.items()} for what, taken in found.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--stages", type=int, default=50)
    parser.add_argument("--branches", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    found = asyncio.run(measure(arguments.stages, arguments.branches, arguments.rounds))
    if arguments.json:
        print(json.dumps({"microseconds": found}, indent=2))
        return
    words = {"chain": f"a stage of a chain of {arguments.stages}", "fan": f"a branch of {arguments.branches}"}
    for what, taken in found.items():
        print(f"{words[what]}, microseconds (median of {arguments.rounds}); aim {AIMS[what]:g}")
        for name, value in taken.items():
            beside = "" if name == "agentlang" else f"  ({value / taken['agentlang']:.1f} x ours)"
            print(f"{value:9.1f}  {name}{beside}")


if __name__ == "__main__":
    main()
