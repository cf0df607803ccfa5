"""What is gained where an encoder is asked for many vectors: the questions to a handbook, each sorted by the page that
it is about and by a topic; and two texts that are compared. Runs take turns in two executors whose models are open."""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import anyio

from agentlang.base import paths
from agentlang.executor.backends import Call
from agentlang.executor.backends.local import LocalBackend
from agentlang.executor.deployment import Deployment
from agentlang.executor.shell import Shell, open_shell
from agentlang.stdlib.library import Library

from .hoist_prefix import HERE
from .measuring import graphs

HANDBOOK = Path(__file__).parents[2] / "examples" / "handbook"
TOPICS = (
    "delivery and returns",
    "the shop and its staff",
    "care of tents and boots",
    "repairs",
    "gift cards",
    "camping",
)
TURNS = 9


class Counting(LocalBackend):
    """Counts the calls of the encoder and of the index."""

    calls = 0

    async def run(self, call: Call) -> object:
        self.calls += call.entry.startswith(("embed:embed", "search:"))
        return await super().run(call)


async def measure(pipeline: str, inputs: Mapping[str, object]) -> None:
    both = graphs(HERE / "sorting.agent", "batch_calls")
    library = Library(HANDBOOK)
    backends = Counting(library), Counting(library)
    async with (
        open_shell(Deployment(both[0]), backends[0]) as one,
        open_shell(Deployment(both[1]), backends[1]) as other,
    ):
        seconds: tuple[list[float], list[float]] = ([], [])
        computed: tuple[list[float], list[float]] = ([], [])
        values: list[Any] = [None, None]
        for turn in range(TURNS + 1):
            for number, shell in enumerate((one, other)):
                backends[number].calls = 0
                (wall, cores), values[number] = await timed(shell, pipeline, inputs)
                if turn:
                    seconds[number].append(wall)
                    computed[number].append(cores)
    for number, words in enumerate(("with batch_calls", "without it")):
        wall, cores = (1000 * statistics.median(found[number]) for found in (seconds, computed))
        print(f"{pipeline:6} {words:18} {backends[number].calls:4} calls  {wall:8.1f} ms  {cores:8.1f} ms of cores")
    wall, cores = (statistics.median(found[0]) / statistics.median(found[1]) for found in (seconds, computed))
    print(
        f"{pipeline:6} {wall:.2f} x the time, {cores:.2f} x the time of cores; "
        f"the answers differ by {difference(*values):.0e} at most"
    )


async def timed(shell: Shell, pipeline: str, inputs: Mapping[str, object]) -> tuple[tuple[float, float], Any]:
    """One run: seconds on the clock, and those of all cores that this process used."""
    began, cores = time.perf_counter(), time.process_time()
    end = await shell.start(pipeline, inputs).result()
    assert end.outcome.status == "done", end.outcome
    return (time.perf_counter() - began, time.process_time() - cores), end.outcome.value


def difference(one: Any, other: Any) -> float:
    """The largest difference of two numbers; infinity where anything else differs."""
    if isinstance(one, float) and isinstance(other, float):
        return abs(one - other)
    if isinstance(one, Mapping):
        return max(difference(one[name], other[name]) for name in one)
    if isinstance(one, tuple):
        return max((difference(*pair) for pair in zip(one, other, strict=True)), default=0.0)
    return 0.0 if one == other else float("inf")


def main() -> None:
    if not any((paths.models_home() / "all-minilm-l6-v2").glob("*")):
        print("left out: all-minilm-l6-v2 is not here; `agentlang models pull all-minilm-l6-v2` fetches it")
        return
    questions = tuple(each["question"] for each in json.loads((HANDBOOK / "questions.json").read_text("utf-8")))
    anyio.run(measure, "sort", {"questions": questions, "topics": TOPICS})
    anyio.run(measure, "alike", {"one": questions[0], "other": questions[1]})


if __name__ == "__main__":
    main()
