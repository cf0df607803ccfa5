"""Many sequences on one context: who is in the next step, and whose cache waits outside.

Each step takes the next token of every sequence that was asked for one, and fills up with chunks of prompts: replies go
on while prompts are read. Slots and places of the cache are few; when they run out, the cache of a sequence that is not
being asked is moved to ordinary memory and comes back before its next step, so any number may be open. Who has a slot
keeps it while there is work for it, unless another that had one has waited long; who never had one waits for its turn,
first come first served. Where ordinary memory has no more room for caches,
who has work keeps its slot, and the cache of who has none is given up: it is computed again from the tokens.

One thread calls all of this. Nothing here knows of processes: tokens leave by a callable.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ..constraint.masks import Constraint, Masks, without
from .native import NativeModel, StepFailed
from .sampling import Choice, Likely, choose, likely

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

CHUNK = 256
"""Tokens of prompts in a step: a step that is asked to stop ends after these."""
PATIENCE = 32
"""Steps that a sequence waits for its slot to come back before it takes one from who is at work."""


@dataclass(slots=True)
class Held:
    """A sequence in the worker. `tokens` are those of the prompt and what was chosen, of which the first `length` are
    in the cache."""

    number: int
    prompt: tuple[int, ...]
    tokens: list[int]
    length: int = 0
    cached: int = 0
    slot: int | None = None
    outside: bytes | None = None
    """Its cache, while it has no slot."""
    logits: NDArray[np.float32] | None = None
    filled: bool = False
    choice: Choice | None = None
    constraint: Constraint | None = None
    most: int = 0
    chosen: int = 0
    chosen_tokens: deque[tuple[int, Likely | None]] = field(default_factory=deque["tuple[int, Likely | None]"])
    """Chosen and not told yet, and how likely each was, where that is asked for."""
    over: bool = False
    credit: int = 0
    """Tokens that may be told before somebody asks again."""
    begun: bool = False
    """Whether it had a slot ever."""
    waits: int = 0

    @property
    def unfed(self) -> int:
        """Tokens that are not in the cache."""
        return len(self.tokens) - self.length

    @property
    def wants(self) -> bool:
        """Whether a step would bring it nearer to what it was asked for."""
        if self.unfed == 0:
            return False
        if not self.filled:
            return True
        # A cache that was given up is not computed again for a reply that is over, or not asked for.
        goes_on = self.choice is not None and not self.over and self.chosen < self.most
        return goes_on and self.logits is None and self.credit > len(self.chosen_tokens)


class Batcher:
    """`filled(sequence)` is called once a prompt is in the cache, `token(sequence, token, last, likely)` with each
    token of a reply, None for an end that has none; `lost(sequence)` where a cache from outside is none of this model.
    `room` is the most bytes of caches that wait in ordinary memory.
    """

    def __init__(
        self,
        model: NativeModel,
        masks: Masks,
        ends: frozenset[int],
        filled: Callable[[Held], None],
        token: Callable[[Held, int | None, bool, Likely | None], None],
        lost: Callable[[Held], None],
        room: int = 1 << 62,
    ) -> None:
        self._model = model
        self._masks = masks
        self._ends = ends
        self._filled = filled
        self._token = token
        self._lost = lost
        self._room = room
        self._open: dict[int, Held] = {}
        self._slots: list[Held | None] = [None] * model.slots
        self.steps = 0
        self.decoded = 0
        self.prefilled = 0
        self.dropped = 0
        """Caches that were given up, to be computed again."""

    # --- what is asked -----------------------------------------------------------------------------------------------

    def open(self, number: int, tokens: Sequence[int], prefix: int | None) -> None:
        """Begin to fill a cache with a prompt, of which the cache of sequence `prefix` may hold the beginning."""
        held = Held(number, tuple(tokens), list(tokens))
        known = self._open.get(prefix) if prefix is not None else None
        self._open[number] = held
        if known is not None:
            self._begin_as(held, known)

    def start(self, number: int, choice: Choice, schema: str | None, most: int) -> None:
        """Begin the reply of a filled sequence, of `most` tokens at most. Raises as `Masks.constraint`."""
        held = self._open.get(number)
        if held is not None and held.choice is None:
            held.constraint = self._masks.constraint(schema) if schema is not None else None
            held.choice, held.most = choice, most

    def more(self, number: int, count: int) -> None:
        """Somebody waits for `count` tokens more."""
        held = self._open.get(number)
        if held is not None:
            held.credit += count

    def end(self, number: int) -> None:
        held = self._open.pop(number, None)
        if held is not None and held.slot is not None:
            self._model.forget(held.slot)
            self._slots[held.slot] = None

    def export(self, number: int) -> tuple[tuple[int, ...], bytes] | None:
        """The prompt and the cache of a filled sequence that has not replied, to go on elsewhere."""
        held = self._open.get(number)
        if held is None or not held.filled or len(held.tokens) != len(held.prompt) or held.chosen:
            return None
        while held.unfed:
            # It was given up in between.
            self._step([(held, min(held.unfed, CHUNK))] if self._placed(held, {number}) else [])
        state = self._model.taken(held.slot) if held.slot is not None else held.outside
        return (held.prompt, state) if state is not None else None

    def adopt(self, number: int, tokens: Sequence[int], state: bytes) -> None:
        """A sequence by what `export` gave. Its last token is computed again, for the logits behind it."""
        held = Held(number, tuple(tokens), list(tokens), length=len(tokens) - 1, outside=state, begun=True)
        held.cached = held.length
        self._open[number] = held

    @property
    def busy(self) -> bool:
        return any(held.wants or self._can_tell(held) for held in self._open.values())

    # --- one round ---------------------------------------------------------------------------------------------------

    def round(self) -> None:
        """Choose and tell what can be, then take a step if one is wanted. Raises `StepFailed`."""
        for held in tuple(self._open.values()):
            self._tell(held)
        chosen = self._who()
        if chosen:
            self._step(chosen)

    def _step(self, chosen: list[tuple[Held, int]]) -> None:
        """One step, of fewer sequences where the cache has no room for all."""
        while True:
            if not chosen:
                raise StepFailed("a sequence finds no place in the cache")
            items, last = self._items(chosen)
            if self._model.step(items):
                self._took(chosen, last)
                return
            if not self._make_room({held.number for held, _ in chosen}):
                if len(chosen) == 1:
                    raise StepFailed("a sequence is longer than the cache")
                chosen.pop()

    def _tell(self, held: Held) -> None:
        while self._can_tell(held):
            if not held.chosen_tokens:
                self._choose(held)
            if held.chosen_tokens:
                held.credit -= 1
                self.decoded += 1
                token, told = held.chosen_tokens.popleft()
                last = held.over and not held.chosen_tokens
                held.choice = None if last else held.choice
                self._token(held, token, last, told)
            elif held.over:
                held.choice = None
                self._token(held, None, True, None)

    def _can_tell(self, held: Held) -> bool:
        if held.choice is None:
            return False
        if held.chosen_tokens:
            return held.credit > 0
        return held.over or (held.credit > 0 and held.logits is not None)

    def _choose(self, held: Held) -> None:
        """Choose the token behind the cache, and take along what a schema makes follow."""
        logits, constraint, choice = held.logits, held.constraint, held.choice
        held.logits = None
        if logits is None or choice is None or held.over:
            return
        mask = constraint.mask() if constraint is not None and not constraint.complete else None
        token = choose(logits, choice, held.chosen, mask)
        while constraint is not None and mask is not None and token not in self._ends and not constraint.take(token):
            mask = without(mask, token)
            token = choose(logits, choice, held.chosen, mask)
        if token in self._ends:
            held.over = True
            return
        told = likely(logits, token, choice.logprobs) if choice.logprobs is not None else None
        follow = [token]
        # Who asks how likely tokens are has each one chosen: what is forced has no logits behind it.
        if constraint is not None and not constraint.complete and told is None:
            for forced in constraint.forced():
                if not constraint.take(forced):
                    raise RuntimeError("a key is forced for the second time")
                follow.append(forced)
        room = held.most - held.chosen
        held.over = constraint is not None and constraint.complete and len(follow) <= room
        follow = follow[:room]
        held.chosen += len(follow)
        held.chosen_tokens.extend((each, told) for each in follow)
        if not held.over and held.chosen < held.most:
            held.tokens.extend(follow)

    # --- steps -------------------------------------------------------------------------------------------------------

    def _who(self) -> list[tuple[Held, int]]:
        """Who is in the next step, with how many tokens: replies first, then prompts as far as a chunk goes."""
        wanting = [held for held in self._open.values() if held.wants]
        for held in wanting:
            if held.slot is None and held.begun:
                held.waits += 1
        # Who waits too long goes before all, while there is room for who makes way; then those at work; within each,
        # first come first served.
        patience = PATIENCE if self._waiting() < self._room else 1 << 62
        wanting.sort(key=lambda held: (held.waits < patience, held.slot is None))
        taken: list[Held] = wanting[: self._model.slots]
        members = {held.number for held in taken}
        chosen: list[tuple[Held, int]] = []
        room, prompts = self._model.batch, CHUNK
        for held in sorted(taken, key=lambda held: not held.filled):
            count = min(held.unfed, room, CHUNK if held.filled else prompts)
            if count and self._placed(held, members):
                held.waits = 0
                chosen.append((held, count))
                room -= count
                prompts -= 0 if held.filled else count
        return chosen

    def _placed(self, held: Held, members: set[int]) -> bool:
        """Whether the sequence has a slot now, with its cache in it."""
        if held.slot is not None:
            return True
        if None not in self._slots and not self._make_room(members, slots=True):
            return False
        slot = self._slots.index(None)
        if held.outside is not None:
            while not self._model.put(slot, held.outside):
                self._model.forget(slot)
                if not self._make_room(members):
                    if not any(other is not None and other.length for other in self._slots):
                        # All the room there is, and still it does not go in.
                        self._open.pop(held.number, None)
                        self._lost(held)
                    return False
            held.outside = None
            if not self._model.forget(slot, held.length):
                self._open.pop(held.number, None)
                self._lost(held)
                return False
        self._slots[slot], held.slot, held.begun = held, slot, True
        return True

    def _make_room(self, members: set[int], slots: bool = False) -> bool:
        """Move a sequence out that is not among `members`. False if there is none with a cache, or, where `slots` are
        wanted, none at all."""
        others = [other for other in self._slots if other is not None and other.number not in members]
        others = [other for other in others if slots or other.length]
        if not others:
            return False
        self._move_out(min(others, key=lambda other: (other.wants, other.number)))
        return True

    def _move_out(self, held: Held) -> None:
        if held.slot is not None:
            held.outside = None
            if held.length:
                if self._waiting() + self._model.size(held.slot) <= self._room:
                    held.outside = self._model.taken(held.slot)
                else:
                    held.length = 0
                    self.dropped += 1
            self._model.forget(held.slot)
            self._slots[held.slot], held.slot = None, None

    def _waiting(self) -> int:
        """Bytes of caches in ordinary memory."""
        return sum(len(held.outside) for held in self._open.values() if held.outside is not None)

    def _items(self, chosen: list[tuple[Held, int]]) -> tuple[list[tuple[int, int, int, bool]], list[int]]:
        items: list[tuple[int, int, int, bool]] = []
        last: list[int] = []
        for held, count in chosen:
            assert held.slot is not None
            whole = count == held.unfed
            for place in range(held.length, held.length + count):
                items.append((held.tokens[place], place, held.slot, whole and place == held.length + count - 1))
            last.append(len(items) - 1 if whole else -1)
        return items, last

    def _took(self, chosen: list[tuple[Held, int]], last: list[int]) -> None:
        self.steps += 1
        for (held, count), item in zip(chosen, last, strict=True):
            held.length += count
            if not held.filled:
                self.prefilled += count
            if item >= 0:
                held.logits = self._model.logits(item).copy()
                if not held.filled:
                    held.filled = True
                    self._filled(held)

    def _begin_as(self, held: Held, known: Held) -> None:
        """Let a new sequence share what the cache of another holds of the beginning of its prompt."""
        common = 0
        for mine, other in zip(held.prompt[:-1], known.prompt[: known.length], strict=False):
            if mine != other:
                break
            common += 1
        if not common or known.slot is None:
            return
        if None not in self._slots and not self._make_room({known.number}, slots=True):
            return
        slot = self._slots.index(None)
        self._model.share(known.slot, slot, common)
        self._slots[slot], held.slot, held.begun = held, slot, True
        held.length = held.cached = common
