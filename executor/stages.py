"""The stages and input streams of one shell while they run: each is a task in a cancel scope of its own, that tells
what becomes of it. No exception leaves a stage's task, so nobody meets an exception group.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterable, Callable, Coroutine
from functools import partial
from typing import TYPE_CHECKING, Any, cast

import anyio

from . import observers as watch
from .at_once import AtOnce
from .backends import Backend, Call
from .failures import blamed, input_failed, stage_failed
from .kinds import Usage
from .machine import events, orders
from .observers import Watchers
from .streams import Credits, InputStream
from .turns import InTurns, Turn
from .values import Shapes

if TYPE_CHECKING:
    from .shell import Shell

_LOG = logging.getLogger(__name__)


class _Live:
    """A stage that runs: the scope that stops it, the credits that hold it back, the streams that it reads."""

    __slots__ = ("credits", "items", "readers", "run", "scope", "stage", "stopped", "turn", "usage")

    def __init__(self, run: int, stage: str, credits: int, turn: Turn | None) -> None:
        self.run = run
        self.stage = stage
        self.scope = anyio.CancelScope()
        self.turn = turn
        self.credits = Credits(credits, turn)
        self.readers: list[int] = []
        self.usage = Usage()
        self.items = 0
        self.stopped = False


class Stages:
    """Does what the machine orders of stages and streams. `keep` is given each result of a run. `in_turns`: what a
    stage makes and takes is told when it waits, and not item by item."""

    def __init__(
        self,
        shell: Shell,
        backend: Backend,
        shapes: Shapes,
        watchers: Watchers,
        now: Callable[[], float],
        tell: Callable[[events.Event], None],
        spawn: Callable[..., None],
        keep: Callable[[int, object], None],
        in_turns: bool,
    ) -> None:
        self._in_turns = in_turns
        self._shell = shell
        self._backend = backend
        self._shapes = shapes
        self._watchers = watchers
        self._now = now
        self._tell = tell
        self._spawn = spawn
        self._keep = keep
        self.at_once = AtOnce(backend, shapes, watchers, now, tell, keep)
        self._live: dict[int, _Live] = {}
        self._streams: dict[int, InputStream] = {}
        self._sources: dict[tuple[int, str], AsyncIterable[object]] = {}

    # --- stages ---

    def start(self, order: orders.StartStage) -> None:
        if not (order.streams or order.reads) and self.at_once.start(order):
            return
        turn = self._turn(order.stage) if order.streams or order.reads else None
        live = _Live(order.run, order.operation.id, order.credits, turn)
        self._live[order.stage] = live
        arguments: dict[str, object] = {}
        for name, value in order.arguments.items():
            if isinstance(value, orders.StreamInput):
                live.readers.append(value.reader)
                self._streams[value.reader] = arguments[name] = InputStream(self._shell, value.reader, turn)
            else:
                arguments[name] = value

        def send(item: object) -> None:
            live.credits.spend()
            self._item(order.stage, live, item)

        call = Call(
            order.stage,
            order.operation,
            order.index,
            order.entry,
            arguments,
            order.streams,
            order.deadline,
            live.usage,
            live.credits.ready,
            send,
            order.session,
            self._shapes,
            order.began,
            order.run,
            order.due,
        )
        if self._watchers:
            self._watchers.tell(
                lambda o: o.stage_started(
                    watch.StageStarted(order.run, order.stage, live.stage, order.index, order.entry, self._now())
                )
            )
        self._spawn(self._stage, live, call)

    async def _stage(self, live: _Live, call: Call) -> None:
        over: events.Event | None = None
        try:
            with live.scope:
                work = self._backend.run(call)
                turn = live.turn
                value = await (work if turn is None else InTurns(cast("Coroutine[Any, Any, object]", work), turn))
                self._keep(live.run, value)
                over = events.StageEnded(self._now(), call.number, value, live.usage.counts)
        except KeyboardInterrupt:
            self._shell.interrupt()
        except Exception as error:
            failed = stage_failed(error, live.stage, call.operation.span)
            if live.stopped:
                _LOG.debug("%s failed after it was stopped: %s", live.stage, failed[1].slug)
            over = events.StageFailed(self._now(), call.number, *failed, live.usage.counts, blamed(error))
        finally:
            self._over(call.number, live, over)

    def start_input(self, order: orders.StartInput) -> None:
        live = _Live(order.run, order.name, order.credits, None)
        self._live[order.stage] = live
        self._spawn(self._input, order, live, self._sources.pop((order.run, order.name)))

    async def _input(self, order: orders.StartInput, live: _Live, source: AsyncIterable[object]) -> None:
        over: events.Event | None = None
        iterator = source.__aiter__()
        try:
            with live.scope:
                while True:
                    await live.credits.ready()
                    try:
                        item = await iterator.__anext__()
                    except StopAsyncIteration:
                        break
                    live.credits.spend()
                    self._item(order.stage, live, item)
                over = events.StageEnded(self._now(), order.stage)
        except Exception as error:
            over = events.StageFailed(self._now(), order.stage, *input_failed(error, order.name))
        finally:
            self._over(order.stage, live, over)

    def _item(self, number: int, live: _Live, item: object) -> None:
        now = self._now()
        live.items += 1
        if live.items == 1 and self._watchers:
            self._watchers.tell(lambda o: o.first_item(watch.FirstItem(live.run, number, live.stage, now)))
        turn = live.turn
        if turn is not None and turn.going:
            turn.made.append(item)
        else:
            self._tell(events.StageItem(now, number, item))

    def _turn(self, number: int) -> Turn | None:
        return Turn(self._now, partial(self._told, number)) if self._in_turns else None

    def _told(self, number: int, made: list[object], taken: dict[int, int]) -> None:
        now = self._now()
        for reader, count in taken.items():
            self._tell(events.Taken(now, reader, count))
        if len(made) == 1:
            self._tell(events.StageItem(now, number, made[0]))
        elif made:
            self._tell(events.StageItems(now, number, made))

    def _over(self, number: int, live: _Live, over: events.Event | None) -> None:
        """The stage's task is leaving. Without an event it was cancelled: by us, or together with the whole shell."""
        if over is None:
            if not live.stopped:
                self._tell(events.CancelRequested(self._now(), live.run, "interrupted"))
            over = events.StageStopped(self._now(), number, live.usage.counts)
        del self._live[number]
        for reader in live.readers:
            del self._streams[reader]
        if self._watchers:
            how = "stopped" if live.stopped else "ended" if isinstance(over, events.StageEnded) else "failed"
            usage = dict(live.usage.counts)
            event = watch.StageOver(live.run, number, live.stage, how, live.items, usage, over.at)
            self._watchers.tell(lambda o: o.stage_over(event))
        self._tell(over)

    def stop(self, order: orders.StopStage) -> None:
        live = self._live.get(order.stage)
        if self.at_once.stop(order.stage):
            self._tell(events.StageStopped(self._now(), order.stage))
        # One that ran at once has ended, and the machine is about to hear of it.
        elif live is not None:
            live.stopped = True
            live.scope.cancel()

    # --- streams ---

    def grant(self, order: orders.Grant) -> None:
        live = self._live.get(order.stage)
        if live is not None:
            live.credits.add(order.credits)

    def deliver(self, order: orders.Deliver) -> None:
        stream = self._streams.get(order.reader)
        if stream is not None:
            stream.put(order.item)

    def deliver_several(self, order: orders.DeliverItems) -> None:
        stream = self._streams.get(order.reader)
        if stream is not None:
            stream.put_several(order.items)

    def deliver_end(self, order: orders.DeliverEnd) -> None:
        stream = self._streams.get(order.reader)
        if stream is not None:
            stream.end()

    def withdraw(self, order: orders.Withdraw) -> None:
        if order.reader in self._streams:
            self._streams[order.reader].withdraw(order.places)

    # --- what callers give ---

    def give(self, run: int, name: str, source: AsyncIterable[object]) -> None:
        """The stream that a caller gives for a parameter."""
        self._sources[run, name] = source

    def forget(self, run: int) -> None:
        """The run is over: what it has not read is not read any more."""
        for key in [key for key in self._sources if key[0] == run]:
            del self._sources[key]
