"""What runs outside the machine, as it stands in here: a stage that was started, and the readers that it (or the caller
of a run) holds."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from ...ir.graph import Operation
from .. import problems
from ..channels import Channel, Epoch, Reader
from .faults import Failure
from .orders import Deliver, DeliverEnd, DeliverItems, Grant, Withdraw

if TYPE_CHECKING:
    from .dues import Watch
    from .run import Run
    from .scopes import Zone


class Port:
    """A reader outside the machine: a stream argument of a stage, or the caller of a run (`stage` is None). Delivers as
    much as may lie there untaken. `came` is when its stream last grew or ended, `took` when an item of it was taken
    last."""

    __slots__ = ("came", "ended", "number", "reader", "run", "stage", "took")

    def __init__(self, run: Run, channel: Channel, kept: bool, stage: Started | None) -> None:
        self.run = run
        self.stage = stage
        self.ended = False
        self.came: float | None = None
        self.took: float | None = None
        self.number = run.machine.number()
        self.reader: Reader = channel.open(self, kept)
        run.machine.ports[self.number] = self

    def notify(self) -> None:
        reader = self.reader
        machine = self.run.machine
        if self.run.outcome is not None:
            return
        while reader.ready and (room := reader.channel.bound - (reader.position - reader.taken)) > 0:
            if self.stage is None:
                machine.emit(self, reader.hand_out(), reader.channel.stage)
            elif not machine.bunches or room == 1 or reader.behind == 1:
                machine.orders.append(Deliver(self.number, reader.hand_out()))
            else:
                machine.orders.append(DeliverItems(self.number, reader.hand_out_several(room)))
        if reader.finished and not self.ended:
            self.ended = True
            if self.stage is not None:
                machine.orders.append(DeliverEnd(self.number))
        self.came = machine.now
        if self.stage is None:
            self._caller()

    def taken(self, count: int) -> None:
        reader = self.reader
        self.took = self.run.machine.now
        reader.confirm(count)
        if self.stage is not None and reader.given is not None:
            self.stage.epoch = reader.epoch
        if reader.ready:
            self.notify()
        elif self.stage is None:
            self._caller()

    def _caller(self) -> None:
        """The caller was given an item, or has taken one: somebody may wait for that."""
        run = self.run
        if run.pauses.held or not run.stages:
            run.pauses.look()

    @property
    def untaken(self) -> bool:
        """Whether something is on its way."""
        return self.reader.position > self.reader.taken

    def withdraw(self, places: tuple[int, ...]) -> None:
        machine = self.run.machine
        if self.run.outcome is not None:
            return
        if self.stage is None:
            self.run.sent -= len(places)
            machine.orders.append(Withdraw(self.number, places, self.run.number))
        else:
            machine.orders.append(Withdraw(self.number, places))

    def close(self) -> None:
        self.run.machine.ports.pop(self.number, None)
        self.reader.close()


class Started:
    """A stage that runs (or the caller's stream that is read): producer of its channel, if it has one. `ended` is
    called with its value when it is over, and does nothing if its task is dropped; `epoch` is that of the item that it
    took last, which what it makes then comes of."""

    __slots__ = (
        *("channel", "deadline", "ended", "epoch", "first_item", "gone", "granted", "held", "items", "limit", "name"),
        *("number", "watch"),
        *("forgiven", "operation", "ports", "remaining", "run", "started", "stopping", "zone"),
    )

    def __init__(self, run: Run, zone: Zone, name: str, operation: Operation | None, channel: Channel | None) -> None:
        machine = run.machine
        self.run = run
        self.zone = zone
        self.name = name
        self.operation = operation
        self.number = machine.number()
        self.channel = channel
        self.granted = 0
        self.ports: tuple[Port, ...] = ()
        self.ended: Callable[[object], None] | None = None
        self.started = machine.now
        self.first_item: float | None = None
        self.items = 0
        self.deadline: float | None = None
        self.limit = 0.0  # seconds from its start to its deadline
        self.remaining = 0.0
        self.held = False  # it has no credit: its reader's time, not its own
        self.watch: Watch | None = None  # where its run has promises
        self.stopping = False
        self.forgiven = False  # its failure is nobody's: it ends without a value
        self.gone = False
        self.epoch: Epoch | None = None
        run.stages[self.number] = self
        if run.pauses.now:
            run.pauses.look()
        machine.stages[self.number] = self
        if channel is not None:
            channel.producer = self
            self.granted = channel.allowed()

    def item(self, item: object, at: float) -> None:
        """It made an item, for which it had a credit."""
        channel = self.channel
        assert channel is not None
        if not self.items:
            self.first_item = at
            if self.watch is not None:
                self.watch.first()
        self.items += 1
        epoch = self.epoch
        if epoch is None:
            channel.push(item)
        elif not epoch.stale:
            channel.push(item, epoch)
        else:
            # It comes of what was interrupted. The credit was used all the same.
            self.granted -= 1
            self.more()
        self._used(at)

    def several(self, items: Sequence[object], at: float) -> None:
        """It made these in one go, for each of which it had a credit."""
        channel = self.channel
        assert channel is not None
        if self.epoch is not None or channel.drops:
            for item in items:
                self.item(item, at)
            return
        if not self.items:
            self.first_item = at
            if self.watch is not None:
                self.watch.first()
        self.items += len(items)
        channel.push_several(items)
        self._used(at)

    def _used(self, at: float) -> None:
        """Whether it has a credit left."""
        channel = self.channel
        assert channel is not None
        if channel.made >= self.granted and not self.held and not self.stopping:
            self.held = True
            if self.deadline is not None:
                self.remaining = self.deadline - at
                self.run.machine.disarm(self)
            if self.watch is not None:
                self.watch.held_at = at
            pauses = self.run.pauses
            pauses.held += 1
            pauses.look()

    def more(self) -> None:
        channel = self.channel
        if channel is None or self.stopping or self.gone:
            return
        extra = channel.allowed() - self.granted
        # A grant for every item taken would be an order per item; a quarter of the buffer at once keeps the producer
        # running, and one that has used all its credit gets the next as soon as a quarter is free.
        if extra >= (channel.bound + 3) // 4:
            machine = self.run.machine
            if self.held:
                self.held = False
                if self.deadline is not None:
                    self.deadline = machine.now + self.remaining
                    machine.arm(self, self.deadline)
                if self.watch is not None:
                    self.watch.goes_on()
                pauses = self.run.pauses
                pauses.held -= 1
                pauses.look()
            self.granted += extra
            machine.orders.append(Grant(self.number, extra))

    def unwanted(self) -> None:
        self.run.machine.stop(self)

    def late(self) -> None:
        """The deadline of a call has passed."""
        if self.forgiven:
            self.run.machine.stop(self)
            return
        span = self.operation.span if self.operation is not None else None
        self.zone.fail(Failure("timeout", problems.call_timeout(self.name, self.limit, span), self.name))
