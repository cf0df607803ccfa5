"""The acting half of the executor: it holds the only task group, performs the machine's orders through a backend, and
tells the machine what happened. It decides nothing.

    async with open_shell(deployment, LocalBackend(kinds)) as shell:
        async for frame in shell.run("hello", {"name": "Ada"}):
            ...

What stages and streams do is in `stages`. Everything runs in one event loop and `_tell` never waits, so the machine
sees one event after another.
"""

from __future__ import annotations

import inspect
import logging
import signal
from collections import deque
from collections.abc import AsyncIterable, Callable, Coroutine, Iterable, Mapping
from dataclasses import replace
from random import Random
from types import TracebackType
from typing import Any, cast

import anyio
from anyio.abc import TaskGroup, TaskStatus

from ..ir.graph import walk
from . import observers as watch
from .asking import People
from .backends import Backend
from .blame import blamed
from .clock import Clock, LoopClock
from .deployment import Deployment
from .failures import handle_failed
from .frames import End, Item, ProblemFrame, Start
from .fusing import fused_for
from .kinds import Releasable
from .looking import look
from .machine import Machine, events, orders
from .observers import Observer, Watchers
from .running import Approver, Runner, Running
from .stages import Stages
from .timer import Timer
from .values import Shapes

_LOG = logging.getLogger(__name__)


def open_shell(
    deployment: Deployment,
    backend: Backend,
    *,
    observers: Iterable[Observer] = (),
    clock: Clock | None = None,
    signals: Iterable[signal.Signals] = (),
    luck: Callable[[], float] | None = None,
) -> Shell:
    """A shell to be used in `async with`. While it is open, the first of `signals` (SIGINT, say) interrupts its runs,
    each of which ends with the outcome `interrupted`; from then on the signal does what it did before. `luck` gives
    numbers from 0 to 1, for the jitter of retries; a simulation gives its own."""
    return Shell(deployment, backend, tuple(observers), clock or LoopClock(), tuple(signals), luck or Random().random)


