"""A machine driven by hand: the test says what stages do and when, and time passes only when it says so.

Stages are named by the part of their entry behind the colon. A stage that is told to stop is gone at once, and the
caller takes items as they come, unless the test says otherwise.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from agentlang.base.problems import Problem
from agentlang.executor.deployment import Deployment
from agentlang.executor.machine import Machine, events, orders
from agentlang.ir.graph import Graph


class Driver:
    def __init__(self, graph: Graph, luck: Callable[[], float] = lambda: 1.0, **settings: float) -> None:
        self.graph = graph
        self.machine = Machine(Deployment(graph, **settings), luck)  # type: ignore[arg-type]
        self.now = 0.0
        self.timer: float | None = None
        self.live: dict[int, orders.StartStage] = {}
        self.started: list[tuple[float, str]] = []
        self.stopped: list[tuple[float, str]] = []
        self.inboxes: dict[int, list[object]] = {}
        self.ended: set[int] = set()
        self.out: dict[int, list[object]] = {}
        self.waiting: dict[int, list[object]] = {}
        self.asked: dict[int, str] = {}
        self.finished: dict[int, orders.FinishRun] = {}
        self.takes = True
        self._readers: dict[int, int] = {}

    # --- what happens ---

    def begin(
        self,
        run: int = 1,
        timeout: float | None = None,
        session: str | None = None,
        pipeline: str | None = None,
        **inputs: object,
    ) -> None:
        self.out[run], self.waiting[run] = [], []
        name = pipeline or self.graph.pipelines[0].name
        self.tell(events.RunRequested(self.now, run, name, inputs, timeout, session))

    def at(self, time: float) -> None:
        """Let time pass until then; timers ring on their way."""
        while self.timer is not None and self.timer <= time:
            self.now, self.timer = max(self.now, self.timer), None
            self.tell(events.TimerFired(self.now))
        self.now = time

    def end(self, name: str, value: object = None, which: int = 0) -> None:
        number = self.of(name)[which]
        del self.live[number]
        self.tell(events.StageEnded(self.now, number, value))

    def fail(self, name: str, reason: str = "tool_error", which: int = 0) -> None:
        number = self.of(name)[which]
        del self.live[number]
        self.tell(events.StageFailed(self.now, number, reason, Problem("it-broke", f"{name}: {reason}")))

    def item(self, name: str, item: object, which: int = 0) -> None:
        self.tell(events.StageItem(self.now, self.of(name)[which], item))

    def take(self, run: int = 1) -> None:
        """The caller takes the item that waits longest."""
        self.out[run].append(self.waiting[run].pop(0))
        self.tell(events.Taken(self.now, self._readers[run]))

    def read(self, name: str, argument: str, which: int = 0) -> object:
        """A stage takes an item of a stream that it reads."""
        reader = self.reader(name, argument, which)
        item = self.inboxes[reader].pop(0)
        self.tell(events.Taken(self.now, reader))
        return item

    def answer(self, granted: bool) -> None:
        (question,) = self.asked
        del self.asked[question]
        self.tell(events.Answered(self.now, question, granted))

    # --- what is seen ---

    def of(self, name: str) -> list[int]:
        """The live stages of that name, in the order of their start."""
        return [number for number, order in self.live.items() if order.entry.partition(":")[2] == name]

    def running(self) -> list[str]:
        return [order.entry.partition(":")[2] for order in self.live.values()]

    def arguments(self, name: str, which: int = 0) -> Mapping[str, object]:
        return self.live[self.of(name)[which]].arguments

    def reader(self, name: str, argument: str, which: int = 0) -> int:
        value = self.arguments(name, which)[argument]
        assert isinstance(value, orders.StreamInput)
        return value.reader

    def starts(self, name: str) -> list[float]:
        return [round(at, 6) for at, started in self.started if started == name]

    def outcome(self, run: int = 1) -> tuple[str, object]:
        """The status, and the value or reason."""
        outcome = self.finished[run].outcome
        return outcome.status, outcome.reason if outcome.status != "done" else outcome.value

    def check_idle(self) -> None:
        assert self.machine.idle
        assert not self.live
        assert not self.asked
        assert self.timer is None

    # --- ---

    def tell(self, event: events.Event) -> None:
        todo: list[events.Event] = [event]
        while todo:
            for order in self.machine.handle(todo.pop(0)):
                self._obey(order, todo)

    def _obey(self, order: orders.Order, todo: list[events.Event]) -> None:
        match order:
            case orders.StartStage():
                self.live[order.stage] = order
                self.started.append((self.now, order.entry.partition(":")[2]))
            case orders.StopStage():
                stopped = self.live.pop(order.stage)
                self.stopped.append((self.now, stopped.entry.partition(":")[2]))
                todo.append(events.StageStopped(self.now, order.stage))
            case orders.Deliver():
                self.inboxes.setdefault(order.reader, []).append(order.item)
            case orders.DeliverEnd():
                self.ended.add(order.reader)
            case orders.EmitItem():
                assert order.seq == len(self.out[order.run]) + len(self.waiting[order.run])
                self._readers[order.run] = order.reader
                if self.takes:
                    self.out[order.run].append(order.item)
                    todo.append(events.Taken(self.now, order.reader))
                else:
                    self.waiting[order.run].append(order.item)
            case orders.Withdraw():
                inbox = self.inboxes[order.reader] if order.run is None else self.waiting[order.run]
                inbox[:] = [item for place, item in enumerate(inbox) if place not in order.places]
            case orders.AskPerson():
                self.asked[order.question] = order.text
            case orders.StopAsking():
                del self.asked[order.question]
            case orders.SetTimer():
                self.timer = order.at
            case orders.CancelTimer():
                self.timer = None
            case orders.FinishRun():
                self.finished[order.run] = order
            case _:
                pass
