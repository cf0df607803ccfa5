"""A chat model in a process of its own, as the executor sees it. Back-pressure is credit of one token."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import anyio

from ....base.problems import OutsideError
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
    TokenLogprob,
    Tokens,
)
from ..sequences import Decode, Made, RunningSequence, decoded, prompt_of
from ..workers.frames import Frame
from ..workers.problems import engine_gone
from ..workers.process import Gone, Inbox, Worker
from ..workers.telling import told_problem


class ProcessSequence(RunningSequence):
    """`number` is its name in the process."""

    def __init__(self, number: int, prompt: Tokens, inbox: Inbox, began: float) -> None:
        super().__init__(prompt, began)
        self.number = number
        self.inbox = inbox


class ProcessModel(LoadedModel[ProcessSequence]):
    """A `ChatModel` behind a worker that has it loaded. Where the process is gone, all raise `engine-gone`: it is not
    begun again here."""

    def __init__(self, facts: ModelFacts, tokenizer: ChatTokenizer, worker: Worker) -> None:
        super().__init__(facts, tokenizer)
        self._worker = worker
        self._numbers = 0
        self._compiled = 0

    @property
    def compiled(self) -> int:
        return self._compiled

    @property
    def worker(self) -> Worker:
        return self._worker

    async def prefill(
        self, tokens: Sequence[int], prefix: SequenceHandle | None = None, service: Service = SERVICE
    ) -> ProcessSequence:
        prompt = tuple(map(int, prompt_of(tokens, self._facts)))
        if min(prompt) < 0 or max(prompt) >= self._facts.vocabulary:
            raise ValueError("a prompt holds tokens of the vocabulary")
        began = anyio.current_time()
        known = prefix.number if isinstance(prefix, ProcessSequence) and prefix in self._open else 0
        self._numbers += 1
        sequence = ProcessSequence(self._numbers, prompt, self._worker.inbox(self._numbers), began)
        self._open.add(sequence)
        left = None if service.deadline is None else service.deadline - began
        words = {"left": left, "tenant": service.tenant, "scope": service.scope, "private": service.private}
        try:
            self._worker.send(
                {"do": "prefill", "sequence": sequence.number, "prefix": known, "tokens": prompt, **words}
            )
            frame = await self._receive(sequence.inbox)
            if frame is not None and frame.words["say"] == "refused":
                raise told_problem(self._facts.name, frame.words)
        except BaseException:
            self._free(sequence)
            raise
        if frame is not None:
            sequence.cached_tokens = int(frame.words["cached"])
            sequence.queued_seconds = float(frame.words["queued"])
        sequence.prefill_seconds = anyio.current_time() - began
        return sequence

    def decode(self, sequence: SequenceHandle, sampling: Sampling) -> ProcessDecode:
        return ProcessDecode(self, decoded(sequence, ProcessSequence, sampling), sampling)

    async def prepare(self, sampling: Sampling) -> None:
        await self._asked({"do": "prepare", "sampling": asdict(sampling)})

    async def stats(self) -> ModelStats:
        words = await self._asked({"do": "stats"})
        return ModelStats(int(words["steps"]), int(words["prefilled"]), int(words["decoded"]), len(self._open))

    async def cancel(self, sequence: SequenceHandle) -> None:
        if isinstance(sequence, ProcessSequence) and sequence.finish is None:
            self._stop(sequence)

    async def release(self, sequence: SequenceHandle) -> None:
        if isinstance(sequence, ProcessSequence):
            self._free(sequence)

    async def close(self) -> None:
        for sequence in tuple(self._open):
            self._free(sequence)
        await self._worker.close()

    def start(self, sequence: ProcessSequence, sampling: Sampling) -> None:
        """The reply begins. For `ProcessDecode`."""
        self._worker.send({"do": "start", "sequence": sequence.number, "sampling": asdict(sampling)})

    async def next_made(self, sequence: ProcessSequence) -> Made | None:
        """What the process says next. For `ProcessDecode`."""
        self._worker.send({"do": "more", "sequence": sequence.number})
        frame = await self._receive(sequence.inbox)
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
        for place, figure, top in words["likely"]:
            likely = TokenLogprob(place, figure, tuple((one, other) for one, other in top))
        return Made(int(token), likely, why)

    async def _asked(self, words: Mapping[str, Any]) -> Mapping[str, Any]:
        """An answer that is of no sequence."""
        number = self._numbers = self._numbers + 1
        inbox = self._worker.inbox(number)
        try:
            self._worker.send({**words, "sequence": number})
            frame = await self._receive(inbox)
        finally:
            self._worker.forget(number)
        if frame is None:
            raise RuntimeError("the model is closed")
        if frame.words["say"] == "refused":
            raise told_problem(self._facts.name, frame.words)
        return frame.words

    async def _receive(self, inbox: Inbox) -> Frame | None:
        try:
            frame = await self._worker.receive(inbox)
        except Gone as error:
            raise OutsideError(engine_gone(self._facts.name, str(error), error.said or None)) from error
        if frame is not None:
            self._compiled = int(frame.words["compiled"])
        return frame

    def _stop(self, sequence: ProcessSequence) -> None:
        sequence.end(Finish.CANCELLED)
        self._worker.forget(sequence.number)
        self._worker.send({"do": "end", "sequence": sequence.number})

    def _free(self, sequence: ProcessSequence) -> None:
        if sequence in self._open:
            self._open.discard(sequence)
            self._stop(sequence)


class ProcessDecode(Decode[ProcessModel, ProcessSequence]):
    """The iterator behind `decode`. Why a reply ends is found by the engine behind it."""

    _begun = False

    async def next_made(self) -> Made | None:
        if not self._begun:
            self._begun = True
            self.model.start(self.sequence, self.sampling)
        return await self.model.next_made(self.sequence)
