"""What only the whole of a checked program can tell: where labels go, what effects policies repeat, what times sum to.

Pure functions over the typed program. `analyse` is called by the checker, with as much of the program as is sound; the
worst cases of `bounds` and the facts of `explain` are for those who ask.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain

from ...base.problems import Problem
from ..program import Program


def analyse(program: Program, strict_labels: bool = False) -> tuple[Problem, ...]:
    """The problems of a program as a whole; `strict_labels` counts what decides on a branch as flowing into it.

    Total: a call of a pipeline that is not there does nothing, and a name that is not bound has no labels and takes no
    time. So it may be given the sound part of a program, for a fault in one declaration hides none in another.
    """
    # Each of these stops at once where the program has nothing that it is about, and most programs have little.
    from .effects import effect_problems
    from .goals import goal_problems
    from .labels import label_problems
    from .policies import policy_problems

    found: Iterator[Problem] = chain(
        label_problems(program, strict_labels),
        effect_problems(program),
        policy_problems(program),
        goal_problems(program),
    )
    return tuple(found)
