"""A chat model of several instances: the router says which of them a prompt goes to, and its reply is read there.

An instance that dies takes the replies with it that it was decoding (`engine-gone`, as of any process); prompts that it
had not finished go to another one, and nobody hears of it. It is begun again beside, and asked again when it is there.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from functools import partial

import anyio
import anyio.to_thread

from ....base.problems import OutsideError
from ...routing import (
    Arrived,
    Cancelled,
    Done,
    Measured,
    Rates,
    ReplicaDown,
    ReplicaUp,
    Router,
    Send,
    Started,
)
from ...routing.blocks import blocks_of
from ..families import Counted, ModelStats
from ..protocol import (
    SERVICE,
    ChatModel,
    ChatTokenizer,
    Finish,
    Message,
    ModelFacts,
    Prepares,
    Sampling,
    SequenceHandle,
    Service,
    Tokens,
)
from ..sequences import prompt_of
from ..stopping import StopDetokenizer
from .replicas import Instance
from .settings import RoutedSettings

GUESSED = Rates(1e-3, 2e-2)
"""Of an instance that nothing was measured of yet."""
_LATE = 0.2
"""What the last measurement counts in their mean."""
_ENOUGH = 32
"""Tokens of a prompt, computed, that say how fast an instance is."""


@dataclass(slots=True, eq=False)
class Routed:
    """A sequence: its number for the router, and whose it is."""

    number: int
    instance: Instance
    up: int


class RoutedModel:
    """A `ChatModel`. `rows` and `positions` are what each instance decodes in a step and can cache."""

    def __init__(
        self,
        facts: ModelFacts,
        tokenizer: ChatTokenizer | None,
        instances: Sequence[Instance],
        settings: RoutedSettings,
        rows: int,
        positions: int,
    ) -> None:
        self._facts = facts
        self._tokenizer = tokenizer
        self._instances = tuple(instances)
        self._settings = settings
        self._size = rows, max(1, positions // settings.block)
        self.router = Router(settings.policy, settings.block)
        self._open: dict[SequenceHandle, Routed] = {}
        self._where: dict[int, int] = {}
        """Where requests were sent whose prompts are not computed yet."""
        self._rates: dict[int, Rates] = {}
        self._numbers = 0
        self._lock = anyio.Lock()
        self._closed = False
        for instance in instances:
            if instance.model is not None:
                self._up(instance)

    @property
    def facts(self) -> ModelFacts:
        return self._facts

    @property
    def compiled(self) -> int:
        return sum(instance.model.compiled for instance in self._instances if instance.model is not None)

    @property
    def open_sequences(self) -> int:
        return len(self._open)

    @property
    def instances(self) -> tuple[Instance, ...]:
        return self._instances

    async def tokenize(self, messages: Sequence[Message]) -> Tokens:
        if self._tokenizer is None:
            return await self._any().tokenize(messages)
        return await anyio.to_thread.run_sync(self._tokenizer.chat, messages)

    def detokenizer(self, stop: tuple[str, ...] = ()) -> StopDetokenizer:
        if self._tokenizer is None:
            found = self._any().detokenizer(stop)
            assert isinstance(found, StopDetokenizer)
            return found
        return StopDetokenizer(self._tokenizer.detokenizer(), stop)

    async def prefill(
        self, tokens: Sequence[int], prefix: SequenceHandle | None = None, service: Service = SERVICE
    ) -> SequenceHandle:
        if self._closed:
            raise RuntimeError("the model is closed")
        prompt = tuple(map(int, prompt_of(tokens, self._facts)))
        await self._tend()
        self._numbers += 1
        number = self._numbers
        blocks = blocks_of(prompt, self._settings.block, service.scope)
        asked = Arrived(anyio.current_time(), number, len(prompt), blocks, deadline=service.deadline)
        self._route(asked)
        try:
            return await self._placed(number, prompt, prefix, service)
        except BaseException:
            self._where.pop(number, None)
            self._route(Cancelled(anyio.current_time(), number))
            raise

    async def _placed(
        self, number: int, prompt: Tokens, prefix: SequenceHandle | None, service: Service
    ) -> SequenceHandle:
        """The prompt computed, wherever it goes; elsewhere, where that dies meanwhile."""
        tries = 0
        while True:
            while number not in self._where:
                await self._begin_one()
            instance = self._instances[self._where[number]]
            up, model = instance.up, instance.model
            if model is None:
                # It went down, and nobody said so yet.
                self._down(instance)
                continue
            beginning = None if prefix is None else self._open.get(prefix)
            known = prefix if beginning is not None and beginning.instance is instance else None
            try:
                sequence = await model.prefill(prompt, known, service)
            except OutsideError as error:
                if error.problem.slug != "engine-gone":
                    raise
                tries += 1
                await self._gone(instance, up)
                if tries > len(self._instances):
                    # It dies wherever it goes: perhaps of this prompt.
                    raise
                continue
            self._where.pop(number, None)
            self._open[sequence] = Routed(number, instance, up)
            now = anyio.current_time()
            self._route(Started(now, number, sequence.stats.cached_tokens))
            self._measure(instance, sequence)
            return sequence

    def decode(self, sequence: SequenceHandle, sampling: Sampling) -> AsyncIterator[int]:
        routed = self._open.get(sequence)
        if routed is None or routed.instance.model is None or routed.instance.up != routed.up:
            # One that was released, or died: any instance says what is wrong with it.
            return self._any().decode(sequence, sampling)
        return RoutedDecode(self, routed, sequence, routed.instance.model.decode(sequence, sampling))

    async def prepare(self, sampling: Sampling) -> None:
        for instance in self._instances:
            if isinstance(instance.model, Prepares):
                await instance.model.prepare(sampling)

    async def cancel(self, sequence: SequenceHandle) -> None:
        routed = self._open.get(sequence)
        if routed is not None and routed.instance.model is not None and routed.instance.up == routed.up:
            await routed.instance.model.cancel(sequence)

    async def release(self, sequence: SequenceHandle) -> None:
        routed = self._open.pop(sequence, None)
        if routed is None:
            return
        now = anyio.current_time()
        whole = sequence.finish not in (None, Finish.CANCELLED)
        self._route(Done(now, routed.number) if whole else Cancelled(now, routed.number))
        if whole:
            self._measure(routed.instance, sequence)
        if routed.instance.model is not None and routed.instance.up == routed.up:
            await routed.instance.model.release(sequence)

    async def close(self) -> None:
        self._closed = True
        for sequence in tuple(self._open):
            await self.release(sequence)
        for instance in self._instances:
            await instance.close()

    async def died(self, routed: Routed) -> None:
        """A reply broke off because its instance is gone. For `RoutedDecode`."""
        await self._gone(routed.instance, routed.up)

    # --- instances ---

    def _any(self) -> ChatModel:
        found = next((instance.model for instance in self._instances if instance.model is not None), None)
        if found is None:
            raise next((i.why for i in self._instances if i.why is not None), RuntimeError("the model is closed"))
        return found

    async def _tend(self) -> None:
        """Have those begun that are not there, and take in those that came up, without waiting for any."""
        if self._lock.locked() or all(instance.model is not None for instance in self._instances):
            return
        async with self._lock:
            for instance in self._instances:
                if await instance.tend(wait=False):
                    self._up(instance)

    async def _begin_one(self) -> None:
        """No instance is there: wait for one."""
        async with self._lock:
            if any(instance.model is not None for instance in self._instances):
                return
            if await self._instances[0].tend(wait=True):
                self._up(self._instances[0])

    def _up(self, instance: Instance) -> None:
        rates = self._rates.get(instance.number, GUESSED)
        self._route(ReplicaUp(anyio.current_time(), instance.number, rates, *self._size))

    async def _gone(self, instance: Instance, up: int) -> None:
        if instance.up == up and instance.model is not None:
            with anyio.CancelScope(shield=True):
                await instance.lost()
            self._down(instance)

    def _down(self, instance: Instance) -> None:
        for number in [number for number, place in self._where.items() if place == instance.number]:
            del self._where[number]
        self._route(ReplicaDown(anyio.current_time(), instance.number))

    def _route(self, event: Arrived | Cancelled | Done | Measured | ReplicaDown | ReplicaUp | Started) -> None:
        for order in self.router.handle(event):
            if isinstance(order, Send):
                self._where[order.request] = order.replica

    def _measure(self, instance: Instance, sequence: SequenceHandle) -> None:
        """How fast it was, from what is known of a sequence now."""
        stats, rates = sequence.stats, self._rates.get(instance.number)
        computed = stats.prompt_tokens - stats.cached_tokens
        seconds = stats.prefill_seconds - stats.queued_seconds
        prefill = seconds / computed if computed >= _ENOUGH and seconds > 0 else None
        step = sum(stats.gaps) / len(stats.gaps) if len(stats.gaps) >= _ENOUGH // 4 else None
        mixed = partial(_mixed, rates is None)
        before = rates or GUESSED
        now = Rates(mixed(before.prefill, prefill), mixed(before.step, step))
        if now != before:
            self._rates[instance.number] = now
            self._route(Measured(anyio.current_time(), instance.number, now))


class CountedRoutedModel(RoutedModel):
    """One whose instances count their work."""

    async def stats(self) -> ModelStats:
        steps = prefilled = made = 0
        for instance in self._instances:
            if isinstance(instance.model, Counted):
                stats = await instance.model.stats()
                steps, prefilled = steps + stats.steps, prefilled + stats.prefilled_tokens
                made += stats.decoded_tokens
        return ModelStats(steps, prefilled, made, len(self._open))


def _mixed(first: bool, before: float, now: float | None) -> float:
    if now is None:
        return before
    return now if first else before + _LATE * (now - before)


class RoutedDecode:
    """The iterator behind `decode`."""

    def __init__(self, model: RoutedModel, routed: Routed, sequence: SequenceHandle, inner: AsyncIterator[int]) -> None:
        self._model = model
        self._routed = routed
        self._sequence = sequence
        self._inner = inner

    def __aiter__(self) -> RoutedDecode:
        return self

    async def __anext__(self) -> int:
        try:
            return await anext(self._inner)
        except StopAsyncIteration:
            raise
        except BaseException as error:
            with anyio.CancelScope(shield=True):
                if isinstance(error, OutsideError) and error.problem.slug == "engine-gone":
                    await self._model.died(self._routed)
                # What broke off is released there; here too.
                await self._model.release(self._sequence)
            raise
