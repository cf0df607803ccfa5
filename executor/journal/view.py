"""A run as its journal tells it, for people: what ran when, and how all stood after any of its records.

It is the machine itself that is led through the journal (`course`): what waits in a channel is read off the machine's
channels. Values are short texts. What has a label is not shown, for a screen is a place where values are written down;
`kept` are the labels that may be.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import islice

from ...base.audio import Audio
from ...ir.graph import Graph, walk
from ...ir.labels import labels_of
from ..channels import Channel
from ..frames import Item
from ..machine import events, orders
from ..machine.stages import Port
from ..values import to_json
from .acting import effects_of
from .course import Course, Lost
from .file import Head
from .opening import input_labels, new_course, step
from .records import Begun, Given, Record, read

_SHOWN = 72
"""Letters of a value."""
_LISTED = 5
"""Items of a channel that are shown."""
_PUBLIC = frozenset({"untrusted"})


@dataclass(slots=True)
class Ran:
    """One execution of a stage, in seconds of the run's own time. `over` and `ended` (the record) are None while it
    runs; `acts` are its effects on the world. `value` is its last item, where it gives a stream."""

    stage: str
    index: tuple[int, ...]
    start: float
    begun: int
    acts: tuple[str, ...] = ()
    first: float | None = None
    over: float | None = None
    ended: int | None = None
    how: str = "runs"
    items: int = 0
    value: str = ""


@dataclass(frozen=True, slots=True)
class Waiting:
    """What waits on the way from a stage to who reads it: `items` are the first of `count`, the oldest first."""

    source: str
    reader: str
    count: int
    items: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Moment:
    """How a run stood after its first `number` records, the last of which says `said`. `running` are the executions
    under way, `given` what the caller had read, `over` how the run ended."""

    number: int
    at: float
    said: str
    running: tuple[Ran, ...]
    waiting: tuple[Waiting, ...]
    asked: tuple[str, ...]
    opening: tuple[str, ...]
    given: tuple[str, ...]
    over: str | None


@dataclass
class View:
    """The records of a journal, looked at. `given` are the inputs that it does not tell. What goes wrong is raised as
    `OutsideError`, when the record is come to."""

    graph: Graph
    head: Head
    lines: tuple[str, ...]
    given: Mapping[str, object] = field(default_factory=dict[str, object])
    kept: Iterable[str] = ()

    def __post_init__(self) -> None:
        self._allowed = frozenset(self.kept) | _PUBLIC
        self._fresh()

    def __len__(self) -> int:
        return len(self.lines)

    def at(self, number: int) -> Moment:
        """The moment after so many records, from there on or from the beginning. IndexError for more than there are."""
        if not 0 <= number <= len(self.lines):
            raise IndexError(f"the journal has {len(self.lines)} records")
        if number < self._course.count:
            self._fresh()
        while self._course.count < number:
            self._step()
        return self._moment()

    def ran(self) -> tuple[Ran, ...]:
        """All executions up to where it stands, in the order in which they began."""
        return tuple(self._ran)

    @property
    def course(self) -> Course:
        return self._course

    # --- forwards ---

    def _fresh(self) -> None:
        self._course = course = new_course(self.graph, self.head, self.given)
        graph = course.machine.deployment.graph
        self._held = labels_of(graph)
        self._inputs = input_labels(graph, self.head.pipeline, self._allowed)
        self._ran: list[Ran] = []
        self._runs: dict[int, Ran] = {}
        self._channels: dict[int, tuple[str, Channel]] = {}
        self._readers: dict[int, str] = {}
        self._said = "nothing yet"

    def _step(self) -> None:
        course, number = self._course, self._course.count + 1
        before = set(course.stages)
        line = self.lines[number - 1]
        step(course, number, line, self.head.run, self.head)
        record = read(line, lambda _: _ELSEWHERE)
        self._said = self._words(record)
        for stage in course.stages.keys() - before:
            self._begin(stage, course.stages[stage].order, number)
        self._heard(record, number)
        for stage, started in course.machine.stages.items():
            if started.channel is not None and stage not in self._channels:
                self._channels[stage] = (started.name, started.channel)

    def _begin(self, stage: int, order: orders.StartStage | orders.StartInput, number: int) -> None:
        if isinstance(order, orders.StartStage):
            ran = Ran(order.operation.id, order.index, self._course.at, number, effects_of(order.operation))
            for name, value in order.arguments.items():
                if isinstance(value, orders.StreamInput):
                    self._readers[value.reader] = f"{order.operation.id} ({name})"
        else:
            ran = Ran(order.name, (), self._course.at, number)
        self._runs[stage] = ran
        self._ran.append(ran)

    def _heard(self, record: Record, number: int) -> None:
        if not isinstance(record, events.StageItem | events.StageEnded | events.StageFailed | events.StageStopped):
            return
        ran = self._runs.get(record.stage)
        if ran is None:
            return
        if isinstance(record, events.StageItem):
            ran.items += 1
            ran.first = record.at if ran.first is None else ran.first
            ran.value = self._value(record.item, ran.stage)
            return
        del self._runs[record.stage]
        ran.over, ran.ended = record.at, number
        ran.how = {"StageEnded": "ended", "StageFailed": "failed"}.get(type(record).__name__, "stopped")
        if isinstance(record, events.StageEnded) and not ran.items:
            ran.value = self._value(record.value, ran.stage)
        elif isinstance(record, events.StageFailed):
            ran.value = f"{record.reason}: {record.problem.title}"

    # --- a moment ---

    def _moment(self) -> Moment:
        course = self._course
        finish = course.finish
        over = None
        if finish is not None:
            over = " ".join(each for each in (finish.outcome.status, finish.outcome.reason) if each)
        return Moment(
            course.count,
            course.at,
            self._said,
            tuple(replace(self._runs[stage]) for stage in sorted(self._runs)),
            tuple(self._waiting()),
            tuple(self._question(question) for question in course.questions.values()),
            tuple(course.opening),
            tuple(self._leaving(frame.output, frame.stage) for frame in course.frames if isinstance(frame, Item)),
            over,
        )

    def _waiting(self) -> Iterator[Waiting]:
        """Of each stage that gave a stream: what its readers have not taken."""
        course = self._course
        for name, channel in self._channels.values():
            for reader in channel.readers:
                items = reader.lying()
                port = reader.sink if isinstance(reader.sink, Port) else None
                if port is not None and port.number in course.readers:
                    # What was delivered is off the channel, and lies before the stage.
                    items = [*course.readers[port.number].waiting, *items]
                if items:
                    to = "the program" if port is None else self._readers.get(port.number, "the caller")
                    yield self._lie(name, to, items)
        if course.outgoing:
            first = course.outgoing[0]
            items = [self._leaving(each.item, each.stage) for each in islice(course.outgoing, _LISTED)]
            yield Waiting(first.stage, "the caller", len(course.outgoing), tuple(items))

    def _lie(self, name: str, to: str, items: list[object]) -> Waiting:
        return Waiting(name, to, len(items), tuple(self._value(item, name) for item in items[:_LISTED]))

    # --- words ---

    def _words(self, record: Record) -> str:
        match record:
            case events.RunRequested():
                # Those that the journal does not tell were given by who looks.
                told = self._course.request or record
                inputs = (f"{name}={self._value(value, name)}" for name, value in told.inputs.items())
                return f"{record.pipeline} is begun: {', '.join(inputs)}"
            case events.HandleOpened():
                return f"{record.name} is open"
            case events.HandleFailed():
                return f"{record.name} does not open: {record.problem.title}"
            case events.StageItem():
                return f"{self._name(record.stage)} gives {self._value(record.item, self._name(record.stage))}"
            case events.StageEnded():
                name, ran = self._name(record.stage), self._runs.get(record.stage)
                streamed = ran is not None and ran.items
                return f"{name} ends" if streamed else f"{name} ends with {self._value(record.value, name)}"
            case events.StageFailed():
                return f"{self._name(record.stage)} fails: {record.reason}, {record.problem.title}"
            case events.StageStopped():
                return f"{self._name(record.stage)} is stopped"
            case Begun():
                return f"{self._name(record.stage)} is about to act"
            case _:
                return self._small(record)

    def _small(self, record: Record) -> str:
        match record:
            case events.Taken():
                return f"{self._readers.get(record.reader, 'the caller')} takes {record.count}"
            case events.ReaderClosed():
                return f"{self._readers.get(record.reader, 'the caller')} reads no more"
            case events.Answered():
                return f"a person says {'yes' if record.granted else 'no'}"
            case events.CancelRequested():
                return f"it is {record.why}"
            case Given():
                return f"the caller is through with item {record.seq}"
            case _:
                return "a clock rings"

    def _name(self, stage: int) -> str:
        ran = self._runs.get(stage)
        return ran.stage if ran is not None else f"stage {stage}"

    def _question(self, question: orders.AskPerson) -> str:
        # The text is made of what the call around it was given.
        secret = self._secret(self._held_by(question.stage, whole=True))
        return f"a question about {secret}" if secret else question.text

    def _leaving(self, value: object, stage: str) -> str:
        """What goes to the caller is labelled as what made it, and as what sends it out."""
        pipeline = self._course.machine.deployment.graph.pipeline(self.head.pipeline)
        labels = self._held_by(stage)
        for each in walk(pipeline.body):
            if each.name in ("agent.emit", "agent.return"):
                labels |= self._held_by(each.id, whole=True)
        return self._masked(value, labels)

    def _value(self, value: object, stage: str) -> str:
        return self._masked(value, self._held_by(stage))

    def _masked(self, value: object, labels: frozenset[str]) -> str:
        secret = self._secret(labels)
        return f"<{secret}>" if secret else short(value)

    def _secret(self, labels: frozenset[str]) -> str:
        return ", ".join(f"@{label}" for label in sorted(labels - self._allowed))

    def _held_by(self, name: str, whole: bool = False) -> frozenset[str]:
        """The labels of what a stage gives, and with `whole` of what it takes; a stream from the caller has those of
        the input."""
        held = self._held.get(name)
        if held is None:
            return frozenset(self._inputs.get(name, ()))
        return held.result.union(*held.operands) if whole else held.result


class _Elsewhere:
    """What only the process that made it could hold."""


_ELSEWHERE = _Elsewhere()


def short(value: object) -> str:
    """A value as one short line."""
    if isinstance(value, Audio):
        return f"{value.seconds:.2f} s of sound"
    if isinstance(value, _Elsewhere | Lost):
        return "<held by its process>"
    try:
        text = json.dumps(to_json(value), ensure_ascii=False)
    except (TypeError, ValueError):
        return f"<{type(value).__name__}>"
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 1]}… ({len(text):,} letters)"
