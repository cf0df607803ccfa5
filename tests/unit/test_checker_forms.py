"""What the forms of expressions become in the typed program: matches, loops, races, policies, conversions."""

from __future__ import annotations

import pytest
from agent_sources import checked, sound

from agentlang.lang import program as p
from agentlang.lang.types import (
    FLOAT,
    INT,
    JSON,
    MESSAGE,
    TEXT,
    EnumType,
    ListType,
    MapType,
    OptionType,
    Primitive,
    RecordType,
    StreamType,
    TurnType,
)

TOP = """
use std/llm
use std/list
use std/text
model writer = llm.chat("smollm2-135m-instruct")
let turns = 4
let pause = 2 s
enum Intent { Refund(order: Int, amount: Money @bank), Question(topic: Text), Spam }
enum Need { Lookup(query: Text), Spam }
enum Colour { Red, Green }
type Order { id: Int, paid: Money, note: Text? }
pipeline ask(question: Text) -> Text { return all(writer.chat(question)) }
pipeline tell(question: Text) -> stream Text { return writer.chat(question) }
pipeline wants(i: Intent) -> Bool { return i == Spam }
pipeline exact(x: Float, xs: [Float], o: Float?, m: {Text: Float?}) -> Float { return x }
"""
PARAMETERS = (
    "t: Text @pii, n: Int, x: Float, b: Bool, i: Intent, o: Text?, xs: [Int], ts: [Text], j: Json, map: {Text: Int}, "
    "r: Order, colour: Colour"
)


def bound(body: str, result: str = "Text") -> dict[str, p.Expression]:
    """The values that a pipeline binds, by name, and its result as `return`. Unused names are no fault here."""
    program, problems = checked(f"{TOP}pipeline main({PARAMETERS}) -> {result} {{\n{body}\n}}\n")
    left = [problem.title for problem in problems if problem.slug != "unused"]
    assert program is not None and not left, left
    found = program.pipeline("main")
    assert found is not None
    values = {s.name: s.value for s in found.body.statements if isinstance(s, p.Bind)}
    return values | ({"return": found.body.result} if found.body.result is not None else {})


def value(expression: str) -> p.Expression:
    return bound(f'out = {expression}\nreturn "x"')["out"]


def only(block: p.Block) -> p.Expression:
    assert block.result is not None
    return block.result


# --- match and enums


def test_arms_bind_what_a_case_holds_by_position() -> None:
    found = value('match i {\n  Refund(_, amount) => "{amount}"\n  Question(topic) => topic\n  Spam => "dropped"\n}')
    assert isinstance(found, p.Match) and found.type == TEXT
    refund, question, spam = found.arms
    assert (refund.case, question.case, spam.case) == ("Refund", "Question", "Spam")
    assert refund.binders[0] is None and refund.binders[1] is not None
    assert refund.binders[1].type == Primitive("Money") and refund.binders[1].labels == {"bank"}
    assert spam.binders == ()
    # What an arm gives carries the labels of what it was given; which arm was taken is not told.
    assert found.labels == {"bank"}


def test_an_arm_without_brackets_takes_the_case_whatever_it_holds() -> None:
    found = value('match i {\n  Intent.Refund => "a"\n  _ => "b"\n}')
    assert isinstance(found, p.Match)
    assert [(arm.case, arm.binders) for arm in found.arms] == [("Refund", (None, None)), (None, ())]


def test_a_match_over_an_optional_value() -> None:
    found = value('match o {\n  some(v) => v\n  none => "none"\n}')
    assert isinstance(found, p.Match) and [arm.case for arm in found.arms] == ["some", "none"]
    (binder,) = found.arms[0].binders
    assert binder is not None and binder.type == TEXT


