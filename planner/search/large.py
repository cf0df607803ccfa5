"""What is done to a large problem before its model is solved whole, and which links the model counts.

First a choice near the best of the linear relaxation (`relaxed`). Then, where that is not near enough to the bound, a
question: is anything cheaper by more than three in a hundred? The solver's own bound hardly moves until it is done, for
it goes down and learns, so that after ten seconds it often said ten in a hundred of a choice that was the best. Asked
that way, far more flags are known to be of no use, and "nothing is" is found much sooner than the best is proven.

What links carry is left out of the model until a choice breaks one: the flags for what passes where are nine of ten,
and of twenty-eight links hardly three are ever too narrow. A program with fewer rows has no worse best, so its bounds
hold; choices are asked of `evaluate`, and what it refuses for a link puts that link in.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from copy import copy

from ..space.evaluate import Outcome
from .clock import PATIENCE
from .known import CLOSE, Known
from .linear import Program
from .model import Model
from .relaxed import Relaxed, relaxed, without
from .solver import Answer, Solver

NARROWING = 0.2
"""The part of the time that a step before a large model may take."""

ASKING = 0.5
"""The part that the question may take: what takes longer to be answered than that is not proven in the rest either."""

NEAR = 0.029
"""What may be left to save, in parts, for the question not to be asked: a little below three in a hundred."""

WORK = 6.0
"""The most work of each such step, in the solver's own units (about a second each), which are the same every time."""


class Large:
    """See the module. `stale` says that a model was made without a link that has been broken since."""

    def __init__(self, known: Known, seed: int) -> None:
        self.known, self.reading, self.seed = known, known.reading, seed
        carried = {link.carries for link in self.reading.problem.links if self.reading.binding(link.carries)}
        # Where several choices are asked for, the solver cuts off one after the other: its model stays as it is.
        self.left_out = carried if known.top == 1 else set[str]()
        self.stale = False

    def model(self, allowed: Sequence[tuple[int, ...]] | None = None) -> Model:
        """A model with the links that were broken so far; only of these options, if given."""
        reading = copy(self.reading)
        reading.dropped = reading.dropped | self.left_out
        if allowed is not None:
            reading.allowed = tuple(allowed)
        self.stale = False
        return Model(reading)

    def keep(self, model: Model, at: Callable[[int], int]) -> Outcome:
        """Keep the choice of a point, or learn why it is none."""
        outcome = self.known.keep(model.choice(at))
        broken = self.left_out.intersection(each.requirement for each in outcome.broken)
        self.left_out -= broken
        self.stale = self.stale or bool(broken)
        return outcome

    def prepared(self) -> Model:
        """The model to be solved whole, without what no better choice takes."""
        model, relaxation = self._relaxed()
        if relaxation is None:
            return model
        before = len(self.left_out)
        self._near(relaxation)
        if len(self.left_out) < before:
            model, relaxation = self._relaxed()
        while relaxation is not None and self.known.gap > NEAR and self.known.top == 1 and self._ask(model, relaxation):
            if self.stale:
                model, relaxation = self._relaxed()
        if relaxation is not None and self.known.top == 1:
            without(model.program, relaxation, self.known.best)
        return model

    def again(self) -> Model:
        """The model to be solved whole, with the links that were broken."""
        model, relaxation = self._relaxed()
        if relaxation is not None:
            without(model.program, relaxation, self.known.best)
        return model

    def _relaxed(self) -> tuple[Model, Relaxed | None]:
        model = self.model()
        patience = PATIENCE if self.known.counted else 1.0
        relaxation = relaxed(model.program, self.known.best, NARROWING * self.known.left * patience)
        if relaxation is not None:
            self.known.proven(relaxation.bound)
        return model, relaxation

    def _near(self, relaxation: Relaxed) -> None:
        """The best of the options that the relaxation takes in part."""
        model = self.model()
        allowed = [relaxation.taken(flags) for flags in model.flags]
        if not all(allowed):
            return
        self.stale = True
        while self.stale and self.known.left > 0:
            part = self.model(allowed)
            self._solve(part, part.program, self.known.best * (1 + CLOSE), NARROWING)

    def _ask(self, model: Model, relaxation: Relaxed) -> bool:
        """Whether something is cheaper by more than `NEAR`, or may be if it were not for a link."""
        goal = self.known.best * (1 - NEAR)
        less = Program(model.program.variables, [*model.program.rows], model.program.objective, model.program.branch)
        without(less, relaxation, goal)
        answer = self._solve(model, less, goal, ASKING, first=True)
        if answer.at is None:
            if answer.closed:
                self.known.proven(goal)
            return False
        return self.stale or self.known.best <= goal * (1 + CLOSE)

    def _solve(self, model: Model, program: Program, upper: float, share: float, first: bool = False) -> Answer:
        solver = Solver(program, self.seed, upper)

        def heard(at: Callable[[int], int], _: float) -> bool:
            self.keep(model, at)
            return self.stale

        seconds, counted = share * self.known.left, self.known.counted
        answer = solver.solve(seconds, found=heard, first=first, counted=counted, work=WORK)
        self.known.looked(answer.branches, answer.work)
        if answer.at is not None and not self.stale:
            self.keep(model, answer.at)
        return answer
