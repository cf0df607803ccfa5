"""The worst case of pipelines and expressions."""

from __future__ import annotations

import pytest
from analysis_programs import (
    TEXTS,
    bind,
    branch,
    call,
    chat,
    each,
    everything,
    flag,
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
    whole,
)

from agentlang.lang import program as p
from agentlang.lang.analysis.amounts import ZERO, amount, length
from agentlang.lang.analysis.bounds import Bounds, Worst

LOOK = tool("look", "network")
SPLIT = stage("text.split", "text", result=TEXTS)


def worst(*body: p.Statement | p.Expression, others: tuple[p.Pipeline, ...] = ()) -> Worst:
    made = pipeline("main", (parameter("words"), parameter("many", type=TEXTS)), *body)
    return Bounds(program(made, *others)).pipelines["main"]


def ask(prompt: p.Expression | None = None) -> p.Expression:
    return everything(chat(prompt or ref("words")))


MANY = length("len(many)")


@pytest.mark.parametrize(
    ("body", "calls", "tokens", "seconds"),
    [
        (ask(), 1, 100, 60),
        (ask(ask()), 2, 200, 120),
        (template(ask(), ask()), 2, 200, 60),
        (guard(ask(), retries=2, timeout=5.0), 3, 300, 15),
        (guard(ask(), hedge=1.0, timeout=5.0), 2, 200, 5),
        (guard(ask(), timeout=100.0), 1, 100, 60),
        (otherwise(guard(ask(), timeout=5.0), ask()), 2, 200, 65),
        (race(ask(), ask(ask())), 3, 300, 120),
        (branch(flag(), ask(), ask(ask())), 2, 200, 120),
        (repeat("s", text(), 4, ask(ref("s"))), 4, 400, 240),
        (each("one", texts(text(), text(), text()), ask(ref("one")), at_most=2), 3, 300, 120),
        (text(), 0, 0, 0),
    ],
)
def test_known_amounts(body: p.Expression, calls: float, tokens: float, seconds: float) -> None:
    found = worst(body)
    assert found.counts.model_calls.number == calls
    assert found.counts.tokens_out.number == tokens
    assert found.seconds.number == seconds


def test_what_is_stated_and_what_is_assumed() -> None:
    bare, policy = worst(ask()), worst(guard(ask(), timeout=5.0, retries=1))
    assert (bare.seconds.number, bare.assumed, bare.stated) == (60, True, ZERO)
    assert (policy.seconds.number, policy.assumed, policy.stated.number) == (10, False, 10)


def test_a_list_of_unknown_length_is_a_factor() -> None:
    found = worst(each("one", ref("many"), ask(ref("one")), at_most=4))
    assert found.counts.model_calls == MANY
    assert found.counts.tokens_out.show() == "100 × len(many)"
    assert found.seconds.show() == "60 + 15 × len(many)"
    assert found.stated == ZERO


def test_the_lengths_of_lists_follow_from_each_other() -> None:
    notes = bind("notes", each("one", ref("many"), ask(ref("one"))))
    found = worst(notes, each("note", ref("notes"), ask(ref("note"))))
    assert found.counts.model_calls == MANY * 2
    both = p.Binary(type=TEXTS, span=text().span, operator="+", left=ref("many", TEXTS), right=texts(text()))
    assert worst(each("one", both, ask())).counts.model_calls == MANY + amount(1)


def test_loops_inside_loops_multiply() -> None:
    parts = bind("parts", call(SPLIT, ref("one")))
    found = worst(each("one", ref("many"), parts, each("part", ref("parts"), ask(ref("part")))))
    assert found.counts.model_calls.show() == "len(many) × len(parts)"
    assert found.counts.steps.show() == "len(many) + len(many) × len(parts)"


def test_lengths_pass_into_called_pipelines() -> None:
    inner = pipeline(
        "inner",
        (parameter("texts", type=TEXTS),),
        bind("parts", call(SPLIT, text())),
        bind("gists", each("part", ref("parts"), call(LOOK, ref("part")))),
        each("one", ref("texts"), template(ask(ref("one")), ref("gists"))),
    )
    found = worst(run("inner", TEXTS, texts=texts(text(), text())), others=(inner,))
    assert found.counts.model_calls.number == 2
    assert found.counts.tool_calls == length("len(inner.parts)")
    again = worst(each("x", run("inner", TEXTS, texts=ref("many", TEXTS)), ask(ref("x"))), others=(inner,))
    assert again.counts.model_calls == MANY * 2


def test_tokens_that_the_program_does_not_write_out() -> None:
    asked = chat(ref("words"))
    *given, _ = asked.arguments
    unsaid = p.StageCall(type=asked.type, span=asked.span, stage=asked.stage, arguments=tuple(given))
    assert worst(everything(unsaid)).counts.tokens_out.number == 256
    computed = (*given, p.Argument("max_tokens", ref("words")))
    other = p.StageCall(type=asked.type, span=asked.span, stage=asked.stage, arguments=computed)
    assert worst(everything(other)).counts.tokens_out == length("max_tokens")


def test_one_expression() -> None:
    inner = ask()
    made = pipeline("main", (parameter("words"),), bind("first", inner), ask(ref("first")))
    bounds = Bounds(program(made))
    found = bounds.worst("main", inner)
    assert found is not None and found.counts.model_calls.number == 1 and found.seconds.number == 60
    assert bounds.worst("gone", inner) is None


def test_pipelines_of_a_circle_have_no_bound() -> None:
    left = pipeline("left", (), run("right"))
    right = pipeline("right", (), run("left"))
    alone = pipeline("alone", (), ask(text()))
    assert set(Bounds(program(left, right, alone)).pipelines) == {"alone"}


def test_enormous_bounds_end() -> None:
    deep: p.Expression = ask(text())
    for depth in range(70):
        over = p.Binary(
            type=TEXTS, span=text().span, operator="+", left=ref("many", TEXTS), right=call(SPLIT, whole(depth))
        )
        deep = each(f"x{depth}", over, deep)
        deep = repeat(f"s{depth}", text(), 10**9, deep)
    found = worst(deep)
    assert "too many lengths" in found.counts.model_calls.show()


@pytest.mark.parametrize(
    ("bound", "shown"),
    [
        (ZERO, "0"),
        (amount(3), "3"),
        (MANY, "len(many)"),
        (MANY * 2 + amount(1), "1 + 2 × len(many)"),
        (MANY * length("len(a)"), "len(a) × len(many)"),
    ],
)
def test_bounds_are_written_out(bound: object, shown: str) -> None:
    assert bound.show() == shown  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType]
