"""What the XLA engine holds of one reply: its cache, and the logits behind its last token."""

from __future__ import annotations

from collections import deque
from typing import Any

from ..constraint.masks import Constraint
from ..protocol import TokenLogprob, Tokens
from ..sequences import RunningSequence
from .kept import Program
from .programs import Step


class XlaSequence(RunningSequence):
    """The cache, and how far it goes."""

    def __init__(self, prompt: Tokens, length: int, began: float) -> None:
        super().__init__(prompt, began)
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
        self.decode: Step | None = None
        """The programs of its steps, once loaded: to look one up costs a thread."""
        self.choose: Program | None = None
        self.constraint: Constraint | None = None
        """What the reply is held to."""
        self.mask: Any = None
        """What the last choice was among, on the host."""
        self.feed: Step | None = None
        """The program that feeds forced tokens."""
        self.told: deque[TokenLogprob] = deque()
        """How likely tokens are that are not handed out yet."""
        self.forced: deque[int] = deque()
        """Tokens that the constraint allows no choice about: in the cache already, and not yet handed out."""
