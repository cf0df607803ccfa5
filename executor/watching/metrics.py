"""Counters for Prometheus: runs, stages, tokens, how long they took. Noted in plain numbers; `families` gives them as
`prometheus_client` has them, which writes the text that is scraped (`text`)."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from typing import TYPE_CHECKING

from ..observers import FirstItem, Observer, RunOver, RunStarted, StageOver, StageStarted

if TYPE_CHECKING:
    from prometheus_client.core import Metric

BUCKETS = (0.001, 0.005, 0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0)
"""Upper ends, in seconds."""


class Histogram:
    """Seconds, counted by `BUCKETS`."""

    __slots__ = ("counts", "total")

    def __init__(self) -> None:
        self.counts = [0] * (len(BUCKETS) + 1)
        self.total = 0.0

    def add(self, seconds: float) -> None:
        self.counts[bisect_left(BUCKETS, seconds)] += 1
        self.total += seconds

    def cumulative(self) -> list[tuple[str, float]]:
        found: list[tuple[str, float]] = []
        so_far = 0
        for end, count in zip((*map(str, BUCKETS), "+Inf"), self.counts, strict=True):
            so_far += count
            found.append((end, so_far))
        return found


class Metrics(Observer):
    """An observer. What it keeps grows with the stages of a program, and with no number of runs."""

    def __init__(self) -> None:
        self._pipelines: dict[int, tuple[str, float]] = {}
        self._stages: dict[int, tuple[str, float]] = {}
        self.running: dict[str, int] = {}
        self.runs: dict[tuple[str, str], int] = {}
        self.seconds: dict[str, Histogram] = {}
        self.first: dict[str, Histogram] = {}
        self.executions: dict[tuple[str, str], int] = {}
        self.stage_seconds: dict[str, Histogram] = {}
        self.usage: dict[tuple[str, str], float] = {}

    def run_started(self, event: RunStarted, /) -> None:
        self._pipelines[event.run] = (event.pipeline, event.at)
        self.running[event.pipeline] = self.running.get(event.pipeline, 0) + 1

    def run_over(self, event: RunOver, /) -> None:
        pipeline, began = self._pipelines.pop(event.run, ("", event.at))
        self.running[pipeline] = self.running.get(pipeline, 1) - 1
        key = (pipeline, event.outcome.status)
        self.runs[key] = self.runs.get(key, 0) + 1
        _of(self.seconds, pipeline).add(event.at - began)
        if event.timings.first_item is not None:
            _of(self.first, pipeline).add(event.timings.first_item)
        for unit, amount in event.usage.items():
            self.usage[pipeline, unit] = self.usage.get((pipeline, unit), 0.0) + amount

    def stage_started(self, event: StageStarted, /) -> None:
        self._stages[event.number] = (event.stage, event.at)

    def first_item(self, event: FirstItem, /) -> None: ...

    def stage_over(self, event: StageOver, /) -> None:
        stage, began = self._stages.pop(event.number, (event.stage, event.at))
        key = (stage, event.how)
        self.executions[key] = self.executions.get(key, 0) + 1
        _of(self.stage_seconds, stage).add(event.at - began)

    # --- for who scrapes ---

    def collect(self) -> Iterator[Metric]:
        """The metric families; so this is a collector of `prometheus_client`."""
        from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily

        running = GaugeMetricFamily("agentlang_runs_in_progress", "Runs that have not ended.", labels=["pipeline"])
        for pipeline, count in self.running.items():
            running.add_metric([pipeline], count)
        yield running
        runs = CounterMetricFamily("agentlang_runs", "Runs that ended, by how.", labels=["pipeline", "status"])
        for (pipeline, status), count in self.runs.items():
            runs.add_metric([pipeline, status], count)
        yield runs
        stages = CounterMetricFamily(
            "agentlang_stages", "Executions of stages, by how they ended.", labels=["stage", "how"]
        )
        for (stage, how), count in self.executions.items():
            stages.add_metric([stage, how], count)
        yield stages
        usage = CounterMetricFamily(
            "agentlang_usage", "What runs counted: tokens, dollars.", labels=["pipeline", "unit"]
        )
        for (pipeline, unit), amount in self.usage.items():
            usage.add_metric([pipeline, unit], amount)
        yield usage
        for name, what, label, found in (
            ("agentlang_run_seconds", "From a run's start to its end.", "pipeline", self.seconds),
            ("agentlang_first_item_seconds", "From a run's start to its first item.", "pipeline", self.first),
            ("agentlang_stage_seconds", "One execution of a stage.", "stage", self.stage_seconds),
        ):
            family = HistogramMetricFamily(name, what, labels=[label])
            for value, histogram in found.items():
                family.add_metric([value], histogram.cumulative(), histogram.total)
            yield family

    def text(self) -> bytes:
        """What is scraped, in Prometheus' text format."""
        from prometheus_client import CollectorRegistry, generate_latest

        registry = CollectorRegistry(auto_describe=False)
        registry.register(self)  # pyright: ignore[reportArgumentType] - by its `collect`, which is all that is asked
        return generate_latest(registry)


def _of(found: dict[str, Histogram], key: str) -> Histogram:
    histogram = found.get(key)
    if histogram is None:
        histogram = found[key] = Histogram()
    return histogram
