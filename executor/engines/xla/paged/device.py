"""The loop that drives a device: it asks the scheduler for steps, carries out its orders, and hands out what is made.

All methods run in the device's thread (`thread`), commands of the event loop between steps. A step's tokens are read,
the next step is put together and handed over, and only then do readers hear of the tokens: what the engine does for a
token, and what its readers do with it, is hidden behind the next step.

A sequence is computed at most one choice ahead of its reader. One that nobody reads from wants nothing; it keeps its
memory until others need it.
"""

# JAX's own annotations leave parts of its functions' types unknown.
# pyright: reportUnknownMemberType=false

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from time import monotonic
from typing import Any

import jax
import numpy as np

from ....scheduler import (
    Admitted,
    Arrived,
    Cancelled,
    Chunk,
    Copy,
    Event,
    Extended,
    Fetch,
    Forget,
    Load,
    Refuse,
    Released,
    Save,
    Scheduler,
    Settings,
    Spill,
    Step,
    StepDone,
    StepWanted,
)
from ...constraint.masks import Constraint
from ...protocol import Finish, Sampling, TokenLogprob, Tokens
from ...sequences import Made
from .away import PutAway
from .beside import Beside
from .picking import Picker, Picks, needs
from .pool import KeysValues
from .sequence import Making, PagedSequence, Told
from .steps import ROWS, Entry, Steps, bucket, divided


