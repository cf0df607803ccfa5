"""Times that know their path: a moment is a number of seconds after the run's start and the stages that it is made of.

Taking the later of two moments keeps the later one's path, so the critical path needs no second walk, and a prediction
is the sum of its path by construction.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from .cost import StageTime
from .figures import Prediction, Term, predicted


@dataclass(frozen=True, slots=True)
class Slice:
    """Seconds that a stage contributes to a path."""

    stage: str
    seconds: float


@dataclass(frozen=True, slots=True)
class Moment:
    """`at` is the sum of the path."""

    at: float = 0.0
    path: tuple[Slice, ...] = ()

    def after(self, other: Moment) -> Moment:
        """This long after `other`."""
        return Moment(other.at + self.at, merged((*other.path, *self.path)))

    def scaled(self, factor: float) -> Moment:
        return Moment(self.at * factor, scaled(self.path, factor))


ZERO = Moment()


def spent(stage: str, seconds: float) -> Moment:
    """The duration of a stage."""
    return Moment(seconds, (Slice(stage, seconds),)) if seconds > 0.0 else ZERO


def latest(moments: Iterable[Moment]) -> Moment:
    """The last of the moments (the first of equal ones); the start where there is none."""
    return max(moments, key=lambda moment: moment.at, default=ZERO)


def total(slices: Iterable[Slice]) -> Moment:
    """The moment when all slices were done one after the other."""
    path = merged(slices)
    return Moment(sum(part.seconds for part in path), path)


def scaled(slices: Iterable[Slice], factor: float) -> tuple[Slice, ...]:
    return tuple(Slice(part.stage, part.seconds * factor) for part in slices) if factor else ()


def merged(slices: Iterable[Slice]) -> tuple[Slice, ...]:
    """One slice for each stage, in order of first mention."""
    table: dict[str, float] = {}
    for part in slices:
        table[part.stage] = table.get(part.stage, 0.0) + part.seconds
    return tuple(Slice(stage, seconds) for stage, seconds in table.items())


def explain(name: str, moment: Moment, times: Mapping[str, StageTime]) -> Prediction:
    """The moment as a prediction: each slice becomes the terms of its stage, in proportion.

    The errors of stages are added as if they erred the same way, which is the wider and the safer bar.
    """
    terms: list[Term] = []
    spread = 0.0
    for part in moment.path:
        time = times[part.stage]
        share = part.seconds / time.seconds if time.seconds else 0.0
        spread += part.seconds * time.factor.error
        for term in time.time.terms:
            detail = term.detail if abs(share - 1.0) < 1e-9 else f"{share:.4g} of ({term.detail})"
            terms.append(Term(term.name, term.value * share, "s", term.basis, detail, term.stage))
    return predicted(name, "s", terms, spread / moment.at if moment.at else 0.0)
