"""A chat model on XLA: device steps in worker threads, so that the event loop never waits for them.

Steps of open sequences take turns, first come first served. A decoding sequence is one step ahead of its consumer: the
device computes the next token while this one travels, so what the engine adds to a step is hidden behind the step. Not
more than one: a consumer that stops, or stops pulling, stops the device. A sequence's cache belongs to the step that
runs on it (XLA updates it in place), so a cancelled caller first waits for its step.
"""

# JAX's own annotations leave parts of its functions' types unknown.
# pyright: reportUnknownMemberType=false

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, TypeVar

import anyio
import anyio.lowlevel
import anyio.to_thread
import jax
import numpy as np

from ..beginnings import common_beginning
from ..constraint.masks import Constraint, Masks, without
from ..families import ModelStats
from ..loaded import LoadedModel
from ..protocol import (
    SERVICE,
    ChatTokenizer,
    Finish,
    ModelFacts,
    Sampling,
    SequenceHandle,
    Service,
)
from ..sequences import Decode, Made, decoded, prompt_of
from . import buckets
from .kept import Program
from .likely import likelihood
from .programs import DeviceWeights, Programs, Step
from .sequence import XlaSequence
from .together import together

T = TypeVar("T")

FORCED_CHUNK = buckets.CHUNKS[0]
"""How many tokens that a schema leaves no choice about are fed at once."""


