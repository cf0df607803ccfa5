"""Stages as tasks of this process, run by the kinds of a library. A kind that computes long uses a thread itself."""

from __future__ import annotations

import inspect
import logging
from collections.abc import AsyncIterator, Awaitable, Coroutine, Mapping
from dis import get_instructions
from functools import partial
from inspect import iscoroutinefunction
from types import FunctionType, MethodType
from typing import cast

import anyio

from ...base.frozen import EMPTY
from ...ir.graph import Attribute, Handle, HandleName
from .. import problems
from ..kinds import Context, Kind, Kinds, StageFailure
from ..machine.orders import HandleValue
from . import Bound, Call

_LOG = logging.getLogger(__name__)
_FAREWELL = 10.0  # seconds that a stream or a handle has to let go of what it holds


class LocalBackend:
    """Runs kinds here. `kinds` loads each when its first stage starts."""

    def __init__(self, kinds: Kinds) -> None:
        self._kinds = kinds
        self._opened: dict[str, object] = {}

    async def open(self, handle: Handle) -> None:
        try:
            opener = self._kinds.opener(handle.entry)
        except KeyError:
            problem = problems.stage_unknown(handle.name, handle.entry, handle.span)
            raise StageFailure("unreachable", problem) from None
        arguments = {
            name: self._opened[value.name] if isinstance(value, HandleName) else value
            for name, value in handle.arguments.items()
        }
        self._opened[handle.name] = await opener(handle.name, arguments)

    async def run(self, call: Call) -> object:
        result = self._kind(call)(_context(call), self._resolved(call.arguments))
        if not call.streams:
            return await cast("Awaitable[object]", result)
        await _pump(cast("AsyncIterator[object]", result), call)
        return None

    def immediate(self, entry: str) -> bool:
        try:
            return never_waits(self._kinds.kind(entry))
        except Exception:
            return False  # `run` will say what is wrong with it

    def now(self, call: Call) -> object:
        running = cast(
            "Coroutine[object, None, object]", self._kind(call)(_context(call), self._resolved(call.arguments))
        )
        try:
            running.send(None)
        except StopIteration as end:
            return end.value
        running.close()
        raise AssertionError(f"{call.entry} waits, though nothing in it can")

    def bound(self, call: Call) -> Bound | None:
        return cast(Bound, partial(self._kind(call), _context(call)))

    async def close(self) -> None:
        # What was opened last may stand on what was opened first.
        while self._opened:
            name, value = self._opened.popitem()
            leave = getattr(value, "aclose", None) or getattr(value, "close", None)
            if leave is None:
                continue
            try:
                with anyio.move_on_after(_FAREWELL, shield=True):
                    done = leave()
                    if inspect.isawaitable(done):
                        await done
            except Exception:
                _LOG.exception("%s did not close cleanly", name)
        # A library may hold processes that serve its stages.
        end = getattr(self._kinds, "aclose", None)
        if end is not None:
            await end()

    def _kind(self, call: Call) -> Kind:
        try:
            return self._kinds.kind(call.entry)
        except KeyError:
            operation = call.operation
            problem = problems.stage_unknown(operation.id, call.entry, operation.span)
            raise StageFailure("unreachable", problem) from None

    def _resolved(self, arguments: Mapping[str, object]) -> dict[str, object]:
        resolved = dict(arguments)
        for name, value in arguments.items():
            if isinstance(value, HandleValue):
                resolved[name] = self._opened[value.name]
        return resolved


def never_waits(kind: Kind) -> bool:
    """Whether a kind is an `async def` in which nothing is awaited: it runs from its beginning to its end at once. One
    that is no plain function, or that awaits anything, may wait."""
    return (
        isinstance(kind, FunctionType | MethodType)
        and iscoroutinefunction(kind)
        and not any(step.opname in _WAITS for step in get_instructions(kind.__code__))
    )


_WAITS = frozenset({"GET_AWAITABLE", "GET_AITER", "GET_ANEXT", "BEFORE_ASYNC_WITH", "SEND", "YIELD_VALUE"})


def _context(call: Call) -> Context:
    operation = call.operation
    attributes = operation.attributes
    settings = cast("Mapping[str, Attribute]", attributes.get("settings") or EMPTY)
    if "schema" in attributes:
        settings = {**settings, "schema": attributes["schema"]}
    if "ahead" in attributes:
        settings = {**settings, "ahead": True}
    return Context(
        operation.id,
        call.usage,
        call.deadline,
        settings,
        operation.results[0].type if operation.results else None,
        call.shapes,
        call.session,
        cast("str | None", attributes.get("tool")),
        cast("tuple[str, ...]", attributes.get("effects") or ()),
        call.began,
        call.due,
        call.key,
    )


async def _pump(iterator: AsyncIterator[object], call: Call) -> None:
    """Hand over a stream item by item, the next only when there is room for it."""
    ready, send = call.ready, call.send
    following = iterator.__anext__
    try:
        while True:
            await ready()
            try:
                item = await following()
            except StopAsyncIteration:
                return
            send(item)
    finally:
        leave = getattr(iterator, "aclose", None)
        if leave is not None:
            with anyio.move_on_after(_FAREWELL, shield=True):
                await leave()
