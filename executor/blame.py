"""Where the time of a run went that it took too much of: back from a moment, from each stage to what it waited for.

The path that ends at a moment: of what was over by then, the last; before that, what was over when it came; and so on
to the beginning. Its steps touch each other, so that their seconds add up to the moment. Pure; simulations read their
runs by the same walk (`simulate.blaming`).
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from ..ir.graph import GraphPipeline, walk
from .deployment import Deployment
from .machine.orders import Execution, FinishRun, Pause, Timings
from .promises import FINISH, Promise, Promises

Cause = Literal[
    "model", "tool", "computing", "in line", "transfer", "held back", "between", "opening", "person", "reader"
]
"""What a stage did, or waited for. `held back`: by the stage that reads its stream; `between`: nothing ran that this
waited for, as in a pause between retries or while a caller's stream brought nothing."""

UNCOUNTED: tuple[Cause, ...] = ("opening", "person", "reader")
"""What is not counted for any promise."""

_CLOSE = 1e-9


@dataclass(frozen=True, slots=True)
class Span:
    """An execution as the walk sees it: it came at `came`, was in line from `asked`, was served from `began`, and had
    given what is looked for at `done`. It ran until `over`. `what` is the caller's own."""

    done: float
    came: float
    asked: float
    began: float
    over: float
    what: int


Kind = Literal["service", "line", "transfer", "gap"]


@dataclass(frozen=True, slots=True)
class Step:
    """Of a path: what a span did from `start` to `end`. In a `gap` nothing did: what stands before it is over."""

    what: int
    kind: Kind
    start: float
    end: float


def path(spans: Iterable[Span], begin: float, end: float) -> list[Step]:
    """The steps from `end` back to `begin`; nothing between them is left out."""
    rest = sorted(spans, key=lambda span: span.done)
    out: list[Step] = []
    now = end

    def step(what: int, kind: Kind, start: float) -> None:
        nonlocal now
        start = max(start, begin)
        if start < now:
            out.append(Step(what, kind, start, now))
            now = start

    while rest and now > begin + _CLOSE:
        span = rest.pop()
        if span.done > now + _CLOSE or span.came >= now:
            continue
        if span.over < now - _CLOSE:
            step(-1, "gap", span.over)
        step(span.what, "service", max(span.began, span.came))
        step(span.what, "line", span.asked)
        step(span.what, "transfer", span.came)
    step(-1, "gap", begin)
    return out


# --- of a run ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Part:
    """Seconds of a moment that went into one stage (none: `between` stages) for one cause. `slice_` is what the stage
    was to take in all, where it has a slice."""

    stage: str
    cause: Cause
    seconds: float
    slice_: float | None = None


@dataclass(frozen=True, slots=True)
class Missed:
    """A promise that a run has not kept. `measured` is what counts of the moment; `parts`, longest first, add up to it,
    and with those of `uncounted` to the time from the start of the run."""

    name: str
    moment: str
    limit: float
    measured: float
    parts: tuple[Part, ...]
    uncounted: tuple[Part, ...] = ()


def counted(timings: Timings, moment: float) -> float:
    """Seconds of a moment that count for a promise."""
    return moment - sum(min(each.end, moment) - each.start for each in timings.pauses if each.start < moment)


def blamed(deployment: Deployment, order: FinishRun) -> tuple[Missed, ...]:
    """What a run that is over did not keep of what its deployment promises."""
    promises = next((each for each in deployment.promises if each.pipeline == order.pipeline), None)
    if promises is None or not order.timings.executions:
        return ()
    return missed(promises, order.timings, deployment.graph.pipeline(order.pipeline))


def missed(promises: Promises, timings: Timings, pipeline: GraphPipeline) -> tuple[Missed, ...]:
    """The promises that a run of the pipeline did not keep. One that ended before a moment came has none of that."""
    out: list[Missed] = []
    for promise in promises.promises:
        moment = timings.finish if promise.moment == FINISH else timings.first_item
        if moment is None:
            continue
        measured = counted(timings, moment)
        if measured > promise.limit:
            out.append(_missed(promise, timings, moment, measured, causes_of(pipeline)))
    return tuple(out)


