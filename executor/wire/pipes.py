"""Channels between islands over the wire: a `Links` whose two ends are in two processes.

    links = WireLinks(link, link)        # in each of the two processes, with its end of one link
    open_islands(graphs, backends, links=links)

Each pipe is a channel of the wire that is named by run, channel and turn; whoever writes opens it, with the room that
the program's channel has. Values go as MessagePack: what a program's values are made of, and failures; a value that
only means something where it was made (a KV cache) is refused by name, and one that is still made is sent when it is
whole. Where the session is lost, who waits for the
other side fails as `unreachable`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Container
from typing import Any, TypeAlias, cast

import msgspec

from ...base.audio import Audio
from ...base.problems import Problem, Severity
from ...base.source import Span
from ...ir.graph import Channel
from ..island_problems import tier_gone, value_stays
from ..kinds import StageFailure
from ..links import END, Pipe, Turn, Unfinished
from ..machine.faults import Failure
from .ends import Incoming, Outgoing
from .link import Link
from .problems import WireProblem

VALUE = 3
"""The form of an item that is a value of a program."""
MOST_DEPTH = 64
PIPE = "pipe"
"""The name of the wire's channels that are pipes."""

_FAILURE, _SOUND = 1, 2
_encode = msgspec.msgpack.Encoder().encode
_about = msgspec.msgpack.Decoder(tuple[int, str, tuple[int, ...]]).decode
_sound = msgspec.msgpack.Decoder(tuple[int, bytes]).decode
_Place: TypeAlias = tuple[str, int, int, int, int, int, int]
_failure = msgspec.msgpack.Decoder(tuple[str, str | None, bool, str, str, _Place | None, str | None, str | None]).decode


def encoded(value: object) -> bytes:
    """WireProblem `bad-value` for what cannot cross, `too-deep`."""
    try:
        return _encode(_plain(value, 0))
    except (TypeError, ValueError, OverflowError):
        raise WireProblem("bad-value", f"a value of the type {type(value).__name__} cannot leave its process") from None


def decoded(body: bytes | memoryview) -> object:
    """WireProblem `malformed` for what is no value, `too-deep`."""
    try:
        return _value(_read(body), 0)
    except (msgspec.DecodeError, ValueError, RecursionError):
        raise WireProblem("malformed", "what came is no value") from None


def _plain(value: object, depth: int) -> Any:
    if depth > MOST_DEPTH:
        raise WireProblem("too-deep", f"a value is nested more than {MOST_DEPTH} deep")
    if value is None or isinstance(value, str | bool | int | float | bytes):
        return value
    if isinstance(value, tuple | list):
        return [_plain(each, depth + 1) for each in cast("tuple[object, ...]", value)]
    if isinstance(value, dict):
        known = cast("dict[object, object]", value)
        return {_plain(key, depth + 1): _plain(each, depth + 1) for key, each in known.items()}
    if isinstance(value, Audio):
        return msgspec.msgpack.Ext(_SOUND, _encode((value.rate, value.pcm)))
    if isinstance(value, Failure):
        problem, span = value.problem, value.problem.span
        place = None
        if span is not None:
            place = (span.path, span.start, span.end, span.line, span.column, span.end_line, span.end_column)
        why = (problem.slug, problem.title, place, problem.hint, problem.detail)
        return msgspec.msgpack.Ext(_FAILURE, _encode((value.reason, value.stage, value.final, *why)))
    raise TypeError


def _extended(code: int, data: memoryview) -> object:
    if code == _SOUND:
        rate, pcm = _sound(data)
        return Audio(pcm, rate)
    if code != _FAILURE:
        raise ValueError(code)
    reason, stage, final, slug, title, place, hint, detail = _failure(data)
    span = None if place is None else Span(*place)
    return Failure(reason, Problem(slug, title, span, Severity.ERROR, hint, detail=detail), stage, final)


_read = msgspec.msgpack.Decoder(ext_hook=_extended).decode


def _value(read: Any, depth: int) -> object:
    if depth > MOST_DEPTH:
        raise WireProblem("too-deep", f"a value is nested more than {MOST_DEPTH} deep")
    if isinstance(read, list | tuple):
        return tuple(_value(each, depth + 1) for each in cast("list[object]", read))
    if isinstance(read, dict):
        return {key: _value(each, depth + 1) for key, each in cast("dict[object, object]", read).items()}
    return read


