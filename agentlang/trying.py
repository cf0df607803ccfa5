"""A plan tried before it is believed: by runs at random, and by the recorded requests that it was made for.

Arrivals that come in bursts wait longer than random ones of the same rate, which no bound of a plan knows.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .executor.simulate import Arrival
    from .executor.simulate.result import Kept
    from .lang.program import Fleet
    from .planner.place import Confirm, Confirmed
    from .planner.space.build import Built
    from .planner.space.problem import Choice
    from .planner.space.problem import Problem as Space

SIMULATED = 2000
"""Runs that confirm a plan."""

_NO_TIME = ("rate", "cost", "energy")


def simulated(problem: Space, choice: Choice) -> Confirmed:
    """Whether a choice keeps its promises when it is simulated at its rate."""
    from .executor.simulate.simulating import confirm
    from .planner.figures import show_value
    from .planner.place import Confirmed

    said = confirm(problem, choice, runs=SIMULATED)
    return Confirmed(
        f"simulation ({SIMULATED:,} runs, seed 0)",
        tuple(
            f"{each.name} is missed, {'nothing came to it' if each.reached is None else show_value(each.reached, 's')}"
            for each in said.failed
        ),
    )


@dataclass(frozen=True, slots=True)
class Recorded:
    """Requests of a trace that stand closest; `words` name them."""

    part: tuple[Arrival, ...]
    words: str

    def kept(self, built: Built, choice: Choice, fleet: Fleet | None) -> tuple[Kept, ...]:
        """What they make of the promises that are of times."""
        from .executor.simulate import System, simulate
        from .executor.simulate.served import program_of

        program = program_of(built, choice, fleet)
        found = simulate(System(built.problem, choice, error=0.0), self.part, program=program)
        return tuple(each for each in found.promises if each.kind not in _NO_TIME)

    def told(self, built: Built, choice: Choice, fleet: Fleet | None) -> str | None:
        """The same as a sentence; None where no time is promised."""
        said = self.kept(built, choice, fleet)
        more = "" if all(each.holds for each in said) else "; a higher `rate` in the goal is planned for more"
        return f"{self.words}: {'; '.join(map(_text, said))}{more}" if said else None


def _text(kept: Kept) -> str:
    from .planner.figures import show_value

    reached = f", {show_value(kept.reached, 's')}" if kept.reached is not None else ""
    return f"{kept.name} is {'kept' if kept.holds else 'missed'}{reached}"


def recorded(built: Built, path: Path | str, runs: int = SIMULATED) -> Recorded | None:
    """The requests of a trace, at most so many. None where it cannot be read."""
    from .base.problems import Problem
    from .executor.simulate.traces import around, arrivals
    from .planner.traces import Reader, named, opened

    with opened(str(path)) as stream:
        if isinstance(stream, Problem):
            return None
        trace = arrivals(Reader(str(path), stream), named(built.graph.pipeline(built.pipeline)))
    if trace is None:
        return None
    part = around(trace.arrivals, runs)
    of = f"all {len(part):,} requests" if len(part) == len(trace.arrivals) else f"{len(part):,} requests"
    where = "" if len(part) == len(trace.arrivals) else " where they are densest"
    return Recorded(part, f"{of} of {Path(path).name}{where}, simulated as they came")


def tried(built: Built, fleet: Fleet | None, requests: Recorded | None) -> Confirm:
    """Both: runs at random, and, of a choice for all runs, the requests themselves."""

    def both(problem: Space, choice: Choice) -> Confirmed:
        from .planner.place import Confirmed

        said = simulated(problem, choice)
        if said.missed or requests is None or problem.rate != built.problem.rate:
            return said
        kept = requests.kept(replace(built, problem=problem), choice, fleet)
        missed = tuple(_missed(kept))
        return Confirmed(requests.words, missed) if missed else replace(said, by=f"{said.by}, and {requests.words}")

    return both


def _missed(kept: tuple[Kept, ...]) -> Iterator[str]:
    return (f"{_text(each)}; a higher `rate` in the goal is planned for more" for each in kept if not each.holds)
