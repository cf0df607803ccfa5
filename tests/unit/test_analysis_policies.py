"""Effects that policies repeat, and times that do not fit into each other."""

from __future__ import annotations

import pytest
from analysis_programs import (
    arrivals,
    bind,
    branch,
    call,
    each,
    finish,
    flag,
    goal,
    guard,
    otherwise,
    parameter,
    pipeline,
    program,
    race,
    ref,
    repeat,
    run,
    stage,
    template,
    text,
    texts,
    tool,
)

from agentlang.lang import program as p
from agentlang.lang.analysis import analyse

PAY = tool("pay", "writes")
SAFE = tool("safe", "writes", by="id")
LOOK = tool("look", "network")
WORK = stage("work", "id")


def found(*pipelines: p.Pipeline, terms: tuple[p.GoalTerm, ...] = ()) -> list[str]:
    made = program(*pipelines, goals=(goal("main", *terms),) if terms else ())
    return [problem.slug for problem in analyse(made)]


def main(*body: p.Statement | p.Expression) -> p.Pipeline:
    return pipeline("main", (parameter("id"), parameter("flag")), *body)


def work(**policies: object) -> p.Expression:
    made = call(WORK, ref("id"))
    return guard(made, **policies) if policies else made


def four() -> p.Expression:
    return texts(text(), text(), text(), text())


# --- effects


@pytest.mark.parametrize(
    ("body", "slugs"),
    [
        (guard(call(PAY, text()), retries=1), ["dangerous-repeated"]),
        (guard(call(PAY, text()), hedge=1.0), ["dangerous-repeated"]),
        (guard(call(PAY, text()), hedge=1.0, retries=2), ["dangerous-repeated"] * 2),
        (race(call(PAY, text()), text()), ["dangerous-repeated"]),
        (guard(call(PAY, text()), timeout=1.0), []),
        (guard(call(SAFE, text()), retries=1, hedge=1.0), []),
        (race(call(SAFE, text()), text()), []),
        (guard(call(LOOK, text()), retries=1), []),
        (guard(call(PAY, text()), cache=60.0), ["dangerous-cached"]),
        (guard(call(LOOK, text()), cache=60.0), []),
        (guard(template("x", branch(flag(), call(PAY, text()), text())), retries=1), ["dangerous-repeated"]),
        (guard(each("one", texts(text()), call(PAY, ref("one"))), retries=1), ["dangerous-repeated"]),
        (guard(call(WORK, call(PAY, text())), retries=1), ["dangerous-repeated"]),
    ],
)
def test_dangerous_tools_are_called_once(body: p.Expression, slugs: list[str]) -> None:
    assert found(main(body)) == slugs


def test_a_dangerous_tool_in_a_called_pipeline() -> None:
    inner = pipeline("inner", (), call(PAY, text()))
    middle = pipeline("middle", (), run("inner"))
    outer = guard(run("middle"), retries=1)
    (problem,) = analyse(program(main(outer), middle, inner))
    assert problem.slug == "dangerous-repeated"
    assert problem.span == outer.policies.spans["retries"]
    assert [r.text for r in problem.related] == [
        "`middle` is called here",
        "`inner` is called here",
        "`pay` is called here",
        "it writes",
    ]
    assert problem.hint is not None and "idempotent by id" in problem.hint


# --- times


@pytest.mark.parametrize(
    ("body", "slugs"),
    [
        (guard(work(timeout=1.0, retries=2), timeout=2.9), ["deadline-too-short"]),
        (guard(work(timeout=1.0, retries=2), timeout=3.0), []),
        # Back-offs double: 0.1 + 0.2 + 0.4.
        (guard(work(timeout=1.0, retries=3, backoff=0.1), timeout=4.69), ["deadline-too-short"]),
        (guard(work(timeout=1.0, retries=3, backoff=0.1), timeout=4.7), []),
        (guard(work(retries=3, backoff=1.0), timeout=6.9), ["deadline-too-short"]),
        # What states nothing takes no time.
        (guard(repeat("s", text(), 1000, call(WORK, ref("s"))), timeout=0.1), []),
        (guard(repeat("s", text(), 4, guard(call(WORK, ref("s")), timeout=1.0)), timeout=3.9), ["deadline-too-short"]),
        (guard(repeat("s", text(), 4, guard(call(WORK, ref("s")), timeout=1.0)), timeout=4.0), []),
        # Two rounds of two.
        (guard(each("x", four(), work(timeout=1.0), at_most=2), timeout=1.9), ["deadline-too-short"]),
        (guard(each("x", four(), work(timeout=1.0), at_most=2), timeout=2.0), []),
        (guard(each("x", ref("many"), work(timeout=1.0), at_most=2), timeout=1.0), []),
        # A branch takes as long as the longer side, a race as the longest branch, and independent calls together.
        (guard(branch(flag(), work(timeout=2.0), work(timeout=1.0)), timeout=1.5), ["deadline-too-short"]),
        (guard(race(work(timeout=2.0), work(timeout=1.0)), timeout=2.0), []),
        (guard(template(work(timeout=1.0), work(timeout=1.0)), timeout=1.0), []),
        (guard(call(WORK, work(timeout=1.0)), timeout=1.0), []),
        (guard(guard(call(WORK, work(timeout=1.0)), timeout=1.0), timeout=0.5), ["deadline-too-short"]),
        # The left side fails late, and then the fallback has its turn.
        (guard(otherwise(work(timeout=1.0), work(timeout=1.0)), timeout=1.5), ["deadline-too-short"]),
        (guard(otherwise(work(timeout=1.0), work(timeout=1.0)), timeout=2.0), []),
        (guard(otherwise(work(timeout=1.0), work()), timeout=1.0), ["fallback-never-runs"]),
        (guard(otherwise(work(timeout=1.0), work()), timeout=1.1), []),
        (guard(otherwise(work(timeout=1.0), work(), "denied"), timeout=1.0), []),
        (work(timeout=1.0, hedge=1.0), ["hedge-never-starts"]),
        (work(timeout=1.0, hedge=0.9), []),
        (guard(work(hedge=2.0), timeout=1.0), ["hedge-never-starts"]),
        (work(timeout=1.0, idle=1.5), ["idle-never-ends"]),
        (work(timeout=1.0, idle=1.0), []),
    ],
)
def test_times_fit_into_their_deadline(body: p.Expression, slugs: list[str]) -> None:
    assert found(main(body)) == slugs