@pytest.mark.parametrize(
    ("arms", "type"),
    [
        ("some(v) => 1, none => 0.5", FLOAT),
        ("some(v) => v, none => none", OptionType(TEXT)),
        ("some(v) => none, none => 1", OptionType(INT)),
        ("some(v) => [], none => [1]", ListType(INT)),
        ("some(v) => xs, none => []", ListType(INT)),
        ("some(v) => {}, none => map", MapType(INT)),
        ("some(v) => [1, none], none => []", ListType(OptionType(INT))),
    ],
)
def test_the_arms_agree_on_a_type(arms: str, type: p.Type) -> None:
    found = value(f"match o {{ {arms} }}")
    assert isinstance(found, p.Match) and found.type == type
    assert all(only(arm.body).type == type for arm in found.arms)


def test_values_of_enums() -> None:
    found = value('[Refund(amount: $4, order: 3), Question("x"), Intent.Spam]')
    assert found.type == ListType(EnumType("Intent")) and isinstance(found, p.ListOf)
    refund, question, spam = found.items
    assert isinstance(refund, p.BuildCase) and [a.name for a in refund.payload] == ["order", "amount"]
    assert isinstance(question, p.BuildCase) and question.case == "Question"
    assert isinstance(spam, p.BuildCase) and (spam.enum, spam.case, spam.payload) == ("Intent", "Spam", ())


def test_a_shared_case_is_the_one_that_is_expected() -> None:
    for expression in ("wants(Spam)", "i == Spam", "[i] contains Spam", "if b { i } else { Spam }"):
        cases = [part for part in walked(value(expression)) if isinstance(part, p.BuildCase)]
        assert [case.enum for case in cases] == ["Intent"], expression
    (need,) = [part for part in walked(value("Need.Spam")) if isinstance(part, p.BuildCase)]
    assert need.enum == "Need"


def walked(expression: p.Expression) -> list[p.Expression]:
    return [expression, *(inner for part in p.children(expression) for inner in walked(part))]


def test_messages() -> None:
    found = value('[Message(role: User, text: t), Message(Role.System, "x")]')
    assert found.type == ListType(MESSAGE)
    assert found.labels == {"pii"}


def test_missing_arms_are_added_by_the_fix() -> None:
    text = f"{TOP}pipeline main(i: Intent) -> Int {{\n  return match i {{\n    Spam => 1\n  }}\n}}\n"
    (problem,) = (problem for problem in checked(text)[1] if problem.slug != "unused")
    assert problem.slug == "missing-arm" and problem.fix is not None
    (edit,) = problem.fix.edits
    mended = text[: edit.span.start] + edit.text + text[edit.span.end :]
    assert "    Refund(_, _) => 0\n    Question(_) => 0\n" in mended
    assert {problem.slug for problem in checked(mended)[1]} == {"unused"}


# --- conversions


def test_whole_numbers_and_values_are_converted_where_a_float_or_an_option_is_taken() -> None:
    found = value('exact(n, [1, n], 2, {"a": n, "b": none})')
    assert isinstance(found, p.PipelineCall)
    first, second, third, fourth = (argument.value for argument in found.arguments)
    assert isinstance(first, p.Convert) and (first.type, first.value.type, first.checked) == (FLOAT, INT, False)
    assert isinstance(second, p.ListOf) and isinstance(second.items[0], p.Literal)
    assert second.items[0].value == 1.0 and isinstance(second.items[1], p.Convert)
    assert isinstance(third, p.Convert) and third.type == OptionType(FLOAT) and third.value.type == FLOAT
    assert isinstance(fourth, p.TableOf) and fourth.type == MapType(OptionType(FLOAT))
    empty = fourth.entries[1].value
    assert isinstance(empty, p.Literal) and (empty.type, empty.value) == (OptionType(FLOAT), None)


def test_a_list_that_is_not_written_out_is_not_converted() -> None:
    _, problems = checked(f"{TOP}pipeline main(xs: [Int]) -> [Float] {{ return xs }}\n")
    assert [problem.slug for problem in problems if problem.slug != "unused"] == ["wrong-type"]