def _missed(promise: Promise, timings: Timings, moment: float, measured: float, causes: Mapping[str, Cause]) -> Missed:
    parts: list[Part] = []
    uncounted: list[Part] = []
    for (stage, cause), seconds in parts_of(timings, moment, causes, first=promise.moment != FINISH).items():
        part = Part(stage, cause, seconds, promise.slices.get(stage))
        (uncounted if cause in UNCOUNTED else parts).append(part)
    for found in (parts, uncounted):
        found.sort(key=lambda part: -part.seconds)
    return Missed(
        promise.name or promise.moment, promise.moment, promise.limit, measured, tuple(parts), tuple(uncounted)
    )


def parts_of(
    timings: Timings, moment: float, causes: Mapping[str, Cause], *, first: bool
) -> dict[tuple[str, Cause], float]:
    """Seconds by stage and cause from the start of a run to a moment: they add up to it."""
    executions = timings.executions
    spans = [_span(number, each, first) for number, each in enumerate(executions)]
    out: dict[tuple[str, Cause], float] = {}
    held = [each.held for each in executions]
    ends = [pause.end for pause in timings.pauses]

    def add(stage: str, cause: Cause, seconds: float) -> None:
        if seconds > 0.0:
            out[stage, cause] = out.get((stage, cause), 0.0) + seconds

    for step in path(spans, 0.0, moment):
        stage = "" if step.what < 0 else executions[step.what].stage
        left = step.end - step.start
        for cause, seconds in _overlap(timings.pauses, ends, step):
            add(stage, cause, seconds)
            left -= seconds
            if cause == "reader" and step.what >= 0:
                held[step.what] -= seconds
        if step.kind == "service":
            back = min(left, max(0.0, held[step.what]))
            add(stage, "held back", back)
            add(stage, causes.get(stage, "computing"), left - back)
        else:
            add(stage, _NAMES[step.kind], left)
    return out


_NAMES: Mapping[str, Cause] = {"line": "in line", "transfer": "transfer", "gap": "between"}


def _span(number: int, each: Execution, first: bool) -> Span:
    done, came = each.end, each.start
    if first:
        done = each.end if each.first is None else each.first
        came = each.start if each.first_came is None else each.first_came
    elif each.last_came is not None:
        came = max(each.start, each.last_came)
    return Span(done, came, came, came + each.line, each.end, number)


def _overlap(pauses: Sequence[Pause], ends: Sequence[float], step: Step) -> list[tuple[Cause, float]]:
    """What of a step was paused. Pauses are in order and do not overlap; `ends` are theirs."""
    found: list[tuple[Cause, float]] = []
    for place in range(bisect_right(ends, step.start), len(pauses)):
        pause = pauses[place]
        if pause.start >= step.end:
            break
        found.append((pause.cause, min(pause.end, step.end) - max(pause.start, step.start)))
    return found


# --- what stages are --------------------------------------------------------------------------------------------------

_MODEL = frozenset(
    (
        *("agent.tokenize", "agent.prefill", "agent.sample", "agent.decode", "agent.detokenize", "agent.chat"),
        *("agent.embed", "agent.score", "agent.transcribe", "agent.synthesise"),
    )
)
_TOOL = frozenset(("agent.compute", "agent.lookup", "agent.load", "agent.store"))
_TRANSFER = frozenset(("agent.kv_transfer", "agent.send", "agent.receive"))


def causes_of(pipeline: GraphPipeline) -> dict[str, Cause]:
    """What the time in each stage of a pipeline is: of a model, of a tool, of a transfer, or of plain computing."""
    out: dict[str, Cause] = {}
    for operation in walk(pipeline.body):
        if operation.name in _TRANSFER:
            out[operation.id] = "transfer"
        elif operation.name in _MODEL:
            out[operation.id] = "model"
        elif operation.name in _TOOL or "tool" in operation.attributes:
            out[operation.id] = "tool"
    return out