class Shell(Runner):
    """See `open_shell`."""

    def __init__(
        self,
        deployment: Deployment,
        backend: Backend,
        observers: tuple[Observer, ...],
        clock: Clock,
        signals: tuple[signal.Signals, ...],
        luck: Callable[[], float],
    ) -> None:
        deployment = replace(deployment, graph=fused_for(deployment.graph, backend))
        self.deployment = deployment
        self._in_turns = self._bunches()
        self._machine = Machine(deployment, luck, bunches=self._in_turns)
        self._backend = backend
        self._watchers = Watchers(observers)
        self._now = clock.now
        self._signals = signals
        self._group: TaskGroup | None = None
        self._runs: dict[int, Running] = {}
        self._numbers = 0
        self._releases: dict[int, list[object]] = {}
        self._told: deque[events.Event] = deque()
        self._telling = False
        self._closing = False
        self._broken = False  # the machine raised: a bug, and nothing will end by itself any more
        self._timer = Timer(clock, self._tell)
        self._people = People(self._tell, self._now, self._spawn)
        self._stages = Stages(
            *(self, backend, Shapes.of(deployment.graph), self._watchers, self._now),
            *(self._tell, self._spawn, self._keep, self._in_turns),
        )
        self._at_once = self._stages.at_once
        self._perform: dict[type, Callable[[Any], None]] = {
            orders.OpenHandle: self._open_handle,
            orders.StartStage: self._stages.start,
            orders.StartInput: self._stages.start_input,
            orders.StopStage: self._stages.stop,
            orders.LetGo: self._let_go_early,
            orders.Grant: self._stages.grant,
            orders.Deliver: self._stages.deliver,
            orders.DeliverItems: self._stages.deliver_several,
            orders.DeliverEnd: self._stages.deliver_end,
            orders.Withdraw: self._withdraw,
            orders.AskPerson: self._people.ask,
            orders.StopAsking: self._people.stop,
            orders.EmitItem: self._emit_item,
            orders.SetTimer: self._timer.set,
            orders.CancelTimer: self._timer.cancel,
            orders.FinishRun: self._finish_run,
        }

    # --- for callers ---

    async def __aenter__(self) -> Shell:
        self._group = anyio.create_task_group()
        await self._group.__aenter__()
        self._now()  # from here on the clock can be read in other threads too
        self._watchers.tell(lambda o: o.opened(lambda: look(self._machine, self._now())))
        self._group.start_soon(self._timer.run)
        self._group.start_soon(self._at_once.in_turns)
        if self._signals:
            await self._group.start(self._listen)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        group = self._group
        assert group is not None
        self._closing = True
        try:
            self.interrupt()
            # Stopped stages are gone within one of their steps; only then is the task group itself cancelled.
            with anyio.CancelScope(shield=True):
                for running in tuple(self._runs.values()):
                    if not self._broken:
                        await running.over.wait()
        finally:
            group.cancel_scope.cancel()
            try:
                await group.__aexit__(None, None, None)
            except BaseExceptionGroup as several:
                raise _first(several) from None
            finally:
                with anyio.CancelScope(shield=True):
                    await self._backend.close()

    def start(
        self,
        pipeline: str,
        inputs: Mapping[str, object],
        timeout: float | None = None,
        *,
        session: str | None = None,
        approve: Approver | None = None,
    ) -> Running:
        """Start a run; its frames wait in the `Running`. `inputs` are runtime values by parameter name (`values.bind`
        makes them), an async iterable where the parameter is a stream; `timeout` in seconds. A new run of a `session`
        interrupts what is interruptible in those before it. `approve` asks a person what the program has to ask;
        without it everything is denied. KeyError for an unknown pipeline."""
        if self._group is None or self._closing:
            raise RuntimeError("the shell is not open")
        self._machine.prepared(pipeline)
        self._numbers += 1
        running = self._running(self._numbers)
        self._runs[running.number] = running
        values: dict[str, object] = {}
        for name, value in inputs.items():
            if isinstance(value, AsyncIterable):
                self._stages.give(running.number, name, cast("AsyncIterable[object]", value))
            else:
                values[name] = value
        running.put(Start(running.number, pipeline, self.deployment.graph.digest))
        now = self._now()
        self._watchers.tell(lambda o: o.run_started(watch.RunStarted(running.number, pipeline, now)))
        self._people.begin(running.number, approve)
        self._tell(events.RunRequested(now, running.number, pipeline, values, timeout, session))
        return running

    def _bunches(self) -> bool:
        """Whether items may be told in bunches: what is interrupted is known item by item."""
        pipelines = self.deployment.graph.pipelines
        return not any(each.name == "agent.interruptible" for one in pipelines for each in walk(one.body))

    def _running(self, number: int) -> Running:
        # What is on its way to the caller is a quarter of a buffer; half of that is told at once.
        return Running(self, number, (self.deployment.buffer + 7) // 8 if self._in_turns else 1)

    def interrupt(self) -> None:
        """Stop every run; each ends with the outcome `interrupted`. May be called from a signal handler of the loop."""
        for number in tuple(self._runs):
            self._tell(events.CancelRequested(self._now(), number, "interrupted"))

    def cancel(self, run: int) -> None:
        if run in self._runs:
            self._tell(events.CancelRequested(self._now(), run))

    def taken(self, reader: int, count: int = 1) -> None:
        """For `Running` and `InputStream`: so many items were read."""
        self._tell(events.Taken(self._now(), reader, count))

    def close_reader(self, reader: int) -> None:
        self._tell(events.ReaderClosed(self._now(), reader))

    # --- events in, orders out ---

    def _tell(self, event: events.Event) -> None:
        # An observer that calls back into the shell is heard after the orders at hand.
        self._told.append(event)
        if not self._telling:
            self._hear()

    def _hear(self) -> None:
        self._telling = True
        self._at_once.others_ran()
        try:
            while self._told:
                for order in self._machine.handle(self._told.popleft()):
                    self._perform[type(order)](order)
        except BaseException:
            self._broken = True
            raise
        finally:
            self._telling = False

    def _spawn(self, work: Callable[..., Coroutine[Any, Any, None]], *arguments: object) -> None:
        assert self._group is not None
        self._group.start_soon(work, *arguments)

    # --- handles ---

    def _open_handle(self, order: orders.OpenHandle) -> None:
        self._spawn(self._opening, order)

    async def _opening(self, order: orders.OpenHandle) -> None:
        handle = order.handle
        self._watch(lambda o: o.handle_opening(watch.HandleOpening(handle.name, self._now())))
        failed = None
        try:
            await self._backend.open(handle)
        except Exception as error:
            failed = handle_failed(error, handle.name, handle.span)
        self._watch(lambda o: o.handle_ready(watch.HandleReady(handle.name, self._now(), failed is not None)))
        if failed is None:
            self._tell(events.HandleOpened(self._now(), handle.name))
        else:
            self._tell(events.HandleFailed(self._now(), handle.name, *failed))

    # --- what results hold ---

    def _keep(self, run: int, value: object) -> None:
        """What holds something is let go of when its run is over."""
        if hasattr(value, "release"):
            self._releases.setdefault(run, []).append(value)

    def _let_go_early(self, order: orders.LetGo) -> None:
        held = self._releases.get(order.run, [])
        found = [value for value in held if value is order.value]
        if found:
            held[:] = [value for value in held if value is not order.value]
            self._spawn(self._let_go, order.run, found)

    # --- items ---

    def _withdraw(self, order: orders.Withdraw) -> None:
        if order.run is not None:
            self._runs[order.run].withdraw(order.places)
        else:
            self._stages.withdraw(order)

    def _emit_item(self, order: orders.EmitItem) -> None:
        self._runs[order.run].put(Item(order.item, order.stage, order.seq, order.t), order.reader)

    # --- ends ---

    def _finish_run(self, order: orders.FinishRun) -> None:
        self._stages.forget(order.run)
        self._people.over(order.run)
        held = self._releases.pop(order.run, None)
        if held:
            self._spawn(self._release, order, held)
        else:
            self._finished(order)

    async def _release(self, order: orders.FinishRun, held: list[object]) -> None:
        await self._let_go(order.run, held)
        self._finished(order)

    async def _let_go(self, run: int, held: list[object]) -> None:
        with anyio.CancelScope(shield=True):
            for value in held:
                try:
                    done = cast(Releasable, value).release()
                    if inspect.isawaitable(done):
                        await done
                except Exception:
                    _LOG.exception("a result of run %d was not released", run)

    def _finished(self, order: orders.FinishRun) -> None:
        running = self._runs.pop(order.run)
        now = self._now()
        event = watch.RunOver(order.run, order.outcome, order.usage, order.timings, now)
        self._watch(lambda o: o.run_over(event))
        if order.outcome.problem is not None:
            running.put(ProblemFrame(order.outcome.problem))
        running.put(End(order.outcome, order.usage, order.timings, blame=blamed(self.deployment, order)))

    def _watch(self, call: Callable[[Observer], None]) -> None:
        self._watchers.tell(call)

    # --- signals ---

    async def _listen(self, *, task_status: TaskStatus[None]) -> None:
        with anyio.open_signal_receiver(*self._signals) as received:
            task_status.started()
            async for _ in received:
                self.interrupt()
                return


def _first(error: BaseExceptionGroup[BaseException]) -> BaseException:
    inner = error.exceptions[0]
    return _first(cast("BaseExceptionGroup[BaseException]", inner)) if isinstance(inner, BaseExceptionGroup) else inner