def test_json_in_and_out() -> None:
    found = bound(
        'order = j as Order\nkinds = j as [Intent]\nback = order as Json\nid = j["id"]\nfirst = j[0]\n'
        'made = {"id": n, "tags": ["x", 1, none], "order": order} as Json\nreturn "{back} {made}"'
    )
    order, kinds, back, made = found["order"], found["kinds"], found["back"], found["made"]
    assert isinstance(order, p.Convert) and order.checked and order.type == RecordType("Order")
    assert isinstance(kinds, p.Convert) and kinds.type == ListType(EnumType("Intent"))
    assert isinstance(back, p.Convert) and not back.checked and back.type == JSON
    assert found["id"].type == OptionType(JSON) and found["first"].type == OptionType(JSON)
    assert isinstance(made, p.Convert) and isinstance(made.value, p.TableOf)
    assert made.value.type == MapType(JSON)
    assert all(entry.value.type == JSON for entry in made.value.entries)


def test_structured_output() -> None:
    found = value("writer.chat(t) into Intent")
    assert isinstance(found, p.Into) and found.type == EnumType("Intent") and found.labels == {"pii"}
    assert found.call.stage.entry == "llm:chat"
    piped = value("(t |> writer.chat(max_tokens: 8)) into [Order]")
    assert isinstance(piped, p.Into) and piped.type == ListType(RecordType("Order"))


def test_indices() -> None:
    found = bound('a = xs[0]\nk = map["k"]\nreturn "{a}"')
    assert isinstance(found["a"], p.IndexOf) and found["a"].type == INT
    assert found["k"].type == OptionType(INT)


# --- calls


@pytest.mark.parametrize(
    ("expression", "type"),
    [
        ("list.first(xs)", OptionType(INT)),
        ("list.first([i])", OptionType(EnumType("Intent"))),
        ("list.flatten([xs, [1]])", ListType(INT)),
        ("list.present([o, none])", ListType(TEXT)),
        ("xs |> list.take(2) |> list.reverse()", ListType(INT)),
        ("list.sum([0.5, 1])", FLOAT),
        ("list.sum(xs)", INT),
        ("list.max([2 s, 3 s])", OptionType(Primitive("Duration"))),
        ("list.sorted(items: ts)", ListType(TEXT)),
        ("writer.chat(t)", StreamType(TEXT)),
        ('writer.chat([Message(User, "x")], system: "y")', StreamType(TEXT)),
        ("[Message(User, t)] |> writer.chat(max_tokens: 4)", StreamType(TEXT)),
    ],
)
def test_a_call_fills_in_type_variables_and_picks_a_signature(expression: str, type: p.Type) -> None:
    found = value(expression)
    assert found.type == type
    assert isinstance(found, p.StageCall) and found.stage.result == type
    variables = [q for q in found.stage.parameters if str(q.type).strip("[]?") == "T"]
    assert not variables, "a variable is left in the program"


# --- repeat


def test_what_stands_behind_stop_is_the_other_branch() -> None:
    found = value(
        "repeat a = t, at most turns times {\n  c = ask(a)\n  stop c when b\n  d = ask(c)\n  stop d when len(d) > 3\n"
        '  next "{c}{d}"\n}'
    )
    assert isinstance(found, p.Repeat) and (found.state, found.state_type, found.at_most) == ("a", TEXT, 4)
    (c,) = found.body.statements
    assert isinstance(c, p.Bind) and c.name == "c"
    first = only(found.body)
    assert isinstance(first, p.If) and first.type == TurnType(TEXT)
    stop = only(first.then)
    assert isinstance(stop, p.Turn) and stop.stop
    (d,) = first.otherwise.statements
    assert isinstance(d, p.Bind) and d.name == "d"
    second = only(first.otherwise)
    assert isinstance(second, p.If)
    last = only(second.otherwise)
    assert isinstance(last, p.Turn) and not last.stop and last.type == TurnType(TEXT)


def test_branches_that_are_last_end_the_turn() -> None:
    found = value(
        "repeat a = t, at most 3 times {\n  match i {\n    Spam => { stop a }\n    Question(topic) => topic\n"
        '    Refund(k, v) => if b { next ask(a) } else {\n      stop a when k > 3\n      next "{v}"\n    }\n  }\n}'
    )
    assert isinstance(found, p.Repeat)
    chosen = only(found.body)
    assert isinstance(chosen, p.Match) and chosen.type == TurnType(TEXT)
    spam, question, refund = (only(arm.body) for arm in chosen.arms)
    assert isinstance(spam, p.Turn) and spam.stop
    assert isinstance(question, p.Turn) and not question.stop
    assert isinstance(refund, p.If) and isinstance(only(refund.then), p.Turn)
    assert found.labels == {"pii", "bank"}


