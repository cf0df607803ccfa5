"""A program that is served for long, and planned again when what it takes drifts from what was predicted.

    async with adapting(compiled, "answer", machine) as served:
        end = await served.start({"question": "…"}).result()

Each run that ends is held against the plan (`executor.drift`), for the sizes that it had. What drifts is learned
(`planner.calibrate`): of the runs since it does, for those before say nothing any more. Where the plan itself is in
doubt, another is made in the background, beside the runs; where that decides or promises otherwise, new runs go to it
(`executor.moving`), and those that go on end where they are.
"""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from functools import partial
from math import inf
from typing import TYPE_CHECKING

import anyio
import anyio.to_thread
from anyio.abc import TaskGroup

from .api import Compiled, plan, problem_again, run_sizes
from .base.problems import OutsideError
from .executor.drift import Drift, Drifted, Expected
from .executor.moving import Moving

if TYPE_CHECKING:
    from .executor.frames import End
    from .executor.running import Approver, Running
    from .executor.shell import Shell
    from .planner.hardware import Machine
    from .planner.plan import Plan

KEEP = 64
"""Runs that are kept to be learned from."""
LEAST = 0.01
"""Stages that are predicted to take a smaller part of a run are not looked at."""


@dataclass
class Served:
    """What `adapting` gives. `said` are the drifts that were found, `plan` the one by which new runs are held."""

    compiled: Compiled
    plan: Plan
    machine: Machine
    runner: Moving
    told: Callable[[str], None] | None = None
    said: list[Drifted] = field(default_factory=list[Drifted])
    _drift: Drift = field(init=False)
    _turn: anyio.Lock = field(init=False)
    _group: TaskGroup | None = None
    _planning: bool = False
    _ends: deque[End] = field(default_factory=lambda: deque["End"](maxlen=KEEP))

    def __post_init__(self) -> None:
        self._drift = Drift(expected(self.plan))
        self._turn = anyio.Lock()

    def start(
        self, inputs: Mapping[str, object], *, session: str | None = None, approve: Approver | None = None
    ) -> Running:
        """A run by the newest plan."""
        running = self.runner.start(self.plan.pipeline, inputs, session=session, approve=approve)
        assert self._group is not None
        self._group.start_soon(self._ended, running)
        return running

    async def _ended(self, running: Running) -> None:
        await running.over.wait()
        if running.end is not None and running.end.outcome.status == "done":
            async with self._turn:
                await anyio.to_thread.run_sync(partial(self.see, running.end))
                if self._planning:
                    await self._again()

    def see(self, end: End) -> None:
        """Learn from a run. It may take as long as making a plan."""
        if end.usage.get("programs_compiled"):
            return  # It waited for a compiler, which says nothing of the next.
        from .executor.measured import measured

        self._ends.append(end)
        took = measured(self.compiled.graph.pipeline(self.plan.pipeline), end)
        for stage, predicted in self._predicted(end).items():
            found = self._drift.see(stage, predicted, took.get(stage, 0.0))
            if found is None:
                continue
            self.said.append(found)
            self._tell(f"{found.stage} takes {found.factor:.2f} times what was predicted: {found.action}")
            self._refit(found.executions)
            self._planning = self._planning or found.action == "replan"

    def _predicted(self, end: End) -> dict[str, float]:
        """What the plan says of its stages, by the measurements that it was made with, for the sizes of a run."""
        made, name = self.plan.made, self.plan.pipeline
        had = run_sizes(self.compiled, name, end, self.machine)
        built, _ = problem_again(self.compiled, name, replace(made, options=replace(made.options, measured=had)))
        if built is None:
            return {}
        chosen = {stage.id: stage.option for stage in self.plan.stages}
        return {
            stage.name: stage.options[chosen[stage.name]].seconds * stage.executions
            for stage in built.problem.stages
            if chosen.get(stage.name, len(stage.options)) < len(stage.options)
        }

    def _refit(self, runs: int) -> None:
        """Learn from the last runs, and forget what was measured before them."""
        from .executor.measured import measured
        from .planner import calibrate
        from .planner.observe import observe

        name, graph = self.plan.pipeline, self.compiled.graph
        fresh = calibrate.Calibration(self.machine.key)
        for end in list(self._ends)[-runs:]:
            had = run_sizes(self.compiled, name, end, self.machine)
            fresh = fresh.refined(observe(graph, name, self.machine, had, measured(graph.pipeline(name), end)))
        known = calibrate.load(self.machine.key)
        with suppress(OSError):
            calibrate.save(replace(known, ratios=tuple(sorted({**dict(known.ratios), **dict(fresh.ratios)}.items()))))

    async def _again(self) -> None:
        """Plan again, and move where that makes a difference."""
        self._planning = False
        make = partial(plan, self.compiled, self.plan.pipeline, self.machine, here=True)
        planned, _ = await anyio.to_thread.run_sync(make)
        if planned is None:
            self._tell("there is no other plan; runs go on by the one that there is")
            return
        self._drift = Drift(expected(planned))
        if decides(planned) == decides(self.plan):
            self.plan = planned
            self._tell("planned again: the same is best")
            return
        try:
            await self.runner.move(partial(opened, self.compiled, planned))
        except OutsideError as error:
            self._tell(f"planned again, and cannot be opened: {error.problem.title}")
            return
        self.plan = planned
        self._tell("planned again: new runs go to the new plan")

    def _tell(self, text: str) -> None:
        if self.told is not None:
            self.told(text)


def expected(planned: Plan) -> dict[str, Expected]:
    """What a plan states of its stages, for drift: errors, and the room that its promises leave."""
    whole = next((each.value for each in planned.predictions if each.name == "finish"), 0.0)
    rooms = [goal.limit / goal.predicted.value for goal in planned.goals if goal.predicted and goal.predicted.value]
    out: dict[str, Expected] = {}
    for stage in planned.stages:
        time = stage.time
        if time.value <= 0.0 or time.value * stage.executions < LEAST * whole:
            continue
        out[stage.id] = Expected(time.high / time.value - 1.0, room=max(1.0, min(rooms, default=inf)))
    return out


def decides(planned: Plan) -> object:
    """What makes a difference to runs: where stages are, on which engine, and what is promised of them."""
    from .executor.promised import promises_of

    return tuple((s.id, s.option, s.pool) for s in planned.stages), promises_of(planned)


def opened(compiled: Compiled, planned: Plan) -> Shell:
    """A shell for runs by this plan."""
    from .executor.backends.local import LocalBackend
    from .executor.deployment import Deployment
    from .executor.promised import promises_of
    from .executor.shell import open_shell

    promises = promises_of(planned)
    deployment = Deployment(compiled.graph, promises=() if promises is None else (promises,))
    return open_shell(deployment, LocalBackend(compiled.library))


@asynccontextmanager
async def adapting(
    compiled: Compiled, pipeline: str, machine: Machine, *, told: Callable[[str], None] | None = None
) -> AsyncGenerator[Served]:
    """See the module. `told` hears what was found and done. Raises `OutsideError` where there is no plan."""
    planned, found = plan(compiled, pipeline, machine, here=True)
    if planned is None:
        raise OutsideError(found[0])
    compiled.library.serve(compiled.graph)
    async with Moving(partial(opened, compiled, planned)) as runner, anyio.create_task_group() as group:
        served = Served(compiled, planned, machine, runner, told)
        served._group = group  # pyright: ignore[reportPrivateUsage]
        yield served
