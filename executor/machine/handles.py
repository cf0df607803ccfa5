"""Models and resources: which run waits for which, and what is opened when. Each is opened once per machine, what it
stands on first, those that do not depend on each other at the same time."""

from __future__ import annotations

from typing import TYPE_CHECKING

from . import events
from .faults import Failure
from .orders import OpenHandle
from .prepared import handle_needs

if TYPE_CHECKING:
    from .core import Machine
    from .run import Run


class Handles:
    """The declared handles of a deployment."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self._open: set[str] = set()
        self._opening: set[str] = set()

    def need(self, run: Run) -> None:
        """The run waits for its handles, and for those that they are made of."""
        run.waits_for = self._closure(run.prepared.handles) - self._open
        run.pauses.look()
        self._open_what_can()

    def opened(self, event: events.HandleOpened) -> None:
        self._opening.discard(event.name)
        self._open.add(event.name)
        for run in self._machine.runs.values():
            if event.name in run.waits_for:
                self._settled(run, event.name)
        self._open_what_can()

    def failed(self, event: events.HandleFailed) -> None:
        """What stands on it fails with it. It is tried again by the next run that needs it."""
        machine = self._machine
        self._opening.discard(event.name)
        failure = Failure(event.reason, event.problem, event.name)
        for run in tuple(machine.runs.values()):
            if event.name not in run.waits_for:
                continue
            if not run.prepared.catches:
                machine.lifecycle.fail(run, failure)
                continue
            for name in sorted(run.waits_for):
                if event.name in self._closure((name,)):
                    run.handles_failed[name] = failure
                    self._settled(run, name)

    def _settled(self, run: Run, name: str) -> None:
        run.waits_for.discard(name)
        if not run.waits_for:
            run.times.opened = self._machine.now
            run.pauses.look()
        for task in run.handle_tasks.pop(name, ()):
            if not task.done:
                self._machine.ready.append(task)

    def _closure(self, names: tuple[str, ...]) -> set[str]:
        """The handles and those that they are made of."""
        found: set[str] = set()
        todo = list(names)
        while todo:
            name = todo.pop()
            if name not in found:
                found.add(name)
                todo += handle_needs(self._machine.deployment.graph.handle(name).arguments)
        return found

    def _open_what_can(self) -> None:
        """Open every handle that some run waits for and whose own handles are open; all of them at the same time."""
        for run in self._machine.runs.values():
            for name in sorted(run.waits_for - self._opening):
                handle = self._machine.deployment.graph.handle(name)
                if self._open.issuperset(handle_needs(handle.arguments)):
                    self._opening.add(name)
                    self._machine.orders.append(OpenHandle(handle))
