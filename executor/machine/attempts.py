"""Regions that may fail without their surroundings: what `otherwise`, `race`, `with` and `interruptible` share, and the
first two.

An attempt is a region entered in a zone of its own. What it gives and what it sends out wait for their turn in slots of
their own, so that what has not left can be taken back. An operation is *decided* for one of its attempts when that has
given its value (with all in it complete, so that no failure can come behind it), or when its first item leaves; the
other attempts are stopped then, and what happens to the chosen one happens to the region around.
"""

from __future__ import annotations

from typing import cast

from .branches import Regions
from .faults import Failure
from .feed import Slot
from .prepared import Step
from .scopes import Scope, Zone


class Attempt:
    """One attempt at a region."""

    __slots__ = ("gives", "number", "owner", "scope", "sends", "value", "zone")

    def __init__(self, owner: Attempting, block: int, number: int) -> None:
        self.owner = owner
        self.number = number
        self.value: object = None
        self.zone = Zone(owner.scope.run, owner.scope.zone, self._failed)
        self.scope = scope = owner.inner_scope(block, owner.attempt_index(), self.zone)
        self.sends: Slot | None = None
        self.gives: Slot | None = None
        if owner.sends is not None:
            self.sends = scope.sends = owner.sends.group()
            self.sends.begins = self._begins
        if owner.choice is not None:
            self.gives = scope.gives = owner.choice.leaf()
            self.gives.begins = self._begins
        else:
            scope.result = self._gave
        scope.complete = self._complete
        self.zone.slots = (self.sends, self.gives)

    def enter(self) -> None:
        self.scope.enter()
        if self.sends is not None:
            self.sends.close()

    def stop(self) -> None:
        """Nobody wants it any more."""
        self.zone.kill()
        self._take_back()

    def _take_back(self) -> None:
        for slot in (self.sends, self.gives):
            if slot is not None:
                slot.kill()

    def _begins(self) -> None:
        self.owner.begins(self)

    def _gave(self, value: object) -> None:
        self.value = value

    def _complete(self) -> None:
        self.zone.over()
        self.owner.complete(self)

    def _failed(self, failure: Failure) -> None:
        if self.owner.chosen is not self:
            self._take_back()
        self.owner.attempt_failed(self, failure)


class Attempting(Regions):
    """An operation that makes attempts at its regions."""

    __slots__ = ("attempts", "choice", "chosen", "keeps")

    choosing = True

    def __init__(self, scope: Scope, step: Step) -> None:
        super().__init__(scope, step)
        self.attempts: dict[Attempt, None] = {}
        self.chosen: Attempt | None = None
        self.choice = self.feed.root.group(choosing=True) if self.feed is not None else None
        self.keeps = False

    # --- for the operations ---

    def begin(self) -> None:
        """The first attempt is about to be made."""
        self.run.attempting[self] = None
        if self.feed is not None:
            self.give(self.feed.target)

    def attempt_index(self) -> tuple[int, ...]:
        """The turns around what is in the next attempt."""
        return self.scope.index

    def attempt(self, block: int, number: int = 0) -> Attempt:
        made = Attempt(self, block, number)
        self.attempts[made] = None
        return made

    def hold_for_later(self) -> None:
        """The first attempts have been entered, and others may come: the streams from outside are kept for them, and do
        not wait for them."""
        if not self.released and not self.keeps:
            self.keeps = True
            for use in self.step.inner:
                channel = self.scope.channel(use.value)
                channel.hold(kept=True)
                channel.release(use.kept)

    def lost(self, attempt: Attempt, failure: Failure) -> None:
        """An attempt has failed, and nothing is decided."""
        raise NotImplementedError

    def decided(self, attempt: Attempt) -> None:
        """One is chosen, and the others are stopped."""

    def disarm(self) -> None:
        """The run, or the region around, is over: no alarm or question of this may stay."""

    def give_in(self, failure: Failure) -> None:
        """It cannot be mended here."""
        self.scope.zone.fail(failure)

    # --- what attempts tell ---

    def begins(self, attempt: Attempt) -> None:
        """Its first item (or the end of its stream) is about to leave."""
        if self.chosen is None:
            self._choose(attempt)

    def complete(self, attempt: Attempt) -> None:
        self.attempts.pop(attempt, None)
        if self.chosen is None:
            self._choose(attempt)
        if attempt is self.chosen:
            if self.feed is None:
                self.give(attempt.value)
            self.ended(attempt)
            self.close()

    def attempt_failed(self, attempt: Attempt, failure: Failure) -> None:
        self.attempts.pop(attempt, None)
        if self.chosen is None:
            self.lost(attempt, failure)
        elif attempt is self.chosen:
            self.give_in(failure)

    def ended(self, attempt: Attempt) -> None:
        """The chosen attempt is complete."""

    def _choose(self, attempt: Attempt) -> None:
        self.chosen = attempt
        for other in tuple(self.attempts):
            if other is not attempt:
                del self.attempts[other]
                other.stop()
        self.all_entered()
        self.release()
        self.decided(attempt)

    # --- ends ---

    def all_entered(self) -> None:
        if self.choice is not None:
            self.choice.close()
        super().all_entered()

    def release(self) -> None:
        if not self.released and self.keeps:
            self.released = True
            for use in self.step.inner:
                self.scope.channel(use.value).release(kept=True)
        super().release()

    def let_go(self) -> None:
        self._off()
        super().let_go()

    def unwanted(self) -> None:
        """Nobody reads the stream: what has no other effect is not attempted any more."""
        if self.wanted or self.done:
            return
        if self.missing >= 0:
            self.give_up()
        elif self.chosen is None:
            self.abandon()

    def abandon(self) -> None:
        """Give nothing, or nothing more."""
        self.stop_all()
        self.close()

    def stop_all(self) -> None:
        for attempt in tuple(self.attempts):
            attempt.stop()
        self.attempts.clear()
        self.release()

    def close(self) -> None:
        """Nothing will be sent or given any more, but for what has its slot."""
        self._off()
        self.left()

    def _off(self) -> None:
        self.run.attempting.pop(self, None)
        self.disarm()


class Try(Attempting):
    """`value otherwise fallback`: the second region is entered when the first fails for one of the reasons."""

    __slots__ = ()

    def fire(self) -> None:
        self.begin()
        self.attempt(0).enter()
        self.hold_for_later()

    def lost(self, attempt: Attempt, failure: Failure) -> None:
        reasons = cast("tuple[str, ...]", self.operation.attributes.get("reasons") or ())
        if attempt.number or (reasons and failure.reason not in reasons):
            self.give_in(failure)
            return
        fallback = self.attempt(1, 1)
        # In an island it tells another one of the failure.
        fallback.scope.values.update(dict.fromkeys(fallback.scope.block.arguments, failure))
        fallback.enter()
        self.release()


class Race(Attempting):
    """The first good answer, or the first item; it fails when all have failed, as the first of them in the program."""

    __slots__ = ("failures",)

    def fire(self) -> None:
        self.failures: dict[int, Failure] = {}
        self.begin()
        for attempt in [self.attempt(number, number) for number in range(len(self.step.blocks))]:
            attempt.enter()
        self.release()

    def lost(self, attempt: Attempt, failure: Failure) -> None:
        self.failures[attempt.number] = failure
        if not self.attempts:
            self.give_in(self.failures[min(self.failures)])
