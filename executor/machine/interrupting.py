"""`interruptible { … }`: what a newer input of the same session cancels.

The newer input is the next item of a `for` over a stream that this stands in, or a new run of the session. The region
is stopped then, what it gave and nobody has taken yet is dropped wherever it waits (its items carry its epoch), and its
stream ends. A region that gives a value has none to give: that is the failure `interrupted`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .. import problems
from ..channels import Epoch
from .attempts import Attempt, Attempting
from .faults import Failure
from .prepared import Step
from .scopes import Scope, Zone

if TYPE_CHECKING:
    from .loops import Turn


class Interruptible(Attempting):
    __slots__ = ("epoch",)

    choosing = False

    def __init__(self, scope: Scope, step: Step) -> None:
        super().__init__(scope, step)
        self.epoch: Epoch | None = None

    def fire(self) -> None:
        run = self.run
        self.begin()
        attempt = self.attempt(0)
        parents = [zone.epoch for zone in self._zones() if zone.epoch is not None]
        self.epoch = attempt.zone.epoch = Epoch(*parents[:1])
        for slot in (attempt.sends, attempt.gives):
            if slot is not None:
                slot.epoch = self.epoch
        run.interruptible[self] = None
        if run.session is not None:
            run.epochs = [epoch for epoch in run.epochs if not epoch.stale]
            run.epochs.append(self.epoch)
        turns = self._turns()
        for turn in turns:
            turn.enters(self, self.epoch)
        attempt.enter()
        self.release()
        if run.superseded:
            self.interrupt()
            return
        for turn in turns:
            if turn.loop.newer:
                turn.supersede()

    def interrupt(self) -> None:
        """A newer input is here."""
        if self.done:
            return
        assert self.epoch is not None
        self.stop_all()
        self.epoch.interrupt()
        if self.feed is None and self.step.result is not None:
            problem = problems.region_interrupted(self.operation.id, self.operation.span)
            self.scope.zone.fail(Failure("interrupted", problem, self.operation.id))
        else:
            self.close()

    def lost(self, attempt: Attempt, failure: Failure) -> None:
        del attempt
        self.give_in(failure)

    def disarm(self) -> None:
        self.run.interruptible.pop(self, None)
        for turn in self._turns():
            turn.interruptible.pop(self, None)

    def _zones(self) -> list[Zone]:
        zones: list[Zone] = []
        zone: Zone | None = self.scope.zone
        while zone is not None:
            zones.append(zone)
            zone = zone.parent
        return zones

    def _turns(self) -> list[Turn]:
        return [zone.turn for zone in self._zones() if zone.turn is not None]