@pytest.mark.parametrize(
    ("first", "turn", "type"),
    [
        ("1", "next a * 0.5", FLOAT),
        ("[]", "next a + [n]", ListType(INT)),
        ("none", 'next "x"', OptionType(TEXT)),
        ("t", "stop none when b\n  next o", OptionType(TEXT)),
        ("1", "a + 1", INT),
    ],
)
def test_the_turns_tell_what_the_state_is(first: str, turn: str, type: p.Type) -> None:
    found = value(f"repeat a = {first}, at most 3 times {{\n  {turn}\n}}")
    assert isinstance(found, p.Repeat)
    assert found.type == found.state_type == found.initial.type == type
    turns = [part for part in walked(found) if isinstance(part, p.Turn)]
    assert turns and all(part.value.type == type and part.type == TurnType(type) for part in turns)
    states = [part for part in walked(found) if isinstance(part, p.Reference) and part.name == "a"]
    assert all(part.type == type for part in states)


def test_labels_of_one_turn_are_those_of_the_next() -> None:
    found = value('repeat a = "x", at most 3 times {\n  c = ask(a)\n  next "{c}{t}"\n}')
    assert isinstance(found, p.Repeat) and found.labels == {"pii"}
    (c,) = found.body.statements
    assert isinstance(c, p.Bind) and c.value.labels == {"pii"}


def test_labels_flow_through_a_called_loop() -> None:
    text = (
        f"{TOP}pipeline turn(first: Text, later: Text, never: Text) -> Text {{\n  k = len(never)\n"
        '  return repeat a = first, at most 3 times {\n    stop a when k > 3\n    next "{later}"\n  }\n}\n'
        "pipeline main(a: Text @one, b: Text @two, c: Text @three) -> Text { return turn(a, b, c) }\n"
    )
    program = checked(text)[0]
    assert program is not None
    found = program.pipeline("main")
    assert found is not None and found.body.result is not None
    assert found.body.result.labels == {"one", "two"}


# --- race, otherwise, with


def test_races_and_fallbacks() -> None:
    found = bound(
        'a = race {\n  ask(t)\n  ask("x")\n}\n'
        'c = ask(t) otherwise on timeout, denied ask("y") otherwise "z"\n'
        "d = xs[0] otherwise 0.5\n"
        "e = tell(t) otherwise tell(a)\nreturn all(e)"
    )
    a, c, d, e = found["a"], found["c"], found["d"], found["e"]
    assert isinstance(a, p.Race) and len(a.branches) == 2 and a.labels == {"pii"}
    assert isinstance(c, p.Otherwise) and c.reasons == () and isinstance(c.value, p.Otherwise)
    assert c.value.reasons == ("timeout", "denied")
    assert isinstance(d, p.Otherwise) and d.type == FLOAT and isinstance(d.value, p.Convert)
    assert e.type == StreamType(TEXT)


def test_policies() -> None:
    found = bound(
        "a = ask(t) with timeout pause, retry 2 backoff 50 ms, hedge after 300 ms, breaker 5 pause 30 s, rate 4 per s, "
        'cache 1 h, approve "Ask {t}?", place on gpu\n'
        "c = tell(t) with buffer 8 drop oldest, idle 2 s\nd = tell(t) with buffer latest\n"
        "e = ask((ask(t) with timeout 2 s, retry 1))\n"
        'return "{a}{e}{all(c)}{all(d)}"\n}\nfleet lab {\n  tier gpu = catalog.h100 { count 1 }'
    )
    a, c, d = found["a"], found["c"], found["d"]
    assert isinstance(a, p.With) and isinstance(c, p.With) and isinstance(d, p.With)
    has = a.policies
    assert (has.timeout, has.retries, has.backoff, has.hedge) == (2.0, 2, 0.05, 0.3)
    assert (has.breaker, has.breaker_pause, has.rate, has.cache, has.place) == (5, 30.0, 4.0, 3600.0, "gpu")
    assert isinstance(has.approve, p.Template) and has.buffer is None and has.idle is None
    assert set(has.spans) == {"timeout", "retries", "hedge", "breaker", "rate", "cache", "approve", "place"}
    assert (c.policies.buffer, c.policies.drop, c.policies.idle) == (8, "oldest", 2.0)
    assert (d.policies.buffer, d.policies.drop) == (1, "oldest")


