"""What `run` tells of itself: `--trace FILE` for Perfetto, spans for OpenTelemetry where the environment names an
endpoint for them, as its own tools do (`OTEL_EXPORTER_OTLP_ENDPOINT`), and `--watch` for who sits before it."""

from __future__ import annotations

import argparse
import os
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from ..base.problems import OutsideError
from . import problems as words
from .console import Console

if TYPE_CHECKING:
    from ..executor.observers import Observer
    from ..executor.watching.telemetry import Telemetry
    from .target import Target

ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--trace", metavar="FILE", help="write when each stage ran, for ui.perfetto.dev")
    parser.add_argument("--watch", action="store_true", help="draw what runs at the foot of the terminal")


@contextmanager
def observers(
    arguments: argparse.Namespace, target: Target, console: Console, planning: tuple[float, float] | None = None
) -> Generator[tuple[Observer, ...]]:
    """Those that were asked for; `planning` is when a plan was made, if one was. Raises `OutsideError` (not-written,
    extra-missing)."""
    with ExitStack() as held:
        found: list[Observer] = []
        if arguments.trace:
            from ..executor.watching.chrome import ChromeTrace

            try:
                trace = ChromeTrace(Path(arguments.trace))
            except OSError as error:
                raise OutsideError(
                    words.not_written(arguments.trace, (error.strerror or str(error)).lower())
                ) from error
            held.callback(_traced, trace, arguments.trace, console)
            found.append(held.enter_context(trace))
        if (
            any(os.environ.get(name) for name in ENDPOINTS)
            and os.environ.get("OTEL_SDK_DISABLED", "").lower() != "true"
        ):
            found.append(held.enter_context(_telemetry(target, planning)))
        if arguments.watch:
            from ..executor.watching.live import Live
            from .watching import watched

            found.append(held.enter_context(watched(Live(), console, _stages(target))))
        yield tuple(found)


def _stages(target: Target) -> int:
    from ..ir.graph import walk

    return sum("entry" in each.attributes for each in walk(target.compiled.graph.pipeline(target.pipeline).body))


def _traced(trace: object, path: str, console: Console) -> None:
    from ..executor.watching.chrome import ChromeTrace

    assert isinstance(trace, ChromeTrace)
    if trace.failed is not None:
        reason = (trace.failed.strerror or str(trace.failed)).lower()
        console.problems((words.not_written(path, reason),), {})


@contextmanager
def _telemetry(target: Target, planning: tuple[float, float] | None) -> Generator[Telemetry]:
    from ..stdlib.extras import need

    need("observe", "spans for OpenTelemetry")
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    from ..executor.watching.telemetry import Telemetry

    # What the environment says (`OTEL_SERVICE_NAME`) stands above the name given here.
    provider = TracerProvider(resource=Resource({"service.name": "agentlang"}).merge(Resource.create()))
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    program = target.compiled.program
    agents = [pipeline.name for pipeline in program.pipelines if pipeline.agent is not None]
    try:
        with Telemetry(target.compiled.graph, agents, provider) as telemetry:
            if planning is not None:
                telemetry.planned(target.pipeline, *planning)
            yield telemetry
    finally:
        provider.shutdown()
