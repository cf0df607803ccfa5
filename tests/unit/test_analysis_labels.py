"""Where labels go, and which calls may not receive them."""

from __future__ import annotations

from dataclasses import replace

import pytest
from agent_sources import checked
from analysis_programs import (
    REDACT,
    arrivals,
    at,
    bind,
    block,
    branch,
    call,
    chat,
    each,
    everything,
    flag,
    fleet,
    goal,
    guard,
    keep,
    model,
    otherwise,
    parameter,
    pipeline,
    program,
    race,
    ref,
    repeat,
    run,
    template,
    text,
    texts,
    tier,
    tool,
)

from agentlang.lang import program as p
from agentlang.lang.analysis import analyse
from agentlang.lang.analysis.flow import Flows
from agentlang.lang.analysis.whole import Whole
from agentlang.lang.types import TEXT, EnumType, RecordType

SEND = tool("send", "network")
PAY = tool("pay", "writes")
CARD = p.RecordDeclaration("Card", (parameter("owner", "pii"), parameter("number")), at())
WANT = p.EnumDeclaration(
    "Want",
    (p.EnumCase("Refund", (parameter("who", "pii"), parameter("what")), at()), p.EnumCase("Other", (), at())),
    at(),
)


def slugs(made: p.Program, strict: bool = False) -> list[str]:
    return [problem.slug for problem in analyse(made, strict)]


def kept(*body: p.Statement | p.Expression, others: tuple[p.Pipeline, ...] = (), strict: bool = False) -> list[str]:
    """The problems of a pipeline with a labelled `mail` that a goal keeps on `here`."""
    parameters = (parameter("mail", "pii"), parameter("plain"), parameter("flag"), parameter("secret_flag", "pii"))
    made = pipeline("main", parameters, *body)
    terms = goal("main", arrivals(1), keep("pii", "here"))
    return slugs(program(made, *others, goals=(terms,), records=(CARD,), enums=(WANT,)), strict)


def card() -> p.Reference:
    return ref("card", RecordType("Card"))


def field(name: str) -> p.FieldOf:
    return p.FieldOf(type=TEXT, span=at(), base=card(), field_name=name)


def made_card(number: p.Expression) -> p.BuildRecord:
    return p.BuildRecord(type=card().type, span=at(), record="Card", fields=(p.Argument("number", number),))


REACHES = {
    "an argument": (call(SEND, ref("mail")),),
    "a template": (call(SEND, template("to ", ref("mail"))),),
    "a binding": (bind("copy", ref("mail")), call(SEND, ref("copy"))),
    "an element": (bind("all", texts(ref("mail"), text())), call(SEND, each("one", ref("all"), ref("one")))),
    "a loop": (each("one", texts(ref("mail")), call(SEND, ref("one"))),),
    "a model": (bind("reply", everything(chat(ref("mail")))), call(SEND, ref("reply"))),
    "a branch": (call(SEND, branch(flag(), text(), ref("mail"))),),
    "a fallback": (call(SEND, otherwise(text(), ref("mail"))),),
    "a race": (call(SEND, race(text(), ref("mail"))),),
    "policies": (call(SEND, guard(ref("mail"), timeout=1.0)),),
    "a state": (call(SEND, repeat("draft", ref("mail"), 3, ref("draft"))),),
    "a later state": (
        repeat("draft", text(), 3, bind("was", call(SEND, ref("draft"))), template(ref("was"), ref("mail"))),
    ),
    "a field": (bind("card", made_card(ref("mail"))), call(SEND, field("number"))),
}

DOES_NOT_REACH = {
    "another argument": (call(SEND, ref("plain")),),
    "redacted": (call(SEND, call(REDACT, ref("mail"))),),
    "declassified": (call(SEND, p.Declassify(type=TEXT, span=at(), value=ref("mail"))),),
    "a condition": (call(SEND, branch(flag("secret_flag"), text(), ref("plain"))),),
    "inside a branch": (branch(flag("secret_flag"), call(SEND, text()), text()),),
    "how many items": (call(SEND, each("one", texts(ref("mail")), ref("plain"))),),
    "a choice of items": (call(SEND, each("one", texts(ref("plain")), ref("one"), where=flag("secret_flag"))),),
}


@pytest.mark.parametrize("way", REACHES)
def test_a_kept_label_reaches_a_network_tool(way: str) -> None:
    assert kept(*REACHES[way]) == ["label-reaches-tool"]


@pytest.mark.parametrize("way", DOES_NOT_REACH)
def test_what_has_no_label_may_go_anywhere(way: str) -> None:
    assert kept(*DOES_NOT_REACH[way]) == []


@pytest.mark.parametrize("way", ["a condition", "inside a branch", "how many items", "a choice of items"])
def test_strict_labels_follow_control(way: str) -> None:
    assert kept(*DOES_NOT_REACH[way], strict=True) == ["label-reaches-tool"]