# --- streams, labels, units


def test_emit_sends_items_and_streams() -> None:
    found = bound('emit "first"\nemit writer.chat(t)', "stream Text")
    assert "return" not in found


def test_what_is_emitted_carries_its_labels() -> None:
    text = (
        f'{TOP}pipeline sends(a: Text, c: Text) -> stream Text {{\n  k = len(c)\n  emit a\n  emit "{{k}}"\n}}\n'
        'pipeline main(a: Text @one, c: Text @two) -> stream Text { return sends(a, "x") }\n'
    )
    program = checked(text)[0]
    assert program is not None
    found = program.pipeline("main")
    assert found is not None and found.body.result is not None and found.body.result.labels == {"one"}


def test_a_loop_gives_what_is_expected_of_its_items() -> None:
    found = bound("return for v in xs { v }", "[Float?]")["return"]
    assert isinstance(found, p.MapOver) and only(found.body).type == OptionType(FLOAT)


def test_defaults_may_be_cases_and_optional() -> None:
    text = (
        "enum Colour { Red, Green }\nlet usual = Green\n"
        "pipeline main(c: Colour = usual, o: Float? = 1, none_: Text? = none, xs: [Float] = [1]) -> Bool {\n"
        '  return c == Red and o == none and none_ == "x" and xs == []\n}\n'
    )
    found = sound(text).pipeline("main")
    assert found is not None
    defaults = [parameter.default for parameter in found.parameters]
    assert [(str(d.type), d.value) for d in defaults if d is not None] == [
        ("Colour", p.CaseValue("Green")),
        ("Float?", 1.0),
        ("Text?", None),
        ("[Float]", (1.0,)),
    ]


def test_interruptible_buffered_and_declassify() -> None:
    found = bound(
        "a = interruptible {\n  k = ask(t)\n  k\n}\nc = buffered(writer.chat(a)) otherwise tell(a)\n"
        'd = declassify(t)\nreturn "{all(c)}{d}"'
    )
    assert isinstance(found["a"], p.Interruptible) and found["a"].type == TEXT
    c, d = found["c"], found["d"]
    assert isinstance(c, p.Otherwise) and isinstance(c.value, p.Buffered) and c.type == StreamType(TEXT)
    assert isinstance(d, p.Declassify) and d.labels == frozenset() and d.value.labels == {"pii"}


def test_what_has_a_text_form() -> None:
    found = bound('return "{n} {x} {b} {j} {colour} {3 s} {r as Json}"')["return"]
    assert isinstance(found, p.Template)


@pytest.mark.parametrize(
    ("expression", "type"),
    [
        ("2 GiB / (1 GiB / 1 s)", Primitive("Duration")),
        ("2 GiB / 1 GiB", FLOAT),
        ("$4 * x", Primitive("Money")),
        ("60 W * 2 s", Primitive("Energy")),
        ("1 / 2 s", Primitive("Rate")),
        ("3 / 2", FLOAT),
        ("7 % 2", INT),
        ("[1] + []", ListType(INT)),
        ("[] + xs", ListType(INT)),
        ("o == none", Primitive("Bool")),
        ('none == o or o == "x"', Primitive("Bool")),
        ("len(map)", INT),
        ("map == {}", Primitive("Bool")),
    ],
)
def test_operators_have_types(expression: str, type: p.Type) -> None:
    assert value(expression).type == type
