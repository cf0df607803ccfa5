"""Times that know their path: a moment is a number of seconds after the run's start and the stages that it is made of.

Taking the later of two moments keeps the later one's path, so the critical path needs no second walk, and a prediction
is the sum of its path by construction. Beside the numbers of one placement a moment keeps how it came about, as an
expression of what stages and transfers take, from which the same moment follows for any other placement.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from .cost import StageTime
from .figures import Prediction, Term, predicted
from .space.nodes import Builder, Constant, Index, Move, Take


@dataclass(frozen=True, slots=True)
class Slice:
    """Seconds that a stage contributes to a path, and how many of its executions that is."""

    stage: str
    seconds: float
    times: float


@dataclass(frozen=True, slots=True, eq=False)
class Made:
    """How a moment came about: the sum or the latest (`of` says which) of others, `factor` times."""

    of: str
    parts: tuple[Expression, ...]
    factor: float = 1.0


Expression = Made | Take | Move | Constant
NOTHING = Constant(0.0)


@dataclass(frozen=True, slots=True)
class Moment:
    """`at` is the sum of the path. (What passes between stages takes no time where all are in one place.)"""

    at: float = 0.0
    path: tuple[Slice, ...] = ()
    made: Expression = field(default=NOTHING, compare=False)

    def after(self, other: Moment) -> Moment:
        """This long after `other`."""
        if self.made is NOTHING or other.made is NOTHING:
            made = other.made if self.made is NOTHING else self.made
        else:
            made = Made("sum", (other.made, self.made))
        return Moment(other.at + self.at, merged((*other.path, *self.path)), made)

    def scaled(self, factor: float) -> Moment:
        return Moment(self.at * factor, scaled(self.path, factor), _scaled(self.made, factor))


ZERO = Moment()


def spent(stage: str, seconds: float) -> Moment:
    """The duration of a stage."""
    return Moment(seconds, (Slice(stage, seconds, 1.0),), Take(stage)) if seconds > 0.0 else ZERO


def begun(stage: str, seconds: float, whole: float) -> Moment:
    """What a stage takes before its first item, of `whole` seconds in all."""
    if seconds <= 0.0:
        return Moment(0.0, (), Take(stage, first=True))
    return Moment(seconds, (Slice(stage, seconds, seconds / whole if whole else 0.0),), Take(stage, first=True))


def moved(pair: int) -> Moment:
    """What a value takes to pass between two stages, which are those of `pair`: nothing, until they are apart."""
    return Moment(made=Move(pair))


def latest(moments: Iterable[Moment]) -> Moment:
    """The last of the moments (the first of equal ones); the start where there is none."""
    given = [moment for moment in moments if moment.made is not NOTHING or moment.at]
    if not given:
        return ZERO
    last = max(given, key=lambda moment: moment.at)
    made = tuple({id(moment.made): moment.made for moment in given}.values())
    return Moment(last.at, last.path, made[0] if len(made) == 1 else Made("latest", made))


def either(moment: Moment, others: Iterable[Moment]) -> Moment:
    """The numbers of `moment`, which is the last here; elsewhere another may be."""
    return Moment(moment.at, moment.path, latest((moment, *others)).made)


def total(slices: Iterable[Slice]) -> Moment:
    """The moment when all slices were done one after the other."""
    path = merged(slices)
    made = tuple(Take(part.stage, part.times) for part in path)
    return Moment(sum(part.seconds for part in path), path, Made("sum", made) if made else NOTHING)


def mean(moments: Iterable[tuple[float, Moment]]) -> Moment:
    """The expected moment, of moments with their shares."""
    parts: list[Slice] = []
    made: list[Expression] = []
    for share, moment in moments:
        parts += scaled(moment.path, share)
        made += [] if moment.made is NOTHING or not share else [_scaled(moment.made, share)]
    path = merged(parts)
    return Moment(sum(part.seconds for part in path), path, Made("sum", tuple(made)) if made else NOTHING)


def scaled(slices: Iterable[Slice], factor: float) -> tuple[Slice, ...]:
    return tuple(Slice(part.stage, part.seconds * factor, part.times * factor) for part in slices) if factor else ()


def _scaled(made: Expression, factor: float) -> Expression:
    if factor == 1.0 or made is NOTHING:
        return made
    return Made("sum", (made,), factor) if factor else NOTHING


def merged(slices: Iterable[Slice]) -> tuple[Slice, ...]:
    """One slice for each stage, in order of first mention."""
    table: dict[str, Slice] = {}
    for part in slices:
        known = table.get(part.stage)
        if known is not None:
            part = Slice(part.stage, known.seconds + part.seconds, known.times + part.times)
        table[part.stage] = part
    return tuple(table.values())


Leaf = Take | Move | Constant


def written(
    builder: Builder, made: Expression, known: dict[int, Index], leaf: Callable[[Leaf], Leaf] = lambda leaf: leaf
) -> Index:
    """The expression as nodes. `known` are those written already, by identity: moments share most of what they are
    made of. `leaf` may say otherwise what a leaf is."""
    found = known.get(id(made))
    if found is not None:
        return found
    rest: list[tuple[Expression, bool]] = [(made, False)]
    while rest:
        each, ready = rest.pop()
        if id(each) in known:
            continue
        if not isinstance(each, Made):
            known[id(each)] = builder.add(leaf(each))
        elif ready:
            parts = [known[id(part)] for part in each.parts]
            joined = builder.sum(parts) if each.of == "sum" else builder.latest(parts)
            known[id(each)] = builder.scaled(joined, each.factor)
        else:
            rest.append((each, True))
            rest += [(part, False) for part in each.parts]
    return known[id(made)]


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
