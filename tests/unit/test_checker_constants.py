"""Constants and defaults of every type: what they are, in which order they may stand, and what is no constant."""

from __future__ import annotations

from pathlib import Path

import pytest
from agent_sources import checked
from program_runs import compiled, ran

from agentlang.base.problems import Problem
from agentlang.base.units import MONEY, Quantity
from agentlang.ir.constants import decoded, encoded
from agentlang.lang import program as p

TYPES = (
    "enum Kind { Fast, Slow(times: Int = 2, why: Text? = none) }\n"
    "type Limits { top: Int = 5, kind: Kind = Fast, prices: {Text: Money} = {} }\n"
)


def looked_at(text: str) -> tuple[p.Program | None, list[Problem]]:
    """The program and its problems; that nothing uses a constant is no fault here."""
    program, problems = checked(text)
    return program, [problem for problem in problems if problem.slug != "unused"]


def constants(text: str) -> dict[str, p.Constant]:
    program, problems = looked_at(text)
    assert program is not None and not problems, problems
    return {name: literal.value for name, literal in program.constants.items()}


def value(expression: str, before: str = TYPES) -> p.Constant:
    return constants(f"{before}let it = {expression}\n")["it"]


@pytest.mark.parametrize(
    ("expression", "wanted"),
    [
        ("-3", -3),
        ("2 * (3 + 4) % 5", 4),
        ("7 / 2", 3.5),
        ("1 < 2 and not false", True),
        ('"{1 + 1} of {$1.50}"', "2 of $1.50"),
        ("[1, 2.5]", (1.0, 2.5)),
        ("[[1], [2]] + [[3]]", ((1,), (2,), (3,))),
        ("[1, none]", (1, None)),
        ("Slow(times: 1 + 1)", p.CaseValue("Slow", (("times", 2), ("why", None)))),
        ("Kind.Fast", p.CaseValue("Fast")),
        ('{"b": 1, "a": 2}', p.TableValue((("b", 1), ("a", 2)))),
        ('[{"a": 1}, 2] as Json', (p.TableValue((("a", 1),)), 2)),
        ("$2 * 3", Quantity(6.0, MONEY)),
        ("Limits(top: 9).top", 9),
        ('[Message(role: System, text: "kind")][0].text', "kind"),
        ('{"a": $1}["b"]', None),
        ('len("abc") + len([1, 2])', 5),
    ],
)
def test_a_constant_has_the_value_of_its_expression(expression: str, wanted: p.Constant) -> None:
    found = value(expression)
    assert found == wanted and type(found) is type(wanted)


def test_a_record_has_all_its_fields_in_declared_order() -> None:
    found = value('Limits(prices: {"z": $1, "a": $2}, top: 1)')
    prices = p.TableValue((("z", Quantity(1.0, MONEY)), ("a", Quantity(2.0, MONEY))))
    assert found == p.RecordValue("Limits", (("top", 1), ("kind", p.CaseValue("Fast")), ("prices", prices)))
    shown = {"top": 1, "kind": "Fast", "prices": {"z": 1.0, "a": 2.0}}
    assert repr(p.plain(found)) == repr(shown)


