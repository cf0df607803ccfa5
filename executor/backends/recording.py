"""The backend that writes answers down: every call of a model or tool that is over, with its answer.

Reading ahead of a stage changes nothing: a stream is noted as the stage reads it. What carries a label is masked: in
place of such an argument or answer stands `<@label>`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Container, Mapping
from dataclasses import replace

from ...base.problems import OutsideError
from ...ir.graph import Handle
from ..cassettes import Read, Recorded
from ..kinds import StageFailure
from ..values import to_json
from . import Backend, Call
from .calls import Keys, Known, LabelsOf, is_opaque, is_plain, run_of, streams_of

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
        known = self._keys.of(call)
        try:
            value = self._inner.now(call)
        except (StageFailure, OutsideError) as failure:
            self._note(call, known, failure=_failure(failure))
            raise
        self._note(call, known, value)
        return value

    async def run(self, call: Call) -> object:
        if is_plain(call):
            return await self._inner.run(call)
        known = self._keys.of(call)
        self._keys.sends(call, known)
        in_chat = call.operation.name in ("agent.decode", "agent.detokenize")
        reading = {name: _Noting(stream) for name, stream in streams_of(call).items()}
        items: list[object] | None = [] if call.streams else None

        def send(item: object) -> None:
            assert items is not None
            items.append(item)
            call.send(item)

        failure: tuple[str, str] | None = None
        value: object = None
        over = False
        try:
            value = await self._inner.run(replace(call, arguments={**call.arguments, **reading}, send=send))
            over = True
        except (StageFailure, OutsideError) as failed:
            failure = _failure(failed)
            over = True
            raise
        except Exception as error:  # a bug in the stage's code ends the run; a cassette does not repeat it
            failure = ("crashed", type(error).__name__)
            raise
        finally:
            if call.operation.name == "agent.detokenize":
                known = self._keys.of(call)  # it may have begun before its tokens did
            reads = {} if in_chat else {n: Read(len(r.items), self._keys.digest(r.items)) for n, r in reading.items()}
            self._note(call, known, value, items, failure, reads, stopped=not over and failure is None)
        return value

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
        if is_opaque(call) or call.operation.name == "agent.decode":
            # A chat is told at its end, unless it does not come so far.
            if failure is None:
                if is_opaque(call):
                    self._keys.made(value, known)
                return
            value = items = None
        if known.unlinked:
            return  # it was stopped before its chat had begun
        secret = tuple(label for label in self._keys.answer_labels(call, known) if label not in self._kept)
        if secret:
            value = mask(secret)
            items = None if items is None else [value] * min(1, len(items))
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
    reason = failure.reason if isinstance(failure, StageFailure) else "unreachable"
    return reason, failure.problem.title
