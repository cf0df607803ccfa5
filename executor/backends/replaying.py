"""The backend that gives recorded answers again: a program runs without its models and tools.

The answers to equal calls come in the order in which they were recorded, those of the same test first, the last of them
again and again. A call that was stopped goes silent after its items, so that what stopped it (a timeout, the faster
branch of a race) does so again. A call that is not on the cassette fails, and is told to `missing` as well: a fallback
that catches it must not hide it.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import replace
from difflib import SequenceMatcher
from typing import cast

import anyio

from ...base.problems import Problem
from ...ir.graph import Handle
from ...lang.types import StreamType, Type
from .. import problems
from ..cassettes import Cassette, Recorded
from ..kinds import StageFailure
from ..values import from_json
from . import Backend, Bound, Call
from .batches import singles
from .calls import PLAIN, Keys, Known, LabelsOf, Stand, is_ahead, is_opaque, is_partial, is_plain, run_of, streams_of
from .recording import masked, no_labels

REASON = "not_recorded"
_CLOSE = 0.3  # how much a recorded call must be like the one that is missing to be shown beside it
_COMPARED = 400  # characters of the arguments that are compared
_MOST_COMPARED = 200  # calls


class ReplayBackend:
    """Answers calls from a cassette. `inner` runs the stages that only compute; it is asked to open nothing."""

    def __init__(
        self,
        cassette: Cassette,
        inner: Backend,
        missing: Callable[[Problem], None] | None = None,
        labels: LabelsOf | None = None,
    ) -> None:
        self._inner = inner
        self._cassette = cassette
        self._missing = missing or _unheard
        self._keys = Keys(cassette.salt, labels or no_labels)
        self._answers: dict[str, list[Recorded]] = {}
        for answer in cassette.calls:
            self._answers.setdefault(answer.key, []).append(answer)

    async def open(self, handle: Handle) -> None:
        """Nothing is opened: what a model or index would say is on the cassette."""

    def immediate(self, entry: str) -> bool:
        return entry.partition(":")[0] in PLAIN and self._inner.immediate(entry)

    def now(self, call: Call) -> object:
        return self._inner.now(call)

    def bound(self, call: Call) -> Bound | None:
        return self._inner.bound(call)

    async def run(self, call: Call) -> object:
        if is_plain(call):
            return await self._inner.run(call)
        if is_ahead(call):
            return None
        if call.operation.name == "agent.detokenize":
            stand = await anext(cast("AsyncIterator[object]", call.arguments["tokens"]))
            assert isinstance(stand, Stand) and stand.answer is not None
            return await self._play(call, stand.answer)
        calls = singles(call)
        if calls is not None:
            chosen = [self._chosen(each, self._keys.of(each)) for each in calls]
            return tuple([await self._play(each, answer) for each, answer in zip(calls, chosen, strict=True)])
        known = self._keys.of(call)
        if call.operation.name == "agent.decode":
            return await self._send(call, (Stand(known, self._chosen(call, known)),))
        if is_partial(call):
            # Where it knows all that the call is known by, this is where the call takes its answer, or fails.
            answer = self._take(call, known.key, {})
            if answer is not None and answer.failure is not None and answer.items is None:
                raise _failed(call, answer)
            return Stand(known, answer)
        if is_opaque(call):
            failed = self._take(call, known.key, {})
            if failed is not None:
                raise _failed(call, failed)
            return Stand(known)
        stands = [value for value in call.arguments.values() if isinstance(value, Stand)]
        for answer in (stand.answer for stand in stands if stand.answer is not None):
            return await self._play(call, self._told(call, answer))
        streams = streams_of(call)
        read = {name: [item async for item in stream] for name, stream in streams.items()}
        return await self._play(call, self._chosen(call, known, read))

    async def close(self) -> None:
        await self._inner.close()

    def _chosen(self, call: Call, known: Known, read: Mapping[str, list[object]] | None = None) -> Recorded:
        """The answer to a call; raises where there is none that can be given."""
        answer = self._take(call, known.key, read or {})
        if answer is None:
            shown = _said(known.name, {n: masked(known, n, self._cassette.kept) for n in known.arguments})
            self._fail(problems.not_recorded(shown, self._nearest(known), self._cassette.programs, call.operation.span))
        assert answer is not None
        return self._told(call, answer)

    def _told(self, call: Call, answer: Recorded) -> Recorded:
        """The answer, if it is told, and was one."""
        if answer.masked:
            shown = _said(answer.name, answer.arguments)
            self._fail(problems.recorded_masked(shown, answer.masked, call.operation.span))
        if answer.failure is not None and answer.items is None:
            raise _failed(call, answer)
        return answer

    def _fail(self, problem: Problem) -> None:
        self._missing(problem)
        raise StageFailure(REASON, problem)

    def _take(self, call: Call, key: str, read: Mapping[str, list[object]]) -> Recorded | None:
        run = run_of(call)
        fitting = [
            answer
            for answer in self._answers.get(key, ())
            if all(
                self._keys.digest(read[name][: one.items]) == one.digest
                for name, one in answer.reads.items()
                if name in read
            )
        ]
        if not fitting:
            return None
        fitting.sort(key=lambda answer: answer.run != run)
        if sum((answer.run == run) == (fitting[0].run == run) for answer in fitting) > 1:
            self._answers[key].remove(fitting[0])
        return fitting[0]

    def _nearest(self, known: Known) -> str | None:
        """The recorded call that is most like one that is missing."""
        wanted = _said(known.name, known.arguments)[:_COMPARED]
        best, ratio = None, _CLOSE
        for answer in [one for one in self._cassette.calls if one.name == known.name][:_MOST_COMPARED]:
            said = _said(answer.name, answer.arguments)
            alike = SequenceMatcher(None, wanted, said[:_COMPARED], autojunk=False).ratio()
            if alike > ratio:
                best, ratio = said, alike
        return best

    async def _play(self, call: Call, answer: Recorded) -> object:
        kind = call.operation.results[0].type if call.operation.results else None
        if answer.items is not None and isinstance(kind, StreamType):
            await self._send(call, tuple(self._value(call, item, kind.element) for item in answer.items))
        if answer.failure is not None:
            raise _failed(call, answer)
        if answer.stopped:
            await anyio.sleep_forever()
        return None if call.streams or kind is None else self._value(call, answer.value, cast(Type, kind))

    def _value(self, call: Call, data: object, kind: Type) -> object:
        value, found = from_json(data, kind, call.shapes, call.operation.id)
        if found:
            raise StageFailure("bad_output", replace(found[0], span=call.operation.span))
        return value

    async def _send(self, call: Call, items: Sequence[object]) -> None:
        for item in items:
            await call.ready()
            call.send(item)


def _failed(call: Call, answer: Recorded) -> StageFailure:
    assert answer.failure is not None
    reason, title = answer.failure
    return StageFailure(reason, problems.recorded_failure(title, call.operation.span))


def _said(name: str, arguments: Mapping[str, object]) -> str:
    """A call as people would write it."""
    inside = ", ".join(f"{word}: {json.dumps(value, ensure_ascii=False)}" for word, value in arguments.items())
    return f"{name}({inside})"


def _unheard(problem: Problem) -> None:
    del problem
