"""Spans for OpenTelemetry, by its conventions for generative AI: a run is `invoke_workflow`, the call of an agent
`invoke_agent`, of a model `chat`, of a tool `execute_tool`, the making of a plan `plan`; what a call is made of
(tokenize, prefill, decode) are spans in it.

What is heard is put into a queue, and a thread makes the spans, with the times that things had: a span costs more than
the stage that it is of. Only the API of OpenTelemetry is used; where spans go is the affair of the provider that it is
given, or of the one that the process has.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from queue import SimpleQueue
from threading import Thread
from types import TracebackType
from typing import TYPE_CHECKING, Any

from ...ir.graph import Graph
from ..observers import FirstItem, HandleOpening, HandleReady, Observer, RunOver, RunStarted, StageOver, StageStarted
from .about import About, Abouts

if TYPE_CHECKING:
    from opentelemetry.trace import Span, Tracer, TracerProvider

_LOG = logging.getLogger(__name__)
_NAME = "gen_ai.operation.name"


class Telemetry(Observer):
    """`with Telemetry(graph, agents) as telemetry:`, given as an observer. `now` is the clock of the shell."""

    def __init__(
        self,
        graph: Graph,
        agents: Iterable[str] = (),
        provider: TracerProvider | None = None,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        from opentelemetry import trace

        self._heard: SimpleQueue[Any] = SimpleQueue()
        # The shell's clock has no date: both are read once.
        began = time.time_ns() - round(now() * 1e9)
        tracer = trace.get_tracer("agentlang", tracer_provider=provider)
        maker = _Maker(tracer, Abouts(graph, agents), lambda at: began + round(at * 1e9))
        self._thread = Thread(target=_make, args=(self._heard, maker), name="telemetry", daemon=True)
        self._thread.start()

    def __enter__(self) -> Telemetry:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self, seconds: float = 5.0) -> None:
        """Make the spans of all that was heard; of what has not ended, too."""
        self._heard.put(None)
        self._thread.join(seconds)

    def planned(self, pipeline: str, began: float, over: float) -> None:
        """A plan was made, between two times of the shell's clock."""
        self._heard.put((pipeline, began, over))

    def run_started(self, event: RunStarted, /) -> None:
        self._heard.put(event)

    def handle_opening(self, event: HandleOpening, /) -> None:
        self._heard.put(event)

    def handle_ready(self, event: HandleReady, /) -> None:
        self._heard.put(event)

    def stage_started(self, event: StageStarted, /) -> None:
        self._heard.put(event)

    def first_item(self, event: FirstItem, /) -> None:
        self._heard.put(event)

    def stage_over(self, event: StageOver, /) -> None:
        self._heard.put(event)

    def run_over(self, event: RunOver, /) -> None:
        self._heard.put(event)


def _make(heard: SimpleQueue[Any], maker: _Maker) -> None:
    try:
        while (event := heard.get()) is not None:
            maker.hear(event)
        maker.close()
    except Exception:
        _LOG.exception("no more spans are made")
        while heard.get() is not None:
            pass  # a queue that nobody empties would grow


@dataclass
class _Group:
    """A span around stages, from the begin of the first to the end of the last. It is closed with its run, for another
    stage may yet come."""

    span: Span
    began: float
    over: float = 0.0
    usage: dict[str, float] = field(default_factory=dict[str, float])


@dataclass
class _Run:
    span: Span
    groups: dict[tuple[str, tuple[int, ...]], _Group] = field(default_factory=dict[tuple[str, tuple[int, ...]], _Group])


