"""A device for the scheduler that checks what it is told: it computes a digest of all tokens up to each position.

What a page holds at a position depends on every token before it, as KV does. So a row that is given a page with other
tokens, a page that nobody filled, or a page that another row writes, is found out at once, and what comes out of a
sequence can be compared with what it gives alone.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field

from agentlang.executor.scheduler import (
    Admitted,
    Arrived,
    Cancelled,
    Chunk,
    Copy,
    Drop,
    Event,
    Extended,
    Fetch,
    Fetched,
    Forget,
    Gone,
    Kept,
    Load,
    Order,
    Preempted,
    Refusal,
    Refuse,
    Released,
    Row,
    Save,
    Scheduler,
    Settings,
    Spill,
    Spoilt,
    Step,
    StepDone,
    StepFailed,
    StepWanted,
)

BEGIN = b""


def digest(before: bytes, token: int) -> bytes:
    return hashlib.blake2b(before + token.to_bytes(4, "big"), digest_size=8).digest()


def whole(tokens: list[int]) -> bytes:
    """What is behind all `tokens`, computed in one go."""
    state = BEGIN
    for token in tokens:
        state = digest(state, token)
    return state


@dataclass
class Known:
    """What the engine knows of a sequence."""

    tokens: list[int]
    arrived: int
    """The step before which it came."""
    out: bytes | None = None
    """What came out behind its last token; None while that is not computed."""
    admitted: bool = False
    ended: bool = False
    cached: int = 0
    computed: int = 0
    """Tokens computed for it in all, again after preemptions."""
    preemptions: int = 0
    private: bool = False


@dataclass
class Device:
    """A scheduler, the pages that it orders about, and the checks."""

    settings: Settings
    now: float = 0.0
    seconds: float = 1.0
    """What a step takes."""
    step: Step | None = None
    steps: int = 0
    refused: dict[int, Refusal] = field(default_factory=dict[int, Refusal])
    known: dict[int, Known] = field(default_factory=dict[int, Known])
    gone: set[int] = field(default_factory=set[int])
    numbers: int = 0
    work: list[Step] = field(default_factory=list[Step])
    copied: int = 0
    told: list[tuple[Event, list[Order]]] = field(default_factory=list[tuple[Event, list[Order]]])
    host: dict[str, list[bytes | None]] = field(default_factory=dict[str, "list[bytes | None]"])
    disk: dict[str, list[bytes | None]] = field(default_factory=dict[str, "list[bytes | None]"])
    """Pages that were put away."""
    coming: list[str] = field(default_factory=list[str])
    """Those that are to be read from the disk."""
    before: frozenset[bytes] = frozenset()
    loaded: int = 0

    def __post_init__(self) -> None:
        self.scheduler = Scheduler(self.settings)
        self.memory: list[list[bytes | None]] = [[None] * self.settings.page for _ in range(self.settings.pages)]

    def tell(self, event: Event) -> list[Order]:
        orders = self.scheduler.handle(event)
        self.told.append((event, orders))
        for order in orders:
            idle = Refuse | Gone | Drop | Fetch | Forget | Spill
            assert self.step is None or isinstance(order, idle), "the device is busy"
            self._carry_out(order)
        return orders

    def arrive(
        self,
        tokens: list[int],
        tenant: str = "",
        deadline: float | None = None,
        *,
        scope: str = "",
        strict: bool = False,
        most: int = 0,
        prefix: int | None = None,
        private: bool = False,
    ) -> int:
        self.numbers += 1
        self.known[self.numbers] = Known(list(tokens), self.steps, private=private)
        told = Arrived(self.now, self.numbers, tuple(tokens), most, deadline, strict, tenant, scope, prefix)
        told.private = private  # pyright: ignore[reportAttributeAccessIssue]
        self.tell(told)
        return self.numbers

    def extend(self, number: int, tokens: list[int]) -> None:
        self.known[number].tokens += tokens
        self.known[number].out = None
        self.tell(Extended(self.now, number, tuple(tokens)))

    def read(self, damaged: bool = False) -> None:
        """Read the next page from the disk; one that is damaged is not there."""
        name = self.coming.pop(0)
        found = name in self.disk and not damaged
        if found:
            self.host.setdefault(name, list(self.disk[name]))
        else:
            self.disk.pop(name, None)
        self.tell(Fetched(self.now, name, found))

    def spoil(self, name: str) -> None:
        """It could not be written."""
        del self.disk[name]
        self.tell(Spoilt(self.now, name))

    def again(self) -> Device:
        """Another process with the disk that this one leaves."""
        other = Device(self.settings, disk=self.disk, before=frozenset(self._public()))
        other.tell(Kept(0.0, tuple(self.disk)))
        return other

    def begin(self) -> Step | None:
        """Ask for a step. What is to be read from the disk is read first."""
        while self.coming:
            self.read()
        wanted = [n for n in self.known if n not in self.gone and self.known[n].out is None]
        self.tell(StepWanted(self.now))
        if self.step is None:
            assert not [n for n in wanted if n not in self.gone], "there is work, and no step"
        return self.step

    def end(self, extended: dict[int, list[int]] | None = None) -> None:
        """The step has run: what it computed is in its pages."""
        step = self.step
        assert step is not None
        self.now += self.seconds
        writes = [self._writes(part.pages, *_span(part)) for part in (*step.prefill, *step.decode)]
        every = [page for pages in writes for page in pages]
        assert len(every) == len(set(every)), "two write the same page"
        for part, mine in zip((*step.prefill, *step.decode), writes, strict=True):
            others = set(every) - set(mine)
            assert not others & set(part.pages), "one reads what another writes"
            start, count = _span(part)
            known = self.known[part.sequence]
            tokens = known.tokens[start : start + count]
            told = part.tokens if isinstance(part, Chunk) else (part.token,)
            assert tuple(tokens) == told
            state = self._read(part.pages, start, known.tokens)
            for position, token in enumerate(tokens, start):
                state = digest(state, token)
                self.memory[part.pages[position // self.settings.page]][position % self.settings.page] = state
            known.computed += count
            last = start + count == len(known.tokens)
            assert last == (part.last if isinstance(part, Chunk) else True)
            if last:
                assert state == whole(known.tokens)
                known.out = state
        self.step = None
        self.steps += 1
        for number, more in (extended or {}).items():
            self.known[number].tokens += more
            self.known[number].out = None
        told_tokens = tuple((number, tuple(more)) for number, more in (extended or {}).items())
        self.tell(StepDone(self.now, step.number, told_tokens))

    def fail(self) -> None:
        step = self.step
        assert step is not None
        self.now += self.seconds
        for part in (*step.prefill, *step.decode):
            start, count = _span(part)
            for page in self._writes(part.pages, start, count):
                self.memory[page] = [b"broken"] * self.settings.page
        self.step = None
        self.tell(StepFailed(self.now, step.number))
        assert {part.sequence for part in (*step.prefill, *step.decode)} <= self.gone

    def leave(self, number: int, cancel: bool = False, keep: bool = True) -> None:
        runs = self.step is not None and number in {p.sequence for p in (*self.step.prefill, *self.step.decode)}
        self.tell(Cancelled(self.now, number) if cancel else Released(self.now, number, keep))
        assert (number in self.gone) != runs, "what is in no step is gone at once"
        self.known[number].ended = True

    def drain(self) -> None:
        """Run until there is nothing to compute, then release everything."""
        if self.step is not None:
            self.end()
        while self.begin() is not None:
            self.end()
        for number in [n for n in self.known if n not in self.gone]:
            assert self.known[number].out == whole(self.known[number].tokens)
            self.leave(number)

    def check(self) -> None:
        """What holds at any time."""
        scheduler = self.scheduler
        here = [number for number in self.known if number not in self.gone]
        assert scheduler.open == len(here)
        if not here:
            assert scheduler.waiting == 0
            assert scheduler.free_pages + scheduler.cached_pages == self.settings.pages, "pages leak"

    def _public(self) -> set[bytes]:
        """What is behind each token of all sequences that are not private, in this process or the one before."""
        out = set(self.before)
        for known in self.known.values():
            state = BEGIN
            for token in () if known.private else known.tokens:
                state = digest(state, token)
                out.add(state)
        return out

    def _carry_out(self, order: Order) -> None:
        match order:
            case Step():
                self._check_step(order)
                self.step = order
                self.work.append(order)
            case Copy():
                self.copied += order.count
                self.memory[order.target][: order.count] = self.memory[order.source][: order.count]
            case Drop():
                self.memory[order.page] = [None] * self.settings.page
            case Save():
                assert order.name not in self.host, "it is there already"
                assert None not in self.memory[order.page], "only full pages are put away"
                self.host[order.name] = list(self.memory[order.page])
                assert len(self.host) <= self.settings.host, "memory is bounded"
            case Load():
                assert self.memory[order.page] == [None] * self.settings.page, "it lies on a page that is in use"
                self.memory[order.page] = list(self.host[order.name])
                self.loaded += 1
            case Spill():
                self.disk[order.name] = self.host.pop(order.name)
                assert self.disk[order.name][-1] in self._public(), "what is private is on no disk"
            case Fetch():
                assert not set(order.names) & set(self.coming)
                self.coming += order.names
            case Forget():
                del (self.disk if order.disk else self.host)[order.name]
            case Admitted():
                self.known[order.sequence].admitted = True
                self.known[order.sequence].cached = order.cached
                assert order.cached < len(self.known[order.sequence].tokens)
            case Preempted():
                self.known[order.sequence].preemptions += 1
            case Refuse():
                assert order.sequence not in self.gone
                self.gone.add(order.sequence)
                self.refused[order.sequence] = order.reason
            case Gone():
                assert order.sequence not in self.gone
                self.gone.add(order.sequence)

    def _check_step(self, step: Step) -> None:
        parts = (*step.prefill, *step.decode)
        sequences = [part.sequence for part in parts]
        assert parts
        assert len(sequences) == len(set(sequences))
        assert not set(sequences) & self.gone
        assert len(parts) <= self.settings.rows
        assert step.tokens <= self.settings.tokens
        for part in parts:
            start, count = _span(part)
            assert 1 <= count <= self.settings.chunk
            assert len(part.pages) == self.settings.pages_for(start + count)
            assert len(set(part.pages)) == len(part.pages)

    def _read(self, pages: tuple[int, ...], start: int, tokens: list[int]) -> bytes:
        """Everything before `start`, as attention reads it."""
        state = BEGIN
        for position in range(start):
            state = digest(state, tokens[position])
            held = self.memory[pages[position // self.settings.page]][position % self.settings.page]
            assert held == state, f"position {position} holds other tokens"
        return state

    def _writes(self, pages: tuple[int, ...], start: int, count: int) -> list[int]:
        size = self.settings.page
        return [pages[index] for index in range(start // size, (start + count - 1) // size + 1)]


def _span(part: Chunk | Row) -> tuple[int, int]:
    return (part.start, part.count) if isinstance(part, Chunk) else (part.position, 1)
