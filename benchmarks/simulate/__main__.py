"""Simulations beside what is known.

    python -m benchmarks.simulate                # all three
    python -m benchmarks.simulate --quick        # on fewer rows and problems

1. Times to the first token in published measurements under load (`silicon`): `AGENTLANG_DATA` says where they lie.
2. How often the plan's percentiles bound the simulated ones in random problems (`bounds`).
3. How long Azure's code trace takes, on one core.
"""

from __future__ import annotations

import argparse
import time
from functools import partial
from pathlib import Path

from agentlang.executor.scheduler import Settings
from agentlang.executor.simulate.clock import VirtualClock
from agentlang.executor.simulate.replicas import Request, Serving
from agentlang.executor.simulate.steps import Modelled
from agentlang.executor.simulate.traces import arrivals
from agentlang.planner.traces import Named, Reader

from ..fit.rows import DEVICES, SHAPES, home
from .bounds import bounded
from .silicon import errors, points


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.simulate")
    parser.add_argument("--quick", action="store_true", help="fewer rows and problems")
    quick = parser.parse_args().quick
    if home().exists():
        _silicon(60 if quick else None)
    else:
        print(f"no measurements at {home()}: set AGENTLANG_DATA")
    print()
    _bounds(30 if quick else 100)
    trace = home().parent / "traces" / "azure_2023_code.csv"
    if trace.exists():
        print()
        _trace(trace)


def _silicon(most: int | None) -> None:
    found = points(most)
    print(f"first token under load, {len(found)} published rows (H100; mean of all requests, none fitted)")
    for which, words in (("simulated", "all requests"), ("settled", "without the first wave")):
        mean, middle, ratio = errors(found, which)
        print(f"  {words:24} error: mean {mean:.1%}, median {middle:.1%}; simulated / measured: median {ratio:.2f}")
    steps = sum(abs(point.step / point.row.step - 1.0) for point in found) / len(found)
    print(f"  gap between tokens       error: mean {steps:.1%}")


def _bounds(problems: int) -> None:
    for load in (0.5, 0.7, 0.9):
        print(f"plans beside simulations, {problems} random problems at {load:.0%} load")
        for each in bounded(problems, load):
            print(
                f"  p{each.percentile:<3g} bounded in {each.share:.0%}; plan / simulation: "
                f"median {each.middle:.2f}, least {each.least:.2f}"
            )


def _trace(path: Path) -> None:
    """Requests alone: the engines' scheduler with four replicas of Llama 3.1 70B on four H100 each."""
    began = time.process_time()
    with path.open("rb") as stream:
        reader = Reader(str(path), stream)
        trace = arrivals(reader, Named("prompt", "reply"))
    assert trace is not None, reader.problems
    clock = VirtualClock()
    group = DEVICES["h100"]
    times = Modelled(
        SHAPES["llama-3.1-70b"], type(group)(group.bandwidth, group.compute, group.attention, group.link, 4)
    )
    serving = Serving(clock, 4, Settings(pages=8192, page=64, rows=32, tokens=8192, chunk=8192), times)
    ended = [0]

    def begin(prompt: int, reply: int) -> None:
        request = Request(max(1, prompt))

        def over() -> None:
            ended[0] += 1
            assert request.replica is not None
            request.replica.leave(request)

        def computed() -> None:
            assert request.replica is not None
            if reply > 1:
                request.replica.reply(request, reply - 1)
            else:
                over()

        request.computed, request.ended = computed, over
        serving.arrive(request)

    for arrival in trace.arrivals:
        clock.at(arrival.at, partial(begin, int(arrival.sizes["prompt"]), int(arrival.sizes["reply"])))
    clock.run()
    seconds = time.process_time() - began
    print(f"Azure's code trace: {ended[0]} of {len(trace.arrivals)} requests in {seconds:.1f} s of one core")


if __name__ == "__main__":
    main()