def test_times_add_along_dependencies_only() -> None:
    def one(name: str, of: str) -> p.Bind:
        return bind(name, guard(call(WORK, ref(of)), timeout=1.0))

    chained = pipeline("inner", (parameter("id"),), one("a", "id"), one("b", "a"), template(ref("a"), ref("b")))
    beside = pipeline("inner", (parameter("id"),), one("a", "id"), one("b", "id"), template(ref("a"), ref("b")))
    outer = main(guard(run("inner", id=text()), timeout=1.5))
    assert found(outer, chained) == ["deadline-too-short"]
    assert found(outer, beside) == []


def test_a_slow_argument_delays_only_what_waits_for_it() -> None:
    slow = bind("a", guard(call(WORK, ref("first")), timeout=1.0))
    inner = pipeline("inner", (parameter("first"), parameter("last")), slow, template(ref("a"), ref("last")))
    late = guard(call(WORK, text()), timeout=1.0)
    assert found(main(guard(run("inner", first=text(), last=late), timeout=1.5)), inner) == []
    assert found(main(guard(run("inner", first=late, last=text()), timeout=1.5)), inner) == ["deadline-too-short"]


def test_the_calls_that_lead_to_a_policy_are_shown() -> None:
    policy = guard(call(WORK, text()), timeout=1.0, retries=2)
    inner = pipeline("inner", (), policy)
    calling = run("inner")
    outer = guard(calling, timeout=2.0)
    (problem,) = analyse(program(main(outer), inner))
    assert problem.title == "the policies inside this `timeout 2 s` may take 3 s"
    assert problem.span == outer.policies.spans["timeout"]
    assert [(r.span, r.text) for r in problem.related] == [
        (calling.span, "`inner` may take 3 s"),
        (policy.policies.spans["timeout"].to(policy.policies.spans["retries"]), "3 attempts of 1 s may take 3 s"),
    ]


def test_a_hedge_is_held_against_the_deadline_of_a_caller() -> None:
    inner = pipeline("inner", (), guard(call(WORK, text()), hedge=2.0))
    assert found(main(guard(run("inner"), timeout=1.0)), inner) == ["hedge-never-starts"]
    assert found(main(guard(run("inner"), timeout=3.0)), inner) == []


# --- goals


def test_a_goal_below_the_stated_worst_case_is_a_warning() -> None:
    body = bind("a", work(timeout=3.0, retries=1))
    (problem,) = analyse(program(main(body, ref("a")), goals=(goal("main", finish(5.0)),)))
    assert (problem.slug, problem.severity.value) == ("goal-below-worst-case", "warning")
    assert found(main(body, ref("a")), terms=(finish(6.0),)) == []
    assert found(main(work()), terms=(finish(0.001),)) == []


def test_a_rate_that_a_policy_does_not_let_through() -> None:
    inner = pipeline("inner", (), guard(call(WORK, text()), rate=2.0))
    assert found(main(run("inner")), inner, terms=(arrivals(2.0),)) == []
    assert found(main(run("inner")), inner, terms=(arrivals(3.0),)) == ["goal-ruled-out"]
    twice = main(each("x", texts(text(), text()), run("inner")))
    assert found(twice, inner, terms=(arrivals(1.0),)) == []
    assert found(twice, inner, terms=(arrivals(1.5),)) == ["goal-ruled-out"]
    assert found(main(branch(flag(), run("inner"), text())), inner, terms=(arrivals(3.0),)) == []


def test_a_finish_that_a_rate_limit_rules_out() -> None:
    ten = texts(*[text() for _ in range(11)])
    body = each("x", ten, guard(call(WORK, ref("x")), rate=1.0))
    assert found(main(body), terms=(finish(9.0),)) == ["goal-ruled-out"]
    assert found(main(body), terms=(finish(10.0),)) == []
