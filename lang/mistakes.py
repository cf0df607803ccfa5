"""Mistakes that people make, each with how it is recognised, what is said, and an example that a test runs.

A recogniser looks at the first token that does not fit, at its neighbours and at what would have fitted. It gives a
verdict with the better words and, where it knows one, the better repair; the general search of `recovery` does the
rest. Rows without a recogniser are mistakes that the scanner or the general search already words well: they stay here
so that this remains so.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ..base.suggest import suggest
from . import lalr
from . import structure_problems as problems
from .fault_words import made
from .faults import Edit, Fault, Verdict
from .mistaken_expressions import (
    bare_key,
    braced_record,
    chain,
    foreign_type,
    policies,
    single_equals,
    ternary,
    text_prefix,
)
from .mistaken_figures import empty_fleet, negative, negative_range
from .suspects import bracket_before_continuation, doubled, missing_word, misspelt_keyword, unclosed_case
from .tokens import DECLARATION_WORDS, OPENERS, RESERVED, Token

_OTHER_LANGUAGES = {
    "def": "pipeline",
    "fn": "pipeline",
    "func": "pipeline",
    "function": "pipeline",
    "fun": "pipeline",
    "import": "use",
    "class": "type",
    "struct": "type",
    "record": "type",
    "interface": "type",
    "const": "let",
    "var": "let",
}


def recognise(fault: Fault) -> Verdict | None:
    """The verdict of the first mistake that fits."""
    for mistake in MISTAKES:
        if mistake.recogniser is not None and (verdict := mistake.recogniser(fault)) is not None:
            return verdict
    return None


# Outside of declarations


def _misspelt_declaration(fault: Fault) -> Verdict | None:
    token, following = fault.token, fault.ahead(1)
    if fault.index != 0 or token is None or following is None or token.kind != "NAME" or following.first:
        return None
    if following.kind not in ("NAME", "TEXT", "DOT", "TO") and following.text not in RESERVED:
        return None
    word = _OTHER_LANGUAGES.get(token.text) or suggest(token.text, DECLARATION_WORDS)
    if word is None:
        return None
    return Verdict(problems.misspelt_declaration(fault.place(token), token.text, word), fault.exchange(0, "NAME", word))


def _loose_binding(fault: Fault) -> Verdict | None:
    token, following = fault.token, fault.ahead(1)
    if fault.index != 0 or token is None or following is None or token.kind != "NAME" or following.kind != "IS":
        return None
    word = Token("NAME", "let", token.start, token.start, token.line, token.column, True)
    edit = Edit(0, 1, (word, token._replace(first=False)))
    return Verdict(problems.loose_binding(fault.place(token), token.text), edit)


def _loose_statement(fault: Fault) -> Verdict | None:
    token = fault.token
    if fault.index != 0 or token is None:
        return None
    if token.kind in OPENERS:
        return Verdict(problems.closes_nothing(fault.place(token), token.text), Edit.remove(fault.tokens, 0, 1))
    line = [t for t in fault.tokens if t.line == token.line]
    if token.kind == "NAME" and any(t.kind in ("RETURNS", "LBRACE") for t in line):
        # It looks like a declaration without its word: the search will find which.
        return None
    if token.kind == "TEXT" and line[-1].kind == "LBRACE":
        return None
    if token.kind == "NAME" and len(line) > 1 and line[1].kind in ("SLASH", "NAME"):
        return None
    return Verdict(problems.loose_statement(fault.place(token)), Edit.remove(fault.tokens, 0, len(fault.tokens)))


def _after_declaration(fault: Fault) -> Verdict | None:
    """Something follows a sound declaration."""
    token = fault.token
    if fault.index == 0 or "$END" not in fault.takes or token is None:
        return None
    if fault.takes != frozenset({"$END"}) and (token.text not in DECLARATION_WORDS or token.first):
        return None
    rest = Edit.remove(fault.tokens, fault.index, len(fault.tokens))
    if token.kind in OPENERS:
        rest = Edit.remove(fault.tokens, fault.index, fault.index + 1)
        return Verdict(problems.closes_nothing(fault.place(token), token.text), rest)
    return Verdict(problems.after_declaration(fault.place(token)), rest)


# Declarations


def _no_result(fault: Fault) -> Verdict | None:
    previous = fault.previous
    if "RETURNS" not in fault.takes or previous is None or not fault.is_kind("LBRACE", "IS"):
        return None
    tokens = (*made("RETURNS", fault.tokens, fault.index, False), *made("NAME", fault.tokens, fault.index, False))
    return Verdict(problems.no_result(fault.gap(), fault.tokens[1].text), Edit(fault.index, 0, tokens))


def _no_type(fault: Fault) -> Verdict | None:
    previous = fault.previous
    if previous is None or previous.kind != "NAME" or fault.takes != frozenset({"COLON"}):
        return None
    if not fault.is_kind("COMMA", "RPAR", "RBRACE", "IS"):
        return None
    tokens = (*made("COLON", fault.tokens, fault.index, False), *made("NAME", fault.tokens, fault.index, False))
    return Verdict(problems.no_type(fault.gap(), previous.text), Edit(fault.index, 0, tokens))


def _inner_declaration(fault: Fault) -> Verdict | None:
    word = fault.previous
    if word is None or not word.first or not fault.is_kind("NAME") or word.text not in DECLARATION_WORDS:
        return None
    if word.kind != "NAME" or "IS" not in fault.takes or fault.index < 2:
        return None
    is_constant = word.text == "let" and (after := fault.ahead(1)) is not None and after.kind == "IS"
    edit = Edit.remove(fault.tokens, fault.index - 1, fault.index) if is_constant else None
    return Verdict(problems.inner_declaration(fault.place(word), word.text, is_constant), edit)


# Blocks and statements


def _empty_block(fault: Fault) -> Verdict | None:
    if not fault.is_kind("RBRACE") or fault.previous is None or fault.previous.kind != "LBRACE":
        return None
    value = made("NAME", fault.tokens, fault.index, False)
    if "NAME" not in fault.takes or "NUMBER" not in fault.takes:
        return None
    return Verdict(problems.empty_block(fault.place(fault.previous)), Edit(fault.index, 0, tuple(value)))


def _reserved_binding(fault: Fault) -> Verdict | None:
    """`next = 3`: the word is taken for a statement, and the `=` does not fit."""
    word = fault.previous
    if word is None or not fault.is_kind("IS") or word.text not in RESERVED or not word.first:
        return None
    return Verdict(
        problems.reserved_word(fault.place(word), word.text), fault.exchange(fault.index - 1, "NAME", word.text)
    )


def _else_if(fault: Fault) -> Verdict | None:
    token = fault.token
    if token is None or token.text not in ("elif", "elsif", "elseif") or "ELSE" not in fault.takes:
        return None
    words = tuple(t for kind in ("ELSE", "IF") for t in made(kind, fault.tokens, fault.index + 1, False))
    return Verdict(
        problems.instead(fault.place(token), f"`{token.text}`", "`else if`", "else if"), Edit(fault.index, 1, words)
    )


def _while(fault: Fault) -> Verdict | None:
    word, before = fault.previous, fault.ahead(-2)
    if word is None or word.text not in ("while", "until", "loop") or word.kind != "NAME":
        return None
    if not word.first and (before is None or before.kind != "REPEAT"):
        return None
    return Verdict(problems.no_while(fault.place(word), word.text))


def _unbounded(fault: Fault) -> Verdict | None:
    """`repeat state = first {`: the block begins where the bound should stand."""
    if not fault.is_kind("LBRACE") or fault.takes.isdisjoint(("COMMA", lalr.POLICY_COMMA)):
        return None
    depth = 0
    for index in range(fault.index - 1, -1, -1):
        kind = fault.tokens[index].kind
        depth += (kind in OPENERS) - (kind in OPENERS.values())
        if depth < 0 or (depth == 0 and kind in ("COMMA", lalr.POLICY_COMMA)):
            return None
        if depth == 0 and kind == "REPEAT":
            break
    else:
        return None
    kinds = (("COMMA", ","), ("NAME", "at"), ("NAME", "most"), ("NUMBER", "3"), ("NAME", "times"))
    tokens = tuple(
        made(kind, fault.tokens, fault.index, False)[0]._replace(kind=kind, text=text) for kind, text in kinds
    )
    return Verdict(problems.unbounded(fault.gap()), Edit(fault.index, 0, tokens))


def _in_place(fault: Fault) -> Verdict | None:
    operator = fault.previous
    if operator is None or not fault.is_kind("IS") or operator.kind not in ("PLUS", "MINUS", "STAR", "SLASH"):
        return None
    token = fault.token
    if token is None or operator.end != token.start:
        return None
    place = fault.place(operator).to(fault.place(token))
    return Verdict(problems.in_place(place, operator.text + "="), Edit(fault.index - 1, 1))


@dataclass(frozen=True, slots=True)
class Mistake:
    """An example of a mistake, and what must be said of it: slug, a part of the title, the line."""

    example: str
    slug: str
    title: str
    line: int
    recogniser: Callable[[Fault], Verdict | None] | None = None


def _inside(body: str) -> str:
    return f"pipeline p(q: Text) -> Text {{\n  {body}\n}}\n"


_TWICE = "unexpected-token", "twice"
_INSTEAD = ("unexpected-token",)
_BELOW = "unexpected-token", "below zero"
_BRACKET = ("unclosed-bracket",)

MISTAKES: tuple[Mistake, ...] = (
    # What shows late
    Mistake(_inside("x = match match q {\n    A => 1\n    B => 2\n  }\n  return x"), *_TWICE, 2, doubled),
    Mistake(_inside("x = if q {{\n    1\n  } else { 2 }\n  return x"), *_TWICE, 2),
    Mistake(_inside("x = for y in q { f(y) }}\n  return x"), *_TWICE, 2),
    # Outside of declarations
    Mistake("pipline p() -> Text {\n  return x\n}", "not-a-declaration", "`pipeline` is", 1, _misspelt_declaration),
    Mistake("p(q: Text) -> Text {\n  x = 1\n  return x\n}", "missing-token", "`pipeline`", 1, missing_word),
    Mistake("answer {\n  finish p95 <= 3 s\n}", "missing-token", "`goal`", 1),
    Mistake('"t" {\n  expect f()\n}', "missing-token", "`test`", 1),
    Mistake(_inside('x = f(\n    The notes of {q}\n    """, 3)\n  return x'), "unclosed-text", "missing", 2),
    Mistake(_inside('x = f("""\n    The {q + } of\n    """, 3)\n  return x'), "missing-token", "value", 3),
    Mistake(_inside('x = f(""""""\n    The notes: {q}\n    """, 3)\n  return x'), *_TWICE, 2),
    Mistake(_inside("x = fr y in q {\n    f(y)\n  }\n  return x"), *_INSTEAD, "`for`", 2, misspelt_keyword),
    Mistake(_inside("retrun q"), *_INSTEAD, "`return`", 2),
    Mistake(_inside("return f(q) with timeout 2 s, retyr 1"), *_INSTEAD, "`retry`", 2),
    Mistake("goal g {\n  finish p95 <= 3 s\n  prefr cheapest\n}", *_INSTEAD, "`prefer`", 3),
    Mistake("enum A { B(x: Int, C, D(y: Int) }", *_BRACKET, "`)`", 1, unclosed_case),
    Mistake(_inside("return f(q\n    otherwise g(q)"), *_BRACKET, "`)`", 2, bracket_before_continuation),
    Mistake("def p(q: Text) -> Text {\n  return q\n}", "not-a-declaration", "`pipeline` is", 1),
    Mistake("import std/llm", "not-a-declaration", "`use` is", 1),
    Mistake("use std/llm\n\nwindow = 30", "not-a-declaration", "let window", 3, _loose_binding),
    Mistake("use std/llm\n\nf(3)\n", "not-a-declaration", "outside", 3, _loose_statement),
    Mistake(_inside("return q") + "}\n", "unexpected-token", "closes nothing", 4),
    Mistake("use std/llm use std/text", "unexpected-token", "line of its own", 1, _after_declaration),
    # Declarations
    Mistake("pipeline p(q: Text) {\n  return q\n}", "missing-token", "what `p` returns", 1, _no_result),
    Mistake("pipeline p(q) -> Text {\n  return q\n}", "missing-token", "the type of `q`", 1, _no_type),
    Mistake("type A { x, y: Int }", "missing-token", "the type of `x`", 1),
    Mistake(_inside("let x = 3\n  return x"), "unexpected-token", "`let` stands outside", 2, _inner_declaration),
    Mistake(_inside('model m = llm.chat("x")\n  return m'), "unexpected-token", "`model` is declared", 2),
    Mistake('tool t(id: Int) -> Text = python("a:b")', "missing-effects", "`t`", 1),
    Mistake("type A { x: Int\n\ntype B { y: Int }", "unclosed-bracket", "`}` is missing", 1),
    Mistake("fleet f\n  tier a = catalog.x\n}", "missing-token", "`{` is missing", 1),
    Mistake("goal g {\n  finish p95 < 3 s\n}", "unexpected-token", "`<=`", 2),
    Mistake("fleet f {\n  link a <-> b 1 Gbit/s\n}", "missing-token", "missing before", 2),
    Mistake("fleet f {\n}", "empty-block", "at least one tier", 1, empty_fleet),
    Mistake("fleet f {\n  tier a = catalog.x\n  link a <-> a 1 Gbit/s, -5 us\n}", *_BELOW, 3, negative),
    Mistake("goal g {\n  rate -1 per s\n}", *_BELOW, 2),
    Mistake("fleet f {\n  tier a = catalog.x { count -1..8 }\n}", *_BELOW, 2, negative_range),
    Mistake("fleet f {\n  tier a = catalog.x { price $nan per h }\n}", "bad-character", "no amount", 2),
    # Blocks and statements
    Mistake("pipeline p() -> Text {\n}", "empty-block", "never empty", 1, _empty_block),
    Mistake(_inside("next = 3\n  return q"), "reserved-word", "`next`", 2, _reserved_binding),
    Mistake("pipeline match() -> Text {\n  return x\n}", "reserved-word", "`match`", 1),
    Mistake(_inside("x = if a { 1 } elif b { 2 } else { 3 }\n  x"), "unexpected-token", "`else if`", 2, _else_if),
    Mistake(_inside("while q {\n    f(q)\n  }\n  return q"), "unbounded-loop", "no `while`", 2, _while),
    Mistake(_inside("x = repeat while q { f(q) }\n  return x"), "unbounded-loop", "no `while`", 2),
    Mistake(_inside("return repeat x = q {\n    next f(x)\n  }"), "unbounded-loop", "how often", 2, _unbounded),
    Mistake(_inside("return repeat x = f(q, 1) { next f(x) }"), "unbounded-loop", "how often", 2),
    Mistake(_inside("x += 1\n  return x"), "unexpected-token", "bound once", 2, _in_place),
    Mistake(_inside("x = 3 y = 4\n  return x"), "missing-token", "a new line", 2),
    Mistake(_inside("x = f(q\n  y = g(x)\n  return y"), "unclosed-bracket", "`)` is missing", 2),
    Mistake(_inside("x = f((\n  y = g(x)\n  return y"), "missing-token", "a value", 2),
    Mistake(_inside("x = for y in q {\n    f(y)\n  return x"), "unclosed-bracket", "`}` is missing", 4),
    Mistake(_inside("x = q\n    + q\n  return x"), "unexpected-token", "cannot begin", 3),
    Mistake(_inside("x = match q {\n    A -> 1\n    B => 2\n  }\n  return x"), "unexpected-token", "`=>`", 3),
    Mistake(_inside("return q;"), "bad-character", "`;`", 2),
    # Expressions
    Mistake(_inside("return f(g(q) with timeout 2 s, 3)"), "policies-in-list", "parentheses", 2, policies),
    Mistake(_inside("return f(g(q) with retry 2 backoff 1 s, timeout 2 s, h(3), 3)"), "policies-in-list", "paren", 2),
    Mistake(_inside("return if 1 < q < 3 { q } else { q }"), "comparison-chain", "chain", 2, chain),
    Mistake(_inside("return if q = 3 { q } else { q }"), "unexpected-token", "`==`", 2, single_equals),
    Mistake(_inside("return A { x: 1, y: 2 }"), "unexpected-token", "`A(field: value)`", 2, braced_record),
    Mistake(_inside("return { a: 1 }"), "unexpected-token", "keys", 2, bare_key),
    Mistake(_inside("x = q ? 1 : 2\n  return x"), "unexpected-token", "`if", 2, ternary),
    Mistake(_inside('return f"hello {q}"'), "unexpected-token", "already a template", 2, text_prefix),
    Mistake("pipeline p(q: list[Text]) -> Text {\n  return q\n}", "unexpected-token", "`[Text]`", 1, foreign_type),
    Mistake("pipeline p(q: Option<Text>) -> Text {\n  return q\n}", "unexpected-token", "`Text?`", 1),
    Mistake("pipeline p(q: dict[str, int]) -> Text {\n  return q\n}", "unexpected-token", "`{Text: Int}`", 1),
    Mistake("pipeline p(q: Text) -> List<string> {\n  return q\n}", "unexpected-token", "`[Text]`", 1),
    Mistake(_inside("return f(top = 8)"), "unexpected-token", "`:`", 2),
    Mistake(_inside("return f(a b)"), "missing-token", "`,`", 2),
    Mistake(_inside("return f(a: 1, 2)"), "positional-after-named", "without a name", 2),
    Mistake(_inside("return q |> f"), "pipe-needs-call", "a call", 2),
    Mistake(_inside("return q && q"), "bad-character", "`and`", 2),
    Mistake(_inside("x =\n  y = 3\n  return y"), "missing-token", "a value", 2),
    Mistake(_inside("return q // done"), "bad-character", "`#`", 2),
    # Texts and numbers
    Mistake(_inside('return "hello'), "unclosed-text", "missing", 2),
    Mistake(_inside('return """hello'), "unclosed-text", "never closed", 2),
    Mistake(_inside("return 'hello'"), "bad-character", "double quotes", 2),
    Mistake(_inside('return "a } b"'), "lone-brace", "closes no hole", 2),
    Mistake(_inside('return "a {q b"'), "unclosed-bracket", "hole", 2),
    Mistake(_inside('return "\\d+"'), "bad-escape", "`\\d`", 2),
    Mistake(_inside('return """\n  {q # why\n  }\n  """'), "comment-in-hole", "inside a hole", 3),
    Mistake(_inside("return f(q) with timeout 2 sec"), "unknown-unit", "`s` is", 2),
    Mistake(_inside("return 3 parsec"), "unknown-unit", "`parsec`", 2),
    Mistake(_inside("return 0x1F"), "bad-number", "`0x1F`", 2),
    Mistake(_inside("return 1__000"), "bad-number", "`1__000`", 2),
    Mistake(_inside("return .5"), "bad-number", "`.5`", 2),
    Mistake(_inside("return q\x00"), "bad-character", "U+0000", 2),
)
