"""Backends that write answers down, and that give them again: tests without models, cassettes, and `given` answers.

A call is known by its name (the tool's, or the entry) and its arguments. Handles count by name. A value that has no
JSON form, such as a KV cache, counts as the call that made it, so that a whole chat is known by its prompt; when it is
played back, a `Stand` takes its place. A stream that a call reads is compared by the items that were read when it was
recorded.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import cast

import anyio

from ...base.problems import OutsideError, Problem
from ...ir.graph import Handle, HandleName, KvType, TokensType
from ...lang.types import StreamType, Type
from .. import problems
from ..cassettes import Read, Recorded, digest
from ..kinds import StageFailure
from ..machine.orders import HandleValue
from ..values import from_json, to_json
from . import Backend, Call

Sink = Callable[[Recorded], None]
Mask = Callable[[Call, "str | None", object], object]
"""What is written down in place of a value: an argument by its name, or an answer (None)."""


@dataclass(frozen=True, slots=True)
class Stand:
    """Stands for a value that has no JSON form: `made` is the key of the call that made it. `answer` is what the chat
    that it belongs to will say, where that is given."""

    made: str
    answer: object = None
    given: bool = False

    async def release(self) -> None:
        """There is nothing to let go of."""


@dataclass(frozen=True, slots=True)
class Given:
    """An answer that a test gives: to the tool or stage `name` (`order`, `text:redact`, `writer.chat` by its handle),
    called with these arguments among others. `value` is a runtime value; for a stream a sequence of its items."""

    name: str
    value: object
    arguments: Mapping[str, object] = field(default_factory=dict[str, object])


def name_of(call: Call) -> str:
    return str(call.operation.attributes.get("tool") or call.entry)


def streams_of(call: Call) -> dict[str, AsyncIterator[object]]:
    return {
        name: cast("AsyncIterator[object]", value)
        for name, value in call.arguments.items()
        if hasattr(value, "__anext__")
    }


class _Keys:
    """Keys of calls, and of the opaque values that they made."""

    def __init__(self) -> None:
        self._made: dict[int, tuple[object, str]] = {}

    def of(self, call: Call) -> tuple[str, dict[str, object]]:
        """The call's key, and its arguments as JSON data, those that are streams left out."""
        streams = streams_of(call)
        arguments = {name: self.plain(value) for name, value in call.arguments.items() if name not in streams}
        return digest([name_of(call), arguments, sorted(streams)]), arguments

    def made(self, value: object, key: str) -> None:
        # The value is kept, so that no other gets its identity.
        self._made[id(value)] = (value, key)

    def plain(self, value: object) -> object:
        if isinstance(value, HandleValue):
            return {"handle": value.name}
        if isinstance(value, Stand):
            return {"of": value.made}
        if id(value) in self._made:
            return {"of": self._made[id(value)][1]}
        return to_json(value)


def _opaque(call: Call) -> bool:
    results = call.operation.results
    return bool(results) and isinstance(results[0].type, KvType | TokensType)


class RecordingBackend:
    """Runs calls by `inner`, and gives each to `sink` when it is over. Reading ahead of a stage changes nothing: a
    stream is noted as the stage reads it. A stream that was stopped is recorded as far as it went."""

    def __init__(self, inner: Backend, sink: Sink, mask: Mask | None = None) -> None:
        self._inner = inner
        self._sink = sink
        self._mask: Mask = mask or _as_it_is
        self._keys = _Keys()

    async def open(self, handle: Handle) -> None:
        await self._inner.open(handle)

    def immediate(self, entry: str) -> bool:
        return self._inner.immediate(entry)

    def now(self, call: Call) -> object:
        key, shown = self._keys.of(call)
        try:
            value = self._inner.now(call)
        except (StageFailure, OutsideError) as failure:
            self._note(call, key, shown, None, None, _failure(failure), {})
            raise
        self._note(call, key, shown, value, None, None, {})
        return value

    async def run(self, call: Call) -> object:
        key, shown = self._keys.of(call)
        reading = {name: _Noting(stream) for name, stream in streams_of(call).items()}
        items: list[object] | None = [] if call.streams else None

        def send(item: object) -> None:
            assert items is not None
            items.append(item)
            call.send(item)

        failed: tuple[str, str] | None = None
        value: object = None
        over = False
        try:
            value = await self._inner.run(replace(call, arguments={**call.arguments, **reading}, send=send))
            over = True
        except (StageFailure, OutsideError) as failure:
            failed = _failure(failure)
            over = True
            raise
        finally:
            if over or items:
                reads = {name: Read(len(one.items), digest(one.items)) for name, one in reading.items()}
                self._note(call, key, shown, value, items, failed, reads)
        return value

    async def close(self) -> None:
        await self._inner.close()

    def _note(
        self,
        call: Call,
        key: str,
        shown: dict[str, object],
        value: object,
        items: list[object] | None,
        failed: tuple[str, str] | None,
        reads: Mapping[str, Read],
    ) -> None:
        if _opaque(call):
            self._keys.made(value, key)
            if failed is None and isinstance(call.operation.results[0].type, KvType):
                return  # nobody would learn anything from it
            value = {"of": key}
        elif items is None:
            value = self._mask(call, None, value)
        masked = {name: self._mask(call, name, argument) for name, argument in shown.items()}
        given = None if items is None else tuple(self._mask(call, None, item) for item in items)
        self._sink(Recorded(name_of(call), key, call.operation.id, masked, to_json(value), given, failed, reads))


