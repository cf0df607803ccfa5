"""A durable step in DBOS on SQLite, in milliseconds at the median, as JSON. A process of its own:
`python -m benchmarks.executor.dbos_steps [FOLDER]`."""

from __future__ import annotations

import json
import statistics
import sys
import tempfile
import time
from typing import Any

STEPS = 10


def measure(runs: int, folder: str) -> float:
    import dbos  # pyright: ignore[reportMissingImports]

    d: Any = dbos  # pyright: ignore[reportUnknownVariableType]
    settings = {
        "name": "benchmark",
        "system_database_url": f"sqlite:///{folder}/dbos.sqlite",
        "log_level": "ERROR",
        "run_admin_server": False,
    }
    d.DBOS(config=settings)

    def add(value: int) -> int:
        return value + 1

    step: Any = d.DBOS.step()(add)

    def chain(count: int) -> int:
        value = 0
        for _ in range(count):
            value = step(value)
        return value

    workflow: Any = d.DBOS.workflow()(chain)
    d.DBOS.launch()
    times: list[float] = []
    for _ in range(runs):
        began = time.perf_counter()
        assert workflow(STEPS) == STEPS
        times.append((time.perf_counter() - began) / STEPS)
    d.DBOS.destroy()
    return statistics.median(times) * 1e3


if __name__ == "__main__":
    with tempfile.TemporaryDirectory(dir=sys.argv[1] if sys.argv[1:] else None) as made:
        print(json.dumps({"ms": measure(20, made)}))
