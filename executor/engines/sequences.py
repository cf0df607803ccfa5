"""What all engines keep of a sequence, and what they refuse alike: so that an engine's own file is about its device."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import anyio

from .constraint.reading import read
from .problems import PromptTooLong
from .protocol import (
    ChatModel,
    Finish,
    ModelFacts,
    Sampling,
    SequenceHandle,
    SequenceStats,
    TokenLogprob,
    Tokens,
)


class RunningSequence:
    """A `SequenceHandle`. `began` is when its prefill did, on the clock of the event loop; `times` when each token of
    the reply came."""

    def __init__(self, prompt: Tokens, began: float) -> None:
        self.prompt = prompt
        self.began = began
        self.decoding = False
        self.cached_tokens = 0
        """Of the prompt, those whose cache was there already."""
        self.queued_seconds = 0.0
        """That its prompt waited for its turn."""
        self.prefill_seconds = 0.0
        self.times: list[float] = []
        self.logprobs: list[TokenLogprob] = []
        self._finish: Finish | None = None

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
            queued_seconds=self.queued_seconds,
            generated_tokens=len(self.times),
            prefill_seconds=self.prefill_seconds,
            first_token_seconds=self.times[0] - self.began if self.times else None,
            gaps=tuple(after - before for before, after in zip(self.times, self.times[1:], strict=False)),
        )


_S = TypeVar("_S", bound=RunningSequence)


def prompt_of(tokens: Sequence[int], facts: ModelFacts) -> Tokens:
    """The tokens of a prompt. PromptTooLong where no token would fit behind them, ValueError where there are none."""
    limit = facts.context - 1
    if len(tokens) > limit:
        raise PromptTooLong(facts.name, len(tokens), limit)
    if not tokens:
        raise ValueError("a prompt needs at least one token")
    return tuple(tokens)


def decoded(sequence: SequenceHandle, kind: type[_S], sampling: Sampling) -> _S:
    """The engine's own sequence, whose one decode begins now.

    TypeError for another engine's, ValueError for a second decode, OutsideError for a schema that is not understood.
    """
    if not isinstance(sequence, kind):
        raise TypeError("the sequence belongs to another engine")
    if sequence.decoding:
        raise ValueError("a sequence is decoded once")
    if sampling.schema is not None:
        read(sampling.schema)
    sequence.decoding = True
    return sequence


@dataclass(frozen=True, slots=True)
class Made:
    """A token on its way to whoever reads. `finish` is why the reply ends with it, where whoever made it says so."""

    token: int
    logprob: TokenLogprob | None = None
    finish: Finish | None = None


_M = TypeVar("_M", bound=ChatModel)


class Decode(ABC, Generic[_M, _S]):
    """The iterator behind `decode`: tokens as `next_made` gives them, until the reply ends. It holds nothing that needs
    closing: releasing the sequence is enough."""

    def __init__(self, model: _M, sequence: _S, sampling: Sampling) -> None:
        self.model = model
        self.sequence = sequence
        self.sampling = sampling
        room = model.facts.context - sequence.prompt_tokens
        self.most = min(sampling.max_tokens, room)
        """Tokens of the reply, at most."""
        self._at_most = Finish.LENGTH if sampling.max_tokens <= room else Finish.TRUNCATED
        self._text = model.detokenizer(sampling.stop) if sampling.stop else None

    def __aiter__(self) -> Decode[Any, Any]:
        return self

    @abstractmethod
    async def next_made(self) -> Made | None:
        """The next token; None at the end of the reply, or where the sequence was ended meanwhile. What it raises has
        the sequence released."""
        ...

    async def __anext__(self) -> int:
        sequence = self.sequence
        if sequence.finish is not None:
            raise StopAsyncIteration
        try:
            made = await self.next_made()
        except BaseException:
            await self.model.release(sequence)
            raise
        if made is None or made.token in self.model.facts.end_tokens:
            sequence.end(Finish.STOP)
        if made is None or sequence.finish is not None:
            raise StopAsyncIteration
        sequence.times.append(anyio.current_time())
        if made.logprob is not None:
            sequence.logprobs.append(made.logprob)
        if made.finish is not None:
            sequence.end(made.finish)
        if self._text is not None:
            self._text.push(made.token)
            if self._text.stopped:
                sequence.end(Finish.STOP)
        if len(sequence.times) >= self.most:
            sequence.end(self._at_most)
        return made.token
