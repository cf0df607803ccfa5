"""What is told of runs to other tools, heard from real runs: a trace for Perfetto, spans, counters."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from graphs import hello
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from prometheus_client.parser import text_string_to_metric_families

from agentlang.executor.backends.null import Answer, NullBackend, by_name
from agentlang.executor.deployment import Deployment
from agentlang.executor.machine.orders import Outcome, Timings
from agentlang.executor.observers import Observer, RunOver, RunStarted, StageOver, StageStarted
from agentlang.executor.shell import open_shell
from agentlang.executor.watching.chrome import ChromeTrace
from agentlang.executor.watching.metrics import Metrics
from agentlang.executor.watching.telemetry import Telemetry

pytestmark = pytest.mark.anyio

ANSWERS = {
    "llm:tokenize": Answer((1, 2, 3), usage={"tokens_in": 3}),
    "llm:prefill": Answer("kv", seconds=0.25),
    "llm:transfer": Answer("kv"),
    "llm:decode": Answer(items=(1, 2, 3), seconds=0.06, gap=0.02, usage={"tokens_out": 3}),
    "llm:detokenize": Answer(items=("He", "llo", "!")),
}


async def heard(*observers: Observer, runs: int = 1, without: str = "") -> None:
    """Runs at once; a stage without an answer fails."""
    backend = NullBackend(by_name({entry: answer for entry, answer in ANSWERS.items() if entry != without}))
    async with open_shell(Deployment(hello()), backend, observers=observers) as shell:
        for running in [shell.start("hello", {}) for _ in range(runs)]:
            async for _ in running:
                pass


def spans_of(path: Path) -> list[dict[str, Any]]:
    return [line for line in json.loads(path.read_text("utf-8")) if line["ph"] == "X"]


async def test_a_trace_has_every_stage_on_a_lane_of_its_own_run(tmp_path: Path) -> None:
    path = tmp_path / "trace.json"
    with ChromeTrace(path) as trace:
        await heard(trace, runs=3)
    spans = spans_of(path)
    runs = [span for span in spans if span["cat"] == "run"]
    assert {span["pid"] for span in runs} == {1, 2, 3} and {span["args"]["status"] for span in runs} == {"done"}
    decodes = [span for span in spans if span["cat"] == "llm:decode"]
    assert [span["args"]["items"] for span in decodes] == [3, 3, 3]
    assert all(span["args"]["first item after ms"] * 1e3 <= span["dur"] + 1 for span in decodes)
    for one in spans:
        for other in spans:
            if one is not other and (one["pid"], one["tid"]) == (other["pid"], other["tid"]):
                assert one["ts"] + one["dur"] <= other["ts"] + 0.2 or other["ts"] + other["dur"] <= one["ts"] + 0.2


def test_what_a_killed_process_wrote_is_an_array_without_its_end(tmp_path: Path) -> None:
    path = tmp_path / "trace.json"
    trace = ChromeTrace(path)
    trace.run_started(RunStarted(1, "hello", 0.0))
    for number in range(5000):
        trace.stage_started(StageStarted(1, number, f"hello.{number}", (), "text:join", 0.0))
        trace._note_stage(number, "ended", 0, {}, 1.0)  # pyright: ignore[reportPrivateUsage] - as `stage_over` does
    written = path.read_text("utf-8")
    lines = json.loads(written[: written.rindex(",\n")] + "]")
    assert lines[0]["name"] == "hello.0" and len(lines) > 100
    trace.close()


def test_a_stage_that_never_ended_is_there(tmp_path: Path) -> None:
    path = tmp_path / "trace.json"
    with ChromeTrace(path) as trace:
        trace.run_started(RunStarted(1, "hello", 0.0))
        trace.stage_started(StageStarted(1, 1, "hello.chat.decode", (2,), "llm:decode", 0.5))
    (span,) = spans_of(path)
    assert span["args"] == {"how": "cut", "turn": [2]}


def test_stages_elsewhere_may_be_told_after_their_run_is_over(tmp_path: Path) -> None:
    path = tmp_path / "trace.json"
    with ChromeTrace(path) as trace:
        trace.run_started(RunStarted(1, "hello", 0.0))
        for number in (1, 2):
            trace.stage_started(StageStarted(1, number, f"hello.{number}", (), "text:join", 0.5))
        trace.run_over(RunOver(1, Outcome("done"), {}, Timings(1.0), 1.0))
        trace.stage_started(StageStarted(1, 3, "hello.3", (), "text:join", 0.6))
        for number in (2, 3, 1):
            trace.stage_over(StageOver(1, number, f"hello.{number}", "ended", 0, {}, 0.9))
    assert {span["name"] for span in spans_of(path)} >= {"hello.1", "hello.2", "hello.3"}


async def test_a_full_disk_ends_the_trace_and_not_the_run() -> None:
    trace = ChromeTrace(Path("/dev/full"))
    metrics = Metrics()
    await heard(trace, metrics)
    trace.close()
    assert trace.failed is not None
    assert metrics.runs == {("hello", "done"): 1}


async def test_counters_are_what_a_scraper_reads() -> None:
    metrics = Metrics()
    await heard(metrics, runs=2)
    await heard(metrics, without="llm:decode")
    found = {
        (sample.name, *sorted(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(metrics.text().decode())
        for sample in family.samples
    }
    assert found["agentlang_runs_total", ("pipeline", "hello"), ("status", "done")] == 2
    assert found["agentlang_runs_total", ("pipeline", "hello"), ("status", "failed")] == 1
    assert found["agentlang_runs_in_progress", ("pipeline", "hello")] == 0
    assert found["agentlang_run_seconds_count", ("pipeline", "hello")] == 3
    prefills = [v for k, v in found.items() if k[0] == "agentlang_stage_seconds_count" and "prefill" in str(k)]
    assert prefills == [3]


def spans(exporter: InMemorySpanExporter) -> dict[str, ReadableSpan]:
    return {span.name: span for span in exporter.get_finished_spans()}


@pytest.fixture
def exported() -> Iterator[tuple[InMemorySpanExporter, TracerProvider]]:
    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    yield exporter, provider
    provider.shutdown()


async def test_spans_are_named_and_nested_as_the_conventions_say(
    exported: tuple[InMemorySpanExporter, TracerProvider],
) -> None:
    exporter, provider = exported
    with Telemetry(hello(), provider=provider) as telemetry:
        telemetry.planned("hello", 0.0, 0.5)
        await heard(telemetry)
    found = spans(exporter)
    run = found["invoke_workflow hello"]
    (chat,) = (span for name, span in found.items() if name.startswith("chat "))
    (decode,) = (span for name, span in found.items() if name.startswith("hello.decode"))
    assert run.attributes is not None and chat.attributes is not None and decode.parent is not None
    assert run.attributes["gen_ai.operation.name"] == "invoke_workflow"
    assert chat.attributes["gen_ai.operation.name"] == "chat"
    assert chat.parent == run.context and decode.parent == chat.context
    first = chat.attributes["gen_ai.response.time_to_first_chunk"]
    assert isinstance(first, float) and first > 0.0
    assert chat.start_time and chat.end_time and decode.end_time
    assert run.start_time is not None and run.start_time <= chat.start_time and chat.end_time >= decode.end_time
    assert found["plan hello"].attributes == {"gen_ai.operation.name": "plan", "gen_ai.agent.name": "hello"}
    assert chat.attributes["gen_ai.usage.input_tokens"] == 3 and chat.attributes["gen_ai.usage.output_tokens"] == 3


async def test_what_failed_is_an_error_with_its_reason(exported: tuple[InMemorySpanExporter, TracerProvider]) -> None:
    exporter, provider = exported
    with Telemetry(hello(), provider=provider) as telemetry:
        await heard(telemetry, without="llm:decode")
    found = spans(exporter)
    run = found["invoke_workflow hello"]
    assert run.attributes is not None and run.attributes["agentlang.status"] == "failed"
    assert not run.status.is_ok and run.attributes["error.type"]


async def test_runs_that_never_end_have_spans_all_the_same(
    exported: tuple[InMemorySpanExporter, TracerProvider],
) -> None:
    exporter, provider = exported
    telemetry = Telemetry(hello(), provider=provider)
    telemetry.run_started(RunStarted(1, "hello", 0.0))
    telemetry.stage_started(StageStarted(1, 1, "hello.x", (), "text:join", 0.1))
    telemetry.close()
    assert {span.name for span in exporter.get_finished_spans()} == {"invoke_workflow hello", "hello.x"}
