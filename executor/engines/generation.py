"""A reply from messages: tokenize, prefill, decode and detokenize composed, for callers that need no stages."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from types import TracebackType

from .protocol import ChatModel, Detokenizer, Finish, Message, Sampling, SequenceHandle, SequenceStats


class Generation:
    """A running reply: iterate for its text, piece by piece as it is made.

    Use as `async with generate(…) as reply`; leaving frees the cache, however it is left.
    """

    def __init__(self, model: ChatModel, messages: Sequence[Message], sampling: Sampling) -> None:
        self._model = model
        self._messages = tuple(messages)
        self._sampling = sampling
        self._detokenizer: Detokenizer = model.detokenizer(sampling.stop)
        self._sequence: SequenceHandle | None = None
        self._tokens: AsyncIterator[int] | None = None
        self._done = False

    @property
    def finish(self) -> Finish | None:
        """Why the reply ended; None before it has."""
        return self._sequence.finish if self._sequence is not None else None

    @property
    def stats(self) -> SequenceStats | None:
        """Counts and times so far; None before the prompt is in the cache."""
        return self._sequence.stats if self._sequence is not None else None

    async def __aenter__(self) -> Generation:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        self._done = True
        if self._sequence is not None:
            await self._model.release(self._sequence)

    def __aiter__(self) -> Generation:
        return self

    async def __anext__(self) -> str:
        """The next text, never empty. Raises `PromptTooLong` at the first."""
        if self._done:
            raise StopAsyncIteration
        if self._tokens is None:
            prompt = await self._model.tokenize(self._messages)
            self._sequence = await self._model.prefill(prompt)
            self._tokens = self._model.decode(self._sequence, self._sampling)
        async for token in self._tokens:
            text = self._detokenizer.push(token)
            if text:
                return text
        await self.aclose()
        rest = self._detokenizer.finish()
        if rest:
            return rest
        raise StopAsyncIteration


def generate(model: ChatModel, messages: Sequence[Message], sampling: Sampling | None = None) -> Generation:
    """A reply to `messages`. Nothing runs before the first text is asked for."""
    return Generation(model, messages, sampling or Sampling())