def test_strict_labels_follow_control_into_called_pipelines() -> None:
    ping = pipeline("ping", (), call(SEND, text()))
    body = branch(flag("secret_flag"), run("ping"), text())
    assert kept(body, others=(ping,)) == []
    assert kept(body, others=(ping,), strict=True) == ["label-reaches-tool"]


def test_labels_pass_through_pipelines_exactly() -> None:
    first = pipeline("first", (parameter("a"), parameter("b")), ref("a"))
    clean = pipeline("clean", (parameter("a"),), call(REDACT, ref("a")))
    assert kept(call(SEND, run("first", a=ref("mail"), b=text())), others=(first,)) == ["label-reaches-tool"]
    assert kept(call(SEND, run("first", a=text(), b=ref("mail"))), others=(first,)) == []
    assert kept(call(SEND, run("clean", a=ref("mail"))), others=(clean,)) == []


def test_the_way_of_a_label_is_shown() -> None:
    inner = pipeline("inner", (parameter("words"),), bind("note", template(ref("words"))), call(SEND, ref("note")))
    mail = parameter("mail", "pii")
    passed = ref("copy")
    copy = bind("copy", ref("mail"))
    main = pipeline("main", (mail,), copy, run("inner", words=passed))
    term = keep("pii", "here")
    (problem,) = analyse(program(main, inner, goals=(goal("main", term),)))
    sent = inner.body.result
    assert isinstance(sent, p.StageCall)
    assert problem.span == sent.arguments[0].value.span
    assert [(r.span, r.text) for r in problem.related] == [
        (mail.span, "`mail` is @pii"),
        (copy.span, "`copy` holds it"),
        (passed.span, "passed to `inner` as `words`"),
        (inner.body.statements[0].span, "`note` holds it"),
        (SEND.effects[0].span, "what `send` does is declared here"),
        (term.span, "@pii is kept here"),
    ]


def test_labels_of_fields_and_payloads() -> None:
    def sent(name: str) -> list[str]:
        return kept(bind("card", call(tool("look", "reads"), text())), call(SEND, field(name)))

    assert sent("owner") == ["label-reaches-tool"]
    assert sent("number") == []
    assert kept(bind("card", text()), call(SEND, card())) == ["label-reaches-tool"]  # a whole card has an owner

    def matched(name: str) -> list[str]:
        refund = p.Arm("Refund", (parameter("who"), parameter("what")), block(call(SEND, ref(name))), at())
        other = p.Arm("Other", (), block(text()), at())
        return kept(p.Match(type=TEXT, span=at(), subject=ref("want", EnumType("Want")), arms=(refund, other)))

    assert matched("who") == ["label-reaches-tool"]
    assert matched("what") == []


def test_a_memory_gives_back_what_was_stored_in_it() -> None:
    memory = p.HandleDeclaration("notes", "memory", model().type, model().constructor, (), at())
    store = p.StageSignature(
        "memory.store", (parameter("self"), parameter("text")), TEXT, "builtin", "memory:store", at()
    )
    load = p.StageSignature("memory.load", (parameter("self"),), TEXT, "builtin", "memory:load", at())
    notes = p.HandleReference(type=memory.type, span=at(), name="notes")
    reader = pipeline("reader", (), call(SEND, call(load, notes)))
    writer = pipeline("writer_of", (parameter("mail", "pii"),), call(store, notes, ref("mail")))
    terms = goal("reader", keep("pii", "here"))
    assert slugs(program(reader, writer, handles=(memory,), goals=(terms,))) == ["label-reaches-tool"]
    assert slugs(program(reader, handles=(memory,), goals=(terms,))) == ["unknown-label"]


# --- tiers


def asked(body: p.Expression, *tiers: p.Tier, on: tuple[str, ...] = ("onprem",)) -> list[str]:
    made = pipeline("main", (parameter("mail", "pii"),), body)
    return slugs(program(made, goals=(goal("main", keep("pii", *on)),), fleets=(fleet(*tiers),)))


def test_a_model_that_only_an_endpoint_outside_the_list_serves() -> None:
    cloud = tier("cloud", "smollm2-135m-instruct")
    assert asked(chat(ref("mail")), cloud, tier("onprem", "another")) == ["label-reaches-tier"]
    assert asked(chat(ref("mail")), cloud, tier("onprem")) == []
    assert asked(chat(ref("mail")), cloud, tier("other"), on=("cloud",)) == []
    assert asked(chat(text()), cloud, tier("onprem", "another")) == []