class XlaModel(LoadedModel[XlaSequence]):
    """A `ChatModel`. Made by `XlaEngine.load`, inside an event loop."""

    def __init__(
        self, facts: ModelFacts, tokenizer: ChatTokenizer, programs: Programs, weights: Any, context: int | None
    ) -> None:
        limited = facts if context is None else replace(facts, context=min(context, facts.context))
        super().__init__(limited, tokenizer)
        self._programs = programs
        self._weights = programs.placed(weights)
        self._turn = anyio.CapacityLimiter(1)
        self._steps = self._prefilled = self._made = 0  # tokens made: of sequences that are gone
        self._masks = Masks(tokenizer, facts.vocabulary)

    @property
    def compiled(self) -> int:
        return self._programs.compiled

    @property
    def programs(self) -> Programs:
        return self._programs

    @property
    def device_weights(self) -> DeviceWeights:
        return self._weights

    async def stats(self) -> ModelStats:
        open_ = tuple(self._open)
        made = self._made + sum(sequence.chosen for sequence in open_)
        return ModelStats(self._steps, self._prefilled, made, len(open_))

    async def prefill(
        self, tokens: Sequence[int], prefix: SequenceHandle | None = None, service: Service = SERVICE
    ) -> XlaSequence:
        """As the protocol says. Those who ask come in turn, whatever their `service`."""
        del service
        prompt = prompt_of(tokens, self._facts)
        began = anyio.current_time()
        context = self._facts.context
        known = prefix if isinstance(prefix, XlaSequence) and prefix in self._open else None
        cached = 0 if known is None else common_beginning(tokens[:-1], known.prompt)
        plan = buckets.chunks(len(tokens), context, buckets.first_free(cached, len(tokens), context))
        length = self._room(plan, len(tokens))
        if known is not None and plan[0].start:
            length = max(length, known.length)
        sequence = XlaSequence(prompt, length, began)
        self._open.add(sequence)
        try:
            # What decoding will need is loaded while the prompt is computed.
            fill = partial(self._fill, sequence, np.asarray(tokens, np.int32), plan, known)
            await together(partial(self._ready, length), fill)
        except BaseException:
            self._free(sequence, Finish.CANCELLED)
            raise
        sequence.prefill_seconds = anyio.current_time() - began
        return sequence

    def decode(self, sequence: SequenceHandle, sampling: Sampling) -> XlaDecode:
        own = decoded(sequence, XlaSequence, sampling)
        return XlaDecode(self, own, sampling)

    async def cancel(self, sequence: SequenceHandle) -> None:
        if isinstance(sequence, XlaSequence):
            sequence.end(Finish.CANCELLED)

    async def release(self, sequence: SequenceHandle) -> None:
        if isinstance(sequence, XlaSequence):
            self._free(sequence, Finish.CANCELLED)

    async def close(self) -> None:
        for sequence in tuple(self._open):
            self._free(sequence, Finish.CANCELLED)
        self._weights = DeviceWeights([], [])

    def _free(self, sequence: XlaSequence, finish: Finish) -> None:
        sequence.end(finish)
        if sequence in self._open:
            self._made += sequence.chosen
        # A step that still runs holds the arrays it works on; they go with it.
        sequence.cache, sequence.logits, sequence.token, sequence.ahead = None, None, None, None
        self._open.discard(sequence)

    async def _ready(self, length: int) -> None:
        await _compile(self._programs.decode, length)
        await _compile(self._programs.greedy, self._facts.vocabulary)

    async def _fill(
        self, sequence: XlaSequence, tokens: Any, plan: tuple[buckets.Chunk, ...], prefix: XlaSequence | None
    ) -> None:
        if plan[0].start and prefix is not None and await self._copied(sequence, prefix):
            sequence.cached_tokens = plan[0].start
        else:
            plan = buckets.chunks(len(tokens), self._facts.context)
            sequence.length = self._room(plan, len(tokens))
            create = await _compile(self._programs.create, sequence.length)
            sequence.cache = [create() for _ in range(len(self._weights.layers))]
        for chunk in plan:
            step = await _compile(self._programs.prefill, chunk.size, sequence.length)
            padded = np.zeros(chunk.size, np.int32)
            padded[: chunk.count] = tokens[chunk.start : chunk.start + chunk.count]
            await self._step(self._prefill_chunk, step, sequence, padded, chunk)

    def _room(self, plan: tuple[buckets.Chunk, ...], tokens: int) -> int:
        """The length of the cache for a prompt that is fed so, and a token behind it."""
        return buckets.cache_length(max(plan[-1].start + plan[-1].size, tokens + 1), self._facts.context)

    async def _copied(self, sequence: XlaSequence, prefix: XlaSequence) -> bool:
        """Begin with a copy of another's cache. False if that was let go of. What lies in it behind the beginning that
        both share is as padding: nothing looks at a position before it is written."""
        programs, length = self._programs, prefix.length
        if sequence.length == length:
            copy = await _compile(programs.copy, length)
        else:
            copy = await _compile(programs.grow, length, sequence.length)
        return await self._step(self._copy, copy, length, sequence, prefix)

    def _copy(self, copy: Program, length: int, sequence: XlaSequence, prefix: XlaSequence) -> bool:
        cache = prefix.cache
        if cache is None or prefix.length != length:
            return False
        sequence.cache = [copy(layer) for layer in cache]
        return True

    def _prefill_chunk(self, step: Step, sequence: XlaSequence, padded: Any, chunk: buckets.Chunk) -> None:
        cache = sequence.cache
        if cache is not None:
            sequence.logits = step(self._weights, cache, padded, chunk.start, chunk.count)
            self._prefilled += chunk.count
            jax.block_until_ready(sequence.logits)

    async def next_token(self, sequence: XlaSequence, sampling: Sampling, last: bool) -> int | None:
        """One step; None if there is nothing more. `last` says that nobody will ask again. For `XlaDecode`."""
        if sequence.forced:
            await anyio.lowlevel.checkpoint()
            return sequence.forced.popleft() if sequence.finish is None else None
        if sequence.ahead is None and sequence.token is not None and sequence.position == sequence.length:
            longer = buckets.cache_length(sequence.position + 1, self._facts.context)
            grow = await _compile(self._programs.grow, sequence.length, longer)
            await self._step(self._grow, grow, sequence, longer)
            sequence.decode = sequence.feed = None
        if sequence.choose is None:
            sequence.choose = await self._choosing(sequence, sampling)
        if sequence.constraint is not None and sequence.feed is None:
            sequence.feed = await _compile(self._programs.prefill, FORCED_CHUNK, sequence.length)
        if sequence.decode is None:
            sequence.decode = await _compile(self._programs.decode, sequence.length)
        return await self._step(self._decode_one, sequence.decode, sequence.choose, sequence, sampling, last)

    async def prepare(self, sampling: Sampling) -> None:
        """Compile what chooses the tokens, and the grammar of a schema: decodes find both."""
        await self._chooser(sampling)

    async def _choosing(self, sequence: XlaSequence, sampling: Sampling) -> Program:
        """What chooses the tokens; where there is a schema, what holds the reply to it too."""
        sequence.constraint, choose = await self._chooser(sampling)
        return choose

    async def _chooser(self, sampling: Sampling) -> tuple[Constraint | None, Program]:
        programs = self._programs
        if sampling.schema is None:
            of = programs.sampled if sampling.temperature > 0 else programs.greedy
            return None, await _compile(of, self._facts.vocabulary)
        of = programs.masked_sampled if sampling.temperature > 0 else programs.masked_greedy
        constraint = await anyio.to_thread.run_sync(self._masks.constraint, sampling.schema)
        return constraint, await _compile(of, self._facts.vocabulary)

    def _grow(self, grow: Program, sequence: XlaSequence, longer: int) -> None:
        cache = sequence.cache
        if cache is not None:
            for number, layer in enumerate(cache):
                cache[number] = grow(layer)
            sequence.length = longer

    def _decode_one(
        self, step: Step, choose: Program, sequence: XlaSequence, sampling: Sampling, last: bool
    ) -> int | None:
        cache, constraint = sequence.cache, sequence.constraint
        if sequence.finish is not None or cache is None:
            return None
        token = sequence.ahead
        if token is None:
            if constraint is not None and sequence.token is None and self._force(sequence, sampling, constraint, cache):
                if not constraint.complete:
                    sequence.ahead = self._choose(choose, sequence, sampling)
                return sequence.forced.popleft()
            token = self._start(step, choose, sequence, cache, sampling)
        sequence.ahead = None
        number = int(token[0])
        if sequence.finish is not None:
            # Released while the step ran: what it made goes nowhere.
            return None
        if constraint is not None:
            while number not in self._facts.end_tokens and not constraint.take(number):
                token = self._choose(choose, sequence, sampling, number)
                number = int(token[0])
        sequence.token = token
        if sampling.logprobs is not None:
            sequence.told.append(likelihood(sequence.logits, number, sampling.logprobs))
        if last or number in self._facts.end_tokens or (constraint is not None and constraint.complete):
            return number
        if constraint is not None and self._force(sequence, sampling, constraint, cache, number):
            if not constraint.complete:
                sequence.ahead = self._choose(choose, sequence, sampling)
        elif sequence.position < sequence.length:
            # The device goes on while the event loop and the consumer look at this token.
            sequence.ahead = self._start(step, choose, sequence, cache, sampling)
        return number

    def _start(
        self, step: Step, choose: Program, sequence: XlaSequence, cache: list[list[Any]], sampling: Sampling
    ) -> Any:
        """Hand the next step to the device. Returns its token, on the device, before it is there."""
        if sequence.token is not None:
            sequence.logits = step(self._weights, cache, sequence.token, sequence.position, 1)
            sequence.position += 1
        return self._choose(choose, sequence, sampling)

    def _force(
        self, sequence: XlaSequence, sampling: Sampling, constraint: Constraint, cache: list[list[Any]], *before: int
    ) -> bool:
        """Take what has to come next, and feed it in one go behind `before`, which is not in the cache yet.

        False, and nothing is done, if there is a choice to make, no room, or somebody asks how likely it is. (The mask
        alone would do, as it leaves one token; but a chunk costs little more than a step.)
        """
        forced, feed = constraint.forced(), sequence.feed
        fed = (*before, *forced)
        starts = range(0, len(fed), FORCED_CHUNK)
        if sampling.logprobs is not None:
            return False
        if not forced or feed is None or sequence.position + len(starts) * FORCED_CHUNK > sequence.length:
            return False
        for token in forced:
            if not constraint.take(token):
                raise RuntimeError("a key is forced for the second time")
        sequence.forced.extend(forced)
        sequence.chosen += len(forced)
        if constraint.complete:
            return True
        for start in starts:
            part = fed[start : start + FORCED_CHUNK]
            padded = np.zeros(FORCED_CHUNK, np.int32)
            padded[: len(part)] = part
            sequence.logits = feed(self._weights, cache, padded, sequence.position, len(part))
            sequence.position += len(part)
        sequence.token = None
        return True

    def _choose(self, choose: Program, sequence: XlaSequence, sampling: Sampling, refused: int | None = None) -> Any:
        """A token behind the logits, on the device, before it is there; with `refused`, another one in its place."""
        arguments: list[Any] = [sequence.logits]
        if refused is None:
            sequence.chosen += 1
        if sequence.constraint is not None:
            # Worked out while the device computes the logits.
            mask = sequence.mask = sequence.constraint.mask() if refused is None else without(sequence.mask, refused)
            arguments.append(mask)
        if sampling.temperature > 0:
            seed = sampling.seed % (1 << 64)
            arguments += (
                np.float32(sampling.temperature),
                np.int32(sampling.top_k),
                np.float32(sampling.top_p),
                np.uint32(seed & 0xFFFFFFFF),
                np.uint32(seed >> 32),
                np.uint32(sequence.chosen - 1),
            )
        return choose(*arguments)

    async def _step(self, function: Callable[..., T], *arguments: Any) -> T:
        """Run on the device, in turn. A cancelled caller waits for its step to end, but not for its turn."""
        self._steps += 1
        return await anyio.to_thread.run_sync(function, *arguments, limiter=self._turn)


class XlaDecode(Decode[XlaModel, XlaSequence]):
    """The iterator behind `decode`."""

    async def next_made(self) -> Made | None:
        sequence = self.sequence
        last = len(sequence.times) + 1 >= self.most
        token = await self.model.next_token(sequence, self.sampling, last)
        if token is None:
            return None
        whole = sequence.constraint is not None and sequence.constraint.complete and not sequence.forced
        told = sequence.told.popleft() if sequence.told else None
        return Made(token, told, Finish.STOP if whole else None)


async def _compile(program: Callable[..., T], *shape: int) -> T:
    """A program that may have to be compiled. A cancelled caller does not wait; the compiled program is kept."""
    return await anyio.to_thread.run_sync(program, *shape, abandon_on_cancel=True)
