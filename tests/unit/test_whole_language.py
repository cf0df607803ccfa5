"""The grammar takes the whole language, each construct prints and formats, and soft keywords stay names elsewhere."""

from __future__ import annotations

import pytest
from whole_language import WHOLE

from agentlang.base.source import Source
from agentlang.lang import syntax as s
from agentlang.lang.format import format_source
from agentlang.lang.parser import parse
from agentlang.lang.printer import show
from agentlang.lang.scanner import scan


def sound(text: str) -> s.File:
    file, problems = parse(Source("whole.agent", text))
    assert not problems, [(problem.title, str(problem.span)) for problem in problems]
    return file


def test_every_kind_of_node_comes_from_the_program() -> None:
    file = sound(WHOLE)
    seen = {type(node) for node in s.walk(file)}
    kinds = {kind for name in s.__all__ if isinstance(kind := getattr(s, name), type) and kind is not s.Node}
    # A known type stands only in trees that the checker makes.
    assert kinds - {s.KnownType} == seen


def test_the_program_prints_and_formats() -> None:
    file = sound(WHOLE)
    assert sound(show(file)) == file
    assert format_source(Source("whole.agent", WHOLE)) == (WHOLE, ())


def statement(text: str) -> s.Statement:
    (test,) = sound(f'test "t" {{\n  {text}\n}}\n').declarations
    assert isinstance(test, s.TestDecl)
    (found,) = test.body.statements
    return found


def test_given_answers_a_call() -> None:
    node = statement('given writer.chat("a", n: 1) = "b"')
    assert isinstance(node, s.Given)
    assert (node.target.text, len(node.arguments or ())) == ("writer.chat", 2)
    every = statement("given order = 3 otherwise 4")
    assert isinstance(every, s.Given) and every.arguments is None and isinstance(every.answer, s.Otherwise)
    none = statement("given order() = 3")
    assert isinstance(none, s.Given) and none.arguments == ()
    assert isinstance(statement("given given(given) = given"), s.Given)


@pytest.mark.parametrize("text", ["given = 3", "given", "given(3)", "given.x", "given + 1", "given |> f()", "given[0]"])
def test_given_is_a_name_where_no_name_follows(text: str) -> None:
    assert not isinstance(statement(text), s.Given)


def test_given_before_a_line_that_starts_with_a_name_is_a_name() -> None:
    (test,) = sound('test "t" {\n  given\n  order\n}\n').declarations
    assert isinstance(test, s.TestDecl)
    assert [type(part) for part in test.body.statements] == [s.ExprStatement, s.ExprStatement]


def policies(text: str) -> tuple[s.Policy, ...]:
    (constant,) = sound(f"let x = f() with {text}").declarations
    assert isinstance(constant, s.LetDecl) and isinstance(constant.value, s.With)
    return constant.value.policies


def test_policies() -> None:
    idle, breaker, rate, latest = policies("idle 2 s, breaker most pause 30 s, rate 4 per s, buffer latest")
    assert isinstance(idle, s.Idle) and isinstance(idle.after, s.Quantity) and idle.after.unit == "s"
    assert isinstance(breaker, s.Breaker) and isinstance(breaker.failures, s.Name)
    assert isinstance(rate, s.RateLimit) and rate.rate.per is not None and rate.rate.per.unit == "s"
    assert isinstance(latest, s.Latest)


def test_words_of_policies_stay_names() -> None:
    words = ("idle", "breaker", "pause", "rate", "latest", "buffer", "drop", "given")
    lines = "\n".join(f"  {word} = f({word}, {word}: {word}.{word})" for word in words)
    sound(f"pipeline p({', '.join(f'{word}: Text' for word in words)}) -> Text {{\n{lines}\n  return idle\n}}\n")


def test_an_arm_takes_the_new_policies_behind_a_comma() -> None:
    lines = "match q { A => f() with idle 2 s, rate 4 per s, breaker 2 pause 1 s, rate => 3 }"
    (test,) = sound(f'test "t" {{ {lines} }}').declarations
    (match,) = [node for node in s.walk(test) if isinstance(node, s.Match)]
    assert len(match.arms) == 2


def test_no_ordinary_line_looks_like_the_start_of_a_declaration() -> None:
    found = scan(Source("whole.agent", WHOLE))
    starts = [found.tokens[index] for index in found.starts]
    assert all(token.column == 1 for token in starts)
    assert len(starts) == len(sound(WHOLE).declarations)
