"""Each fault of an expression is reported once, on its own words: those between the marks of each source here."""

from __future__ import annotations

import pytest
from agent_sources import checked

from agentlang.base.problems import Problem

TOP = """
use std/llm
use std/list
use std/text
model writer = llm.chat("smollm2-135m-instruct")
let limit = 5
let pause = 2 s
enum Intent { Refund(order: Int, amount: Money), Question(topic: Text), Spam }
enum Need { Lookup(query: Text), Spam }
type Order { id: Int, paid: Money, note: Text? }
type Tree { name: Text, parts: [Tree] }
type Noise { sound: Audio }
pipeline ask(question: Text) -> Text { return all(writer.chat(question)) }
pipeline tell(question: Text) -> stream Text { return writer.chat(question) }
fleet lab {
  tier gpu = catalog.h100 { count 1 }
}
"""
PARAMETERS = (
    "t: Text, n: Int, x: Float, b: Bool, d: Duration, m: Money, i: Intent, o: Text?, xs: [Int], ts: [Text], j: Json, "
    "map: {Text: Int}, r: Order, s: stream Text, size: Bytesize"
)


def marked(text: str) -> tuple[str, list[str]]:
    """The text without its marks, and what stands between them."""
    pieces = text.replace("»", "«").split("«")
    return "".join(pieces), pieces[1::2]


def found(body: str, *, test: bool = False) -> tuple[str, tuple[Problem, ...], list[str]]:
    head = 'test "case"' if test else f"pipeline main({PARAMETERS}) -> Text"
    text, spans = marked(f"{TOP}{head} {{\n{body}\n}}\n")
    # A test has neither parameters nor a goal; names that are only there for the others are no fault here.
    return text, tuple(p for p in checked(text)[1] if p.slug != "unused"), spans


