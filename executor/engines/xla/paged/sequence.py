"""What is known of one reply: in the event loop, where it is read, and in the device's thread, where it is made."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

import anyio
import anyio.lowlevel

from ...constraint.masks import Constraint
from ...protocol import Finish, Sampling, Service, Tokens
from ...sequences import Made, RunningSequence
from .pool import Floats, KeysValues
from .thread import Soon

Told = Callable[[int, int, Floats, Floats], None]
"""`(layer, start, keys, values)`, both `[kv_heads, n, head_dim]`: the positions from `start` on, for a layer."""


class PagedSequence(RunningSequence):
    """`number` is its name in the scheduler. `soon` runs functions in the event loop that it belongs to."""

    def __init__(
        self,
        number: int,
        prompt: Tokens,
        began: float,
        soon: Soon,
        service: Service,
        *,
        told: Told | None = None,
        given: Sequence[KeysValues] | None = None,
        logits: Floats | None = None,
    ) -> None:
        super().__init__(prompt, began)
        self.number = number
        self.service = service
        self.reading = Reading(self, soon)
        self.making = Making(told, None if given is None else list(given), logits)

    def end(self, finish: Finish) -> None:
        super().end(finish)
        self.reading.wake()


class Reading:
    """The event loop's side."""

    def __init__(self, sequence: PagedSequence, soon: Soon) -> None:
        self._sequence = sequence
        self._soon = soon
        self._event: anyio.Event | None = None
        self._error: BaseException | None = None
        self._tokens: deque[Made] = deque()
        self._filled = False

    # Called from the device's thread.

    def filled(self) -> None:
        """The prompt is computed."""
        self._filled = True
        self._soon(self.wake)

    def made(self, made: Sequence[Made]) -> None:
        self._tokens.extend(made)
        self._soon(self.wake)

    def failed(self, error: BaseException) -> None:
        self._error = error
        self._soon(self.wake)

    # Called in the event loop.

    def wake(self) -> None:
        if self._event is not None:
            self._event.set()

    async def until_filled(self) -> None:
        """Raises what made the device fail."""
        await anyio.lowlevel.checkpoint()
        while not self._filled and self._sequence.finish is None:
            await self._woken()
        if self._error is not None:
            # It may come with the word that the prompt is computed.
            raise self._error

    async def token(self) -> Made | None:
        """The next token; None if the sequence was ended meanwhile."""
        if self._tokens:
            await anyio.lowlevel.checkpoint()
        while not self._tokens and self._sequence.finish is None:
            await self._woken()
        return None if self._sequence.finish is not None else self._tokens.popleft()

    @property
    def empty(self) -> bool:
        """Whether all tokens that were made are read."""
        return not self._tokens

    async def _woken(self) -> None:
        if self._error is not None:
            raise self._error
        self._event = anyio.Event()
        try:
            await self._event.wait()
        finally:
            self._event = None


class Making:
    """The side of the device's thread."""

    def __init__(self, told: Told | None, given: list[KeysValues] | None, logits: Floats | None) -> None:
        self.told = told
        self.told_to = 0
        """Positions that were told."""
        self.given = given
        """Keys and values of the prompt, where they come from elsewhere."""
        self.logits: Any = logits
        """`[1, vocabulary]` behind the prompt, until the first token is chosen."""
        self.admitted = False
        """Whether it had memory once."""
        self.arrived = 0.0
        """When, on the clock of the device's thread."""
        self.sampling: Sampling | None = None
        """Set when the reply begins."""
        self.constraint: Constraint | None = None
        self.mask: Any = None
        """What the last choice was among."""
        self.most = 0
        """Tokens of the reply, at most."""
        self.asked = 0
        """Tokens that were asked for."""
        self.count = 0
        """Tokens made, forced ones among them."""
        self.choice = 0
        """The index of the last that was chosen."""
        self.held: Tokens = ()
        """Tokens that were made and are computed only when their reader asks for more."""
        self.done = False
        """Nothing comes behind what was made."""
