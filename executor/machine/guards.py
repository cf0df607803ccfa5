"""`call with policies`, one attempt after another, or beside another.

In this order: a person is asked (`approve`), an answer is looked for (`cache`), the breaker is asked, the attempt waits
for its turn (`rate`), then it starts, with its `timeout`; `hedge` starts a second one beside it; when all that run have
failed, `retries` make the next round after a pause. A guard is decided as every attempt is (see `attempts`): from then
on nothing is retried or hedged, and only `timeout` and `idle` hold on.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from math import inf
from typing import TYPE_CHECKING, cast

from ...base.problems import Problem
from .. import problems
from ..channels import Channel
from .attempts import Attempt, Attempting
from .faults import Failure
from .policies import Kept, Opaque, Policies, called, canonical
from .prepared import Step
from .scopes import Scope, Zone

if TYPE_CHECKING:
    from .core import Machine

# Nothing would be another if they were tried again at once.
_FINAL = ("denied", "unavailable", "interrupted", "may_have_acted")


class Alarm:
    """One callback at one time, by the machine's heap of deadlines."""

    __slots__ = ("_late", "_machine")

    def __init__(self, machine: Machine, at: float, late: Callable[[], None]) -> None:
        self._machine = machine
        self._late = late
        machine.arm(self, at)

    def late(self) -> None:
        self._late()

    def cancel(self) -> None:
        self._machine.disarm(self)