FAULTS = [
    # match
    ("missing-arm", 'return «match i» {\n  Spam => "a"\n  Question(q) => q\n}'),
    ("missing-arm", "return «match o» { some(v) => v }"),
    ("unreachable-arm", 'return match o {\n  _ => "a"\n  «none => "b"»\n}'),
    ("unreachable-arm", 'return match o {\n  none => "a"\n  «none» => "b"\n  some(v) => v\n}'),
    ("unreachable-arm", 'return match o {\n  none => "a"\n  some(v) => v\n  «_ => "c"»\n}'),
    ("wrong-binders", 'return match i {\n  «Refund(a)» => "{a}"\n  _ => "b"\n}'),
    ("wrong-binders", 'return match i {\n  «Spam(a)» => "{a}"\n  _ => "b"\n}'),
    ("wrong-binders", "return match o {\n  some(v) => v\n  «none(w)» => w\n}"),
    ("unknown-case", 'return match i {\n  «Spm» => "a"\n  Refund(_, _) => "b"\n  Question(q) => q\n}'),
    ("unknown-case", 'return match i {\n  Need.Spam => "a"\n  _ => "b"\n}'.replace("Need.Spam", "Intent.«Lookup»")),
    ("wrong-type", 'return match i {\n  «Need.Spam» => "a"\n  _ => "b"\n}'),
    ("wrong-type", 'return match «t» {\n  _ => "b"\n}'),
    ("wrong-type", "return match o {\n  some(v) => v\n  none => «0»\n}"),
    ("wrong-type", 'a = match o {\n  some(v) => 1\n  none => «"x"»\n}\nreturn "{a}"'),
    ("stream-as-value", 'return match «s» {\n  _ => "b"\n}'),
    # enums
    ("ambiguous-case", 'a = «Spam»\nreturn "{a == a}"'),
    ("missing-argument", 'a = «Refund»\nreturn "{a == i}"'),
    ("missing-argument", 'a = «Refund(order: 3)»\nreturn "{a == i}"'),
    ("wrong-type", 'a = Refund(order: 3, amount: «4 s»)\nreturn "{a == i}"'),
    ("unknown-case", 'a = Intent.«Refnd»(order: 3)\nreturn "{a == i}"'),
    ("wrong-type", "return «i».topic"),
    ("wrong-type", "return «o».topic"),
    ("not-a-value", 'a = «Intent»\nreturn "{a}"'),
    # none, lists, maps, indices
    ("untyped-none", 'a = «none»\nreturn "{a == o}"'),
    ("empty-list", 'a = «[]»\nreturn "{len(a)}"'),
    ("wrong-type", "return «o»"),
    ("wrong-type", 'a = [1, «"x"»]\nreturn "{len(a)}"'),
    ("wrong-type", 'a = {"k": 1, "l": «"x"»}\nreturn "{len(a)}"'),
    ("said-twice", 'a = {"k": 1, «"k"»: 2}\nreturn "{len(a)}"'),
    ("not-constant", 'a = {«"k{n}"»: 1}\nreturn "{len(a)}"'),
    ("wrong-type", 'return ts[«"a"»]'),
    ("wrong-type", 'a = map[«1»]\nreturn "{a == none}"'),
    ("wrong-type", 'a = j[«true»]\nreturn "{a == none}"'),
    ("wrong-type", "return «t»[0]"),
    ("wrong-type", "a = «o»[0]\nreturn a"),
    ("bad-bound", "return ts[«-1»]"),
    # as and into
    ("bad-conversion", 'a = «t as Order»\nreturn "{a.id}"'),
    ("bad-conversion", 'a = j as «Audio»\nreturn "x"'),
    ("bad-conversion", 'a = «x as Int»\nreturn "{a}"'),
    ("stream-as-value", 'a = «s» as Json\nreturn "{a}"'),
    ("into-misplaced", 'a = «t» into Order\nreturn "{a.id}"'),
    ("into-misplaced", 'a = «ask(t)» into Order\nreturn "{a.id}"'),
    ("into-misplaced", 'a = «text.redact(t)» into Order\nreturn "{a.id}"'),
    ("into-misplaced", 'a = («writer.chat(t) with timeout 2 s») into Order\nreturn "{a.id}"'),
    ("not-data", 'a = writer.chat(t) into «Audio»\nreturn "x"'),
    ("not-data", 'a = writer.chat(t) into «Noise»\nreturn "x"'),
    ("not-data", 'a = writer.chat(t) into «stream Text»\nreturn "x"'),
    # repeat
    ("missing-next", 'return repeat a = t, at most 3 times {\n  «c = "{a}"»\n}'),
    ("missing-next", "return repeat a = t, at most 3 times {\n  «stop a when b»\n}"),
    ("bad-bound", "return repeat a = t, at most «0» times { next a }"),
    ("not-constant", "return repeat a = t, at most «n» times { next a }"),
    ("wrong-type", "return repeat a = t, at most 3 times { next «1» }"),
    ("wrong-type", "return repeat a = t, at most 3 times { «1» }"),
    ("wrong-type", "return repeat a = t, at most 3 times {\n  stop «1» when b\n  next a\n}"),
    ("wrong-type", "return repeat a = t, at most 3 times {\n  stop a when «n»\n  next a\n}"),
    ("stream-as-value", "return repeat a = t, at most 3 times { next «writer.chat(a)» }"),
    ("stream-as-value", 'return repeat a = «s», at most 3 times { next "x" }'),
    ("unreachable", 'return repeat a = t, at most 3 times {\n  next a\n  «c = "{a}"»\n}'),
    ("misplaced", "return repeat a = t, at most 3 times { «return a» }"),
    ("misplaced", "«stop t»\nreturn t"),
    ("misplaced", "return repeat a = t, at most 3 times {\n  c = if b { «stop a» } else { a }\n  next c\n}"),
    ("misplaced", "return repeat a = t, at most 3 times {\n  if b { «stop a» }\n  next ask(a)\n}"),
    ("if-without-else", "return repeat a = t, at most 3 times { «if b { stop a }» }"),
    ("empty-list", 'a = repeat c = «[]», at most 3 times { next c }\nreturn "{len(a)}"'),
    # race and otherwise
    ("race-decided", "return «race { ask(t) }»"),
    ("race-decided", 'return race {\n  ask(t)\n  «"x"»\n}'),
    ("wrong-type", "return race {\n  ask(t)\n  «len(ask(t))»\n}"),
    ("unknown-reason", "return ask(t) otherwise on «timeot» t"),
    ("said-twice", "return ask(t) otherwise on timeout, «timeout» t"),
    ("unreachable-fallback", 'return t «otherwise "x"»'),
    ("unreachable-fallback", 'return "a" + t «otherwise "x"»'),
    ("unreachable-fallback", 'return ask(t) otherwise t «otherwise "x"»'),
    ("unreachable-fallback", 'return ask(t) otherwise on timeout t «otherwise on timeout "x"»'),
    ("unreachable-fallback", 'return ts[0] «otherwise on timeout "x"»'),
    ("wrong-type", "return ask(t) otherwise «n»"),
    ("wrong-type", "return tell(t) otherwise «t»".replace("return ", "a = ") + '\nreturn "x"'),
    # with
    ("policy-misplaced", "return t with «retry 1»"),
    ("policy-misplaced", "return ask(t) with timeout 2 s, «idle 1 s»"),
    ("policy-misplaced", "return ask(t) with «buffer 4»"),
    ("said-twice", "return ask(t) with retry 1, «retry 2»"),
    ("unit-mismatch", "return ask(t) with timeout «2 GiB»"),
    ("unit-mismatch", "return ask(t) with timeout «2»"),
    ("unit-mismatch", "return ask(t) with retry «2 s»"),
    ("unit-mismatch", "return ask(t) with retry 1 backoff «2»"),
    ("unit-mismatch", "return ask(t) with rate «4 s»"),
    ("wrong-type", "return ask(t) with retry «pause»"),
    ("bad-bound", "return ask(t) with retry «0»"),
    ("bad-bound", "return ask(t) with timeout «0 s»"),
    ("not-constant", "return ask(t) with timeout «d»"),
    ("not-constant", "return ask(t) with retry «n»"),
    ("unknown-name", "return ask(t) with place on «gpo»"),
    ("unknown-name", "a = tell(t) with buffer 4 drop «newest»\nreturn all(a)"),
    ("no-text-form", 'return ask(t) with approve "ok {«xs»}?"'),
    # emit, builtins, secrets
    ("misplaced", "«emit t»\nreturn t"),
    ("wrong-type", "a = buffered(«t»)\nreturn a"),
    ("wrong-type", 'a = len(«n»)\nreturn "{a}"'),
    ("secret-misplaced", 'a = «secret("KEY")»\nreturn "x"'),
    ("secret-misplaced", 'a = secret(«t»)\nreturn "x"'),
    ("wrong-type", 'a = for v in «o» { v }\nreturn "{len(a)}"'),
    ("not-callable", 'a = «some»(t)\nreturn "x"'),
    ("misplaced", '«given ask("x") = "y"»\nreturn t'),
    # calls
    ("empty-list", 'a = list.first(«[]»)\nreturn "{a == o}"'),
    ("wrong-type", 'a = list.first(«t»)\nreturn "{a == o}"'),
    ("wrong-type", 'a = list.sum(«ts»)\nreturn "{a}"'),
    ("stream-as-value", "a = writer.chat(«s»)\nreturn all(a)"),
    ("wrong-type", "a = writer.chat(«o»)\nreturn all(a)"),
    ("wrong-type", "a = writer.chat(«n», max_tokens: 3)\nreturn all(a)"),
    ("wrong-type", "a = writer.chat([Message(«Red», t)])\nreturn all(a)".replace("Red", "n")),
    ("not-callable", 'a = «Intent»(t)\nreturn "x"'),
    ("not-a-value", 'a = «python("x:y")»\nreturn "x"'),
    # templates
    ("no-text-form", 'return "{«i»}"'),
    ("no-text-form", 'return "{«o»}"'),
    ("no-text-form", 'return "{«map»}"'),
    ("no-text-form", 'return "{«r»}"'),
    # operators
    ("unit-mismatch", 'a = d «+» m\nreturn "{a}"'),
    ("unit-mismatch", 'a = d «*» m\nreturn "{a == a}"'),
    ("unit-mismatch", 'a = d «<» 3\nreturn "{a}"'),
    ("wrong-type", 'a = i == «3»\nreturn "{a}"'),
    ("wrong-type", 'a = o == «3»\nreturn "{a}"'),
    ("wrong-type", 'a = xs + «ts»\nreturn "{len(a)}"'),
    ("wrong-type", 'a = xs contains «"x"»\nreturn "{a}"'),
    ("wrong-type", 'a = «o» + "x"\nreturn a'),
]


