"""The machine led through a journal: event by event it decides as it did, and here is kept what of its orders has not
been done, or was done by a process that is gone. No order is performed, so nothing acts twice.

Pure, as the machine is: what is read from the journal goes in, and `Course` says what stands open after it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from random import Random

from ..blame import blamed
from ..deployment import Deployment
from ..frames import End, Frame, Item, ProblemFrame, Start
from ..machine import Machine, events, orders
from .records import Begun, Given, Of, Record, read
from .values import Masked, Unreadable


@dataclass(frozen=True, slots=True)
class Lost:
    """Stands for what a stage gave and only the process that is gone could hold. Who needs it runs `order` again: such
    stages only compute, from arguments that may be lost too."""

    order: orders.StartStage

    __hash__ = object.__hash__

    def __eq__(self, other: object) -> bool:
        return self is other


@dataclass(slots=True)
class Reader:
    """What was delivered to a stage that reads: items that it took, and those that wait."""

    taken: list[object] = field(default_factory=list[object])
    waiting: deque[object] = field(default_factory=deque[object])
    ended: bool = False


@dataclass(slots=True)
class Running:
    """A stage that was running. `credits` that it was given in all, `made` what it made of them; `begun` says that it
    was about to act."""

    order: orders.StartStage | orders.StartInput
    credits: int
    made: list[object] = field(default_factory=list[object])
    stopping: bool = False
    begun: bool = False


@dataclass(frozen=True, slots=True)
class Sent:
    """What went into a channel; `ended`: and that was all of a stream."""

    items: tuple[object, ...]
    ended: bool


class Course:
    """A machine and what is open of its orders. `given` are inputs that the journal does not tell, by name; `same` says
    whether one of them is what it was."""

    def __init__(
        self,
        deployment: Deployment,
        seed: int,
        given: Mapping[str, object] | None = None,
        same: Callable[[Masked, object], bool] | None = None,
        machine: Machine | None = None,
    ) -> None:
        self.machine = machine or Machine(deployment, Random(seed).random)
        self._digest = deployment.graph.digest
        self._given = given or {}
        self._same = same or _unlike
        self.count = 0
        self.at = 0.0
        self.request: events.RunRequested | None = None
        self.stages: dict[int, Running] = {}
        self.readers: dict[int, Reader] = {}
        self.questions: dict[int, orders.AskPerson] = {}
        self.opening: dict[str, orders.OpenHandle] = {}
        self.opened: dict[str, orders.OpenHandle] = {}
        self.timer: orders.SetTimer | None = None
        self.outgoing: deque[orders.EmitItem] = deque()
        self.handing: deque[orders.EmitItem] = deque()
        """Items that the caller had read, and may not have come to use."""
        self.finish: orders.FinishRun | None = None
        self.sent: dict[tuple[str, tuple[int, ...]], Sent] = {}
        """What stages that send to other islands, and are over, had sent, by channel and turn."""
        self.left: set[tuple[str, tuple[int, ...]]] = set()
        """The channels from other islands whose readers are over."""
        self.frames: list[Frame] = []
        """What the caller of the run had read."""
        self._output: int | None = None

    def step(self, line: str) -> Record:
        """Go on by one record; gives what it says. Raises `Unreadable`."""
        record = read(line, self._lost)
        self.tell(record)
        return record

    def tell(self, record: Record) -> tuple[orders.Order, ...]:
        """Go on by one record; the orders that it led to."""
        self.count += 1
        self.at = max(self.at, record.at)
        if isinstance(record, Of):
            raise Unreadable("it is of a run of several islands")
        if isinstance(record, Begun):
            if record.stage in self.stages:
                self.stages[record.stage].begun = True
            return ()
        if isinstance(record, Given):
            while self.handing and self.handing[0].seq <= record.seq:
                self.handing.popleft()
            return ()
        if isinstance(record, events.RunRequested):
            record = replace(record, inputs={name: self._input(name, part) for name, part in record.inputs.items()})
            self.request = record
            self.frames.append(Start(record.run, record.pipeline, self._digest))
        self._heard(record)
        try:
            ordered = self.machine.handle(record)
        except KeyError as error:
            raise Unreadable(f"the program has no {error}") from None
        for order in ordered:
            self._ordered(order)
        return ordered

    def _lost(self, stage: int) -> object:
        running = self.stages.get(stage)
        order = running.order if running is not None else None
        if not isinstance(order, orders.StartStage) or order.reads or order.streams:
            raise Unreadable(f"nothing says how the value of stage {stage} is made again")
        return Lost(order)

    def _input(self, name: str, value: object) -> object:
        if not isinstance(value, Masked):
            return value
        if name not in self._given:
            raise InputMissing(name, value.labels)
        if not self._same(value, self._given[name]):
            raise InputDiffers(name, value.labels)
        return self._given[name]

    @property
    def handed(self) -> list[Frame]:
        """What the caller was through with."""
        return self.frames[: len(self.frames) - len(self.handing)]

    # --- events ---

    def _heard(self, event: events.Event) -> None:
        match event:
            case events.StageItem():
                if event.stage in self.stages:
                    self.stages[event.stage].made.append(event.item)
            case events.StageItems():
                if event.stage in self.stages:
                    self.stages[event.stage].made.extend(event.items)
            case events.StageEnded() | events.StageFailed() | events.StageStopped():
                self._linked(event)
                self._over(event.stage)
            case events.Taken():
                self._taken(event)
            case events.ReaderClosed():
                # It will find as much as it did.
                if event.reader in self.readers:
                    self.readers[event.reader].ended = True
            case events.HandleOpened():
                self.opened[event.name] = self.opening.pop(event.name)
            case events.HandleFailed():
                del self.opening[event.name]
            case events.TimerFired():
                self.timer = None
            case events.Answered():
                self.questions.pop(event.question, None)
            case _:
                pass

    def _linked(self, event: events.StageEnded | events.StageFailed | events.StageStopped) -> None:
        """What the end of a channel leaves for its other end."""
        running = self.stages.get(event.stage)
        order = running.order if running is not None else None
        if not isinstance(order, orders.StartStage) or order.entry not in ("channel:send", "channel:receive"):
            return
        key = (str(order.operation.attributes["channel"]), order.index)
        if order.entry == "channel:receive":
            self.left.add(key)
        elif readers := readers_of(order):
            taken = self.readers[readers[0]].taken
            self.sent[key] = Sent(tuple(taken), isinstance(event, events.StageEnded))
        elif isinstance(event, events.StageEnded):
            self.sent[key] = Sent((order.arguments["value"],), False)

    def _over(self, stage: int) -> None:
        running = self.stages.pop(stage, None)
        if running is not None and isinstance(running.order, orders.StartStage):
            for reader in readers_of(running.order):
                self.readers.pop(reader, None)

    def _taken(self, event: events.Taken) -> None:
        if event.reader == self._output:
            for _ in range(event.count):
                self.handing.append(self.outgoing.popleft())
                self.frames.append(frame_of(self.handing[-1]))
            return
        reader = self.readers.get(event.reader)
        if reader is not None:
            for _ in range(event.count):
                reader.taken.append(reader.waiting.popleft())

    # --- orders ---

    def _ordered(self, order: orders.Order) -> None:
        match order:
            case orders.StartStage():
                self.stages[order.stage] = Running(order, order.credits)
                for reader in readers_of(order):
                    self.readers[reader] = Reader()
            case orders.StartInput():
                self.stages[order.stage] = Running(order, order.credits)
            case orders.StopStage():
                if order.stage in self.stages:
                    self.stages[order.stage].stopping = True
            case orders.Grant():
                if order.stage in self.stages:
                    self.stages[order.stage].credits += order.credits
            case orders.Deliver():
                if order.reader in self.readers:
                    self.readers[order.reader].waiting.append(order.item)
            case orders.DeliverItems():
                if order.reader in self.readers:
                    self.readers[order.reader].waiting.extend(order.items)
            case orders.DeliverEnd():
                if order.reader in self.readers:
                    self.readers[order.reader].ended = True
            case orders.Withdraw():
                self._withdrawn(order)
            case orders.EmitItem():
                self._output = order.reader
                self.outgoing.append(order)
            case orders.FinishRun():
                self.finish = order
            case orders.OpenHandle():
                self.opening[order.handle.name] = order
            case _:
                self._small(order)

    def _small(self, order: orders.Order) -> None:
        match order:
            case orders.AskPerson():
                self.questions[order.question] = order
            case orders.StopAsking():
                self.questions.pop(order.question, None)
            case orders.SetTimer():
                self.timer = order
            case orders.CancelTimer():
                self.timer = None
            case _:
                pass

    def _withdrawn(self, order: orders.Withdraw) -> None:
        if order.run is not None:
            self.outgoing = deque(item for place, item in enumerate(self.outgoing) if place not in order.places)
            return
        reader = self.readers.get(order.reader)
        if reader is not None:
            reader.waiting = deque(item for place, item in enumerate(reader.waiting) if place not in order.places)


class InputMissing(Exception):
    """An input that the journal does not tell was not given."""

    def __init__(self, name: str, labels: tuple[str, ...]) -> None:
        super().__init__(name)
        self.name = name
        self.labels = labels


class InputDiffers(InputMissing):
    """An input that the journal does not tell is another than it was."""


def readers_of(order: orders.StartStage) -> list[int]:
    return [value.reader for value in order.arguments.values() if isinstance(value, orders.StreamInput)]


def frame_of(order: orders.EmitItem) -> Item:
    return Item(order.item, order.stage, order.seq, order.t)


def ending(order: orders.FinishRun, deployment: Deployment) -> list[Frame]:
    """The last frames of a run."""
    problem = order.outcome.problem
    frames: list[Frame] = [] if problem is None else [ProblemFrame(problem)]
    return [*frames, End(order.outcome, order.usage, order.timings, blame=blamed(deployment, order))]


def _unlike(masked: Masked, value: object) -> bool:
    del masked, value
    return False
