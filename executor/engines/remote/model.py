"""A model behind an endpoint, by the protocol of engines: the prompt is sent when the first token is asked for, since
an API takes both at once. So a prefill is over at once here, and its time is part of the wait for the first token."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import islice
from math import nan
from typing import Any, cast

import anyio
import anyio.lowlevel

from .. import endpoint_problems as problems
from ..endpoint_problems import EndpointError
from ..loaded import OpenModel
from ..protocol import (
    SERVICE,
    Finish,
    Message,
    ModelFacts,
    Sampling,
    SequenceHandle,
    SequenceStats,
    Service,
    TokenLogprob,
    Tokens,
)
from ..sequences import RunningSequence, decoded
from ..stopping import StopDetokenizer
from . import texts
from .client import Answer, Client
from .dialects import Dialect, Entry, entries, said

PLAIN = Dialect()
# A reply may come in more pieces than it has tokens, but not in any number: an endpoint that never ends is left.
_MOST_ENTRIES = 4096
_PIECES_PER_TOKEN, _BYTES_PER_TOKEN, _SPARE = 8, 256, 4096


class RemoteModel(OpenModel["RemoteSequence"]):
    """A `ChatModel`. `model` is what the endpoint calls it; `price` in dollars a token, where the program states it;
    `dialect` how the endpoint is asked."""

    def __init__(
        self, client: Client, model: str, facts: ModelFacts, price: float | None = None, dialect: Dialect = PLAIN
    ) -> None:
        super().__init__(facts)
        self.client = client
        self.dialect = dialect
        self.model = model
        self.price = price

    async def tokenize(self, messages: Sequence[Message]) -> Tokens:
        return texts.prompt(messages)

    def detokenizer(self, stop: tuple[str, ...] = ()) -> StopDetokenizer:
        return StopDetokenizer(texts.Pieces(), stop)

    async def prefill(
        self, tokens: Sequence[int], prefix: SequenceHandle | None = None, service: Service = SERVICE
    ) -> RemoteSequence:
        """Makes no request yet, nor reads the tokens, which may be the beginning of a prompt only. What begins alike is
        the endpoint's to remember."""
        del prefix, service
        if not tokens:
            raise ValueError("a prompt needs at least one token")
        await anyio.lowlevel.checkpoint()
        sequence = RemoteSequence(tuple(tokens), anyio.current_time())
        self._open.add(sequence)
        return sequence

    def decode(self, sequence: SequenceHandle, sampling: Sampling) -> RemoteDecode:
        """ValueError for a prompt whose tokens are not those of a conversation."""
        own = decoded(sequence, RemoteSequence, sampling)
        return RemoteDecode(self, own, sampling)

    async def cancel(self, sequence: SequenceHandle) -> None:
        if isinstance(sequence, RemoteSequence):
            sequence.end(Finish.CANCELLED)
            await sequence.leave()

    async def release(self, sequence: SequenceHandle) -> None:
        if isinstance(sequence, RemoteSequence):
            sequence.end(Finish.CANCELLED)
            self._open.discard(sequence)
            await sequence.leave()

    async def close(self) -> None:
        for sequence in tuple(self._open):
            await self.release(sequence)
        await self.client.aclose()


class RemoteSequence(RunningSequence):
    """A prompt, what came of it, and what the endpoint says that it counted."""

    def __init__(self, prompt: Tokens, began: float) -> None:
        super().__init__(prompt, began)
        self.billed: tuple[int, int] | None = None
        self.dollars = 0.0
        self.waiting: anyio.CancelScope | None = None
        self.answer: Answer | None = None

    async def leave(self) -> None:
        """Close the connection, unless somebody reads from it: they do when their wait ends."""
        if self.waiting is None:
            answer, self.answer = self.answer, None
            if answer is not None:
                await answer.aclose()

    def end(self, finish: Finish) -> None:
        """The first reason stays. A decode that waits for the endpoint waits no longer."""
        if self.finish is None and self.waiting is not None:
            self.waiting.cancel()
        super().end(finish)

    @property
    def stats(self) -> SequenceStats:
        counted = super().stats
        made = self.billed[1] if self.billed else counted.generated_tokens
        return replace(counted, generated_tokens=made, billed=self.billed, dollars=self.dollars)


