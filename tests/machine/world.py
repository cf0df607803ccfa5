"""A world for the machine: stages that do what they are told in an order that a test picks, and what must always hold.

Stages are written once, as generators that ask to `read` and `make`; the world drives them through the machine's events
and orders, `meaning` runs the same generators on plain lists.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field

from agentlang.base.problems import Problem
from agentlang.executor.deployment import Deployment
from agentlang.executor.machine import Machine, events, orders
from agentlang.ir.graph import Graph

END = object()
WRITTEN = 3  # the largest buffer that a program writes
Request = tuple[str, object]
Work = Generator[Request, object, object]


def words(text: str) -> Work:
    """A stream of up to five texts."""
    for number in range(len(text) % 6):
        yield "make", f"{text[:3]}{number}"


def shout(stream: object, suffix: str = "!") -> Work:
    """An item for each."""
    while (item := (yield "read", stream)) is not END:
        yield "make", f"{item}{suffix}"


def thin(stream: object) -> Work:
    """Every second item."""
    keep = True
    while (item := (yield "read", stream)) is not END:
        if keep:
            yield "make", item
        keep = not keep


def cat(first: object, second: object) -> Work:
    """All of one, then all of the other."""
    for stream in (first, second):
        while (item := (yield "read", stream)) is not END:
            yield "make", item


def late(first: object, second: object) -> Work:
    """All of one, kept back until all of the other has gone by."""
    held: list[object] = []
    while (item := (yield "read", first)) is not END:
        held.append(item)
    while (item := (yield "read", second)) is not END:
        yield "make", item
    for item in held:
        yield "make", item


def weave(first: object, second: object) -> Work:
    """One from each by turns, to the end of the shorter."""
    while True:
        for stream in (first, second):
            item = yield "read", stream
            if item is END:
                return
            yield "make", item


def head(stream: object) -> Work:
    """The first two items; reads no further."""
    for _ in range(2):
        item = yield "read", stream
        if item is END:
            return
        yield "make", item


def glue(first: object, second: object) -> Work:
    """A text from two values or streams."""
    texts: list[str] = []
    for value in (first, second):
        if isinstance(value, str):
            texts.append(value)
        else:
            while (item := (yield "read", value)) is not END:
                texts.append(str(item))
    joined = "".join(texts)
    return f"{joined[:8]}{len(joined)}"


def first(stream: object) -> Work:
    """The first item; closes the stream and only then ends."""
    item = yield "read", stream
    yield "close", stream
    return "none" if item is END else item


class Broken(Exception):
    """The stage fails."""


def fragile(text: str) -> Work:
    """Fails for every other text."""
    if len(text) % 2:
        raise Broken
    return f"f{text[:4]}"
    yield  # a generator, as all are


STAGES: Mapping[str, Callable[..., Work]] = {
    f"w:{stage.__name__}": stage for stage in (words, shout, thin, cat, late, weave, head, glue, first, fragile)
}


@dataclass
class Stage:
    order: orders.StartStage
    work: Work
    credits: int
    request: Request | None = None
    value: object = None
    stopping: bool = False

    def advance(self, answer: object) -> None:
        try:
            self.request = self.work.send(answer) if self.request else next(self.work)
        except StopIteration as end:
            self.request = None
            self.value = end.value
        except Broken:
            self.request = ("fail", None)


@dataclass
class World:
    """`choose(n)` picks one of n actions. Time passes by 1 with each event."""

    graph: Graph
    choose: Callable[[int], int]
    buffer: int = 2
    call_timeout: float = 1e9
    now: float = 0.0
    stages: dict[int, Stage] = field(default_factory=dict)
    inboxes: dict[int, deque[object]] = field(default_factory=dict)
    ended: set[int] = field(default_factory=set)
    opening: list[str] = field(default_factory=list)
    started: list[str] = field(default_factory=list)
    outputs: dict[int, list[object]] = field(default_factory=dict)
    untaken: deque[int] = field(default_factory=deque)
    questions: list[int] = field(default_factory=list)
    timer: float | None = None
    finished: dict[int, orders.FinishRun] = field(default_factory=dict)
    log: list[orders.Order] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.machine = Machine(Deployment(self.graph, call_timeout=self.call_timeout, buffer=self.buffer))

    # --- driving ---

    def begin(self, run: int, inputs: Mapping[str, object], pipeline: str | None = None) -> None:
        self.outputs[run] = []
        name = pipeline or self.graph.pipelines[0].name
        self.tell(lambda at: events.RunRequested(at, run, name, inputs))

    def tell(self, event: Callable[[float], events.Event]) -> None:
        self.now += 1
        for order in self.machine.handle(event(self.now)):
            self.log.append(order)
            self.obey(order)
        self.check()

    def obey(self, order: orders.Order) -> None:
        match order:
            case orders.StartStage():
                assert order.run not in self.finished, "a stage starts after the end of its run"
                streams = {name: v for name, v in order.arguments.items() if isinstance(v, orders.StreamInput)}
                for stream in streams.values():
                    self.inboxes[stream.reader] = deque()
                work = STAGES[order.entry](**order.arguments)
                stage = Stage(order, work, order.credits)
                self.started.append(order.operation.id)
                self.stages[order.stage] = stage
                stage.advance(None)
            case orders.StopStage():
                self.stages[order.stage].stopping = True
            case orders.Grant():
                self.stages[order.stage].credits += order.credits
            case orders.Deliver():
                self.inboxes[order.reader].append(order.item)
                assert len(self.inboxes[order.reader]) <= max(self.buffer, WRITTEN), (
                    "more lies at a reader than its bound"
                )
            case orders.DeliverEnd():
                assert order.reader not in self.ended, "a stream ended twice"
                self.ended.add(order.reader)
            case orders.EmitItem():
                assert order.run not in self.finished
                assert order.seq == len(self.outputs[order.run])
                self.outputs[order.run].append(order.item)
                self.untaken.append(order.reader)
            case orders.OpenHandle():
                self.opening.append(order.handle.name)
            case orders.FinishRun():
                assert order.run not in self.finished, "a run ended twice"
                alive = [s.order.operation.id for s in self.stages.values() if s.order.run == order.run]
                assert not alive, f"alive after the end of their run: {alive}"
                self.finished[order.run] = order
            case orders.Withdraw():
                if order.run is not None:
                    for _ in order.places:
                        self.outputs[order.run].pop()
                        self.untaken.remove(order.reader)
                else:
                    inbox = self.inboxes[order.reader]
                    kept = [item for place, item in enumerate(inbox) if place not in order.places]
                    inbox.clear()
                    inbox.extend(kept)
            case orders.AskPerson():
                self.questions.append(order.question)
            case orders.StopAsking():
                self.questions.remove(order.question)
            case orders.SetTimer():
                self.timer = order.at
            case orders.CancelTimer():
                self.timer = None
            case orders.StartInput():
                pass

    def check(self) -> None:
        """No channel is over its bound, whoever reads it."""
        for started in self.machine.stages.values():
            channel = started.channel
            if channel is not None:
                assert channel.made <= started.granted
                for reader in channel.readers:
                    assert reader.kept or channel.made - reader.taken <= channel.bound
                    assert reader.position - reader.taken <= channel.bound

    def actions(self) -> list[Callable[[], None]]:
        """What may happen next."""
        possible: list[Callable[[], None]] = []
        for number, stage in self.stages.items():
            if stage.stopping:
                possible.append(lambda n=number: self.leave(n, lambda at: events.StageStopped(at, n)))
            elif stage.request is None:
                value = stage.value
                possible.append(lambda n=number, v=value: self.leave(n, lambda at: events.StageEnded(at, n, v)))
            else:
                action = self.step(number, stage, *stage.request)
                if action is not None:
                    possible.append(action)
        if self.untaken:
            possible.append(self.take_output)
        for name in self.opening:
            possible.append(lambda n=name: self.open(n))
        # The deadline of every call lies so far away that it is never meant.
        if self.timer is not None and self.timer < 1e8:
            possible.append(self.ring)
        return possible

    def ring(self) -> None:
        assert self.timer is not None
        self.now = max(self.now, self.timer - 1)
        self.timer = None
        self.tell(events.TimerFired)

    def step(self, number: int, stage: Stage, what: str, subject: object) -> Callable[[], None] | None:
        if what == "fail":
            return lambda: self.fail(number, Problem("it-broke", "it broke"))
        if what == "make":
            return (lambda: self.make(number, stage, subject)) if stage.credits > 0 else None
        assert isinstance(subject, orders.StreamInput)
        reader = subject.reader
        if what == "close":
            return lambda: self.close(stage, reader)
        if self.inboxes[reader]:
            return lambda: self.read(stage, reader)
        return (lambda: stage.advance(END)) if reader in self.ended else None

    def make(self, number: int, stage: Stage, item: object) -> None:
        stage.credits -= 1
        stage.advance(None)
        self.tell(lambda at: events.StageItem(at, number, item))

    def read(self, stage: Stage, reader: int) -> None:
        item = self.inboxes[reader].popleft()
        stage.advance(item)
        self.tell(lambda at: events.Taken(at, reader))

    def close(self, stage: Stage, reader: int) -> None:
        stage.advance(None)
        self.tell(lambda at: events.ReaderClosed(at, reader))

    def leave(self, number: int, event: Callable[[float], events.Event]) -> None:
        self.stages.pop(number).work.close()
        self.tell(event)

    def take_output(self) -> None:
        reader = self.untaken.popleft()
        self.tell(lambda at: events.Taken(at, reader))

    def open(self, name: str) -> None:
        self.opening.remove(name)
        self.tell(lambda at: events.HandleOpened(at, name))

    def fail(self, number: int, problem: Problem) -> None:
        self.leave(number, lambda at: events.StageFailed(at, number, "tool_error", problem))

    def cancel(self, run: int) -> None:
        self.tell(lambda at: events.CancelRequested(at, run))

    def settle(self, limit: int = 200_000) -> None:
        """Until every run that was begun has ended. Fails if nothing can happen before that."""
        for _ in range(limit):
            if len(self.finished) == len(self.outputs):
                self.check_empty()
                return
            actions = self.actions()
            waiting = [(s.order.operation.id, s.request) for s in self.stages.values()]
            assert actions, f"stuck: nothing can happen, and {waiting} wait"
            actions[self.choose(len(actions))]()
        raise AssertionError("it does not end")

    def check_empty(self) -> None:
        assert not self.machine.runs
        assert not self.machine.stages
        assert not self.machine.ports
        assert not self.stages
        assert not self.questions
        assert self.machine.idle, "a deadline, question or stage is left over"

    def result(self, run: int) -> object:
        """The value, or what left."""
        assert self.finished[run].outcome.status == "done", self.finished[run].outcome
        return self.outputs[run] or self.finished[run].outcome.value
