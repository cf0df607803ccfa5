"""Lines of a program are the same lines where its files are called otherwise."""

from dataclasses import replace

import pytest
from problems_made import small_problem

from agentlang.planner.verify.places import named_then, placed_as


@pytest.mark.parametrize(
    ("now", "then", "imported", "was"),
    [
        ("a/ask.agent", "ask.agent", "a/lib/words.agent", "lib/words.agent"),
        ("ask.agent", "a/b/ask.agent", "lib.agent", "a/b/lib.agent"),
        ("copy.agent", "a/ask.agent", "../lib.agent", "lib.agent"),
        ("/x/ask.agent", "ask.agent", "/x/lib.agent", "lib.agent"),
        ("ask.agent", "/x/ask.agent", "lib.agent", "/x/lib.agent"),
    ],
)
def test_what_is_imported_stands_beside_the_program(now: str, then: str, imported: str, was: str) -> None:
    assert named_then((now, imported), now, then) == {now: then, imported: was}


def test_places_in_other_files_stay() -> None:
    """As those of a trace, which is no file of the program."""
    problem = small_problem()
    stages = tuple(replace(stage, place=f"now.agent:{line}:3") for line, stage in enumerate(problem.stages, 1))
    required = (replace(problem.requirements[0], place="load.csv:7:1"), replace(problem.requirements[1], place=""))
    moved = placed_as(replace(problem, stages=stages, requirements=required), {"now.agent": "c:/then.agent"})
    assert [stage.place for stage in moved.stages] == [f"c:/then.agent:{n}:3" for n in range(1, len(stages) + 1)]
    assert [each.place for each in moved.requirements] == ["load.csv:7:1", ""]
