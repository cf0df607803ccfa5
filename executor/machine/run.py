"""One run while it runs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from ..channels import Epoch
from .faults import Failure
from .orders import Expectation, Outcome
from .pauses import Pauses
from .prepared import Prepared
from .scopes import Task, Zone
from .stages import Port, Started
from .timing import Times

if TYPE_CHECKING:
    from .attempts import Attempting
    from .core import Machine
    from .dues import Dues
    from .events import RunRequested
    from .interrupting import Interruptible


class Run:
    """One execution of a pipeline. `outcome` is set as soon as it is ending; it is over when `stages` is empty too.
    `superseded` says that its session has a newer run."""

    def __init__(self, machine: Machine, event: RunRequested, prepared: Prepared) -> None:
        self.machine = machine
        self.number = event.run
        self.prepared = prepared
        self.timeout = event.timeout
        self.session = event.session
        self.superseded = False
        self.buffer = machine.deployment.buffer
        self.zone = Zone(self, None, lambda failure: machine.lifecycle.fail(self, failure))
        self.stages: dict[int, Started] = {}
        self.output: Port | None = None
        self.sent = 0
        self.value: object = None
        self.outcome: Outcome | None = None
        self.waits_for: set[str] = set()
        self.handle_tasks: dict[str, list[Task]] = {}
        self.handles_failed: dict[str, Failure] = {}
        self.attempting: dict[Attempting, None] = {}  # those that may have alarms or questions open
        self.interruptible: dict[Interruptible, None] = {}
        self.epochs: list[Epoch] = []  # of all that was interruptible, where the run has a session
        self.expectations: list[Expectation] = []
        self.usage: dict[str, float] = {}
        self.times = Times(event.at)
        self.pauses = Pauses(self)
        self.dues: Dues | None = None  # where something is promised

    def count(self, usage: Mapping[str, float]) -> None:
        for unit, amount in usage.items():
            self.usage[unit] = self.usage.get(unit, 0.0) + amount