class _Maker:
    """Spans of what is heard, in one thread."""

    def __init__(self, tracer: Tracer, abouts: Abouts, at: Callable[[float], int]) -> None:
        self._tracer = tracer
        self._abouts = abouts
        self._at = at
        self._runs: dict[int, _Run] = {}
        self._stages: dict[int, tuple[Span, StageStarted, list[_Group]]] = {}
        self._opening: dict[str, Span] = {}
        self._last = 0.0

    def hear(self, event: Any) -> None:
        match event:
            case RunStarted():
                attributes = {_NAME: "invoke_workflow", "gen_ai.agent.name": event.pipeline}
                self._runs[event.run] = _Run(self._begin(f"invoke_workflow {event.pipeline}", event.at, attributes))
            case HandleOpening():
                self._opening[event.name] = self._begin(f"open {event.name}", event.at, {})
            case HandleReady():
                self._end(self._opening.pop(event.name), event.at, "unreachable" if event.failed else None)
            case StageStarted():
                self._stage(event)
            case FirstItem():
                self._first(event)
            case StageOver():
                self._over(event)
            case RunOver():
                self._run_over(event)
            case (str() as pipeline, float() as began, float() as over):
                self._end(self._begin(f"plan {pipeline}", began, {_NAME: "plan", "gen_ai.agent.name": pipeline}), over)
            case _:
                raise AssertionError(event)

    def close(self) -> None:
        for span, _, _ in self._stages.values():
            self._end(span, self._last, "cancelled")
        for run in self._runs.values():
            for group in run.groups.values():
                self._end(group.span, self._last, "cancelled")
            self._end(run.span, self._last, "cancelled")

    def _stage(self, event: StageStarted) -> None:
        run = self._runs.get(event.run)
        if run is None:
            return
        about = self._abouts[event.stage]
        parent, inside = run.span, list[_Group]()
        for path, name in about.agents:
            attributes = {_NAME: "invoke_agent", "gen_ai.agent.name": name}
            group = self._group(run, path, (), f"invoke_agent {name}", event.at, attributes, parent)
            inside.append(group)
            parent = group.span
        if about.what == "chat":
            attributes = {_NAME: "chat", "gen_ai.request.model": about.name, "gen_ai.provider.name": "agentlang"}
            group = self._group(run, about.call, event.index, f"chat {about.name}", event.at, attributes, parent)
            inside.append(group)
            parent = group.span
        name, attributes = _title(about, event)
        if event.index:
            attributes["agentlang.turn"] = list(event.index)
        self._stages[event.number] = (self._begin(name, event.at, attributes, parent), event, inside)

    def _group(
        self,
        run: _Run,
        call: str,
        index: tuple[int, ...],
        name: str,
        at: float,
        attributes: dict[str, Any],
        parent: Span,
    ) -> _Group:
        group = run.groups.get((call, index))
        if group is None:
            group = run.groups[call, index] = _Group(self._begin(name, at, attributes, parent), at)
        return group

    def _first(self, event: FirstItem) -> None:
        found = self._stages.get(event.number)
        if found is None:
            return
        span, started, inside = found
        span.add_event("first item", timestamp=self._at(event.at))
        if started.entry == "llm:decode" and inside:
            chat = inside[-1]
            chat.span.set_attribute("gen_ai.response.time_to_first_chunk", event.at - chat.began)

    def _over(self, event: StageOver) -> None:
        found = self._stages.pop(event.number, None)
        if found is None:
            return
        span, _, inside = found
        if event.items:
            span.set_attribute("agentlang.items", event.items)
        for unit, amount in event.usage.items():
            span.set_attribute(_USAGE.get(unit, f"agentlang.usage.{unit}"), _plain(amount))
            for group in inside:
                group.usage[unit] = group.usage.get(unit, 0.0) + amount
        for group in inside:
            group.over = event.at
        self._end(span, event.at, "failed" if event.how == "failed" else None)

    def _run_over(self, event: RunOver) -> None:
        run = self._runs.pop(event.run)
        for group in run.groups.values():
            for unit, amount in group.usage.items():
                group.span.set_attribute(_USAGE.get(unit, f"agentlang.usage.{unit}"), _plain(amount))
            self._end(group.span, group.over or event.at)
        for unit, amount in event.usage.items():
            run.span.set_attribute(_USAGE.get(unit, f"agentlang.usage.{unit}"), _plain(amount))
        run.span.set_attribute("agentlang.status", event.outcome.status)
        done = event.outcome.status == "done"
        self._end(run.span, event.at, None if done else event.outcome.reason or event.outcome.status)

    def _begin(self, name: str, at: float, attributes: dict[str, Any], parent: Span | None = None) -> Span:
        from opentelemetry.trace import set_span_in_context

        self._last = at
        context = set_span_in_context(parent) if parent is not None else None
        return self._tracer.start_span(name, context, start_time=self._at(at), attributes=attributes)

    def _end(self, span: Span, at: float, error: str | None = None) -> None:
        from opentelemetry.trace import Status, StatusCode

        self._last = at
        if error is not None:
            span.set_attribute("error.type", error)
            span.set_status(Status(StatusCode.ERROR))
        span.end(self._at(at))


_USAGE = {"tokens_in": "gen_ai.usage.input_tokens", "tokens_out": "gen_ai.usage.output_tokens"}


def _title(about: About, event: StageStarted) -> tuple[str, dict[str, Any]]:
    match about.what:
        case "tool":
            return f"execute_tool {about.name}", {_NAME: "execute_tool", "gen_ai.tool.name": about.name}
        case "embeddings":
            return f"embeddings {about.name}", {_NAME: "embeddings", "gen_ai.request.model": about.name}
        case _:
            return event.stage, {"agentlang.entry": event.entry}


def _plain(amount: float) -> float | int:
    """Counts as whole numbers."""
    return int(amount) if amount == int(amount) else amount