class RemoteDecode:
    """The iterator behind `decode`: the request is made at its first step, and left when it ends."""

    def __init__(self, model: RemoteModel, sequence: RemoteSequence, sampling: Sampling) -> None:
        self._model = model
        self._sequence = sequence
        self._sampling = sampling
        self._messages = texts.messages(sequence.prompt)
        self._text = model.detokenizer(sampling.stop)
        self._bytes = 0
        self._why: str | None = None
        self._ready: deque[tuple[bytes, TokenLogprob | None]] = deque()
        """Pieces that came together with the last one."""
        self._entries: list[Entry] = []
        """Tokens of the endpoint of which no text came yet."""
        self._untold: list[int] = []

    def __aiter__(self) -> RemoteDecode:
        return self

    async def __anext__(self) -> int:
        sequence = self._sequence
        if sequence.finish is not None:
            await sequence.leave()
            raise StopAsyncIteration
        piece: int | None = None
        try:
            with anyio.CancelScope() as sequence.waiting:
                piece = await self._next()
        except BaseException:
            # However it ends, nobody reads on: the connection is closed, and the endpoint stops.
            sequence.waiting = None
            await self._model.release(sequence)
            raise
        finally:
            sequence.waiting = None
        if piece is None:
            await sequence.leave()  # at its end, or stopped by `cancel` while it waited
            raise StopAsyncIteration
        return piece

    async def aclose(self) -> None:
        await self._model.release(self._sequence)

    async def _next(self) -> int | None:
        """The next text that is not empty; None at the end."""
        # Several events may have come at once: each is a moment at which its reader can be stopped.
        await anyio.lowlevel.checkpoint()
        answer = self._sequence.answer
        if answer is None:
            dialect, model = self._model.dialect, self._model
            answer = model.client.ask(dialect.path, dialect.body(model.model, self._messages, self._sampling))
            self._sequence.answer = answer
        while not self._ready:
            event = await anext(answer, None)
            if event is None:
                self._sequence.end(self._finish())
                return None
            delta = self._read(event)
            if delta:
                self._ready += self._pieces(delta.encode("utf-8", "replace"))
        if self._sequence.finish is not None:
            return None
        return self._piece(*self._ready.popleft())

    def _pieces(self, raw: bytes) -> Iterable[tuple[bytes, TokenLogprob | None]]:
        """A text as the endpoint's own tokens, where it tells of them and each is whole characters; else as one piece,
        of which it is told how likely all of it was."""
        told, self._entries = self._entries, []
        if not told:
            return ((raw, None),)
        if b"".join(entry.text for entry in told) != raw or not all(map(_is_text, told)):
            told = [Entry(raw, sum(entry.logprob for entry in told), told[0].top if len(told) == 1 else ())]
        most = self._sampling.logprobs or 0
        return [
            (
                entry.text,
                TokenLogprob(
                    texts.number(entry.text),
                    entry.logprob,
                    tuple([(texts.number(text), figure) for text, figure in entry.top[:most]]),
                ),
            )
            for entry in told
        ]

    def _tell(self, token: int, likely: TokenLogprob | None) -> None:
        """What is known of a token, beside the others: nothing at all, or as much as there is of each."""
        if self._sampling.logprobs is None:
            return
        told = self._sequence.logprobs
        if likely is None and not told:
            self._untold.append(token)
            return
        told += [TokenLogprob(each, nan) for each in self._untold]
        self._untold.clear()
        told.append(likely or TokenLogprob(token, nan))

    def _piece(self, raw: bytes, likely: TokenLogprob | None) -> int:
        sequence, most = self._sequence, self._sampling.max_tokens
        sequence.times.append(anyio.current_time())
        self._bytes += len(raw)
        if len(sequence.times) > _PIECES_PER_TOKEN * most + _SPARE or self._bytes > _BYTES_PER_TOKEN * most + _SPARE:
            why = f"it does not end a reply of {most:,} tokens"
            raise EndpointError("bad_output", problems.endpoint_garbled(self._model.client.endpoint.name, why))
        self._text.push(token := texts.number(raw))
        self._tell(token, likely)
        if self._text.stopped:
            sequence.end(Finish.STOP)
        return token

    def _read(self, event: Mapping[str, Any]) -> str:
        """What an event adds to the reply; what else it says is kept."""
        usage, choices = event.get("usage"), event.get("choices")
        if isinstance(usage, dict):
            self._count(cast("dict[str, Any]", usage))
        if not isinstance(choices, list) or not choices:
            return ""
        choice = cast("list[Any]", choices)[0]
        if not isinstance(choice, dict):
            return ""
        given = cast("dict[str, Any]", choice)
        if isinstance(given.get("finish_reason"), str):
            self._why = cast(str, given["finish_reason"])
        if self._why == "content_filter":
            raise EndpointError("refused", problems.endpoint_filtered(self._model.client.endpoint.name))
        if self._sampling.logprobs is not None:
            self._entries += islice(entries(given), _MOST_ENTRIES - len(self._entries))
        return said(given)

    def _count(self, usage: Mapping[str, Any]) -> None:
        taken, made = usage.get("prompt_tokens"), usage.get("completion_tokens")
        if not isinstance(taken, int) or not isinstance(made, int) or taken < 0 or made < 0:
            return
        sequence = self._sequence
        sequence.billed = (taken, made)
        details = usage.get("prompt_tokens_details")
        cached = cast("dict[str, Any]", details).get("cached_tokens") if isinstance(details, dict) else None
        sequence.cached_tokens = cached if isinstance(cached, int) and 0 <= cached <= taken else 0
        sequence.dollars = (taken + made) * (self._model.price or 0.0)

    def _finish(self) -> Finish:
        if self._why != "length":
            return Finish.STOP
        made = self._sequence.billed[1] if self._sequence.billed else self._sampling.max_tokens
        # Fewer than were asked for: it is the context that is full.
        return Finish.LENGTH if made >= self._sampling.max_tokens else Finish.TRUNCATED


def _is_text(entry: Entry) -> bool:
    try:
        return bool(entry.text.decode("utf-8"))
    except UnicodeDecodeError:
        return False