class PagedDevice:
    """See the module. `ends` are the tokens that end a reply."""

    def __init__(
        self, settings: Settings, steps: Steps, picker: Picker, ends: frozenset[int], away: PutAway | None = None
    ) -> None:
        self._settings = settings
        self._steps = steps
        self._picker = picker
        self._ends = ends
        self._away = away
        self._scheduler = Scheduler(settings)
        if away is not None:
            away.use(self._tell)
        self._beside = Beside("programs")
        self._sequences: dict[int, PagedSequence] = {}
        self._beginning: dict[int, PagedSequence] = {}
        """Those whose first token is asked for."""
        self._news: list[Callable[[], None]] = []
        """What readers are to hear."""
        self.steps = self.prefilled = self.decoded = 0

    # Commands.

    def arrive(self, sequence: PagedSequence, deadline: float | None, prefix: int | None) -> None:
        """A prompt to compute. `deadline` is on this thread's clock."""
        self._sequences[sequence.number] = sequence
        service = sequence.service
        now = sequence.making.arrived = monotonic()
        self._tell(
            Arrived(
                now,
                sequence.number,
                sequence.prompt,
                deadline=deadline,
                tenant=service.tenant,
                scope=service.scope,
                prefix=prefix,
                private=service.private,
            )
        )

    def begin(self, sequence: PagedSequence, sampling: Sampling, constraint: Constraint | None, most: int) -> None:
        """The reply begins, with at most so many tokens. The first is asked for apart."""
        making = sequence.making
        making.sampling, making.constraint, making.most = sampling, constraint, most

    def ask(self, sequence: PagedSequence) -> None:
        """One token more is wanted."""
        making = sequence.making
        making.asked += 1
        if sequence.number not in self._sequences:
            return
        if making.logits is not None:
            self._beginning[sequence.number] = sequence
        elif making.held and making.choice < making.asked:
            self._extend(sequence)

    def leave(self, sequence: PagedSequence, cancelled: bool) -> None:
        """Nobody wants anything of it any more. Idempotent."""
        if self._sequences.pop(sequence.number, None) is None:
            return
        self._beginning.pop(sequence.number, None)
        making = sequence.making
        making.logits = making.given = making.mask = None
        now = monotonic()
        self._tell(Cancelled(now, sequence.number) if cancelled else Released(now, sequence.number))

    def cache(self, sequence: PagedSequence) -> tuple[list[KeysValues], Any] | None:
        """Keys and values of a prompt, by layer, and the logits behind it; None if they are not there any more."""
        count = len(sequence.prompt)
        if self._scheduler.computed(sequence.number) < count or sequence.making.logits is None:
            return None
        pages = self._scheduler.pages(sequence.number)
        return self._steps.pool.read(pages, 0, count), np.asarray(sequence.making.logits)

    def close(self) -> None:
        for sequence in tuple(self._sequences.values()):
            self.leave(sequence, cancelled=True)
        self._beside.drop()
        if self._away is not None:
            self._away.close()
        self._steps.close()

    # The loop.

    def work(self) -> bool:
        """One step. False if there is nothing to compute."""
        try:
            began = self._begin_replies()
            step = self._tell(StepWanted(monotonic()))
            if step is None:
                self._hand_out()
                return began
            self._run(step)
            return True
        except Exception as error:
            self.fail(error)
            return True

    def _tell(self, event: Event) -> Step | None:
        """Carry out what the scheduler orders. A step is returned: it is the last of its orders."""
        step: Step | None = None
        for order in self._scheduler.handle(event):
            match order:
                case Step():
                    step = order
                case Admitted():
                    sequence = self._sequences[order.sequence]
                    if not sequence.making.admitted:
                        sequence.making.admitted, sequence.cached_tokens = True, order.cached
                        sequence.queued_seconds = monotonic() - sequence.making.arrived
                case Copy():
                    self._steps.pool.copy(order.source, order.target)
                case Save() | Load() | Spill() | Fetch() | Forget():
                    assert self._away is not None
                    self._away.do(order)
                case Refuse():
                    sequence = self._sequences.pop(order.sequence, None)
                    if sequence is not None:
                        error = RuntimeError(f"the scheduler refused a sequence: {order.reason.value}")
                        self._news.append(partial(sequence.reading.failed, error))
                case _:
                    # A page that is dropped is written again by whoever gets it, and a sequence that was preempted
                    # comes back by a chunk.
                    pass
        return step

    def _hand_out(self) -> None:
        news, self._news = self._news, []
        for tell in news:
            tell()

    def fail(self, error: Exception) -> None:
        """Nobody knows what the device holds: all that is open ends with the error, and the next begins anew."""
        sequences, self._sequences = self._sequences, {}
        self._beginning.clear()
        self._scheduler = Scheduler(self._settings)
        self._steps.pool.drop()
        if self._away is not None:
            self._away.use(self._tell)
        for sequence in sequences.values():
            self._news.append(partial(sequence.reading.failed, error))
        self._hand_out()

    # Replies.

    def _begin_replies(self) -> bool:
        """Choose first tokens, from the logits behind the prompts."""
        beginning, self._beginning = self._beginning, {}
        picked: list[tuple[PagedSequence, Picks]] = []
        for sequence in beginning.values():
            making, constraint = sequence.making, sequence.making.constraint
            forced = () if constraint is None else self._force(making, constraint)
            if forced:
                making.logits = None
                self._made(sequence, (), forced, None)
            else:
                picked.append((sequence, self._picker.pick(making.logits, ((0, making),))))
        for sequence, picks in picked:
            sequence.making.logits = None
            self._read(picks, (sequence,))
        return bool(beginning)

    def _read(self, picks: Picks, sequences: Sequence[PagedSequence]) -> None:
        """Take the tokens that were chosen, once they are there."""
        tokens = np.asarray(picks.tokens)
        taken: list[tuple[int, int, int]] = []
        numbers: list[int] = []
        for row, making in picks.rows:
            token, constraint = int(tokens[row]), making.constraint
            if constraint is not None:
                while token not in self._ends and not constraint.take(token):
                    token = self._picker.again(picks, row, making, token)
            numbers.append(token)
            most = None if making.sampling is None else making.sampling.logprobs
            if most is not None:
                taken.append((row, token, most))
        told = self._picker.likelihoods(picks, taken) if taken else []
        likely = dict(zip((row for row, _, _ in taken), told, strict=True))
        for (row, making), sequence, token in zip(picks.rows, sequences, numbers, strict=True):
            constraint = making.constraint
            making.choice = making.count
            forced: Tokens = ()
            if constraint is not None and token not in self._ends and not constraint.complete:
                forced = self._force(making, constraint)
            self._made(sequence, (token,), forced, likely.get(row))

    def _force(self, making: Making, constraint: Constraint) -> Tokens:
        """Take what has to come next whatever the model says. Nothing, where somebody asks what it does say."""
        if making.sampling is not None and making.sampling.logprobs is not None:
            return ()
        forced = constraint.forced()
        for token in forced:
            if not constraint.take(token):
                raise RuntimeError("a key is forced for the second time")
        return forced

    def _made(self, sequence: PagedSequence, chosen: Tokens, forced: Tokens, likely: TokenLogprob | None) -> None:
        """Tokens of a reply are there. Have them computed, if more are to come."""
        making = sequence.making
        constraint, tokens = making.constraint, (*chosen, *forced)
        making.count += len(tokens)
        self.decoded += len(tokens)
        whole = constraint is not None and constraint.complete
        *before, last = tokens
        made = [*(Made(token, likely) for token in before), Made(last, likely, Finish.STOP if whole else None)]
        self._news.append(partial(sequence.reading.made, made))
        if whole or making.count >= making.most or last in self._ends:
            return
        making.held = tokens
        if making.choice < making.asked:
            self._extend(sequence)

    def _extend(self, sequence: PagedSequence) -> None:
        held, sequence.making.held = sequence.making.held, ()
        self._tell(Extended(monotonic(), sequence.number, held))

    # Steps.

    def _run(self, step: Step) -> None:
        self.steps += 1
        began, compiled = monotonic(), self._steps.programs.compiled
        rows, chunks = divided(step, self._apart)
        picked: list[tuple[Picks, list[PagedSequence]]] = []
        ended: list[tuple[PagedSequence, Any]] = []
        over: Any = None
        for size, part in self._sizes(rows):
            over = self._steps.rows(part, size)
            self._reached(over, part, picked, ended)
        if chunks:
            # They take a while, which those who read from others need not wait for.
            self._hand_out()
        for chunk in chunks:
            over = self._chunk(chunk)
            if chunk.last:
                self._reached(over, [_behind(chunk)], picked, ended)
        self._hand_out()
        jax.block_until_ready(over)
        if self._away is not None and not rows and self._steps.programs.compiled == compiled:
            # Prompts alone: that is how long they take.
            self._away.prefilled(sum(chunk.count for chunk in chunks), monotonic() - began)
        self.prefilled += sum(chunk.count for chunk in step.prefill)
        self._tell(StepDone(monotonic(), step.number))
        for picks, sequences in picked:
            self._read(picks, sequences)
        for sequence, logits in ended:
            sequence.making.logits = logits
            sequence.making.given = None
            self._news.append(sequence.reading.filled)
            if sequence.making.asked:
                self._beginning[sequence.number] = sequence

    def _sizes(self, rows: list[Entry]) -> list[tuple[int, list[Entry]]]:
        """Rows by the sizes of programs that are there. The one that they ask for is made beside, where it is not; here
        only if there is none."""
        if not rows:
            return []
        steps, size = self._steps, bucket(len(rows))
        steps.pool.hold(max(max(entry.pages) for entry in rows))
        tier = steps.pool.tier
        masks, draws = needs(self._sequences[entry.sequence].making for entry in rows if entry.wanted)

        def there(rows: int) -> bool:
            what = rows, tier, masks, draws
            known = steps.programs.has_decode(rows, tier) and self._picker.is_ready(masks, draws, rows)
            return known or self._beside.over(what)

        def make() -> None:
            steps.programs.decode(size, tier)
            self._picker.ready(masks, draws, size)

        if there(size):
            return [(size, rows)]
        others = [other for other in ROWS if there(other)]
        if not others:
            return [(size, rows)]
        self._beside.want((size, tier, masks, draws), make)
        larger = next((other for other in others if other > size), None)
        if larger is not None:
            return [(larger, rows)]
        most = others[-1]
        parts = [rows[first : first + most] for first in range(0, len(rows), most)]
        return [(next(other for other in others if other >= len(part)), part) for part in parts]

    def _reached(
        self,
        logits: Any,
        rows: list[Entry],
        picked: list[tuple[Picks, list[PagedSequence]]],
        ended: list[tuple[PagedSequence, Any]],
    ) -> None:
        """Have the tokens of replies chosen; the logits behind prompts are kept until theirs begin."""
        replies: list[tuple[int, PagedSequence]] = []
        for index, entry in enumerate(rows):
            sequence = self._sequences[entry.sequence]
            if entry.wanted and sequence.making.count:
                replies.append((index, sequence))
            elif entry.wanted:
                ended.append((sequence, self._picker.row(logits, index)))
        if replies:
            sequences = [sequence for _, sequence in replies]
            picked.append((self._picker.pick(logits, [(at, one.making) for at, one in replies]), sequences))

    def _chunk(self, chunk: Chunk) -> Any:
        """Compute a chunk; where it comes from elsewhere, only fill it in. What is behind it, to be waited for."""
        sequence, stop = self._sequences[chunk.sequence], chunk.start + chunk.count
        making, pool = sequence.making, self._steps.pool
        if making.given is None or stop > len(sequence.prompt):
            behind = self._steps.chunk(chunk)
        else:
            pool.hold(max(chunk.pages))
            part = [(keys[:, chunk.start : stop], values[:, chunk.start : stop]) for keys, values in making.given]
            pool.write(chunk.pages, chunk.start, part)
            behind = making.logits if chunk.last else pool.layers[-1][0]
            if behind is None:
                behind = self._steps.rows([_behind(chunk)])
        if making.told is not None:
            self._tell_reader(sequence, making.told, chunk.pages, stop)
        return behind

    def _tell_reader(self, sequence: PagedSequence, told: Told, pages: tuple[int, ...], stop: int) -> None:
        """Layer by layer, as the device comes to them."""
        making, pool = sequence.making, self._steps.pool
        start, making.told_to = making.told_to, stop
        reads = pool.reading(pages, start, stop)
        try:
            for layer, of_layer in enumerate(reads):
                told(layer, start, *pool.of_layer(of_layer, start, stop))
        except Exception as error:
            # It is the sequence's own affair what it does with what it is told.
            making.told = None
            self._news.append(partial(sequence.reading.failed, error))

    def _apart(self, number: int) -> bool:
        """Whether a sequence's prompt is more than computed."""
        making = self._sequences[number].making
        return making.told is not None or making.given is not None


def _behind(chunk: Chunk) -> Entry:
    """The place whose logits a chunk ends with."""
    return Entry(chunk.sequence, chunk.start + chunk.count - 1, chunk.tokens[-1], chunk.pages, True)
