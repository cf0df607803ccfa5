"""Failure inside the machine: a `Fault` is raised by an operation, a `Failure` is what a region fails with. And the one
that is not of the program: a `ProtocolError`."""

from __future__ import annotations

from dataclasses import dataclass

from ...base.problems import Problem
from ...ir.graph import Operation


class ProtocolError(Exception):
    """The shell or a backend broke the contract of events and orders: a bug of ours."""


class Fault(Exception):
    """An operation that has no value for its operands; fails the region that it stands in. `operation` is it,
    where it is a part of the one that was run."""

    def __init__(self, reason: str, problem: Problem, operation: Operation | None = None) -> None:
        super().__init__(problem.title)
        self.operation = operation
        self.reason = reason
        self.problem = problem


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a region or a run failed. `reason` is what a program can name; `stage` is to blame, where one is. A `final`
    one would be the same if it were tried again."""

    reason: str
    problem: Problem
    stage: str | None = None
    final: bool = False
