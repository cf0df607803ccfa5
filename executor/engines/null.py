"""The engine that computes nothing: recorded or invented answers on invented timings.

Simulation runs on it, and so do most tests. It waits with `anyio.sleep` and reads the event loop's clock, so under a
virtual clock its hours pass in milliseconds. One device is imitated, whose steps the scheduler of the real engines puts
together, from the same tokens: load causes latency here as it does there, and what prompts have in common is not
computed again.
"""

from __future__ import annotations

import codecs
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import anyio

from ..scheduler import Settings, Step
from .constraint.inventing import invent
from .constraint.reading import read
from .loaded import LoadedModel
from .null_device import NullDevice
from .protocol import (
    SERVICE,
    Capabilities,
    ChatTokenizer,
    Detokenizer,
    Finish,
    Message,
    ModelFacts,
    ModelSpec,
    Sampling,
    SequenceHandle,
    Service,
    Tokens,
)
from .sequences import Decode, Made, RunningSequence, decoded, prompt_of

_WORDS = ("a", "stream", "of", "words", "that", "nobody", "wrote", "and", "which", "is", "long", "enough", "to", "read")


@dataclass(frozen=True, slots=True)
class NullTimings:
    """Seconds that the imitated device takes."""

    load: float = 0.0
    prefill_fixed: float = 0.0
    """For each prompt."""
    prefill_per_token: float = 0.0
    gap: float = 0.0
    """For each generated token: for each step that decodes, of however many sequences."""
    row: float = 0.0
    """For each further sequence in such a step."""

    def step(self, step: Step) -> float:
        """What a step takes."""
        seconds = sum(
            chunk.count * self.prefill_per_token + (self.prefill_fixed if chunk.last else 0.0) for chunk in step.prefill
        )
        return seconds + (self.gap + self.row * (len(step.decode) - 1) if step.decode else 0.0)


Answer = Callable[[Tokens, Sampling], str]
"""What a prompt is answered with. Where the sampling holds a schema, that is for the answer to keep."""


def invented(prompt: Tokens, sampling: Sampling) -> str:
    """Some words, always the same for a prompt; with a temperature, for a prompt and a seed. A document of the schema
    where there is one."""
    seed = sampling.seed if sampling.temperature > 0 and sampling.top_k != 1 else 0
    draw = random.Random(f"{seed} {prompt}")
    if sampling.schema is not None:
        return invent(read(sampling.schema), draw, _WORDS)
    return " ".join(draw.choice(_WORDS) for _ in range(draw.randint(5, 40)))