class WirePipe:
    """One end of a pipe, or both where both are here."""

    def __init__(self, link: Link, channel: Channel, about: bytes) -> None:
        self._link = link
        self._about = about
        self._channel = channel.name
        self._room = channel.buffer
        self._opening: asyncio.Task[Outgoing] | None = None
        self._arrived: asyncio.Future[Incoming] = link.loop.create_future()
        self._left = False

    async def put(self, item: object) -> bool:
        body = await self._written(item)
        try:
            await (await self._out()).send(body, form=VALUE)
        except WireProblem as problem:
            if problem.name == "cancelled":
                return False
            raise self._gone(problem) from None
        return True

    async def _written(self, item: object) -> bytes:
        try:
            return encoded(item)
        except WireProblem as problem:
            if isinstance(item, Unfinished):
                return await self._written(await item.finished())
            raise StageFailure("bad_value", value_stays(self._channel, str(problem))) from None

    def end(self) -> None:
        # A stream without items is opened to be ended.
        self._open().add_done_callback(_end)

    async def unread(self) -> None:
        try:
            await (await self._out()).left()
        except WireProblem as problem:
            raise self._gone(problem) from None
        if self._link.over:
            raise self._gone(self._link.why())

    async def get(self) -> object:
        try:
            item = await (await asyncio.shield(self._arrived)).get()
        except WireProblem as problem:
            raise self._gone(problem) from None
        return END if item is None else decoded(item.body)

    def leave(self) -> None:
        self._left = True
        arrived = self._arrived
        if arrived.done() and not arrived.cancelled() and arrived.exception() is None:
            arrived.result().leave()

    # --- for the links ---

    def arrived(self, incoming: Incoming) -> None:
        if self._left or self._arrived.done():
            incoming.leave()
        if not self._arrived.done():
            self._arrived.set_result(incoming)

    def over(self) -> None:
        self.leave()
        self._arrived.cancel()
        if self._opening is not None:
            self.end()

    def lost(self, problem: WireProblem) -> None:
        """Nothing comes any more."""
        if not self._arrived.done():
            self._arrived.set_exception(problem)
            self._arrived.exception()  # whoever waits gets it, and nobody has to

    def _gone(self, problem: WireProblem) -> StageFailure:
        return StageFailure("unreachable", tier_gone(self._channel, str(problem)))

    def _open(self) -> asyncio.Task[Outgoing]:
        if self._opening is None:
            self._opening = asyncio.ensure_future(self._link.open(PIPE, items=self._room, about=self._about))
        return self._opening

    async def _out(self) -> Outgoing:
        return await asyncio.shield(self._open())


def _end(opening: asyncio.Task[Outgoing]) -> None:
    if not opening.cancelled() and opening.exception() is None:
        opening.result().end()


class WireLinks:
    """`writing` is the link that pipes are opened on, `reading` the one that they come in on: the same one where the
    other end is in another process. Whoever reads a link's channels itself (`take` is false) gives those named `PIPE`
    to `took`, and says when the link is `lost`."""

    def __init__(self, writing: Link, reading: Link, *, take: bool = True) -> None:
        self.writing, self._reading = writing, reading
        self._pipes: dict[int, dict[bytes, WirePipe]] = {}
        self._early: dict[bytes, Incoming] = {}
        self._taking = asyncio.ensure_future(self._take(reading)) if take else None

    def pipe(self, run: int, channel: Channel, turn: Turn) -> Pipe:
        about = _encode((run, channel.name, turn))
        pipes = self._pipes.setdefault(run, {})
        known = pipes.get(about)
        if known is None:
            known = pipes[about] = WirePipe(self.writing, channel, about)
            if self._reading.over:
                known.lost(self._reading.why())
            early = self._early.pop(about, None)
            if early is not None:
                known.arrived(early)
        return known

    def over(self, run: int) -> None:
        for pipe in self._pipes.pop(run, {}).values():
            pipe.over()
        for about in [about for about in self._early if _about(about)[0] == run]:
            self._early.pop(about).leave()

    def took(self, incoming: Incoming, over: Container[int] = ()) -> None:
        """A channel of the other side's. It may come before its run begins here; runs that are `over` have none."""
        try:
            run, _, _ = _about(incoming.about)
        except (msgspec.DecodeError, ValueError):
            incoming.leave("malformed")
            return
        known = self._pipes.get(run, {}).get(incoming.about)
        if known is not None:
            known.arrived(incoming)
        elif run in over:
            incoming.leave()
        else:
            self._early[incoming.about] = incoming

    def lost(self, problem: WireProblem) -> None:
        """Nothing comes any more."""
        for pipes in self._pipes.values():
            for pipe in pipes.values():
                pipe.lost(problem)

    def close(self) -> None:
        if self._taking is not None:
            self._taking.cancel()
        for run in tuple(self._pipes):
            self.over(run)

    async def _take(self, reading: Link) -> None:
        while (incoming := await reading.accept()) is not None:
            self.took(incoming)
        self.lost(reading.why())