def test_defaults_and_constants_stand_in_any_order() -> None:
    text = (
        "type Outer { inner: Inner = usual, kind: Kind = Slow() }\n"
        "let usual = Inner(n: base)\n"
        "let whole = Outer()\n"
        "let base = 3\n"
        "type Inner { n: Int = 1, kind: Kind = Slow() }\n"
        "enum Kind { Fast, Slow(times: Int = 2) }\n"
    )
    slow = {"Slow": {"times": 2}}
    whole = p.plain(constants(text)["whole"])
    assert whole == {"inner": {"n": 3, "kind": slow}, "kind": slow}
    *lines, last = text.splitlines()
    assert p.plain(constants("\n".join([last, *lines[::-1]]))["whole"]) == whole


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("type A { next: A? = A() }\n", ["recursion"]),
        ("type A { b: B? = B() }\ntype B { a: A? = A() }\n", ["recursion"]),
        ("enum E { One(e: E? = One()), Two }\n", ["recursion"]),
        ("type A { a: Int = one }\nlet one = A().a\n", ["recursion"]),
        ("pipeline f() -> Int { return 1 }\nlet a = f()\n", ["not-constant"]),
        ("pipeline f(a: Int = 1, b: Int = a) -> Int { return a + b }\n", ["unknown-name"]),
        ("let a = 1 / 0\n", ["bad-bound"]),
        ("let a = [1, 2][2]\n", ["bad-bound"]),
        ("let a = [1e308 * 10]\n", ["bad-bound"]),
        ('let a = "x{[1]}"\n', ["no-text-form"]),
        ('type A { n: Int }\nlet a = A(n: "x")\n', ["wrong-type"]),
        ("type A { n: Int }\nlet a = [A(), A(n: 1)]\n", ["missing-argument"]),
        ("let a = if true { 1 } else { 2 }\n", ["not-constant"]),
    ],
)
def test_what_is_no_constant(text: str, wanted: list[str]) -> None:
    assert [problem.slug for problem in looked_at(text)[1]] == wanted


def test_not_constant_is_said_of_the_part_that_is_none() -> None:
    text = "type A { n: [Int] }\npipeline f() -> Int { return 1 }\nlet a = A(n: [1, f()])\n"
    _, (problem,) = looked_at(text)
    assert problem.span is not None and text[problem.span.start : problem.span.end] == "f()"


PROGRAM = (
    TYPES
    + """
let limits = Limits(top: 9, kind: Slow(times: 1), prices: {"tent": $80, "boat": $900})
let history = [Message(role: System, text: "be {limits.top}"), Message(role: User, text: "hello")]

pipeline order(l: Limits = Limits(top: 2), k: Kind = Slow(), m: {Text: Int} = {"y": 1, "b": 2}) -> Json {
  return [l, k, m] as Json
}

pipeline uses(l: Limits = limits, h: [Message] = history) -> Text {
  priced = for message in h { "{message.role} {message.text}" }
  word = match l.kind {
    Slow(times, _) => "slow {times}"
    Fast => "fast"
  }
  boat = match limits.prices["boat"] {
    some(price) => "{price}"
    none => "nothing"
  }
  return "{word} {boat} {priced[0]} {len(l.prices)}"
}
"""
)


def test_constants_and_defaults_run(tmp_path: Path) -> None:
    path = tmp_path / "constants.agent"
    path.write_text(PROGRAM, "utf-8")
    done = compiled(path)
    given = [
        {"top": 2, "kind": "Fast", "prices": {}},
        {"Slow": {"times": 2, "why": None}},
        {"y": 1, "b": 2},
    ]
    assert repr(ran(done, "order", {}).value) == repr(given)
    assert ran(done, "uses", {}).value == "slow 1 $900.00 System be 9 2"
    assert ran(done, "uses", {"l": {"top": 1, "kind": "Fast", "prices": {}}}).value.startswith("fast $900.00")


@pytest.mark.parametrize("data", [{"b": 1, "a": {}}, {}, {"": [1, {"keys": (1,), "values": 2}]}, {"keys": {}}, 3, None])
def test_constants_keep_their_order_in_attributes(data: object) -> None:
    assert repr(decoded(_as_read(encoded(data)))) == repr(_tuples(data))


def _as_read(value: object) -> object:
    """What MLIR gives back: dictionaries in the order of their keys, lists as tuples."""
    if isinstance(value, dict):
        return {key: _as_read(value[key]) for key in sorted(value)}
    return tuple(map(_as_read, value)) if isinstance(value, (list, tuple)) else value


def _tuples(value: object) -> object:
    if isinstance(value, dict):
        return {key: _tuples(part) for key, part in value.items()}
    return tuple(map(_tuples, value)) if isinstance(value, (list, tuple)) else value