@pytest.mark.parametrize(("slug", "body"), FAULTS, ids=[f"{slug}-{n}" for n, (slug, _) in enumerate(FAULTS)])
def test_a_fault_is_reported_once_on_its_words(slug: str, body: str) -> None:
    text, problems, spans = found(body)
    shown = [(p.slug, text[p.span.start : p.span.end] if p.span else "") for p in problems]
    assert shown == [(slug, spans[0])], [p.title for p in problems]


@pytest.mark.parametrize(
    ("slug", "body"),
    [
        ("misplaced", '«emit "x"»\nexpect ask("x") == "y"'),
        ("misplaced", 'a = if true {\n  «given ask("x") = "y"»\n  1\n} else { 2 }\nexpect a == 1'),
        ("misplaced", 'expect ask("x") == "y"\n«return 1»'),
        ("wrong-type", 'expect «len(ask("x"))»'),
        ("missing-arm", "a = none\nexpect a == 1".replace("none", '«match text.number("1")» { none => 1 }')),
    ],
)
def test_a_fault_in_a_test_is_reported_once_on_its_words(slug: str, body: str) -> None:
    text, problems, spans = found(body, test=True)
    shown = [(p.slug, text[p.span.start : p.span.end] if p.span else "") for p in problems]
    assert shown == [(slug, spans[0])], [p.title for p in problems]


def test_faults_in_several_places_are_all_reported() -> None:
    body = (
        'u = match i { «Spm» => 1, _ => 2 }\nv = ask(t) with retry «0»\nw = xs[«"x"»]\n'
        "y = repeat k = t, at most «0» times { next «1» }\nreturn ask(t) otherwise on «timeot» «n»"
    )
    text, problems, spans = found(body)
    assert [text[p.span.start : p.span.end] for p in problems if p.span] == spans
    slugs = ["unknown-case", "bad-bound", "wrong-type", "bad-bound", "wrong-type", "unknown-reason", "wrong-type"]
    assert [p.slug for p in problems] == slugs
