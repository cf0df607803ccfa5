"""From a graph and a journal to a durable shell: a new run, or one that goes on."""

from __future__ import annotations

import secrets
import signal
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import fields
from typing import Any, cast

from ...base.problems import OutsideError, Problems
from ...ir.fused import FUSED, stages, unfused
from ...ir.graph import Graph, Operation, Region, walk
from ...ir.labels import labels_of as held_by
from ...lang.types import StreamType
from .. import journal_problems as problems
from ..backends import Backend
from ..backends.calls import PLAIN
from ..cassettes import digest
from ..clock import Clock, LoopClock
from ..deployment import Deployment
from ..machine import orders
from ..machine.faults import ProtocolError
from ..machine.semantics import LEAVES
from ..observers import Observer
from . import promised
from .course import Course, InputDiffers, InputMissing
from .file import Head
from .log import Log
from .shell import DurableShell
from .values import Masked, Unreadable, to_data

Labels = Mapping[str, tuple[str, ...]]
_PUBLIC = frozenset({"untrusted"})


def new_head(
    deployment: Deployment,
    backend: Backend,
    pipeline: str,
    run: str,
    agentlang: str,
    *,
    kept: Iterable[str] = (),
    seed: int | None = None,
) -> tuple[Head, Problems]:
    """What a new journal begins with. `backend` is the one that will run the stages; values with labels in `kept` are
    written as they are. Problems where a run could not be resumed from what may be written."""
    graph, told = deployment.graph, tuple(kept)
    head = Head(
        run,
        pipeline,
        graph.digest,
        agentlang,
        secrets.randbits(48) if seed is None else seed,
        secrets.token_hex(8),
        _immediate(graph, backend),
        {each.name: getattr(deployment, each.name) for each in fields(deployment) if _is_plain(deployment, each.name)},
        told,
        promised.to_data(each for each in deployment.promises if each.pipeline == pipeline),
    )
    return head, _untold(deployed(graph, head).graph, pipeline, frozenset(told))


def open_durable(
    deployment: Deployment,
    backend: Backend,
    log: Log,
    head: Head,
    *,
    course: Course | None = None,
    observers: Iterable[Observer] = (),
    signals: Iterable[signal.Signals] = (),
    clock: Clock | None = None,
) -> DurableShell:
    """A shell to be used in `async with`, which writes to `log`. With a `course` (`course_of`) it goes on from there by
    `resume`, else a run is started as in any shell. The log is closed with the shell."""
    deployment, options = durable_options(deployment, head, course)
    return DurableShell(
        *(deployment, backend, log, clock or LoopClock()), observers=observers, signals=signals, **options
    )


def durable_options(deployment: Deployment, head: Head, course: Course | None) -> tuple[Deployment, dict[str, Any]]:
    """The deployment of a durable shell, and what else it is made with, of a head."""
    deployment = deployed(deployment.graph, head) if course is None else course.machine.deployment
    labels = input_labels(deployment.graph, head.pipeline, frozenset(head.kept))

    def mask(inputs: Mapping[str, object]) -> dict[str, object]:
        return {
            name: Masked(labels[name], _digest(head, value)) if name in labels else value
            for name, value in inputs.items()
        }

    immediate = frozenset(head.immediate)
    return deployment, {"run": head.salt, "immediate": immediate, "seed": head.seed, "course": course, "mask": mask}


def course_of(graph: Graph, head: Head, lines: Iterable[str], given: Mapping[str, object], name: str = "") -> Course:
    """The machine led through a journal. `given` are inputs by name; only those that the journal does not tell are
    looked at. Raises `OutsideError` where they are missing, and for a journal that is damaged; `name` is its own."""
    course = new_course(graph, head, given)
    for number, line in enumerate(lines, 1):
        step(course, number, line, name or head.run, head)
    if course.request is None:
        raise OutsideError(problems.not_a_journal(name or head.run, "the run had not begun when it was cut off"))
    return course


def new_course(graph: Graph, head: Head, given: Mapping[str, object]) -> Course:
    def same(masked: Masked, value: object) -> bool:
        return masked.digest == _digest(head, value)

    return Course(deployed(graph, head), head.seed, given, same)


