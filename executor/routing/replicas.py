"""What the router knows of one replica: how fast it is, and what it has to do."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Rates:
    """Seconds: of a token of a prompt, of a step that decodes one sequence, and of each further row of such a step."""

    prefill: float
    step: float = 0.0
    row: float = 0.0

    def __post_init__(self) -> None:
        if not (self.prefill >= 0 and self.step >= 0 and self.row >= 0):
            raise ValueError("no work takes less than no time")


@dataclass(slots=True)
class Sent:
    """A request that a replica has."""

    request: int
    replica: int
    tokens: int
    blocks: tuple[int, ...]
    reply: int
    deadline: float | None
    fresh: int = 0
    """Tokens of its prompt that the replica is expected to compute."""
    found: int = 0
    """Blocks of it that were believed to be there."""
    started: bool = False
    since: float = 0.0
    """When it started."""


@dataclass(slots=True)
class Replica:
    """`fresh` are tokens of prompts that it was sent and has not computed, `reply` tokens of replies."""

    number: int
    rates: Rates
    rows: int
    draining: bool = False
    open: dict[int, Sent] = field(default_factory=dict[int, Sent])
    fresh: int = 0
    reply: int = 0

    def take(self, sent: Sent) -> None:
        self.open[sent.request] = sent
        self.fresh += sent.fresh
        self.reply += sent.reply

    def started(self, sent: Sent, at: float) -> None:
        sent.started, sent.since = True, at
        self.fresh -= sent.fresh

    def leave(self, sent: Sent) -> None:
        del self.open[sent.request]
        self.reply -= sent.reply
        if not sent.started:
            self.fresh -= sent.fresh

    @property
    def step(self) -> float:
        """Seconds of a step that decodes one row more than it does now."""
        rows = min(len(self.open) + 1, self.rows)
        return self.rates.step + self.rates.row * (rows - 1)

    def wait(self, replies: float) -> float:
        """Seconds until a prompt that comes now is begun: the prompts before it, and where all rows are taken, replies
        until one is free; each takes `replies` seconds where its tokens say nothing."""
        seconds = self.fresh * self.rates.prefill
        over = len(self.open) + 1 - self.rows
        if over > 0 and self.open:
            each = max(replies, self.reply / len(self.open) * self.step)
            seconds += each * over / self.rows
        return seconds

    def work(self) -> float:
        """Seconds of all that it was sent and has not done."""
        return self.fresh * self.rates.prefill + self.reply * self.step / self.rows
