"""What is labelled is in no place where values are written down: generated programs run with secrets in their labelled
inputs and in what their tools give, some calls fail with words that quote what they were given, and every sink is
searched for the secrets' bytes.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from random import Random
from typing import Any

import anyio
import pytest
from agent_sources import checked
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from test_label_laws import Writer

from agentlang.base.problems import Problem, has_errors
from agentlang.cli.blame import blame_text
from agentlang.cli.crash import report
from agentlang.cli.trace import moment_text, table_text
from agentlang.executor.backends import Backend, Bound, Call
from agentlang.executor.backends.calls import PLAIN
from agentlang.executor.backends.local import LocalBackend
from agentlang.executor.backends.recording import RecordingBackend
from agentlang.executor.cassettes import line
from agentlang.executor.deployment import Deployment
from agentlang.executor.frames import End, Item, frame_json
from agentlang.executor.journal.log import MemoryLog
from agentlang.executor.journal.opening import new_head, open_durable
from agentlang.executor.journal.view import View
from agentlang.executor.kinds import StageFailure
from agentlang.executor.labels import labels_of
from agentlang.executor.promises import Promise, Promises
from agentlang.executor.shell import open_shell
from agentlang.executor.watching.chrome import ChromeTrace
from agentlang.executor.watching.metrics import Metrics
from agentlang.executor.watching.telemetry import Telemetry
from agentlang.ir.compile import compile_graph
from agentlang.ir.graph import Graph, Handle, walk
from agentlang.stdlib.library import Library

SECRET = " q7zsecret{}@example.org "
"""An address between spaces, which redacting finds also where texts are put together."""
MARK = "q7zsecret"


class Quoting:
    """Tools that give back what they are given and secrets of their own, and fail now and then, quoting it."""

    def __init__(self, inner: Backend, luck: Random) -> None:
        self._inner, self._luck = inner, luck

    async def open(self, handle: Handle) -> None:
        await self._inner.open(handle)

    async def run(self, call: Call) -> object:
        if call.entry.partition(":")[0] in PLAIN:
            return await self._inner.run(call)
        given = " ".join(map(str, call.arguments.values()))
        if self._luck.random() < 0.1:
            raise StageFailure("tool_error", Problem("tool-raised", f"it cannot take {given}", detail=f"at {given}"))
        name = str(call.operation.attributes.get("tool") or call.entry)
        secret = SECRET.format(self._luck.randrange(9))
        answers: Mapping[str, object] = {
            "look": {"owner": secret, "number": "12"},
            "want": {"Refund": {"who": secret, "what": "tea"}},
            "keep": f"kept {given}",
        }
        return answers.get(name.rpartition(":")[2].rpartition(".")[2], given)

    def immediate(self, entry: str) -> bool:
        return entry.partition(":")[0] in PLAIN and self._inner.immediate(entry)

    def now(self, call: Call) -> object:
        return self._inner.now(call)

    def bound(self, call: Call) -> Bound | None:
        return self._inner.bound(call)

    async def close(self) -> None:
        await self._inner.close()


def sinks_of(graph: Graph, library: Library, pipeline: str, seed: int) -> dict[str, str]:
    """A run of the pipeline; what each sink has of it. What the caller asked for, its result, is not among them."""
    luck = Random(seed)
    inputs: dict[str, object] = {
        each.name: SECRET.format(luck.randrange(9)) if each.name in labelled(graph, pipeline) else "plain words"
        for each in graph.pipeline(pipeline).inputs
    }
    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    metrics, tape = Metrics(), list[str]()
    stages = [each.id for each in walk(graph.pipeline(pipeline).body) if "entry" in each.attributes]
    promise = Promise("finish", 1e-6, dict.fromkeys(stages, 0.0), {}, "finish p99")
    found: dict[str, str] = {}
    with tempfile.TemporaryDirectory() as folder, Telemetry(graph, provider=provider) as telemetry:
        trace = Path(folder) / "trace.json"
        with ChromeTrace(trace) as chrome:
            observers = (chrome, telemetry, metrics)
            deployment = Deployment(graph, promises=(Promises(pipeline, (promise,)),))
            quoting = Quoting(LocalBackend(library), luck)
            backend = RecordingBackend(
                quoting, lambda recorded: tape.append(line(recorded)), salt="s", labels=labels_of(graph)
            )

            async def main() -> list[Any]:
                head, refused = new_head(deployment, backend, pipeline, "law", "0", seed=3)
                if refused:
                    # What may not be written cannot be resumed: it runs without a journal.
                    async with open_shell(deployment, backend, observers=observers) as shell:
                        return [frame async for frame in shell.start(pipeline, inputs)]
                log = MemoryLog()
                async with open_durable(deployment, backend, log, head, observers=observers) as shell:
                    frames = [frame async for frame in shell.start(pipeline, inputs)]
                found["journal"] = "\n".join([json.dumps(asdict(head)), *log.lines])
                view = View(graph, head, tuple(log.lines), inputs)
                moments = [view.at(number) for number in range(len(view) + 1)]
                found["moments"] = "\n".join(f"{moment_text(each, len(view))}{each!r}" for each in moments)
                everything = View(graph, head, tuple(log.lines), inputs, ("pii", "secret", "kept", "made"))
                found["allowed"] = "\n".join(everything.at(number).said for number in range(len(everything) + 1))
                found["table"] = table_text(view.ran(), moments[-1])
                return frames

            frames = anyio.run(main)
        found["trace"] = trace.read_text()
    end = frames[-1]
    assert isinstance(end, End)
    told = [frame_json(frame) for frame in frames if not isinstance(frame, Item)]
    for frame in told:
        frame.pop("value", None)
    found["frames"] = json.dumps(told) + repr([frame.outcome.problem for frame in frames if isinstance(frame, End)])
    found["blame"] = "\n".join(map(blame_text, end.blame))
    found["cassette"] = "\n".join(tape)
    found["metrics"] = metrics.text().decode()
    found["spans"] = "\n".join(span.to_json() for span in exporter.get_finished_spans())
    return found


def labelled(graph: Graph, pipeline: str) -> frozenset[str]:
    text = next(each for each in graph.pipelines if each.name == pipeline)
    return frozenset(each.name for each in text.inputs if each.name in SECRETS.get(pipeline, ()))


SECRETS: dict[str, frozenset[str]] = {}
SEEN = {"journal": 0, "refused": 0, "failed": 0, "there": 0}


def check(seed: int) -> None:
    # What the program itself declassifies is nobody's secret any more.
    text = Writer(seed).program().replace("declassify(", "text.redact(")
    program, problems = checked(text)
    assert program is not None and not has_errors(problems)
    library = Library(Path())
    graph, problems = compile_graph(program, library)
    assert graph is not None, problems
    for pipeline in program.pipelines:
        SECRETS[pipeline.name] = frozenset(each.name for each in pipeline.parameters if each.labels)
        found = sinks_of(graph, library, pipeline.name, seed)
        SEEN["there"] += MARK in found.pop("allowed", "")
        for sink, said in found.items():
            assert MARK not in said, (sink, text, said)
        SEEN["journal" if "journal" in found else "refused"] += 1
        SEEN["failed"] += '"type": "problem"' in found["frames"]


def test_no_sink_of_some_programs_has_what_is_labelled() -> None:
    """And secrets were there, with journals, refusals and failures, or it would say nothing."""
    check(7)
    assert all(SEEN.values()), SEEN


@pytest.mark.slow
@given(st.integers(0, 2**32))
@settings(max_examples=20, deadline=None)
def test_no_sink_has_what_is_labelled(seed: int) -> None:
    check(seed)


def test_a_crash_log_has_no_values_of_arguments(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("AGENTLANG_HOME", str(tmp_path))
    given = SECRET.format(1)
    report(KeyError(f"no such key: {given}"), ["run", "x.agent", f"name={given}", "--json"])
    (log,) = tmp_path.rglob("crash-*.log")
    assert MARK not in log.read_text() + capsys.readouterr().err
    assert log.stat().st_mode & 0o077 == 0 and "KeyError" in log.read_text()