def step(course: Course, number: int, line: str, name: str, head: Head) -> None:
    """One record; `number` and `name` are for problems."""
    try:
        course.step(line)
    except InputDiffers as error:
        why = f"it is {_shown(error.labels)} and not written down, and what was given is not what it was"
        raise OutsideError(problems.input_again(head.run, (error.name,), why)) from None
    except InputMissing:
        names = sorted(input_labels(course.machine.deployment.graph, head.pipeline, frozenset(head.kept)))
        why = "what has a label is not written down"
        raise OutsideError(problems.input_again(head.run, names, why)) from None
    except Unreadable as error:
        raise OutsideError(problems.damaged(name, number, str(error))) from None
    except (ProtocolError, LookupError) as error:
        why = f"the program does not come to it ({error})"
        raise OutsideError(problems.damaged(name, number, why)) from None


def wanted_streams(course: Course) -> tuple[str, ...]:
    """The caller's streams that are still read, which must be given again."""
    open_ = (running for running in course.stages.values() if not running.stopping)
    return tuple(sorted(running.order.name for running in open_ if isinstance(running.order, orders.StartInput)))


def missing_streams(course: Course, head: Head, streams: Iterable[str]) -> None:
    """Raises `OutsideError` where one of them is not there."""
    missing = [name for name in wanted_streams(course) if name not in set(streams)]
    if missing:
        why = "a stream is read again from its beginning, and what was read of it is passed over"
        raise OutsideError(problems.input_again(head.run, missing, why))


def deployed(graph: Graph, head: Head) -> Deployment:
    """The deployment that the run began with: its settings, and the same stages fused. What gives labelled data is not
    fused: the machine computes the plain part of it again, so that no journal has it."""
    immediate, kept = frozenset(head.immediate), frozenset(head.kept) | _PUBLIC
    held = held_by(graph)

    def waits(operation: Operation) -> bool:
        if not held[operation.id].result <= kept:
            return True
        return not all(str(each.attributes["entry"]) in immediate for each in stages(operation))

    known = {each.name for each in fields(Deployment)} - {"graph", "promises"}
    settings = {name: value for name, value in head.settings.items() if name in known}
    promises = promised.from_data(head.promises)
    return Deployment(unfused(graph, waits), promises=promises, **cast("dict[str, Any]", settings))


def input_labels(graph: Graph, pipeline: str, kept: frozenset[str]) -> Labels:
    """The labels of a pipeline's inputs that are not to be written down."""
    body = graph.pipeline(pipeline).body
    held = held_by(graph)
    found: dict[int, frozenset[str]] = {}
    for operation in walk(body):
        known = held.get(operation.id)
        if known is not None:
            for value, labels in zip(operation.operands, known.operands, strict=False):
                found[value.id] = found.get(value.id, frozenset()) | labels
    inputs = zip(body.arguments, graph.pipeline(pipeline).inputs, strict=True)
    labels = {given.name: found.get(argument.id, frozenset()) - kept - _PUBLIC for argument, given in inputs}
    return {name: tuple(sorted(one)) for name, one in labels.items() if one}


def _untold(graph: Graph, pipeline: str, kept: frozenset[str]) -> Problems:
    """Where values would have to be written that may not."""
    given = graph.pipeline(pipeline)
    secret = input_labels(graph, pipeline, kept)
    for parameter in given.inputs:
        if isinstance(parameter.type, StreamType) and parameter.name in secret:
            return (problems.journal_masks(parameter.name, secret[parameter.name], given.span),)
    held = held_by(graph)
    for operation in _told(given.body):
        labels = held[operation.id].result - kept - _PUBLIC if operation.id in held else frozenset[str]()
        if labels:
            return (problems.journal_masks(operation.id, sorted(labels), operation.span),)
    return ()


def _told(region: Region) -> Iterator[Operation]:
    """What tells its value to the machine: stages, and what is fused as a whole."""
    for operation in region.operations:
        if operation.name == FUSED or "entry" in operation.attributes or operation.name in LEAVES:
            yield operation
        else:
            for inner in operation.regions:
                yield from _told(inner)


def _immediate(graph: Graph, backend: Backend) -> tuple[str, ...]:
    """Entries that run at once. Only those that compute: any other may need a model that is not open yet after a
    restart."""
    entries = {
        str(operation.attributes["entry"])
        for pipeline in (*graph.pipelines, *graph.tests)
        for operation in walk(pipeline.body)
        if "entry" in operation.attributes
    }
    return tuple(sorted(e for e in entries if e.partition(":")[0] in PLAIN and backend.immediate(e)))


def _is_plain(deployment: Deployment, name: str) -> bool:
    return isinstance(getattr(deployment, name), int | float | str | bool | None)


def _digest(head: Head, value: object) -> str:
    return digest(to_data(value), head.salt)


def _shown(labels: Iterable[str]) -> str:
    return ", ".join(f"@{label}" for label in labels)
