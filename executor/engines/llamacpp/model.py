"""A chat model in a worker: what the executor asks, as frames, and what comes back, as tokens.

Back-pressure is credit: the worker computes as many tokens as were asked for and one more, so that the next is there
when it is asked for and nothing runs for nobody.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

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
from ..workers.problems import cache_unusable, engine_gone
from ..workers.process import Gone, Inbox, Worker

FORM = "llama.cpp sequence state"


class LlamaSequence(RunningSequence):
    """`number` is its name in the worker, `inbox` what comes of it from there."""

    def __init__(self, number: int, prompt: Tokens, worker: Worker, began: float) -> None:
        super().__init__(prompt, began)
        self.number = number
        self.worker = worker
        self.inbox: Inbox = worker.inbox(number)


class LlamaCppModel(LoadedModel[LlamaSequence]):
    """A `ChatModel`, and a `TransferableModel`. Made by `LlamaCppEngine.load`."""

    def __init__(
        self, facts: ModelFacts, tokenizer: ChatTokenizer, worker: Worker, again: Callable[[], Awaitable[Worker]]
    ) -> None:
        """`again` is awaited for a new worker with the model loaded, where the last one is gone."""
        super().__init__(facts, tokenizer)
        self._worker = worker
        self._again = again
        self._starting = anyio.Lock()
        self._numbers = 0
        self._closed = False

    @property
    def worker(self) -> Worker:
        return self._worker

    async def prefill(
        self, tokens: Sequence[int], prefix: SequenceHandle | None = None, service: Service = SERVICE
    ) -> LlamaSequence:
        del service
        prompt = prompt_of(tokens, self._facts)
        if min(tokens) < 0 or max(tokens) >= self._facts.vocabulary:
            raise ValueError("a prompt holds tokens of the vocabulary")
        began = anyio.current_time()
        sequence = await self._begin(tuple(map(int, prompt)), began)
        known = prefix if isinstance(prefix, LlamaSequence) and prefix in self._open else None
        near = known.number if known is not None and known.worker is sequence.worker else None
        sequence.worker.send({"do": "open", "sequence": sequence.number, "tokens": sequence.prompt, "prefix": near})
        await self._filled(sequence)
        return sequence

    async def _begin(self, tokens: Tokens, began: float) -> LlamaSequence:
        if self._closed:
            raise RuntimeError("the model is closed")
        async with self._starting:
            if not self._worker.alive:
                # A program that tries again finds the model there.
                await self._worker.bury()
                self._worker = await self._again()
        self._numbers += 1
        sequence = LlamaSequence(self._numbers, tokens, self._worker, began)
        self._open.add(sequence)
        return sequence

    async def _filled(self, sequence: LlamaSequence) -> None:
        try:
            frame = await self._receive(sequence)
        except BaseException:
            self._free(sequence)
            raise
        if frame is not None and frame.words["say"] == "lost":
            self._free(sequence)
            raise OutsideError(cache_unusable(self._facts.name))
        if frame is not None:
            sequence.cached_tokens = int(frame.words["cached"])
        sequence.prefill_seconds = anyio.current_time() - sequence.began

    def decode(self, sequence: SequenceHandle, sampling: Sampling) -> LlamaDecode:
        own = decoded(sequence, LlamaSequence, sampling)
        return LlamaDecode(self, own, sampling)

    async def cancel(self, sequence: SequenceHandle) -> None:
        if isinstance(sequence, LlamaSequence) and sequence.finish is None:
            self._stop(sequence)

    async def release(self, sequence: SequenceHandle) -> None:
        if isinstance(sequence, LlamaSequence):
            self._free(sequence)

    async def stats(self) -> ModelStats:
        number = self._numbers = self._numbers + 1
        inbox = self._worker.inbox(number)
        try:
            self._worker.send({"do": "stats", "sequence": number})
            frame = await self._worker.receive(inbox)
        except Gone as error:
            raise self._is_gone(error) from error
        finally:
            self._worker.forget(number)
        if frame is None:
            raise RuntimeError("the model is closed")
        counts = frame.words
        return ModelStats(int(counts["steps"]), int(counts["prefilled"]), int(counts["decoded"]), len(self._open))

    async def export_cache(self, sequence: SequenceHandle) -> CacheState:
        if not isinstance(sequence, LlamaSequence) or sequence not in self._open or sequence.decoding:
            raise ValueError("a cache leaves before its decode begins, and while it is held")
        sequence.worker.send({"do": "export", "sequence": sequence.number})
        frame = await self._receive(sequence)
        if frame is None or not frame.words["there"]:
            raise ValueError("the sequence was released")
        return CacheState(self._facts.name, FORM, sequence.prompt, frame.data)

    async def import_cache(self, state: CacheState) -> LlamaSequence:
        if state.form != FORM or not 0 < len(state.tokens) < self._facts.context:
            raise OutsideError(cache_unusable(self._facts.name))
        sequence = await self._begin(state.tokens, anyio.current_time())
        words = {"do": "adopt", "sequence": sequence.number, "tokens": state.tokens}
        sequence.worker.send(words, state.data)
        await self._filled(sequence)
        return sequence

    async def close(self) -> None:
        self._closed = True
        for sequence in tuple(self._open):
            self._free(sequence)
        await self._worker.close()

    async def next_made(self, sequence: LlamaSequence) -> Made | None:
        """For `LlamaDecode`."""
        frame = await self._receive(sequence)
        if frame is None:
            return None
        if frame.words["say"] == "refused":
            raise RuntimeError(frame.words["why"])
        token, likely = frame.words["token"], frame.words.get("likely")
        if token is None:
            return None
        told = None if likely is None else TokenLogprob(int(token), likely[0], tuple(map(tuple, likely[1])))
        return Made(int(token), told, Finish.STOP if frame.words["last"] else None)

    async def _receive(self, sequence: LlamaSequence) -> Frame | None:
        try:
            return await sequence.worker.receive(sequence.inbox)
        except Gone as error:
            raise self._is_gone(error) from error

    def _is_gone(self, error: Gone) -> OutsideError:
        return OutsideError(engine_gone(self._facts.name, str(error), error.said or None))

    def _stop(self, sequence: LlamaSequence) -> None:
        sequence.end(Finish.CANCELLED)
        sequence.worker.forget(sequence.number)
        sequence.worker.send({"do": "end", "sequence": sequence.number})

    def _free(self, sequence: LlamaSequence) -> None:
        if sequence in self._open:
            self._open.discard(sequence)
            self._stop(sequence)


class LlamaDecode(Decode[LlamaCppModel, LlamaSequence]):
    """The iterator behind `decode`."""

    _begun = False

    async def next_made(self) -> Made | None:
        self._ask()
        return await self.model.next_made(self.sequence)

    def _ask(self) -> None:
        sequence, sampling = self.sequence, self.sampling
        if self._begun:
            sequence.worker.send({"do": "more", "sequence": sequence.number, "credit": 1})
            return
        self._begun = True
        sequence.worker.send(
            {
                "do": "start",
                "sequence": sequence.number,
                "temperature": sampling.temperature,
                "seed": sampling.seed % (1 << 64),
                "top_k": sampling.top_k,
                "top_p": sampling.top_p,
                "schema": sampling.schema,
                "logprobs": sampling.logprobs,
                "most": self.most,
                "credit": 2,
            }
        )
