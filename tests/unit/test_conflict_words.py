"""What is said where there is no plan: each requirement with the number that decides it, at its line."""

from dataclasses import replace

from enumerated import feasible, search
from problems_made import small_problem

from agentlang.base.problems import Severity
from agentlang.base.source import Source
from agentlang.planner.conflict import Conflict, conflict
from agentlang.planner.conflict.shown import problems_of
from agentlang.planner.space.problem import Problem

TEXT = Source("made.agent", "goal\n" * 40)
SPANS = {f"made.agent:{line}:3": TEXT.span(5 * line - 3, 5 * line - 1) for line in range(1, 40)}


def explained(problem: Problem) -> Conflict:
    found = conflict(problem, search, feasible, seconds=60.0)
    assert found is not None
    return found


def test_a_promise_beyond_physics_names_the_bound() -> None:
    found = explained(small_problem(first_token=0.2))
    assert found.requirements == ("first_token p95",)
    assert found.reasons[0].text == (
        "`first_token <= 0.2` is beyond reach: with every stage at its quickest it is 317.1 ms, 217.1 ms of it "
        "chat.prefill on quick, which is bound by FLOPs / peak (made)"
    )
    assert found.helps == ("`first_token <= 320 ms`",)


def test_a_chain_says_where_a_stage_must_be_and_how_many_that_takes() -> None:
    """The prompt must be on the quick tier for its first token; with none of it that cannot be."""
    problem = small_problem(first_token=0.4, rate=None).with_count("quick", 0)
    found = explained(problem)
    assert set(found.requirements) == {"first_token p95", "count quick"}
    first, second = found.reasons
    assert first.text.startswith(
        "`first_token <= 0.4` needs chat.prefill on quick (with it elsewhere it is at least: slow 642.9 ms)"
    )
    assert second.text == "there are at most 0 of quick: `first_token <= 0.4` needs 1"
    assert second.place.startswith("made.agent:")
    assert found.helps == ("`first_token <= 650 ms`", "1 of quick")


def test_a_label_says_which_tiers_it_leaves() -> None:
    problem = small_problem(first_token=0.4, rate=None)
    stages = tuple(
        replace(
            stage,
            options=tuple(
                replace(option, barred=("keep @pii",) if option.pool == "quick" else ()) for option in stage.options
            ),
        )
        for stage in problem.stages
    )
    found = explained(replace(problem, stages=stages))
    assert found.requirements == ("first_token p95", "keep @pii")
    assert "leaves chat.tokenize slow alone; chat.prefill slow alone" in found.reasons[1].text
    assert any(text.startswith("quick too in") for text in found.helps)


def test_a_tier_too_small_is_said_as_such() -> None:
    problem = small_problem(rate=None)
    problem = replace(problem, tiers=tuple(replace(tier, memory=5e9) for tier in problem.tiers))
    found = explained(problem)
    assert found.requirements == ("memory quick", "memory slow")
    assert found.reasons[0].text == (
        "quick has 4.657 GiB of memory a device: beside the memory of slow, 26.08 GiB on each would be needed (the "
        "largest part: cache of chat.decode, 14.9 GiB)"
    )
    assert problems_of(found, problem, SPANS, enforced=False)[0].severity is Severity.ERROR


def test_problems_stand_at_the_lines_of_what_is_asked() -> None:
    problem = small_problem(first_token=0.4, rate=None).with_count("quick", 0)
    (shown,) = problems_of(explained(problem), problem, SPANS, enforced=False)
    assert shown.slug == "plan-no-plan"
    assert shown.title.startswith("no plan keeps `first_token <= 0.4` and at most 0 of quick together")
    assert [related.span.line for related in shown.related] == [1, 5]
    assert shown.hint == "there is a plan with `first_token <= 650 ms`, or 1 of quick"


def test_one_promise_out_of_reach_is_a_missed_goal_and_a_warning_until_goals_are_enforced() -> None:
    problem = small_problem(first_token=0.2)
    found = explained(problem)
    for enforced, severity in ((False, Severity.WARNING), (True, Severity.ERROR)):
        (shown,) = problems_of(found, problem, SPANS, enforced=enforced)
        assert (shown.slug, shown.severity) == ("plan-goal-missed", severity)
        assert shown.hint == "it holds with `first_token <= 320 ms`"
    assert found.missing is not None
    assert found.missing[0] == ("first_token p95",)
