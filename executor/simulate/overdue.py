"""Calls that a real run would end: one without a `timeout` has a deadline, which simulations leave out, because a plan
may be meant for runs that last. What is above it is said."""

from __future__ import annotations

from collections.abc import Iterable

from ...planner.figures import show_value
from ..deployment import Deployment
from .stages import Execution

DEADLINE: float = Deployment.__dataclass_fields__["call_timeout"].default


class Overdue:
    """By stage, how many of its executions took longer, and the longest."""

    def __init__(self) -> None:
        self._found: dict[str, tuple[int, float]] = {}
        self._all: dict[str, int] = {}

    def see(self, stages: Iterable[Execution]) -> None:
        """The stages of a run that is over."""
        for stage in stages:
            if not stage.bounded or stage.ended is None:
                continue
            self._all[stage.name] = self._all.get(stage.name, 0) + 1
            took = stage.ended - stage.came
            if took > DEADLINE:
                count, longest = self._found.get(stage.name, (0, 0.0))
                self._found[stage.name] = count + 1, max(longest, took)

    def notes(self) -> tuple[str, ...]:
        return tuple(
            f"{name} took more than {DEADLINE:g} s in {count} of {self._all[name]} executions, at most "
            f"{show_value(longest, 's')}: a run ends such a call, unless the program writes a longer `timeout` for it"
            for name, (count, longest) in self._found.items()
        )
