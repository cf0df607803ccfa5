"""What an observer costs: microseconds of CPU time an event, for those that come with the project.

Each hears 200 runs of 20 stages; the time of an observer that does nothing, which is that of the events themselves, is
taken off. What a thread does later (spans for OpenTelemetry, which nobody waits for) is not in it.

    python -m benchmarks.watching [--turns N]
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from agentlang.executor.machine.orders import Outcome, Timings
from agentlang.executor.observers import FirstItem, Observer, RunOver, RunStarted, StageOver, StageStarted
from agentlang.executor.watching.chrome import ChromeTrace
from agentlang.executor.watching.live import Live
from agentlang.executor.watching.metrics import Metrics
from agentlang.executor.watching.telemetry import Telemetry
from agentlang.ir.graph import Graph

STAGES = 20
RUNS = 200
EVENTS = RUNS * (2 + 3 * STAGES)


def hear(observer: Observer) -> float:
    """Seconds of this thread's CPU time, the making of the events included."""
    began = time.thread_time()
    number = 0
    for run in range(RUNS):
        observer.run_started(RunStarted(run, "chain", 0.0))
        for stage in range(STAGES):
            number += 1
            observer.stage_started(StageStarted(run, number, f"chain.{stage}", (), "text:join", 0.0))
            observer.first_item(FirstItem(run, number, f"chain.{stage}", 0.1))
            observer.stage_over(StageOver(run, number, f"chain.{stage}", "ended", 1, {}, 0.2))
        observer.run_over(RunOver(run, Outcome("done"), {}, Timings(0.2), 0.2))
    return time.thread_time() - began


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--turns", type=int, default=9)
    turns: int = parser.parse_args().turns
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "trace.json"
        graph = Graph("", (), (), ())
        makers: dict[str, Callable[[], Observer]] = {
            "nothing (the events themselves)": Observer,
            "ChromeTrace, its file included": lambda: ChromeTrace(path),
            "Metrics": Metrics,
            "Live (--watch)": Live,
            "Telemetry (until they are queued)": lambda: Telemetry(graph),
        }
        found: dict[str, list[float]] = {name: [] for name in makers}
        for _ in range(turns):
            for name, make in makers.items():
                observer = make()
                found[name].append(hear(observer) / EVENTS)
                if isinstance(observer, ChromeTrace | Telemetry):
                    observer.close()
    nothing = statistics.median(found["nothing (the events themselves)"])
    for name, each in found.items():
        more = statistics.median(each) - (nothing if not name.startswith("nothing") else 0.0)
        print(f"{name:<36} {more * 1e6:5.2f} us an event")
    return 0


if __name__ == "__main__":
    sys.exit(main())
