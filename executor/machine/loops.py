"""`for` over lists and streams, and `repeat`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, cast

from ..channels import Epoch, Reader
from .branches import Regions
from .faults import Failure
from .prepared import Step
from .scopes import Scope, Zone

if TYPE_CHECKING:
    from .interrupting import Interruptible


class Turn:
    """One turn of a `for`: its `where`, then its body. One in which something can be interrupted is a zone."""

    __slots__ = ("gives", "interruptible", "loop", "number", "sends", "superseded", "zone")

    def __init__(self, loop: MapList | MapStream, number: int, zoned: bool = False) -> None:
        self.loop = loop
        self.number = number
        self.sends = loop.sends.group() if loop.sends is not None else None
        self.gives = loop.feed.root.leaf() if loop.feed is not None else None
        self.zone: Zone | None = None
        self.interruptible: dict[Interruptible, None] = {}
        self.superseded = False
        if zoned:
            self.zone = Zone(loop.run, loop.scope.zone, self._failed)
            self.zone.turn = self
            self.zone.slots = (self.sends, self.gives)

    def comes_of(self, epoch: Epoch | None) -> None:
        """Its item is one of an interruptible region."""
        for slot in (self.sends, self.gives):
            if slot is not None:
                slot.epoch = epoch
        if self.zone is not None:
            self.zone.epoch = epoch

    def enter(self, item: object) -> None:
        if len(self.loop.step.blocks) > 1:
            scope = self._scope(1, item)
            verdict: list[object] = []
            scope.sends = self.sends
            scope.result = verdict.append
            scope.complete = lambda: self._judged(verdict[0], item)
            scope.enter()
        else:
            self._body(item)

    def enters(self, interruptible: Interruptible, epoch: Epoch) -> None:
        """Something begins in it that a newer item interrupts."""
        self.interruptible[interruptible] = None
        self.loop.says(epoch)

    def supersede(self) -> None:
        """A newer item is here: what is interruptible ends, the turn gives nothing more, and the next one starts."""
        if self.superseded or not (self.interruptible or self.loop.unheard):
            return
        self.superseded = True
        for interruptible in tuple(self.interruptible):
            interruptible.interrupt()
        if self.gives is not None:
            self.gives.drain()
        self.loop.turn_superseded()

    def _scope(self, block: int, item: object) -> Scope:
        loop = self.loop
        scope = loop.inner_scope(block, (*loop.scope.index, self.number), self.zone)
        for argument in loop.step.blocks[block].arguments:
            scope.values[argument] = item
        return scope

    def _judged(self, verdict: object, item: object) -> None:
        if verdict:
            self._body(item)
            return
        if self.gives is not None:
            self.gives.skip()
        else:
            self.loop.turn_gave(self.number, ())
        if self.sends is not None:
            self.sends.close()
        self._left()

    def _body(self, item: object) -> None:
        scope = self._scope(0, item)
        scope.sends = self.sends
        scope.gives = self.gives
        if self.gives is None:
            scope.result = self._gave
        scope.complete = self._left
        scope.enter()
        if self.sends is not None:
            self.sends.close()

    def _gave(self, value: object) -> None:
        self.loop.turn_gave(self.number, (value,))

    def _left(self) -> None:
        if self.zone is not None:
            self.zone.over()
        self.loop.turn_left(self)

    def _failed(self, failure: Failure) -> None:
        if failure.reason == "interrupted" and self.superseded and not self.loop.run.superseded:
            # What needed the value of what was interrupted is not done any more, and nobody misses it.
            for slot in (self.sends, self.gives):
                if slot is not None:
                    slot.kill()
            self.loop.turn_left(self)
        else:
            self.loop.scope.zone.fail(failure)


class MapList(Regions):
    """`for` over a list: at most N turns at once, results in the list's order; turns that give a stream are
    flattened in that order."""

    __slots__ = ("active", "at_most", "items", "next", "results", "results_missing", "whole")

    def __init__(self, scope: Scope, step: Step) -> None:
        super().__init__(scope, step)
        self.whole = True  # all items are here

    def fire(self) -> None:
        self.items = cast("Sequence[object]", self.operands()[0])
        self._begin()
        self.results: list[tuple[object, ...]] = [()] * len(self.items)
        self.results_missing = len(self.items)
        if self.feed is not None:
            self.give(self.feed.target)
        elif not self.items:
            self.give(())
        self._turns()

    def _begin(self) -> None:
        self.at_most = cast(int, self.operation.attributes.get("at_most") or self.run.machine.deployment.at_once)
        self.active = 0
        self.next = 0

    def _turns(self) -> None:
        wanted = self.wanted
        while wanted and self.active < self.at_most and self.next < len(self.items):
            self.next += 1
            self.active += 1
            Turn(self, self.next - 1).enter(self.items[self.next - 1])
        if not self.whole:
            return
        if self.next == len(self.items):
            self.all_entered()
        if not self.active and not self.done:
            self.release()
            self.left()

    def turn_gave(self, number: int, value: tuple[object, ...]) -> None:
        self.results[number] = value
        self.results_missing -= 1
        if not self.results_missing and self.whole:
            self._give()

    def _give(self) -> None:
        self.give(tuple(item for result in self.results for item in result))

    def turn_left(self, turn: Turn) -> None:
        del turn
        self.active -= 1
        self._turns()

    newer = False
    unheard = False

    def says(self, epoch: Epoch) -> None:
        """See `turn_superseded`."""

    def turn_superseded(self) -> None:
        """The turns of a list are no inputs that come one after another."""


class MapArriving(MapList):
    """`for` over a stream that gives a list: as over the list of all its items, but a turn may begin as soon as its
    item is here. Like `all` it takes every item at once, and holds nobody back."""

    __slots__ = ("arrived", "reader")

    def fire(self) -> None:
        use = self.step.uses[0]
        self.whole = False
        self.items = self.arrived = list[object]()
        self._begin()
        self.results = []
        self.results_missing = 0
        self.reader: Reader = self.scope.channel(use.value).open(self, use.kept)
        self.notify()

    def let_go(self) -> None:
        self.reader.close()
        super().let_go()

    def withdraw(self, places: tuple[int, ...]) -> None:
        """What is handed out here is taken at once."""

    def notify(self) -> None:
        reader = self.reader
        while reader.ready:
            self.arrived.append(reader.hand_out())
            reader.confirm()
            self.results.append(())
            self.results_missing += 1
        if reader.finished and not self.whole and not self.done:
            self.whole = True
            reader.close()
            if not self.results_missing:
                self._give()
        if not self.done:
            self._turns()


class MapStream(Regions):
    """`for` over a stream: one turn at a time, the next when what the last one gave has left, or when it is here and
    has interrupted the last."""

    __slots__ = ("alive", "epochs", "next", "reader", "turn")

    def fire(self) -> None:
        use = self.step.uses[0]
        self.turn: Turn | None = None  # the one that the next item waits for
        self.alive = 0  # it, and those that were interrupted and have things left to do
        self.next = 0
        self.epochs: list[Epoch] = []  # what was interruptible in the turns so far, and may not be heard yet
        self.reader: Reader = self.scope.channel(use.value).open(self, use.kept)
        if self.feed is not None:
            self.give(self.feed.target)
        self.notify()

    def let_go(self) -> None:
        self.reader.close()
        super().let_go()

    def unwanted(self) -> None:
        if self.wanted or self.done:
            return
        if self.missing >= 0:
            self.give_up()
        else:
            self.run.machine.later(self, self.notify)

    def withdraw(self, places: tuple[int, ...]) -> None:
        """What is handed out here is taken at once."""

    def notify(self) -> None:
        reader = self.reader
        if reader.finished:
            self.all_entered()
        if self.turn is not None and self.turn.zone is not None and reader.ready:
            self.turn.supersede()
        if self.turn is not None or self.done:
            return
        stop = not self.wanted
        if reader.ready and not stop:
            self.next += 1
            self.alive += 1
            # What the turns before have said and nobody has taken is as stale as what they would still say.
            for epoch in self.epochs:
                epoch.interrupt()
            self.epochs.clear()
            item = reader.hand_out()
            turn = self.turn = Turn(self, self.next - 1, self.step.blocks[0].interruptible)
            if reader.epoch is not None:
                turn.comes_of(reader.epoch)
            turn.enter(item)
            reader.confirm()
        elif (reader.finished or stop) and not self.alive:
            reader.close()
            self.release()
            self.left()

    @property
    def newer(self) -> bool:
        """Whether an item waits that comes after the turn at hand."""
        return self.reader.ready

    def says(self, epoch: Epoch) -> None:
        self.epochs.append(epoch)

    @property
    def unheard(self) -> bool:
        """Whether something that was interruptible is through, and was not taken."""
        return any(epoch.waits for epoch in self.epochs)

    def turn_gave(self, number: int, value: tuple[object, ...]) -> None:
        """A `for` over a stream whose result is not used: nothing to keep."""

    def turn_left(self, turn: Turn) -> None:
        self.alive -= 1
        if turn is self.turn:
            self.turn = None
        self.run.machine.later(self, self.notify)

    def turn_superseded(self) -> None:
        self.turn = None
        self.run.machine.later(self, self.notify)


class Repeat(Regions):
    """`repeat state = initial, at most N times`: turns one after another, until one stops."""

    __slots__ = ("left_over", "number")

    def fire(self) -> None:
        self.number = 0
        self.left_over = cast(int, self.operation.attributes["at_most"])
        self._turn(self.operands()[0])

    def _turn(self, state: object) -> None:
        self.left_over -= 1
        scope = self.inner_scope(0, (*self.scope.index, self.number))
        self.number += 1
        scope.values[scope.block.arguments[0]] = state
        if self.sends is not None:
            scope.sends = self.sends.group()
        made: list[tuple[bool, object]] = []
        scope.result = lambda value: made.append(cast("tuple[bool, object]", value))
        scope.complete = lambda: self._ended(*made[0])
        scope.enter()
        if scope.sends is not None:
            scope.sends.close()

    def _ended(self, stop: bool, state: object) -> None:
        if stop or self.left_over < 1:
            self.give(state)
            self.release()
            self.left()
        else:
            # A turn of nothing but plain values would nest as deep as there are turns.
            self.run.machine.later(self, lambda: self._turn(state))
