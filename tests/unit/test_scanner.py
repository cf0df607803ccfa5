"""Tokens: numbers and their units, texts and holes, words, and where declarations start."""

from __future__ import annotations

import pytest

from agentlang.base.source import Source
from agentlang.base.units import BANDWIDTH, BYTESIZE, DURATION, MONEY_PER_COUNT, NUMBER, RATE, Quantity
from agentlang.lang.parser import parse
from agentlang.lang.scanner import scan
from agentlang.lang.syntax import LetDecl, Template
from agentlang.lang.syntax import Quantity as QuantityNode
from agentlang.lang.texts import dedent, reindent


def tokens(text: str) -> list[tuple[str, str]]:
    return [(token.kind, token.text) for token in scan(Source("x", text)).tokens]


def kinds(text: str) -> list[str]:
    return [kind for kind, _ in tokens(text)]


def problems(text: str) -> list[str]:
    return [problem.slug for problem in scan(Source("x", text)).problems]


def value(text: str) -> object:
    """The expression that a constant is."""
    file, found = parse(Source("x", f"let x = {text}"))
    assert not found, found[0].title
    (declaration,) = file.declarations
    assert isinstance(declaration, LetDecl)
    return declaration.value


def content(text: str) -> str | None:
    node = value(text)
    assert isinstance(node, Template)
    return node.literal


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("250 ms", Quantity(0.25, DURATION)),
        ("250ms", Quantity(0.25, DURATION)),
        ("80 GiB", Quantity(80 * 2.0**30, BYTESIZE)),
        ("3.35 TB/s", Quantity(3.35e12, BANDWIDTH)),
        ("200 Gbit/s", Quantity(25e9, BANDWIDTH)),
        ("10 %", Quantity(0.1, NUMBER)),
        ("4 per s", Quantity(4, RATE)),
        ("$0.50 per 1000 runs", Quantity(0.0005, MONEY_PER_COUNT)),
        ("1_200 tokens per min", Quantity(20, Quantity(1.0, RATE).dimension)),
    ],
)
def test_a_number_with_its_unit_is_one_token(text: str, expected: Quantity) -> None:
    assert kinds(f"x = {text}") == ["NAME", "IS", "QUANTITY"]
    node = value(text)
    assert isinstance(node, QuantityNode)
    assert node.value.value == pytest.approx(expected.value)
    if "tokens" not in text:
        assert node.value.dimension == expected.dimension


def test_dividing_by_a_name_is_no_unit() -> None:
    assert kinds("n = 4 / s") == ["NAME", "IS", "NUMBER", "SLASH", "NAME"]
    assert kinds("4 GB / s") == ["QUANTITY", "SLASH", "NAME"]


def test_a_percent_sign_is_a_unit_unless_an_operand_follows() -> None:
    assert kinds("10 % 3") == ["NUMBER", "MODULO", "NUMBER"]
    assert kinds("10 % x") == ["NUMBER", "MODULO", "NAME"]
    assert kinds("10 %\nx") == ["QUANTITY", "NAME"]
    assert kinds("[10 %, 5%]") == ["LSQB", "QUANTITY", "COMMA", "QUANTITY", "RSQB"]
    assert kinds("10 % otherwise x") == ["QUANTITY", "OTHERWISE", "NAME"]


def test_words_that_may_follow_a_number_are_no_units() -> None:
    assert kinds("at most 8 at once") == ["NAME", "NAME", "NUMBER", "NAME", "NAME"]
    assert kinds("retry 2 backoff 50 ms") == ["NAME", "NUMBER", "NAME", "QUANTITY"]
    assert kinds("0..8") == ["NUMBER", "TO", "NUMBER"]


def test_quotes_nest_in_holes() -> None:
    assert tokens('"{a.b(c, "; ")} d"') == [
        ("TEXT", '"'),
        ("HOLE", "{"),
        ("NAME", "a"),
        ("DOT", "."),
        ("NAME", "b"),
        ("LPAR", "("),
        ("NAME", "c"),
        ("COMMA", ","),
        ("TEXT", '"'),
        ("TEXT_PART", "; "),
        ("TEXT_END", '"'),
        ("RPAR", ")"),
        ("HOLE_END", "}"),
        ("TEXT_PART", " d"),
        ("TEXT_END", '"'),
    ]


