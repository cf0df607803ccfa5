"""The backend that writes answers down: every call of a model or tool that is over, with its answer.

Reading ahead of a stage changes nothing: a stream is noted as the stage reads it. What carries a label is masked: in
place of such an argument or answer stands `<@label>`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Container, Mapping, Sequence
from dataclasses import replace
from typing import cast

from ...base.problems import OutsideError
from ...ir.graph import Handle
from ..cassettes import Read, Recorded
from ..kinds import StageFailure
from ..values import to_json
from . import Backend, Bound, Call
from .batches import singles
from .calls import Keys, Known, LabelsOf, is_ahead, is_opaque, is_partial, is_plain, run_of, streams_of

Sink = Callable[[Recorded], None]


class RecordingBackend:
    """Runs calls by `inner`, and gives each to `sink` when it is over. Values with the labels in `kept` are told."""

    def __init__(
        self, inner: Backend, sink: Sink, *, salt: str = "", labels: LabelsOf | None = None, kept: tuple[str, ...] = ()
    ) -> None:
        self._inner = inner
        self._sink = sink
        self._keys = Keys(salt, labels or no_labels)
        self._kept = frozenset(kept)

    async def open(self, handle: Handle) -> None:
        await self._inner.open(handle)

    def immediate(self, entry: str) -> bool:
        return self._inner.immediate(entry)

    def now(self, call: Call) -> object:
        if is_plain(call):
            return self._inner.now(call)
        told = self._told(call)
        try:
            value = self._inner.now(call)
        except (StageFailure, OutsideError) as failure:
            self._note_all(call, told, failure=_failure(failure))
            raise
        self._note_all(call, told, value)
        return value

    def bound(self, call: Call) -> Bound | None:
        return self._inner.bound(call) if is_plain(call) else None

    async def run(self, call: Call) -> object:
        if is_plain(call) or is_ahead(call):
            return await self._inner.run(call)
        if call.operation.name == "agent.decode":
            return await self._decode(call)
        if call.operation.name == "agent.detokenize":
            return await self._detokenize(call)
        if singles(call) is not None:
            return await self._batch(call)
        known = self._keys.of(call)
        reading = {name: _Noting(stream) for name, stream in streams_of(call).items()}
        items: list[object] | None = [] if call.streams else None

        def send(item: object) -> None:
            assert items is not None
            items.append(item)
            call.send(item)

        how = _How()
        value: object = None
        try:
            with how:
                value = await self._inner.run(replace(call, arguments={**call.arguments, **reading}, send=send))
        finally:
            reads = {name: Read(len(one.items), self._keys.digest(one.items)) for name, one in reading.items()}
            self._note(call, known, value, items, how.failure, reads, how.stopped)
        return value

    async def _batch(self, call: Call) -> object:
        told, how = self._told(call), _How()
        value: object = None
        try:
            with how:
                value = await self._inner.run(call)
        finally:
            self._note_all(call, told, value, how.failure, how.stopped)
        return value

    def _told(self, call: Call) -> list[tuple[Call, Known]]:
        """The calls of the program that this one is: one, or those of a batch."""
        calls = singles(call)
        return [(each, self._keys.of(each)) for each in ((call,) if calls is None else calls)]

    def _note_all(
        self,
        call: Call,
        told: list[tuple[Call, Known]],
        value: object = None,
        failure: tuple[str, str] | None = None,
        stopped: bool = False,
    ) -> None:
        values = [value]
        if "batch" in call.operation.attributes:
            values = [None] * len(told) if failure is not None or stopped else list(cast("Sequence[object]", value))
        for (each, known), answer in zip(told, values, strict=True):
            self._note(each, known, answer, failure=failure, stopped=stopped)

    async def _decode(self, call: Call) -> object:
        """Token ids are told by what they say. Where there are no more of them, the chat is told as it was until then:
        the stage that reads them is only stopped."""
        chat = self._keys.decodes(call, self._keys.of(call))
        how = _How()
        try:
            with how:
                return await self._inner.run(call)
        finally:
            if how.failure is not None and not chat.told:
                chat.told = True
                self._note(call, chat.known, items=chat.items or None, failure=how.failure)

    async def _detokenize(self, call: Call) -> object:
        def send(item: object) -> None:
            chat = self._keys.chat(call)
            assert chat is not None, "a text without token ids"
            chat.items.append(item)
            call.send(item)

        how = _How()
        try:
            with how:
                return await self._inner.run(replace(call, send=send))
        finally:
            # It may have begun before the stage that makes its token ids, and may be stopped before it too.
            chat = self._keys.chat(call)
            if chat is not None and not chat.told:
                chat.told = True
                self._note(call, self._keys.of(call), None, chat.items, how.failure, stopped=how.stopped)

    async def close(self) -> None:
        await self._inner.close()

    def _note(
        self,
        call: Call,
        known: Known,
        value: object = None,
        items: list[object] | None = None,
        failure: tuple[str, str] | None = None,
        reads: Mapping[str, Read] | None = None,
        stopped: bool = False,
    ) -> None:
        if is_opaque(call):
            if failure is None and not (stopped and is_partial(call)):
                self._keys.made(call, value, known)
                return  # a chat is told at its end, and so is a call in parts
            value = None
        secret = tuple(label for label in self._keys.answer_labels(call, known) if label not in self._kept)
        if secret:
            value = mask(secret)
            items = None if items is None else list[object]([value] * min(1, len(items)))
        recorded = Recorded(
            known.name,
            known.key,
            call.operation.id,
            {name: masked(known, name, self._kept) for name in known.arguments},
            to_json(value),
            None if items is None else tuple(to_json(item) for item in items),
            failure if failure is None or not secret else (failure[0], mask(secret)),
            reads or {},
            stopped,
            secret,
            run_of(call),
        )
        self._sink(recorded)


class _How:
    """How a call ended: its `failure`, or that it was `stopped`; as a context manager around it."""

    failure: tuple[str, str] | None = None
    stopped = False

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, StageFailure | OutsideError):
            self.failure = _failure(error)
        elif isinstance(error, Exception):
            self.failure = ("crashed", type(error).__name__)  # a bug in the code behind the stage
        else:
            self.stopped = error is not None


class _Noting:
    """A stream that remembers what was read of it."""

    def __init__(self, stream: AsyncIterator[object]) -> None:
        self._stream = stream
        self.items: list[object] = []

    def __aiter__(self) -> _Noting:
        return self

    async def __anext__(self) -> object:
        item = await self._stream.__anext__()
        self.items.append(item)
        return item

    async def aclose(self) -> None:
        leave = getattr(self._stream, "aclose", None)
        if leave is not None:
            await leave()


def no_labels(operation: object, name: str | None) -> tuple[str, ...]:
    del operation, name
    return ()


def masked(known: Known, name: str, kept: Container[str]) -> object:
    """An argument as it is told."""
    secret = tuple(label for label in known.labels.get(name, ()) if label not in kept)
    return mask(secret) if secret else known.arguments[name]


def mask(labels: tuple[str, ...]) -> str:
    return "<" + " ".join(f"@{label}" for label in labels) + ">"


def _failure(failure: StageFailure | OutsideError) -> tuple[str, str]:
    reason = failure.reason
    return reason, failure.problem.title