class ReplayBackend:
    """Answers calls from what was recorded and given. The answers to equal calls come in the order in which they were
    recorded, the last of them again and again. What is not there is run by `inner`, or fails with `unreachable`.

    Handles are opened when `inner` first needs them, so that a test whose answers are all there loads no model.
    """

    def __init__(
        self, answers: Iterable[Recorded] = (), inner: Backend | None = None, given: Sequence[Given] = ()
    ) -> None:
        self._inner = inner
        self._given = tuple(given)
        self._keys = _Keys()
        self._answers: dict[str, list[Recorded]] = {}
        for answer in answers:
            self._answers.setdefault(answer.key, []).append(answer)
        self._handles: dict[str, Handle] = {}
        self._opened: set[str] = set()
        self._opening = anyio.Lock()

    async def open(self, handle: Handle) -> None:
        self._handles[handle.name] = handle

    def immediate(self, entry: str) -> bool:
        del entry
        return False

    def now(self, call: Call) -> object:
        del call
        raise AssertionError("no entry is immediate")

    async def run(self, call: Call) -> object:
        key, _ = self._keys.of(call)
        given = self._given_for(call)
        if given is not None:
            return await self._give(call, key, given)
        stands = [value for value in call.arguments.values() if isinstance(value, Stand)]
        if any(stand.given for stand in stands):
            return await self._chat(call, key, next(stand for stand in stands if stand.given))
        streams = streams_of(call)
        read = {name: [item async for item in stream] for name, stream in streams.items()}
        for items in read.values():
            if items and isinstance(items[0], Stand):
                return await self._send(call, (items[0].answer,))
        answer = self._answer(key, read)
        if answer is not None:
            return await self._play(call, answer, key)
        if _opaque(call) and (self._inner is None or stands):
            return Stand(key)
        if self._inner is None or stands:
            raise StageFailure("unreachable", problems.no_answer(call.operation.id, name_of(call), call.operation.span))
        await self._open_for(call)
        again = {name: _again(items) for name, items in read.items()}
        return await self._inner.run(replace(call, arguments={**call.arguments, **again}))

    async def close(self) -> None:
        if self._inner is not None:
            await self._inner.close()

    # --- recorded ---

    def _answer(self, key: str, read: Mapping[str, list[object]]) -> Recorded | None:
        fitting = [
            answer
            for answer in self._answers.get(key, ())
            if all(digest(read[name][: one.items]) == one.digest for name, one in answer.reads.items() if name in read)
        ]
        if not fitting:
            return None
        if len(fitting) > 1:
            self._answers[key].remove(fitting[0])
        return fitting[0]

    async def _play(self, call: Call, answer: Recorded, key: str) -> object:
        if _opaque(call) and answer.failure is None:
            return Stand(key)
        kind = call.operation.results[0].type if call.operation.results else None
        if answer.items is not None and isinstance(kind, StreamType):
            await self._send(call, tuple(self._value(call, item, kind.element) for item in answer.items))
        if answer.failure is not None:
            reason, title = answer.failure
            raise StageFailure(reason, Problem("recorded-failure", title, call.operation.span))
        return None if call.streams or kind is None else self._value(call, answer.value, cast(Type, kind))

    def _value(self, call: Call, data: object, kind: Type) -> object:
        value, found = from_json(data, kind, call.shapes, call.operation.id)
        if found:
            raise StageFailure("bad_output", found[0])
        return value

    async def _send(self, call: Call, items: Sequence[object]) -> object:
        for item in items:
            await call.ready()
            call.send(item)
        return None

    async def _open_for(self, call: Call) -> None:
        assert self._inner is not None
        async with self._opening:
            todo = [value.name for value in call.arguments.values() if isinstance(value, HandleValue)]
            order: list[str] = []
            while todo:
                name = todo.pop()
                order.append(name)
                todo += [v.name for v in self._handles[name].arguments.values() if isinstance(v, HandleName)]
            for name in reversed(order):
                if name not in self._opened:
                    await self._inner.open(self._handles[name])
                    self._opened.add(name)

    # --- given ---

    def _given_for(self, call: Call) -> Given | None:
        names = {name_of(call)}
        receiver = call.arguments.get("self")
        if isinstance(receiver, HandleValue) and call.operation.name in ("agent.tokenize", "agent.chat"):
            names.add(f"{receiver.name}.chat")
        for given in self._given:
            if given.name in names and all(
                name in call.arguments and to_json(call.arguments[name]) == to_json(value)
                for name, value in given.arguments.items()
            ):
                return given
        return None

    async def _give(self, call: Call, key: str, given: Given) -> object:
        if _opaque(call):
            return Stand(key, given.value, given=True)
        if not call.streams:
            return given.value
        value = given.value
        several = isinstance(value, list | tuple)
        return await self._send(call, cast("Sequence[object]", value) if several else (value,))

    async def _chat(self, call: Call, key: str, stand: Stand) -> object:
        """A chat whose answer is given goes on as a stand through its cache and its decoding, to the text."""
        if not call.streams:
            return replace(stand, made=key)
        value = stand.answer
        structured = "schema" in call.operation.attributes or not isinstance(value, str)
        text = json.dumps(to_json(value), ensure_ascii=False) if structured else value
        return await self._send(call, (replace(stand, answer=text),))


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


def _as_it_is(call: Call, name: str | None, value: object) -> object:
    del call, name
    return value


def _failure(failure: StageFailure | OutsideError) -> tuple[str, str]:
    reason = failure.reason if isinstance(failure, StageFailure) else "unreachable"
    return reason, failure.problem.title


async def _again(items: list[object]) -> AsyncIterator[object]:
    for item in items:
        yield item
