"""One pipeline that is to be placed, and all that it is placed by: what a problem, and so a plan, is made from."""

from __future__ import annotations

from dataclasses import dataclass, field

from ..ir.graph import Graph
from ..lang.program import Fleet, Goal
from .calibrate import Calibration
from .hardware import Machine
from .options import Options


@dataclass(frozen=True, slots=True)
class Placing:
    """A pipeline of a graph with demands, on a `fleet`, or without one on this `machine`. `calibration` is what is
    known of that machine from runs, `program` the digest of the program's text, `file` what it was called,
    `options` what a caller says beside the program."""

    graph: Graph
    pipeline: str
    machine: Machine
    goal: Goal | None = None
    fleet: Fleet | None = None
    calibration: Calibration | None = None
    program: str = ""
    file: str = ""
    options: Options = field(default_factory=Options)