class Guard(Attempting):
    __slots__ = (
        *("_blocked", "_decides", "_hedge", "_idle", "_key", "_last", "_pause", "_question", "_retried", "_starting"),
        *("_items", "_leads", "_number", "_why", "kept", "policies"),
    )

    def __init__(self, scope: Scope, step: Step) -> None:
        super().__init__(scope, step)
        self.policies = cast(Policies, step.policies)
        self.kept: Kept = self.run.machine.kept(self, self.policies)
        self._question: int | None = None
        self._hedge: Alarm | None = None
        self._pause: Alarm | None = None
        self._idle: Alarm | None = None
        self._starting: tuple[int, bool] | None = None  # the attempt that waits for the rate
        self._retried = 0
        self._decides: dict[Attempt, bool] = {}  # attempts that the breaker waits to hear of
        self._why: Failure | None = None
        self._key: object = None
        self._items: list[object] | None = None
        self._leads = False  # it makes the call that equal ones wait for
        self._last = 0.0
        self._blocked = False
        if self.feed is not None and (self.policies.idle is not None or self.policies.cache or self.policies.timeout):
            self.feed.watcher = self

        self._number = 0  # of the next attempt

    def attempt_index(self) -> tuple[int, ...]:
        """Where other islands follow, they know attempts by their numbers."""
        if not self.operation.attributes.get("numbered"):
            return super().attempt_index()
        self._number += 1
        return (*self.scope.index, self._number - 1)

    # --- before the first attempt ---

    def fire(self) -> None:
        self.run.attempting[self] = None
        if self.policies.approve:
            self._question = self.run.machine.ask(self, cast(str, self.operands()[0]))
            # A person may take days: no deadline runs meanwhile.
            for zone in self._zones():
                zone.pause()
        else:
            self._approved()

    def answered(self, granted: bool, problem: Problem | None) -> None:
        self._question = None
        for zone in self._zones():
            zone.resume()
        if granted:
            self._approved()
        else:
            said = problem or problems.approval_denied(called(self.operation), self.operation.span)
            self.give_in(Failure("denied", said, self.operation.id))

    def _zones(self) -> list[Zone]:
        """All that this stands in."""
        zones: list[Zone] = []
        zone: Zone | None = self.scope.zone
        while zone is not None:
            zones.append(zone)
            zone = zone.parent
        return zones

    def _approved(self) -> None:
        self.begin()
        if self.policies.cache:
            self._key = self._cache_key()
            found = None if self._key is None else self.kept.answer(self._key, self.run.machine.now)
            if found is not None:
                self._replay(found[0])
                return
            if self._key is not None and self.feed is not None:
                self._items = []
            if self._key is not None and not self._lead():
                return
        self._round()

    # --- attempts ---

    def _round(self) -> None:
        if self.kept.breaker is not None:
            decides = self.kept.breaker.start(self.run.machine.now)
            if decides is None:
                problem = problems.breaker_open(called(self.operation), self.policies.breaker or 0, self.operation.span)
                self.give_in(self._why or Failure("unavailable", problem, self.operation.id))
                return
            self._queue(0, decides)
        else:
            self._queue(0, False)

    def _queue(self, number: int, decides: bool) -> None:
        """Start an attempt, as soon as the rate allows it."""
        self._starting = (number, decides)
        if self.policies.rate is None:
            self._start()
        else:
            self.kept.waiting.append(self)
            serve(self.kept, self.run.machine, self.policies.rate)

    def _start(self) -> None:
        assert self._starting is not None
        number, decides = self._starting
        self._starting = None
        machine, policies = self.run.machine, self.policies
        attempt = self.attempt(0, number)
        self._decides[attempt] = decides
        if policies.timeout is not None:
            attempt.zone.arm(machine.now + policies.timeout, lambda: self._late(attempt))
        attempt.enter()
        if policies.retries or policies.hedge is not None:
            self.hold_for_later()
        else:
            self.release()
        if policies.hedge is not None and number == 0:
            self._hedge = Alarm(machine, machine.now + policies.hedge, self._beside)

    def _beside(self) -> None:
        """The first attempt takes long: a second one runs beside it."""
        self._hedge = None
        decides = False if self.kept.breaker is None else self.kept.breaker.start(self.run.machine.now)
        if decides is not None:
            self._queue(1, decides)

    def _late(self, attempt: Attempt) -> None:
        operation, seconds = self.operation, self.policies.timeout or 0.0
        problem = problems.attempt_timeout(called(operation), seconds, operation.span)
        attempt.zone.fail(Failure("timeout", problem, operation.id))

    def lost(self, attempt: Attempt, failure: Failure) -> None:
        self._why = failure
        self._tell_breaker(attempt, failed=None if failure.reason == "interrupted" else True)
        if self.attempts or self._starting is not None:
            return  # the other one still runs, or is about to
        if self._hedge is not None:
            self._hedge.cancel()
            self._hedge = None
        policies = self.policies
        if self._retried >= policies.retries or failure.reason in _FINAL or failure.final:
            self.give_in(failure)
            return
        machine = self.run.machine
        # Doubled each time, and shortened by up to a half at random, so that those who failed together do not come back
        # together. Never longer than what the checker counted with.
        pause = policies.backoff * 2**self._retried * (0.5 + machine.luck() / 2)
        self._retried += 1
        if pause > 0:
            self._pause = Alarm(machine, machine.now + pause, self._round)
        else:
            machine.later(self, self._round)

    # --- once it is decided ---

    def decided(self, attempt: Attempt) -> None:
        self._call_off()
        for other in tuple(self._decides):
            if other is not attempt:
                self._tell_breaker(other, failed=None)

    def attempt_failed(self, attempt: Attempt, failure: Failure) -> None:
        if attempt is self.chosen:
            self._tell_breaker(attempt, failed=None if failure.reason == "interrupted" else True)
        super().attempt_failed(attempt, failure)

    def ended(self, attempt: Attempt) -> None:
        self._tell_breaker(attempt, failed=False)
        if self._key is not None:
            answer = attempt.value if self._items is None else tuple(self._items)
            if self.feed is None or not self.feed.dead:
                self.kept.keep(self._key, self.run.machine.now + (self.policies.cache or 0.0), answer)
                self._share(answer)

    def _tell_breaker(self, attempt: Attempt, failed: bool | None) -> None:
        decides = self._decides.pop(attempt, None)
        if decides is not None and self.kept.breaker is not None:
            self.kept.breaker.ended(self.run.machine.now, failed, decides)

    # --- items that leave ---

    def pushed(self, item: object) -> None:
        machine, chosen = self.run.machine, self.chosen
        if self._items is not None:
            self._items.append(item)
        self._last = machine.now
        if self._blocked:
            self._blocked = False
            if chosen is not None:
                chosen.zone.resume()
        if self.policies.idle is not None and self._idle is None and chosen is not None:
            self._idle = Alarm(machine, machine.now + self.policies.idle, self._silent)

    def held(self) -> None:
        """The reader's time, not the call's. What waits for this answer must not wait for that reader, who may wait for
        it."""
        if self._leads:
            self._hand_over()
        if not self._blocked and self.chosen is not None:
            self._blocked = True
            self.chosen.zone.pause()

    def _silent(self) -> None:
        """The time between two items may be over: one alarm goes from item to item, and is not moved by each."""
        idle, machine, chosen = cast(float, self.policies.idle), self.run.machine, self.chosen
        self._idle = None
        if chosen is None or self.done:
            return
        due = machine.now + idle if self._blocked else self._last + idle
        if due > machine.now:
            self._idle = Alarm(machine, due, self._silent)
        else:
            problem = problems.stream_idle(called(self.operation), idle, self.operation.span)
            chosen.zone.fail(Failure("timeout", problem, self.operation.id))

    # --- cache ---

    def _cache_key(self) -> object:
        """All that the region uses from outside, or None where that cannot be compared."""
        step, scope = self.step, self.scope
        if step.inner or step.outputs:
            return None
        try:
            values = tuple(canonical(scope.value(need)) for need in step.needs)
        except Opaque:
            return None
        graph = self.run.machine.deployment.graph
        memories = any(handle.keyword == "memory" for handle in graph.handles)
        return (self.run.session if memories else None, values)

    def _lead(self) -> bool:
        """Make the call, unless an equal one runs already: then wait for its answer."""
        waiting = self.kept.flights.get(self._key)
        if waiting is not None:
            waiting[self] = None
            return False
        self.kept.flights[self._key] = {}
        self._leads = True
        return True

    def _share(self, answer: object) -> None:
        """Give the answer to all that wait for it."""
        if self._leads:
            self._leads = False
            for other in self.kept.flights.pop(self._key):
                self.run.machine.later(other, partial(other._replay, answer))

    def _hand_over(self) -> None:
        """There is no answer to wait for here: who waits longest makes the call, and the others wait for that. Who
        waits itself waits no more."""
        waiting = self.kept.flights.get(self._key)
        if not self._leads:
            if waiting is not None:
                waiting.pop(self, None)
        elif waiting is not None:
            self._leads = False
            following = next((guard for guard in waiting if not guard.done), None)
            if following is None:
                del self.kept.flights[self._key]
                return
            del waiting[following]
            following._leads = True
            self.run.machine.later(following, following._round)

    def _replay(self, answer: object) -> None:
        if self.feed is None or self.choice is None:
            self.give(answer)
            self.release()
            self.close()
            return
        items = cast("tuple[object, ...]", answer)
        channel = Channel(max(1, len(items)), self.operation.id)
        channel.hold(kept=True)
        for item in items:
            channel.push(item)
        channel.end()
        self.release()
        self._items, self._key = None, None
        self.choice.leaf().connect(channel, True, self.close)
        self.all_entered()

    # --- ends ---

    def disarm(self) -> None:
        if self._question is not None:
            self.run.machine.ask_no_more(self._question)
            self._question = None
            for zone in self._zones():
                zone.resume()
        self._call_off()
        if self._key is not None:
            self._hand_over()
        if self._idle is not None:
            self._idle.cancel()
            self._idle = None
        for attempt in tuple(self._decides):
            self._tell_breaker(attempt, failed=None)

    def _call_off(self) -> None:
        """No further attempt is made."""
        for alarm in (self._hedge, self._pause):
            if alarm is not None:
                alarm.cancel()
        self._hedge = self._pause = None
        if self._starting is not None:
            if self._starting[1] and self.kept.breaker is not None:
                self.kept.breaker.ended(self.run.machine.now, None, True)
            self._starting = None
            if self in self.kept.waiting:
                self.kept.waiting.remove(self)
                if not self.kept.waiting and self.kept.alarm is not None:
                    self.kept.alarm.cancel()
                    self.kept.alarm = None


def serve(kept: Kept, machine: Machine, rate: float) -> None:
    """Start who waits, as fast as the rate allows: first who has the least time left."""
    while kept.waiting and kept.alarm is None:
        at = kept.take(machine.now, rate)
        if at is not None:

            def ring() -> None:
                kept.alarm = None
                serve(kept, machine, rate)

            kept.alarm = Alarm(machine, at, ring)
            return
        following = min(kept.waiting, key=_due)
        kept.waiting.remove(following)
        following._start()  # pyright: ignore[reportPrivateUsage] - one guard starts another of its kind


def _due(guard: Guard) -> float:
    deadline, dues = guard.scope.zone.deadline(), guard.run.dues
    promised = None if dues is None else dues.limit
    return min(inf if deadline is None else deadline, inf if promised is None else promised)
