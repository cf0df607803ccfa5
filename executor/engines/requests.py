"""What is asked of a chat model, and what it says of how that went: plain values, which `protocol` gives on."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum

Tokens = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Message:
    """One turn of a conversation. `role` is `system`, `user`, `assistant` or `tool`, shown as the model's template
    shows roles."""

    role: str
    text: str


MOST_LOGPROBS = 20
"""How many of the likeliest tokens can be told beside each one."""


class Finish(Enum):
    """Why a sequence ended."""

    STOP = "stop"
    """The model ended it, or a stop sequence of the caller was met."""
    LENGTH = "length"
    """`max_tokens` tokens were made."""
    TRUNCATED = "truncated"
    """The model's context is full: fewer than `max_tokens` tokens fitted behind the prompt."""
    CANCELLED = "cancelled"
    """Somebody called `cancel` or `release`."""


@dataclass(frozen=True, slots=True)
class Sampling:
    """How the next token is chosen and when to end.

    `temperature` 0 is greedy. `top_k` 0 and `top_p` 1 choose among all tokens. The same `seed`, prompt and settings
    give the same tokens on the same engine and machine. `stop` texts end the reply before they are shown.

    `schema` is the text of a JSON Schema. The reply is then one document of it, as `json.dumps` writes it without
    escaping what need not be, and ends as `Finish.STOP` once it is whole; a reply that ends in any other way is an
    unfinished document.

    `logprobs` has the engine tell how likely each token was (`SequenceHandle.logprobs`), and beside it that many of the
    likeliest; 0 tells of the chosen one alone.
    """

    max_tokens: int = 256
    temperature: float = 0.0
    seed: int = 0
    stop: tuple[str, ...] = ()
    top_k: int = 0
    top_p: float = 1.0
    schema: str | None = None
    logprobs: int | None = None

    def __post_init__(self) -> None:
        if self.max_tokens < 1:
            raise ValueError("max_tokens must be at least 1")
        if not self.temperature >= 0.0:
            raise ValueError("temperature must be zero or more")
        if self.top_k < 0 or not 0.0 < self.top_p <= 1.0:
            raise ValueError("top_k must be zero or more, and top_p above 0 and at most 1")
        if any(not text for text in self.stop):
            raise ValueError("a stop text must not be empty")
        if self.logprobs is not None and not 0 <= self.logprobs <= MOST_LOGPROBS:
            raise ValueError(f"logprobs must be from 0 to {MOST_LOGPROBS}")


@dataclass(frozen=True, slots=True)
class Service:
    """How a request is to be served beside others. An engine without a queue of its own need not look at it."""

    deadline: float | None = None
    """When the reply should be over, on the clock of the event loop. A later one is served, only not first."""
    tenant: str = ""
    """Who is treated fairly against whom: a user, a session."""
    scope: str = ""
    """Requests of different scopes never share what is cached of a prompt."""
    private: bool = False
    """What is cached of it stays in memory: an engine that keeps caches on disk keeps none of this one there."""


SERVICE = Service()


@dataclass(frozen=True, slots=True)
class SequenceStats:
    """What happened to one sequence so far. Seconds on the clock of the event loop."""

    prompt_tokens: int
    cached_tokens: int = 0
    """Of the prompt, the tokens whose cache was there already."""
    queued_seconds: float = 0.0
    """That the prompt waited for its turn beside others, where the engine knows."""
    generated_tokens: int = 0
    prefill_seconds: float = 0.0
    first_token_seconds: float | None = None
    """From the start of prefill to the first token."""
    gaps: tuple[float, ...] = field(default=(), repr=False)
    """Seconds between successive tokens, as the consumer pulled them."""
    billed: tuple[int, int] | None = None
    """Tokens of the prompt and of the reply, as whoever serves the model counts them, where that is somebody else."""
    dollars: float = 0.0
    """What that costs."""


@dataclass(frozen=True, slots=True)
class TokenLogprob:
    """How likely a token was: natural logarithms, of the model's own distribution, before temperature and masks."""

    token: int
    logprob: float
    top: tuple[tuple[int, float], ...] = ()
    """The likeliest tokens there and theirs, the likeliest first."""
