"""What a moment's seconds are blamed on, by hand."""

from __future__ import annotations

from itertools import pairwise

import pytest

from agentlang.executor.blame import Missed, Part, Span, counted, parts_of, path
from agentlang.executor.machine.orders import Execution, Pause, Timings

CAUSES = {"prefill": "model", "decode": "model", "look": "tool"}


def ran(
    stage: str,
    start: float,
    end: float,
    first: float | None = None,
    took: float | None = None,
    came: float | None = None,
    line: float = 0.0,
    held: float = 0.0,
) -> Execution:
    return Execution(stage, start, first, end, took, came, line, held)


def parts(*executions: Execution, moment: float, first: bool = False, pauses: tuple[Pause, ...] = ()):
    timings = Timings(moment, pauses=pauses, executions=executions)
    return parts_of(timings, moment, CAUSES, first=first)  # type: ignore[arg-type]


def test_one_stage_after_the_other() -> None:
    found = parts(ran("look", 0, 3), ran("prefill", 3, 5, line=1.5), moment=5)
    assert found == {("look", "tool"): 3, ("prefill", "model"): 0.5, ("prefill", "in line"): 1.5}


def test_of_two_at_once_the_longer_is_to_blame() -> None:
    assert parts(ran("look", 0, 1), ran("prefill", 0, 4), ran("fuse", 4, 5), moment=5) == {
        ("prefill", "model"): 4,
        ("fuse", "computing"): 1,
    }


def test_a_stage_that_reads_counts_for_what_it_did_after_the_end_of_what_it_read() -> None:
    decode, detokenize = ran("decode", 1, 9, first=2), ran("detokenize", 1, 9.5, first=2.1, took=2, came=9)
    found = parts(ran("prefill", 0, 1), decode, detokenize, moment=9.5)
    assert found == {("prefill", "model"): 1, ("decode", "model"): 8, ("detokenize", "computing"): 0.5}


def test_the_first_item_waits_for_the_items_that_it_comes_of() -> None:
    # The reader needs what came until 4: that was the time of who made it.
    decode, split = ran("decode", 1, 9, first=2), ran("split", 1, 9.5, first=4.5, took=4, came=9)
    found = parts(ran("prefill", 0, 1), decode, split, moment=4.5, first=True)
    assert found == {("prefill", "model"): 1, ("decode", "model"): 3, ("split", "computing"): 0.5}


def test_a_stream_that_is_held_back_is_not_to_blame_for_that() -> None:
    found = parts(ran("decode", 0, 10, first=1, held=6), ran("speak", 0, 12, first=2, took=1, came=10), moment=12)
    assert found == {("speak", "computing"): 2, ("decode", "held back"): 6, ("decode", "model"): 4}


def test_nothing_ran_between_two_attempts() -> None:
    found = parts(ran("look", 0, 1), ran("look", 3, 4), moment=4)
    assert found == {("look", "tool"): 2, ("", "between"): 2}


def test_what_is_not_counted_is_told_apart() -> None:
    pauses = (Pause("opening", 0, 2), Pause("person", 3, 8))
    timings = Timings(9, pauses=pauses, executions=(ran("prefill", 2, 3), ran("look", 8, 9)))
    found = parts_of(timings, 9, CAUSES, first=False)  # type: ignore[arg-type]
    assert found == {
        ("look", "tool"): 1,
        ("", "person"): 5,
        ("prefill", "model"): 1,
        ("", "opening"): 2,
    }
    assert counted(timings, 9) == 2


@pytest.mark.parametrize("end", [0.0, 0.5, 7.0])
def test_a_path_reaches_from_the_moment_to_the_beginning(end: float) -> None:
    spans = [Span(1, 0, 0, 0.2, 1, 0), Span(3, 1, 1.5, 2, 3, 1)]
    steps = path(spans, 0.0, end)
    assert sum(step.end - step.start for step in steps) == end
    assert all(later.start == earlier.end for later, earlier in pairwise(steps))


def test_a_table_tells_the_longest_first() -> None:
    from agentlang.cli.blame import blame_text

    shown = (Part("answer.find", "in line", 1.5, 0.5), *(Part(f"s{n}", "computing", 0.01) for n in range(9)))
    late = Missed("finish p95", "finish", 1.0, 1.59, shown, (Part("", "opening", 2.0),))
    lines = blame_text(late).splitlines()
    assert lines[0] == "finish p95 took 1.59 s, 1 s were promised:"
    assert lines[2].split() == ["answer.find", "in", "line", "1.5", "s", "94%", "500", "ms"]
    assert lines[-2].split()[:2] == ["4", "more"]
    assert lines[-1] == "not counted: 2 s to open models"
