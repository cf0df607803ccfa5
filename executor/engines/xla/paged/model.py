"""A chat model that serves many sequences at once: the event loop's side. What computes is in `device`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from time import monotonic
from typing import Any

import anyio
import anyio.to_thread
import numpy as np

from ....scheduler import Settings
from ...constraint.masks import Masks
from ...families import CacheState, ModelStats
from ...loaded import LoadedModel
from ...protocol import (
    SERVICE,
    ChatTokenizer,
    Finish,
    ModelFacts,
    Sampling,
    SequenceHandle,
    Service,
)
from ...sequences import Decode, Made, decoded, prompt_of
from ..programs import DeviceWeights
from .away import Places, PutAway
from .budget import Budget
from .carried import FORM, carried, unpacked
from .device import PagedDevice
from .picking import Picker
from .pool import Floats, KeysValues, Pool
from .programs import PagedPrograms
from .sequence import PagedSequence, Told
from .steps import Steps
from .thread import DeviceThread, event_loop

ROWS = 16
"""Sequences that decode in one step, at most."""
_STEP_TOKENS = 512
"""The most tokens of prompts in a step: others that decode wait for them."""


class PagedModel(LoadedModel[PagedSequence]):
    """A `ChatModel`, and a `TransferableModel`. Made by `XlaEngine.load`, in any thread."""

    def __init__(
        self,
        facts: ModelFacts,
        tokenizer: ChatTokenizer,
        programs: PagedPrograms,
        weights: DeviceWeights,
        budget: Budget,
        context: int | None,
        places: Places | None = None,
    ) -> None:
        most = min(facts.context, budget.pages * budget.page, context or facts.context)
        super().__init__(replace(facts, context=most), tokenizer)
        self._programs = programs
        self._weights = weights
        self._budget = budget
        self._masks = Masks(tokenizer, facts.vocabulary)
        self._picker = Picker(programs, facts.vocabulary)
        self._steps = Steps(programs, weights, Pool(programs, budget, len(weights.layers)))
        settings = Settings(budget.pages, budget.page, ROWS, ROWS + _STEP_TOKENS, _STEP_TOKENS)
        if places is not None:
            settings = replace(settings, host=places.host, disk=places.disk)
        away = None if places is None else PutAway(places, self._steps.pool, lambda word: self._thread.soon(word))
        self._device = PagedDevice(settings, self._steps, self._picker, facts.end_tokens, away)
        self._thread = DeviceThread(f"model {facts.name}", self._device.work, self._device.fail)
        self._away = away
        self._numbers = 0
        self._ready = self._closed = False

    @property
    def compiled(self) -> int:
        return self._programs.compiled

    @property
    def programs(self) -> PagedPrograms:
        return self._programs

    @property
    def budget(self) -> Budget:
        return self._budget

    @property
    def away(self) -> PutAway | None:
        """Where pages go that make way, if anywhere."""
        return self._away

    @property
    def device_weights(self) -> DeviceWeights:
        return self._weights

    async def stats(self) -> ModelStats:
        device = self._device
        return ModelStats(device.steps, device.prefilled, device.decoded, len(self._open))

    async def prefill(
        self, tokens: Sequence[int], prefix: SequenceHandle | None = None, service: Service = SERVICE
    ) -> PagedSequence:
        known = prefix.number if isinstance(prefix, PagedSequence) and prefix in self._open else None
        return await self._filled(self._sequence(tokens, service), known)

    async def prefill_told(self, tokens: Sequence[int], told: Told, service: Service = SERVICE) -> PagedSequence:
        """A prefill whose keys and values are told as they are there, in the device's thread: by layer, and in chunks
        of positions. Each position is told once, those that were cached too, and all before this returns."""
        return await self._filled(self._sequence(tokens, service, told=told))

    async def adopt(
        self,
        tokens: Sequence[int],
        layers: Sequence[KeysValues],
        logits: Floats | None = None,
        service: Service = SERVICE,
    ) -> PagedSequence:
        """A sequence whose prompt was computed elsewhere: keys and values of each layer, both `[kv_heads, tokens,
        head_dim]`, and the logits `[vocabulary]` behind it. Without these the last token is computed again.

        ValueError for shapes that are not those of this model.
        """
        heads, _, width = self._programs.cache_shape
        shape = (heads, len(tokens), width)
        if len(layers) != len(self._weights.layers) or any(part.shape != shape for both in layers for part in both):
            raise ValueError(f"a cache of this model has {len(self._weights.layers)} layers of {shape}")
        if logits is not None and logits.size != self._facts.vocabulary:
            raise ValueError(f"this model has logits of {self._facts.vocabulary} tokens")
        behind = None if logits is None else np.ascontiguousarray(logits, np.float32).reshape(1, -1)
        return await self._filled(self._sequence(tokens, service, given=layers, logits=behind))

    async def export_cache(self, sequence: SequenceHandle) -> CacheState:
        if not isinstance(sequence, PagedSequence) or sequence not in self._open or sequence.decoding:
            raise ValueError("a cache leaves before its decode begins, and while it is held")
        found = await self._thread.answer(partial(self._device.cache, sequence))
        if found is None:
            # Others needed its memory. What it had is computed again for this.
            again = await self.prefill(sequence.prompt, service=sequence.service)
            try:
                found = await self._thread.answer(partial(self._device.cache, again))
            finally:
                await self.release(again)
        if found is None:
            raise ValueError("the sequence was released")
        return CacheState(self._facts.name, FORM, sequence.prompt, carried(*found))

    async def import_cache(self, state: CacheState) -> PagedSequence:
        layers, logits = unpacked(state, self._facts, len(self._weights.layers), self._programs.cache_shape)
        return await self.adopt(state.tokens, layers, logits)

    def decode(self, sequence: SequenceHandle, sampling: Sampling) -> PagedDecode:
        return PagedDecode(self, decoded(sequence, PagedSequence, sampling), sampling)

    async def cancel(self, sequence: SequenceHandle) -> None:
        if isinstance(sequence, PagedSequence) and sequence.finish is None:
            sequence.end(Finish.CANCELLED)
            self._thread.soon(partial(self._device.leave, sequence, True))

    async def release(self, sequence: SequenceHandle) -> None:
        if isinstance(sequence, PagedSequence) and sequence in self._open:
            self._open.discard(sequence)
            cancelled = sequence.finish is None
            sequence.end(Finish.CANCELLED)
            self._thread.soon(partial(self._device.leave, sequence, cancelled))

    async def close(self) -> None:
        for sequence in tuple(self._open):
            await self.release(sequence)
        if not self._closed:
            self._closed = True
            self._weights = DeviceWeights([], [])
            await self._thread.answer(self._device.close)

    async def prepare(self, sampling: Sampling) -> None:
        """Compile what chooses the tokens, and the grammar of a schema: decodes find both."""
        await anyio.to_thread.run_sync(self._prepare, sampling, abandon_on_cancel=True)

    def _prepare(self, sampling: Sampling) -> None:
        if sampling.schema is not None:
            self._masks.constraint(sampling.schema)
        self._picker.ready(sampling.schema is not None, sampling.temperature > 0)

    async def begin(self, sequence: PagedSequence, sampling: Sampling, most: int) -> None:
        """The device may choose tokens. For `PagedDecode`."""
        constraint = None
        if sampling.schema is not None:
            constraint = await anyio.to_thread.run_sync(self._masks.constraint, sampling.schema)
        self._thread.soon(partial(self._device.begin, sequence, sampling, constraint, most))

    def ask(self, sequence: PagedSequence) -> None:
        """A token more is wanted. For `PagedDecode`."""
        self._thread.soon(partial(self._device.ask, sequence))

    def _sequence(
        self,
        tokens: Sequence[int],
        service: Service,
        *,
        told: Told | None = None,
        given: Sequence[KeysValues] | None = None,
        logits: Any = None,
    ) -> PagedSequence:
        prompt = tuple(map(int, prompt_of(tokens, self._facts)))
        if self._closed:
            raise RuntimeError("the model is closed")
        self._numbers += 1
        began = anyio.current_time()
        return PagedSequence(self._numbers, prompt, began, event_loop(), service, told=told, given=given, logits=logits)

    async def _filled(self, sequence: PagedSequence, prefix: int | None = None) -> PagedSequence:
        self._open.add(sequence)
        deadline = sequence.service.deadline
        if deadline is not None:
            deadline += monotonic() - sequence.began
        try:
            self._thread.soon(partial(self._device.arrive, sequence, deadline, prefix))
            if not self._ready:
                # What decoding will need is loaded while the prompt is computed.
                self._ready = True
                await anyio.to_thread.run_sync(self._load, abandon_on_cancel=True)
            await sequence.reading.until_filled()
        except BaseException:
            await self._left(sequence)
            raise
        sequence.prefill_seconds = anyio.current_time() - sequence.began
        return sequence

    def _load(self) -> None:
        self._steps.ready()
        self._picker.ready(masks=False, draws=False)

    async def _left(self, sequence: PagedSequence) -> None:
        with anyio.CancelScope(shield=True):
            await self.release(sequence)


class PagedDecode(Decode[PagedModel, PagedSequence]):
    """The iterator behind `decode`."""

    _begun = False

    async def next_made(self) -> Made | None:
        if not self._begun:
            self._begun = True
            await self.model.begin(self.sequence, self.sampling, self.most)
        self.model.ask(self.sequence)
        return await self.sequence.reading.token()
