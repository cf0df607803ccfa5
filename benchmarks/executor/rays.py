"""Hops in Ray, as JSON: a call of an actor, and a compiled graph of one actor; 64 bytes and 1 MiB there, 64 bytes back.
A process of its own: `python -m benchmarks.executor.rays`."""

from __future__ import annotations

import json
import os
import statistics
import time
from collections.abc import Callable
from typing import Any

SMALL, LARGE = b"x" * 64, bytes(1 << 20)


def p50(call: Callable[[], object], rounds: int) -> float:
    """Microseconds."""
    times: list[float] = []
    for _ in range(rounds + rounds // 5):
        began = time.perf_counter()
        call()
        times.append(time.perf_counter() - began)
    return statistics.median(times[rounds // 5 :]) * 1e6


def measure(rounds: int) -> dict[str, dict[str, float]]:
    os.environ["RAY_DEDUP_LOGS"] = "0"
    os.environ["RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO"] = "0"
    import ray  # pyright: ignore[reportMissingImports]

    r: Any = ray  # pyright: ignore[reportUnknownVariableType]
    r.init(num_cpus=2, include_dashboard=False, logging_level="ERROR", log_to_driver=False)

    class Answers:
        def answer(self, given: bytes) -> bytes:
            del given
            return SMALL

    found: dict[str, dict[str, float]] = {}
    try:
        actor = r.remote(num_cpus=0)(Answers).remote()
        found["Ray, an actor"] = {
            "hop": p50(lambda: r.get(actor.answer.remote(SMALL)), rounds),
            "tensor": p50(lambda: r.get(actor.answer.remote(LARGE)), rounds // 4),
        }
        from ray.dag import InputNode  # pyright: ignore[reportMissingImports, reportUnknownVariableType]

        node: Any = InputNode
        with node() as given:
            graph = actor.answer.bind(given)
        compiled = graph.experimental_compile()
        found["Ray, a compiled graph"] = {
            "hop": p50(lambda: r.get(compiled.execute(SMALL)), rounds),
            "tensor": p50(lambda: r.get(compiled.execute(LARGE)), rounds // 4),
        }
        compiled.teardown()
    finally:
        r.shutdown()
    return found


if __name__ == "__main__":
    print(json.dumps(measure(1000)))
