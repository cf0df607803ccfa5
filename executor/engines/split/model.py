"""A chat model in two processes, as the executor sees it: a prompt is asked of the one, its reply of the other.

Back-pressure is credit of one token: the engine behind it computes one ahead by itself.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

import anyio

from ....base.problems import OutsideError
from ..families import CacheState, ModelStats
from ..loaded import LoadedModel
from ..protocol import (
    SERVICE,
    ChatTokenizer,
    Finish,
    ModelFacts,
    Sampling,
    SequenceHandle,
    Service,
    TokenLogprob,
    Tokens,
)
from ..sequences import Decode, Made, RunningSequence, decoded, prompt_of
from ..workers.frames import Frame
from ..workers.problems import engine_gone, link_cut
from ..workers.process import Gone, Inbox, Worker
from ..workers.telling import told_problem
from .pair import Pair

FLIGHTS = 16
"""Prompts that are on their way at once, at most: each holds its cache in memory that neither engine counts."""


@dataclass(frozen=True, slots=True)
class Transfer:
    """How the cache of a prompt came over. Seconds."""

    bytes: int
    """Of keys and values."""
    copying: float
    """That the device of the prefilling process waited for its layers to be copied."""
    behind: float
    """From the end of prefill until all of it was there."""
    adopting: float
    """From then until the decoding engine had it in its own memory."""


class SplitSequence(RunningSequence):
    """`number` is its name in both processes."""

    def __init__(self, number: int, prompt: Tokens, prefill: Worker, decode: Worker, began: float) -> None:
        super().__init__(prompt, began)
        self.number = number
        self.prefill = prefill
        self.decode = decode
        self.asked: Inbox = prefill.inbox(number)
        self.inbox: Inbox = decode.inbox(number)
        self.transfer: Transfer | None = None


class SplitModel(LoadedModel[SplitSequence]):
    """A `ChatModel`, and a `TransferableModel`. Made by `SplitEngine.load`."""

    def __init__(self, facts: ModelFacts, tokenizer: ChatTokenizer, pair: Pair) -> None:
        super().__init__(facts, tokenizer)
        self._pair = pair
        self._numbers = 0
        self._compiled: dict[Worker, int] = {}
        self._closed = False
        self._flights = anyio.CapacityLimiter(FLIGHTS)

    @property
    def compiled(self) -> int:
        return sum(self._compiled.values())

    @property
    def pair(self) -> Pair:
        return self._pair

    async def prefill(
        self, tokens: Sequence[int], prefix: SequenceHandle | None = None, service: Service = SERVICE
    ) -> SplitSequence:
        # What a prompt has in common with others is found by the engine that prefills it.
        del prefix
        prompt = tuple(map(int, prompt_of(tokens, self._facts)))
        if min(prompt) < 0 or max(prompt) >= self._facts.vocabulary:
            raise ValueError("a prompt holds tokens of the vocabulary")
        began = anyio.current_time()
        self._check_open()
        return await self._opened(prompt, began, partial(self._fill, service=service))

    async def _opened(
        self, prompt: Tokens, began: float, fill: Callable[[SplitSequence], Awaitable[None]]
    ) -> SplitSequence:
        async with self._flights:
            both = await self._pair.ready()
            self._numbers += 1
            sequence = SplitSequence(self._numbers, prompt, *both, began)
            self._open.add(sequence)
            try:
                await fill(sequence)
            except BaseException:
                self._free(sequence)
                raise
        sequence.prefill_seconds = anyio.current_time() - began
        return sequence

    async def _fill(self, sequence: SplitSequence, service: Service) -> None:
        number, left = sequence.number, None
        if service.deadline is not None:
            left = service.deadline - anyio.current_time()
        words = {"left": left, "tenant": service.tenant, "scope": service.scope}
        sequence.decode.send({"do": "expect", "sequence": number})
        sequence.prefill.send({"do": "prefill", "sequence": number, "tokens": sequence.prompt, **words})
        shipped = await self._receive(sequence.prefill, sequence.asked)
        if shipped is None:
            return
        if shipped.words["say"] == "refused":
            raise told_problem(self._facts.name, shipped.words)
        # Where the link was cut, the other process says so too; or it is gone, which says more.
        filled = await self._receive(sequence.decode, sequence.inbox)
        if filled is None:
            return
        if filled.words["say"] == "refused":
            raise told_problem(self._facts.name, filled.words)
        if filled.words["say"] == "lost":
            if filled.words["cut"]:
                self._pair.parted(sequence.prefill, sequence.decode)
            raise OutsideError(link_cut(self._facts.name))
        sequence.prefill.forget(sequence.number)
        there, here = filled.words, shipped.words
        sequence.cached_tokens = int(there["cached"])
        sequence.transfer = Transfer(
            int(here["bytes"]),
            float(here["copying"]),
            float(there["arrived"]) - float(there["ended"]),
            float(there["adopted"]) - float(there["arrived"]),
        )

    async def export_cache(self, sequence: SequenceHandle) -> CacheState:
        if not isinstance(sequence, SplitSequence) or sequence not in self._open or sequence.decoding:
            raise ValueError("a cache leaves before its decode begins, and while it is held")
        sequence.decode.send({"do": "export", "sequence": sequence.number})
        frame = await self._receive(sequence.decode, sequence.inbox)
        if frame is None or not frame.words["there"]:
            raise ValueError("the sequence was released")
        return CacheState(self._facts.name, str(frame.words["form"]), sequence.prompt, frame.data)

    async def import_cache(self, state: CacheState) -> SplitSequence:
        self._check_open()

        async def fill(sequence: SplitSequence) -> None:
            words = {"do": "import", "sequence": sequence.number, "form": state.form, "tokens": state.tokens}
            sequence.decode.send(words, state.data)
            frame = await self._receive(sequence.decode, sequence.inbox)
            if frame is not None and frame.words["say"] == "refused":
                raise told_problem(self._facts.name, frame.words)

        return await self._opened(state.tokens, anyio.current_time(), fill)

    def _check_open(self) -> None:
        if self._closed:
            raise RuntimeError("the model is closed")

    def decode(self, sequence: SequenceHandle, sampling: Sampling) -> SplitDecode:
        return SplitDecode(self, decoded(sequence, SplitSequence, sampling), sampling)

    async def prepare(self, sampling: Sampling) -> None:
        await self._asked((await self._pair.ready())[1], {"do": "prepare", "sampling": asdict(sampling)})

    async def cancel(self, sequence: SequenceHandle) -> None:
        if isinstance(sequence, SplitSequence) and sequence.finish is None:
            self._stop(sequence)

    async def release(self, sequence: SequenceHandle) -> None:
        if isinstance(sequence, SplitSequence):
            self._free(sequence)

    async def stats(self) -> ModelStats:
        one, other = await self.halves()
        steps, prefilled = one.steps + other.steps, one.prefilled_tokens + other.prefilled_tokens
        return ModelStats(steps, prefilled, one.decoded_tokens + other.decoded_tokens, len(self._open))

    async def halves(self) -> tuple[ModelStats, ModelStats]:
        """What each process has done since it was begun: the one that prefills, the one that decodes."""
        first, second = [
            await self._asked(worker, {"do": "stats"}) for worker in (self._pair.prefill, self._pair.decode)
        ]
        return _stats(first), _stats(second)

    async def close(self) -> None:
        self._closed = True
        for sequence in tuple(self._open):
            self._free(sequence)
        await self._pair.close()

    async def next_made(self, sequence: SplitSequence) -> Made | None:
        """What the decoding process says next. For `SplitDecode`."""
        frame = await self._receive(sequence.decode, sequence.inbox)
        if frame is None:
            return None
        words = frame.words
        token, finish = words["token"], words["finish"]
        why = None if finish is None else Finish(finish)
        if token is None:
            if why is not None:
                sequence.end(why)
            return None
        likely = None
        for place, figure, top in words.get("likely", ()):
            likely = TokenLogprob(place, figure, tuple((one, other) for one, other in top))
        return Made(int(token), likely, why)

    async def _asked(self, worker: Worker, words: Mapping[str, Any]) -> Mapping[str, Any]:
        """An answer that is of no sequence."""
        number = self._numbers = self._numbers + 1
        inbox = worker.inbox(number)
        try:
            worker.send({**words, "sequence": number})
            frame = await self._receive(worker, inbox)
        finally:
            worker.forget(number)
        if frame is None:
            raise RuntimeError("the model is closed")
        if frame.words["say"] == "refused":
            raise told_problem(self._facts.name, frame.words)
        return frame.words

    async def _receive(self, worker: Worker, inbox: Inbox) -> Frame | None:
        try:
            frame = await worker.receive(inbox)
        except Gone as error:
            ran = "prefilled for" if worker is self._pair.prefill else "decoded for"
            raise OutsideError(engine_gone(self._facts.name, str(error), error.said or None, ran)) from error
        if frame is not None:
            self._compiled[worker] = int(frame.words["compiled"])
        return frame

    def _stop(self, sequence: SplitSequence) -> None:
        sequence.end(Finish.CANCELLED)
        for worker in (sequence.prefill, sequence.decode):
            worker.forget(sequence.number)
            worker.send({"do": "end", "sequence": sequence.number})

    def _free(self, sequence: SplitSequence) -> None:
        if sequence in self._open:
            self._open.discard(sequence)
            self._stop(sequence)


class SplitDecode(Decode[SplitModel, SplitSequence]):
    """The iterator behind `decode`. Why a reply ends is found by the engine behind it."""

    _begun = False

    async def next_made(self) -> Made | None:
        sequence = self.sequence
        if not self._begun:
            self._begun = True
            sampling = asdict(self.sampling)
            sequence.decode.send({"do": "start", "sequence": sequence.number, "sampling": sampling})
        sequence.decode.send({"do": "more", "sequence": sequence.number})
        return await self.model.next_made(sequence)


def _stats(words: Mapping[str, Any]) -> ModelStats:
    return ModelStats(int(words["steps"]), int(words["prefilled"]), int(words["decoded"]), int(words["open"]))