class NullEngine:
    """An `Engine`. `answer` gives the replies; `context` is what a model has that brings no facts of its own.

    `scheduling` is the device that is imitated; without it, one that runs 16 sequences at once and has the memory for
    as many of the longest. More may be open. Callers wait for their turn, so its queue must be unbounded.
    """

    def __init__(
        self,
        timings: NullTimings | None = None,
        answer: Answer = invented,
        context: int = 8192,
        scheduling: Settings | None = None,
    ) -> None:
        if scheduling is not None and scheduling.queue is not None:
            raise ValueError("the callers of an engine wait: its queue has no bound")
        self._timings = timings or NullTimings()
        self._answer = answer
        self._context = context
        self._scheduling = scheduling

    @property
    def name(self) -> str:
        return "null"

    @property
    def capabilities(self) -> Capabilities:
        rows = _ROWS if self._scheduling is None else self._scheduling.rows
        return Capabilities(
            sequences_per_step=rows, virtual_time=True, finds_prefixes=True, dtypes=("f32", "int8"), spreads=True
        )

    async def load(self, spec: ModelSpec) -> NullModel:
        await anyio.sleep(self._timings.load)
        tokenizer = spec.source.tokenizer() if spec.source else ByteTokenizer()
        facts = (
            spec.source.facts() if spec.source else ModelFacts(spec.name, self._context, 259, 0, 0, ByteTokenizer.ENDS)
        )
        if spec.context is not None:
            facts = replace(facts, context=min(spec.context, facts.context))
        scheduling = self._scheduling or Settings(_ROWS * -(-facts.context // _PAGE), _PAGE, _ROWS)
        facts = replace(facts, context=min(facts.context, scheduling.capacity))
        return NullModel(facts, tokenizer, NullDevice(scheduling, self._timings.step), self._answer)


_ROWS = 16
_PAGE = 16


class NullSequence(RunningSequence):
    """`number` is its name on the device."""

    def __init__(self, number: int, prompt: Tokens, began: float) -> None:
        super().__init__(prompt, began)
        self.number = number


class NullModel(LoadedModel[NullSequence]):
    """A `ChatModel`."""

    def __init__(self, facts: ModelFacts, tokenizer: ChatTokenizer, device: NullDevice, answer: Answer) -> None:
        super().__init__(facts, tokenizer)
        self._answer = answer
        self._device = device
        self._end_token = min(tokenizer.end_tokens, default=0)

    async def tokenize(self, messages: Sequence[Message]) -> Tokens:
        # Without a thread: those take real time.
        return self._tokenizer.chat(messages)

    async def prefill(
        self, tokens: Sequence[int], prefix: SequenceHandle | None = None, service: Service = SERVICE
    ) -> NullSequence:
        prompt = prompt_of(tokens, self._facts)
        began, begins = anyio.current_time(), None
        if isinstance(prefix, NullSequence) and prefix in self._open:
            begins = prefix.number
        sequence = NullSequence(self._device.arrive(prompt, begins, service), prompt, began)
        self._open.add(sequence)
        try:
            await self._device.computed(sequence.number)
        except BaseException:
            await self.release(sequence)
            raise
        sequence.cached_tokens = self._device.cached(sequence.number)
        sequence.prefill_seconds = anyio.current_time() - sequence.began
        begun = self._device.begun(sequence.number)
        sequence.queued_seconds = 0.0 if begun is None else max(0.0, begun - sequence.began)
        return sequence

    def decode(self, sequence: SequenceHandle, sampling: Sampling) -> NullDecode:
        own = decoded(sequence, NullSequence, sampling)
        reply = self._tokenizer.encode(self._answer(own.prompt, sampling))
        return NullDecode(self, own, sampling, reply)

    async def cancel(self, sequence: SequenceHandle) -> None:
        if isinstance(sequence, NullSequence) and sequence.finish is None:
            sequence.end(Finish.CANCELLED)
            self._device.leave(sequence.number, cancelled=True)

    async def release(self, sequence: SequenceHandle) -> None:
        if isinstance(sequence, NullSequence):
            self._device.leave(sequence.number, cancelled=sequence.finish is None)
            sequence.end(Finish.CANCELLED)
            self._open.discard(sequence)

    async def close(self) -> None:
        for sequence in tuple(self._open):
            await self.release(sequence)

    async def compute(self, sequence: NullSequence, token: int | None) -> None:
        """The decode step of a token, or of the end of a reply. For `NullDecode`."""
        self._device.extend(sequence.number, self._end_token if token is None else token)
        await self._device.computed(sequence.number)


class NullDecode(Decode[NullModel, NullSequence]):
    """The iterator behind `decode`."""

    def __init__(self, model: NullModel, sequence: NullSequence, sampling: Sampling, reply: Tokens) -> None:
        super().__init__(model, sequence, sampling)
        self._reply = iter(reply)
        self._whole = len(reply) if sampling.schema is not None else None

    async def next_made(self) -> Made | None:
        token = next(self._reply, None)
        await self.model.compute(self.sequence, token)
        if token is None:
            return None
        return Made(token, finish=Finish.STOP if len(self.sequence.times) + 1 == self._whole else None)


class ByteTokenizer:
    """A `ChatTokenizer` of bytes and three marks, for models that bring none."""

    BEGIN, END = 257, 258
    ENDS = frozenset({END})

    @property
    def end_tokens(self) -> frozenset[int]:
        return self.ENDS

    def encode(self, text: str, special: bool = False) -> Tokens:  # noqa: ARG002 - no text stands for a mark
        return tuple(text.encode("utf-8", "replace"))

    def token_bytes(self, token: int) -> bytes:
        return bytes((token,)) if token < 256 else b""

    def chat(self, messages: Sequence[Message]) -> Tokens:
        tokens: list[int] = []
        for message in messages:
            tokens += [self.BEGIN, *self.encode(f"{message.role}\n{message.text}"), self.END]
        return (*tokens, self.BEGIN, *self.encode("assistant\n"))

    def decode(self, tokens: Sequence[int]) -> str:
        return bytes(token for token in tokens if token < 256).decode("utf-8", "replace")

    def detokenizer(self) -> Detokenizer:
        return _ByteDetokenizer()


class _ByteDetokenizer:
    def __init__(self) -> None:
        self._utf8 = codecs.getincrementaldecoder("utf-8")("replace")

    def push(self, token: int) -> str:
        return self._utf8.decode(bytes((token,)) if token < 256 else b"")

    def finish(self) -> str:
        return self._utf8.decode(b"", True)
