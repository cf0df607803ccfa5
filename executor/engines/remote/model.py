"""A model behind an endpoint, by the protocol of engines: the prompt is sent when the first token is asked for, since
an API takes both at once. So a prefill is over at once here, and its time is part of the wait for the first token."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, cast

import anyio

from .. import endpoint_problems as problems
from ..endpoint_problems import EndpointError
from ..protocol import SERVICE, Finish, Message, ModelFacts, Sampling, SequenceHandle, SequenceStats, Service, Tokens
from ..sequences import RunningSequence, decoded
from ..stopping import StopDetokenizer
from . import texts
from .client import Answer, Client

# A reply may come in more pieces than it has tokens, but not in any number: an endpoint that never ends is left.
_PIECES_PER_TOKEN, _BYTES_PER_TOKEN, _SPARE = 8, 256, 4096


class RemoteModel:
    """A `ChatModel`. `model` is what the endpoint calls it; `price` in dollars a token, where the program states it."""

    def __init__(self, client: Client, model: str, facts: ModelFacts, price: float | None = None) -> None:
        self.client = client
        self.model = model
        self.price = price
        self._facts = facts
        self._open: set[RemoteSequence] = set()

    @property
    def facts(self) -> ModelFacts:
        return self._facts

    @property
    def compiled(self) -> int:
        return 0

    @property
    def open_sequences(self) -> int:
        return len(self._open)

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

    async def release(self, sequence: SequenceHandle) -> None:
        if isinstance(sequence, RemoteSequence):
            sequence.end(Finish.CANCELLED)
            self._open.discard(sequence)

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
        self._events: Answer | None = None
        self._text = model.detokenizer(sampling.stop)
        self._bytes = 0
        self._why: str | None = None

    def __aiter__(self) -> RemoteDecode:
        return self

    async def __anext__(self) -> int:
        sequence = self._sequence
        if sequence.finish is not None:
            await self._leave()
            raise StopAsyncIteration
        try:
            with anyio.CancelScope() as sequence.waiting:
                piece = await self._next()
                if piece is None:
                    await self._leave()
                    raise StopAsyncIteration
                return piece
        except BaseException as error:
            # However it ends, nobody reads on: the connection is closed, and the endpoint stops.
            await self._leave()
            if not isinstance(error, StopAsyncIteration):
                await self._model.release(sequence)
            raise
        finally:
            sequence.waiting = None
        await self._leave()  # stopped by `cancel`, while it waited
        raise StopAsyncIteration

    async def aclose(self) -> None:
        await self._leave()
        await self._model.release(self._sequence)

    async def _next(self) -> int | None:
        """The next text that is not empty; None at the end."""
        if self._events is None:
            self._events = self._model.client.ask("/chat/completions", self._body())
        async for event in self._events:
            delta = self._read(event)
            if delta and self._sequence.finish is None:
                return self._piece(delta)
        self._sequence.end(self._finish())
        return None

    def _piece(self, delta: str) -> int:
        sequence, most = self._sequence, self._sampling.max_tokens
        raw = delta.encode("utf-8", "replace")
        sequence.times.append(anyio.current_time())
        self._bytes += len(raw)
        if len(sequence.times) > _PIECES_PER_TOKEN * most + _SPARE or self._bytes > _BYTES_PER_TOKEN * most + _SPARE:
            why = f"it does not end a reply of {most:,} tokens"
            raise EndpointError("bad_output", problems.endpoint_garbled(self._model.client.endpoint.name, why))
        self._text.push(token := texts.number(raw))
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
        said = cast("dict[str, Any]", choice)
        if isinstance(said.get("finish_reason"), str):
            self._why = cast(str, said["finish_reason"])
        if self._why == "content_filter":
            raise EndpointError("refused", problems.endpoint_filtered(self._model.client.endpoint.name))
        delta = said.get("delta")
        content = cast("dict[str, Any]", delta).get("content") if isinstance(delta, dict) else None
        return content if isinstance(content, str) else ""

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

    def _body(self) -> dict[str, object]:
        sampling = self._sampling
        body: dict[str, object] = {
            "model": self._model.model,
            "messages": [{"role": message.role, "content": message.text} for message in self._messages],
            "max_tokens": sampling.max_tokens,
            "temperature": sampling.temperature,
            "stream": True,
            "stream_options": {"include_usage": True},
        }
        if sampling.temperature > 0:
            # APIs take seeds of 63 bits.
            body["seed"] = sampling.seed & (2**63 - 1)
        if sampling.top_p < 1.0:
            body["top_p"] = sampling.top_p
        if sampling.top_k:
            body["top_k"] = sampling.top_k
        if sampling.stop:
            body["stop"] = list(sampling.stop)
        if sampling.schema is not None:
            schema = {"name": "reply", "strict": True, "schema": json.loads(sampling.schema)}
            body["response_format"] = {"type": "json_schema", "json_schema": schema}
        return body

    async def _leave(self) -> None:
        events, self._events = self._events, None
        if events is not None:
            await events.aclose()
