"""`Scheduler.handle(event) -> orders`.

A sequence is tokens that are to be computed, and grows by those that its owner appends. Whether they come from a
prompt, from sampling or from a tool makes no difference here; how they are sampled and when a reply ends is the
engine's affair. A sequence with all its tokens computed is held: it keeps its memory, until it is extended, released,
or others need the memory.

One step runs at a time. What is told meanwhile is taken in at once, except that a sequence of the running step is gone
only when the step is over.
"""

from __future__ import annotations

from collections.abc import Hashable

from .events import (
    Arrived,
    Cancelled,
    Event,
    Extended,
    Fetched,
    Kept,
    Priced,
    Released,
    Spoilt,
    StepDone,
    StepFailed,
    StepWanted,
)
from .memory import Memory
from .orders import Chunk, Gone, Order, Refusal, Refuse, Step
from .policy import Policy
from .repeating import repeat, repeatable
from .sequences import Sequence
from .settings import Settings
from .stepping import compose


class Scheduler:
    """See the module. Not thread-safe; equal events give equal orders."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._policy = Policy(settings.fairness, settings.weights)
        self._memory = Memory(settings, self._policy)
        self._sequences: dict[int, Sequence] = {}
        self._steps = 0
        self._running: tuple[float, Step] | None = None
        """When the step began that runs, and the step."""
        self._fastest = 0.0
        """The most tokens that a step computed in a second."""
        self._fetching: dict[int, set[str]] = {}
        """Sequences that wait for pages from the disk, and for which."""
        self._strict: dict[int, Sequence] = {}
        """Those that wait for their first step and are to be refused when they are late."""

    @property
    def open(self) -> int:
        """Sequences that are not gone."""
        return len(self._sequences)

    @property
    def waiting(self) -> int:
        """Sequences that want to be computed and have no memory."""
        return self._policy.waiting + len(self._fetching)

    @property
    def busy(self) -> bool:
        """Whether a step runs."""
        return self._running is not None

    @property
    def free_pages(self) -> int:
        """Pages that nobody needs."""
        return self._memory.pages.free

    @property
    def cached_pages(self) -> int:
        """Pages that hold what was computed, and that nobody uses now."""
        return self._memory.tree.unused

    @property
    def put_away(self) -> tuple[int, int]:
        """Pages in ordinary memory and on the disk."""
        return self._memory.tiers.host, self._memory.tiers.disk

    def computed(self, sequence: int) -> int:
        """How many tokens of a sequence are in its pages; 0 for one that is gone."""
        known = self._sequences.get(sequence)
        return 0 if known is None else known.computed

    def pages(self, sequence: int) -> tuple[int, ...]:
        """The pages of a sequence, in order of its positions; none for one that is gone or has no memory."""
        known = self._sequences.get(sequence)
        return () if known is None else known.table()

    def repeatable(self, most: int) -> int:
        """How often, up to `most`, the step that runs would be followed by one of the same rows, if each of its
        sequences were extended by one counted token after each step and nothing else were told."""
        if self._running is None:
            return 0
        step = self._running[1]
        return repeatable(step, self._rows_of(step), self._policy, self._memory, most)

    def repeat(self, at: float, times: int) -> Step:
        """Just that, `times` times, at most as often as `repeatable` says: the last of those steps began `at` and
        runs. For simulations, to which a thousand steps are one event. The pages of its rows are not told."""
        if self._running is None:
            raise ValueError("no step runs")
        step = self._running[1]
        self._steps += times
        again = repeat(step, self._rows_of(step), self._policy, self._memory, times, self._steps)
        self._running = (at, again)
        return again

    def _rows_of(self, step: Step) -> list[Sequence]:
        return [self._sequences[row.sequence] for row in step.decode]

    def handle(self, event: Event) -> list[Order]:
        """Raises ValueError for what no engine may say: a number twice, a step that does not run."""
        orders: list[Order] = []
        match event:
            case Arrived():
                self._arrived(event, orders)
            case Extended():
                self._extend(event.sequence, event.tokens, event.count, orders)
            case StepWanted():
                self._step_wanted(event.at, orders)
            case StepDone():
                self._step_done(event, orders)
            case StepFailed():
                self._step_failed(event, orders)
            case Released():
                self._release(event.sequence, event.keep, orders)
            case Cancelled():
                self._release(event.sequence, True, orders)
            case Priced():
                self._memory.tiers.priced(event.prefill, event.save, event.load, event.read)
            case Kept():
                for name in event.names:
                    self._memory.tiers.known(name, orders)
            case Fetched():
                self._fetched(event, orders)
            case Spoilt():
                self._memory.tiers.lost(event.name)
        return orders

    def _arrived(self, event: Arrived, orders: list[Order]) -> None:
        if event.sequence in self._sequences:
            raise ValueError(f"sequence {event.sequence} is here already")
        length = len(event.tokens) if event.length is None else event.length
        if length < 1 or (event.length is not None and event.tokens):
            raise ValueError("a sequence begins with at least one token, told or counted")
        if length + event.most > self.settings.capacity:
            orders.append(Refuse(event.sequence, Refusal.TOO_LONG))
            return
        if self.settings.queue is not None and self.waiting >= self.settings.queue:
            orders.append(Refuse(event.sequence, Refusal.QUEUE_FULL))
            return
        due = event.at + self.settings.patience if event.deadline is None else max(event.deadline, event.at)
        sequence = Sequence(event.sequence, event.tenant, event.scope, due, event.strict and event.deadline is not None)
        sequence.tokens = list(event.tokens) if event.length is None else None
        sequence.keys = tuple[Hashable, ...](event.keys)
        sequence.length = length
        sequence.prefix = event.prefix
        sequence.private = event.private
        if self._late(sequence, event.at):
            orders.append(Refuse(event.sequence, Refusal.LATE))
            return
        self._sequences[event.sequence] = sequence
        if sequence.strict:
            self._strict[event.sequence] = sequence
        self._policy.joins(sequence)
        wanted = self._memory.tiers.wanted(self._memory.elsewhere(sequence)) if self.settings.disk else []
        if wanted:
            # What is on the disk is read while others are computed.
            self._fetching[sequence.number] = set(wanted)
            self._memory.tiers.fetch(wanted, orders)
        else:
            self._policy.wait(sequence)

    def _fetched(self, event: Fetched, orders: list[Order]) -> None:
        self._memory.tiers.fetched(event.name, event.found, orders)
        for number, names in tuple(self._fetching.items()):
            names.discard(event.name)
            if not names:
                del self._fetching[number]
                self._policy.wait(self._sequences[number])

    def _late(self, sequence: Sequence, now: float) -> bool:
        """Whether a strict sequence cannot be over in time, even if it runs at once, as fast as any step did."""
        if not sequence.strict:
            return False
        at_least = sequence.length - self._memory.cached(sequence)
        return now >= sequence.due or (self._fastest > 0 and now + at_least / self._fastest > sequence.due)

    def _extend(self, number: int, tokens: tuple[int, ...], count: int | None, orders: list[Order]) -> None:
        sequence = self._sequences.get(number)
        if sequence is None or sequence.ended:
            return
        if (count is not None and tokens) or (sequence.tokens is None) != (count is not None):
            raise ValueError("tokens are told where those before them were, and counted where those were")
        more = len(tokens) if count is None else count
        if more < 1:
            raise ValueError("a sequence is extended by at least one token")
        if sequence.length + more > self.settings.capacity:
            orders.append(Refuse(number, Refusal.TOO_LONG))
            self._end(sequence, orders, gone=False)
            return
        if sequence.tokens is not None:
            sequence.tokens += tokens
        sequence.length += more
        if sequence.admission is None and sequence.waiting is None and number not in self._fetching:
            self._policy.wait(sequence)

    def _step_wanted(self, now: float, orders: list[Order]) -> None:
        if self._running is not None:
            return
        for sequence in [sequence for sequence in self._strict.values() if self._late(sequence, now)]:
            orders.append(Refuse(sequence.number, Refusal.LATE))
            self._end(sequence, orders, gone=False)
        chunks, rows, sequences = compose(self.settings, self._policy, self._memory, orders)
        if not sequences:
            return
        self._steps += 1
        for sequence in sequences:
            sequence.last_step = self._steps
            self._strict.pop(sequence.number, None)
        for chunk in chunks:
            self._policy.served(self._sequences[chunk.sequence], chunk.count, 0)
        for row in rows:
            self._policy.served(self._sequences[row.sequence], 0, 1)
        step = Step(self._steps, tuple(chunks), tuple(rows))
        self._running = (now, step)
        orders.append(step)

    def _step_done(self, event: StepDone, orders: list[Order]) -> None:
        began, step = self._over(event.step)
        if event.at > began:
            self._fastest = max(self._fastest, step.tokens / (event.at - began))
        for part in (*step.prefill, *step.decode):
            sequence = self._sequences[part.sequence]
            self._memory.computed(sequence, part.count if isinstance(part, Chunk) else 1, orders)
            if sequence.ended:
                self._end(sequence, orders)
        for number, tokens in event.extended:
            self._extend(number, tokens, None, orders)

    def _step_failed(self, event: StepFailed, orders: list[Order]) -> None:
        _, step = self._over(event.step)
        for part in (*step.prefill, *step.decode):
            self._end(self._sequences[part.sequence], orders, known=False)

    def _over(self, number: int) -> tuple[float, Step]:
        if self._running is None or self._running[1].number != number:
            raise ValueError(f"step {number} does not run")
        running, self._running = self._running, None
        return running

    def _release(self, number: int, keep: bool, orders: list[Order]) -> None:
        sequence = self._sequences.get(number)
        if sequence is None:
            return
        sequence.keep = sequence.keep and keep
        if self._running is not None and sequence.admission is not None and sequence.last_step == self._steps:
            sequence.ended = True
        else:
            self._end(sequence, orders)

    def _end(self, sequence: Sequence, orders: list[Order], gone: bool = True, known: bool = True) -> None:
        """The sequence holds nothing any more."""
        self._fetching.pop(sequence.number, None)
        if sequence.waiting is not None:
            self._policy.unwait(sequence)
        self._memory.release(sequence, orders, sequence.keep, known)
        if not sequence.keep:
            self._memory.forget(sequence, orders)
        self._policy.leaves(sequence)
        del self._sequences[sequence.number]
        self._strict.pop(sequence.number, None)
        if gone:
            orders.append(Gone(sequence.number))