def test_a_call_that_is_placed_outside_the_list() -> None:
    tiers = (tier("onprem"), tier("cloud"))
    assert asked(guard(chat(ref("mail")), place="cloud"), *tiers) == ["label-reaches-tier"]
    assert asked(guard(chat(ref("mail")), place="onprem"), *tiers) == []
    inner = pipeline("inner", (parameter("words"),), chat(ref("words")))
    main = pipeline("main", (parameter("mail", "pii"),), guard(run("inner", words=ref("mail")), place="cloud"))
    terms = goal("main", keep("pii", "onprem"))
    assert slugs(program(main, inner, goals=(terms,), fleets=(fleet(*tiers),))) == ["label-reaches-tier"]


# --- untrusted


def test_untrusted_data_reaches_no_dangerous_tool_unasked() -> None:
    look = tool("look", "network")
    asks = guard(call(PAY, ref("found")), approve=text())
    assert slugs(program(pipeline("f", (), bind("found", call(look, text())), call(PAY, ref("found"))))) == [
        "untrusted-input"
    ]
    assert slugs(program(pipeline("f", (), bind("found", call(look, text())), asks))) == []
    inner = pipeline("inner", (parameter("id"),), call(PAY, ref("id")))
    outer = pipeline("outer", (), bind("found", call(look, text())), run("inner", id=ref("found")))
    assert slugs(program(outer, inner)) == ["untrusted-input"]
    asking = pipeline("outer", (), guard(run("inner", id=call(look, text())), approve=text()))
    assert slugs(program(asking, inner)) == []


def test_a_model_that_reads_untrusted_text_writes_untrusted_text() -> None:
    look = tool("look", "network")
    state = repeat(
        "talk",
        text(),
        3,
        bind("more", everything(chat(ref("talk")))),
        bind("paid", call(PAY, ref("more"))),
        template(ref("paid"), call(look, ref("more"))),
    )
    assert slugs(program(pipeline("agent", (), state))) == ["untrusted-input"]


def test_a_label_that_nothing_has() -> None:
    made = pipeline("main", (parameter("mail", "pii"),), ref("mail"))
    (problem,) = analyse(program(made, goals=(goal("main", keep("pi", "here")),)))
    assert (problem.slug, problem.severity.value, problem.hint) == ("unknown-label", "warning", "did you mean `@pii`?")
    assert slugs(program(made, goals=(goal("main", keep("pii", "here"), keep("untrusted", "here")),))) == []


def test_calls_in_a_circle_and_unbound_names_are_no_fault_of_ours() -> None:
    left = pipeline("left", (parameter("mail", "pii"),), run("right", mail=ref("mail")))
    right = pipeline("right", (parameter("mail"),), run("left", mail=ref("gone")))
    other = pipeline("other", (parameter("mail", "pii"),), call(SEND, run("gone", mail=ref("mail"))))
    made = program(left, right, other, goals=(goal("other", keep("pii", "here")), goal("left", keep("pii", "here"))))
    assert slugs(made) == ["label-reaches-tool"]


# --- the checker says the same


SAME = """
use std/text
type Note { found: Bool, quote: Text }
pipeline clean(mail: Text) -> Text { return text.redact(mail) }
pipeline each(mail: Text @pii) -> [Text] { return for part in text.split(mail) where len(part) > 3 { clean(part) } }
pipeline kept(mail: Text @pii) -> [Text] { return for part in text.split(mail) { "{part}" } }
pipeline drafts(mail: Text @pii) -> Text { return repeat draft = "", at most 3 times { next "{draft}{mail}" } }
pipeline ended(mail: Text @pii) -> Text { return repeat draft = "", at most 3 times { next declassify("{mail}") } }
pipeline chosen(mail: Text? @pii) -> Text { return match mail { some(words) => "{words}", none => "" } }
pipeline decided(mail: Text? @pii) -> Text { return match mail { some(words) => text.redact(words), none => "" } }
"""


@pytest.mark.parametrize(
    ("name", "labels"),
    [
        ("each", set[str]()),
        ("kept", {"pii"}),
        ("drafts", {"pii"}),
        ("ended", set[str]()),
        ("chosen", {"pii"}),
        ("decided", set[str]()),
    ],
)
def test_the_labels_of_expressions_are_those_that_flow(name: str, labels: set[str]) -> None:
    program, problems = checked(SAME)
    assert program is not None, [problem.title for problem in problems]
    made = program.pipeline(name)
    assert made is not None and made.body.result is not None
    flow = Flows(Whole(program)).summaries[name].result
    assert made.body.result.labels == labels
    assert {origin[1:] for origin in flow if origin.startswith("@")} == labels


def test_what_is_sent_is_of_the_result() -> None:
    mail = parameter("mail", "pii")
    inner = replace(pipeline("inner", (mail,), text()), body=p.Block((p.Emit(ref("mail"), at()),), None, at()))
    outer = pipeline("main", (), call(SEND, run("inner", mail=text())))
    assert slugs(program(inner, outer, goals=(goal("main", keep("pii", "here")),))) == ["label-reaches-tool"]
