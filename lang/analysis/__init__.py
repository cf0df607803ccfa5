"""What only the whole of a checked program can tell: where labels go, what effects policies repeat, what times sum to.

Pure functions over the typed program. `analyse` is called by the checker, with as much of the program as is sound; the
worst cases of `bounds` and the facts of `explain` are for those who ask.
"""

from __future__ import annotations

from ...base.problems import Problem
from ..program import Program, With
from .whole import Whole


def analyse(program: Program, strict_labels: bool = False) -> tuple[Problem, ...]:
    """The problems of a program as a whole; `strict_labels` counts what decides on a branch as flowing into it.

    Total: a call of a pipeline that is not there does nothing, and a name that is not bound has no labels and takes no
    time. So it may be given the sound part of a program, for a fault in one declaration hides none in another.
    """
    found: list[Problem] = []
    whole = Whole(program)
    dangers = {effect.kind for tool in program.tools for effect in tool.effects if effect.kind != "reads"}
    # Each analysis is loaded where the program has something that it is about; most programs have little.
    if dangers or any(term.kind == "keep" for goal in program.goals for term in goal.terms):
        from .labels import label_problems

        found += label_problems(whole, strict_labels)
    if dangers:
        from .effects import effect_problems

        found += effect_problems(whole)
    if any(isinstance(node, With) for nodes in whole.nodes.values() for node in nodes):
        from .goals import goal_problems
        from .policies import policy_problems

        found += policy_problems(whole)
        found += goal_problems(whole)
    return tuple(found)