def test_a_hole_may_hold_braces_of_its_own() -> None:
    assert kinds('"{ {"a": 1} }"') == [
        *("TEXT", "HOLE", "LBRACE", "TEXT", "TEXT_PART", "TEXT_END", "COLON", "NUMBER", "RBRACE", "HOLE_END"),
        "TEXT_END",
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('"a\\nb"', "a\nb"),
        ('"\\"\\\\\\t"', '"\\\t'),
        ('"\\u{1F600}"', "\U0001f600"),
        ('"{{a}}"', "{a}"),
        ('""', ""),
        ('"""a"""', "a"),
        ('"""\n    a\n      b\n    """', "a\n  b"),
        ('"""\n    a\n\n    b\n\n    """', "a\n\nb\n"),
        ('"""\r\n  a\r\n  b\r\n  """', "a\nb"),
        ('"""\n    \\u{20}a\n    """', " a"),
        ('"""\n  say ""x""\n  """', 'say ""x""'),
        ('"""a\n  b"""', "a\nb"),
    ],
)
def test_what_texts_say(text: str, expected: str) -> None:
    assert content(text) == expected


def test_the_indentation_of_a_line_that_ends_in_a_hole_counts() -> None:
    assert dedent(["\n    ", None, "\n      b\n    "]) == ["", None, "\n  b"]
    assert reindent(["\n    ", None, "\n      b\n    "], "  ") == ["\n  ", None, "\n    b\n  "]


def test_a_lone_brace_in_a_text_is_a_problem_and_stays_text() -> None:
    assert problems('"a } b"') == ["lone-brace"]
    file, _ = parse(Source("x", 'let x = "a } b"'))
    (declaration,) = file.declarations
    assert isinstance(declaration, LetDecl) and isinstance(declaration.value, Template)
    assert declaration.value.literal == "a } b"


def test_reserved_words_are_names_behind_a_dot_and_before_a_colon() -> None:
    assert kinds("f(stop: 1).next") == ["NAME", "LPAR", "NAME", "COLON", "NUMBER", "RPAR", "DOT", "NAME"]
    assert kinds("stop x") == ["STOP", "NAME"]


def test_tabs_carriage_returns_and_a_byte_order_mark_are_taken() -> None:
    source = Source("x", "\ufeffpipeline p() -> Text {\r\n\treturn x\r\n}\r\n")
    file, found = parse(source)
    assert not found
    assert len(file.declarations) == 1


def test_declarations_start_whatever_is_open_above() -> None:
    text = "pipeline a() -> Text {\n  x = f((\n\npipeline b() -> Text {\n  return x\n}\n"
    found = scan(Source("x", text))
    assert [found.tokens[index].text for index in found.starts] == ["pipeline", "pipeline"]


def test_an_inner_line_starts_no_declaration() -> None:
    text = "agent a(q: Text) -> Text {\n  model m\n  tools [t]\n}\ngoal a {\n  assume {\n    type 3 items\n  }\n}\n"
    found = scan(Source("x", text))
    assert [found.tokens[index].text for index in found.starts] == ["agent", "goal"]


@pytest.mark.parametrize(
    ("text", "slug"),
    [
        ("x = 0x1F", "bad-number"),
        ("x = 1_", "bad-number"),
        ("x = 1.2.3", "bad-number"),
        ("x = 5.", "bad-number"),
        ("x = .5", "bad-number"),
        (f"x = {'9' * 5000}", "bad-number"),
        ("x = 1e999", "bad-number"),
        ("x = 3 parsec", "unknown-unit"),
        ("x = 3 per fortnight", "unknown-unit"),
        ('x = "a', "unclosed-text"),
        ('x = """a', "unclosed-text"),
        ("x = a;", "bad-character"),
        ("x = \x07", "bad-character"),
        ("x = a\rb", "bad-character"),
        ("x = " + "(" * 100, "too-deep"),
    ],
)
def test_what_cannot_be_read_is_reported_once(text: str, slug: str) -> None:
    assert problems(text) == [slug]
