"""What the XLA engine holds of one reply: its cache, the logits behind its last token, and when its tokens came."""

from __future__ import annotations

from collections import deque
from typing import Any

from ..constraint.masks import Constraint
from ..protocol import Finish, SequenceStats, Tokens
from .kept import Program
from .programs import Step


class XlaSequence:
    """A `SequenceHandle`: the cache, what was generated, and when."""

    def __init__(self, prompt: Tokens, length: int, began: float) -> None:
        self.prompt = prompt
        self._finish: Finish | None = None
        self.began = began
        self.length = length
        self.position = len(prompt)
        """Where the next token that is fed will go."""
        self.cache: list[list[Any]] | None = None
        """By layer. Steps replace its items in place."""
        self.logits: Any = None
        """`[vocabulary]`, on the device: behind the prompt, or behind the last token that was fed."""
        self.token: Any = None
        """The last token that was handed out, on the device."""
        self.ahead: Any = None
        """The one after it, on the device, where it may still be computed."""
        self.chosen = 0
        """Tokens chosen or forced so far, `ahead` included."""
        self.decoding = False
        self.decode: Step | None = None
        """The programs of its steps, once loaded: to look one up costs a thread."""
        self.choose: Program | None = None
        self.constraint: Constraint | None = None
        """What the reply is held to."""
        self.mask: Any = None
        """What the last choice was among, on the host."""
        self.feed: Step | None = None
        """The program that feeds forced tokens."""
        self.forced: deque[int] = deque()
        """Tokens that the constraint allows no choice about: in the cache already, and not yet handed out."""
        self.cached_tokens = 0
        """Of the prompt, those whose cache was copied."""
        self.generated = 0
        self.prefill_seconds = 0.0
        self.first_token_seconds: float | None = None
        self.last_token_at = 0.0
        self.gaps: list[float] = []

    @property
    def prompt_tokens(self) -> int:
        return len(self.prompt)

    @property
    def finish(self) -> Finish | None:
        return self._finish

    def end(self, finish: Finish) -> None:
        """The first reason stays."""
        if self._finish is None:
            self._finish = finish

    @property
    def stats(self) -> SequenceStats:
        return SequenceStats(
            prompt_tokens=len(self.prompt),
            cached_tokens=self.cached_tokens,
            generated_tokens=self.generated,
            prefill_seconds=self.prefill_seconds,
            first_token_seconds=self.first_token_seconds,
            gaps=tuple(self.gaps),
        )

    def made(self, now: float) -> None:
        """A token was made at `now`."""
        if self.first_token_seconds is None:
            self.first_token_seconds = now - self.began
        else:
            self.gaps.append(now - self.last_token_at)
        self.last_token_at = now
        self.generated += 1
