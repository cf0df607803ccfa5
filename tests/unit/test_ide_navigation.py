"""What a word stands for: where it is declared, where it is used, what is said of it, and other names for it."""

from __future__ import annotations

import pytest
from ide_texts import PROGRAM, analysed, body, cut

from agentlang.base.source import Source
from agentlang.lang.ide import Analysis, Document, navigation
from agentlang.lang.ide.fixes import all_of, repairs
from agentlang.lang.ide.hints import hints
from agentlang.lang.ide.hover import hover
from agentlang.lang.ide.outline import foldings, outline
from agentlang.lang.ide.rename import Refused, applied, check_renamed, rename
from agentlang.lang.ide.signatures import signature
from agentlang.stdlib.interfaces import interface

FORMS = (
    body("""  found = order(3)
  kind = writer.chat(question) into Intent
  said = match kind {
    Refund(id, why) => "{id} {why}"
    _ => found.note
  }
  parts = for part in text.split(said, ",") where len(part) > 1 { text.lower(part) }
  last = repeat state = said, at most 3 times {
    stop state when len(state) > 9
    next state + "!"
  }
  text.join(parts, last)""")
    + """
goal answer {
  assume { question 40 tokens, kind.Refund 10 % }
  keep @pii on [near]
}

fleet lab {
  tier near = catalog.h100
  tier far = catalog.h100
  link near <-> far 10 Gbit/s, 1 ms
}

agent support(topic: Text) -> Text {
  model writer
  tools [order]
  at most 4 steps
  system "Be kind to {topic}."
}

test "it" {
  given order(1) = Order(id: 1, note: "x")
  expect answer("a", top: 2) contains "a"
}
"""
)


def declared(text: str) -> str:
    """The line on which the word at the cursor is declared, from that word on."""
    source, at = cut(text)
    analysis = analysed(source)
    found = navigation.definition(analysis, at)
    assert found is not None
    span = found[1]
    assert span.path == analysis.path
    return source[span.start :].split("\\n")[0].split("\n")[0]


@pytest.mark.parametrize(
    ("before", "after", "declaration"),
    [
        ("order(3)", "ord¦er(3)", "order(id: Int)"),
        ("writer.chat", "wri¦ter.chat", 'writer = llm.chat("'),
        ("into Intent", "into Int¦ent", "Intent { Refund"),
        ("Refund(id, why) =>", "Ref¦und(id, why) =>", "Refund(order: Int"),
        ('"{id} {why}"', '"{i¦d} {why}"', "id, why) =>"),
        ("found.note", "found.no¦te", "note: Text @pii"),
        ("len(part)", "len(pa¦rt)", "part in text.split"),
        ("next state", "next sta¦te", "state = said"),
        ("goal answer", "goal ans¦wer", "answer(question: Text"),
        ("question 40", "quest¦ion 40", "question: Text, top"),
        ("kind.Refund 10", "kind.Ref¦und 10", "Refund(order: Int"),
        ("on [near]", "on [ne¦ar]", "near = catalog"),
        ("link near <-> far", "link near <-> f¦ar", "far = catalog"),
        ("model writer\n", "model wri¦ter\n", 'writer = llm.chat("'),
        ("tools [order]", "tools [or¦der]", "order(id: Int) ->"),
        ("{topic}", "{to¦pic}", "topic: Text) ->"),
        ("given order", "given or¦der", "order(id: Int) ->"),
        ("id: 1, note", "id: 1, no¦te", "note: Text @pii"),
        ("top: 2", "to¦p: 2", "top: Int = 8"),
        ("use std/llm", "use std/l¦lm", ""),
    ],
)
def test_a_word_leads_to_its_declaration(before: str, after: str, declaration: str) -> None:
    assert before in FORMS
    if not declaration:
        source, at = cut(FORMS.replace(before, after, 1))
        found = navigation.definition(analysed(source), at)
        assert found is not None and found[1].path == "std/llm.agent"
        return
    assert declared(FORMS.replace(before, after, 1)).startswith(declaration)


def test_a_word_is_found_in_a_text_with_errors() -> None:
    text = body("  found = order(3)\n  wrong = found.nothing +\n  fou¦nd.note")
    assert declared(text).startswith("found = order(3)")


def test_nothing_an_agent_stands_for_is_shown() -> None:
    analysis = analysed(FORMS)
    start = FORMS.index("agent support")
    words = {
        analysis.text[w.start : w.end] for w in analysis.index.words if start <= w.start < FORMS.index('test "it"')
    }
    assert words == {"support", "topic", "writer", "order"}


def test_all_uses_are_found() -> None:
    source, at = cut(FORMS.replace("tool order", "tool or¦der"))
    spans = navigation.references(analysed(source), at)
    lines = [source[: span.start].count("\n") for span in spans]
    wanted = [
        i
        for i, line in enumerate(source.split("\n"))
        if "order(" in line.replace("Refund(order", "") or "[order]" in line
    ]
    assert lines == wanted


SHOP = "type Order { id: Int }\nenum Kind { Big, Small }\npipeline first(orders: [Order]) -> Order {\n  orders[0]\n}\n"
USER = """use ./shop
use ./shop: Kind

pipeline ids(all_of: [shop.Order]) -> Int {
  one = shop.first(all_of)
  one.id
}
"""


def both(user: str = USER) -> list[Analysis]:
    return [analysed(SHOP, "shop.agent"), analysed(user, "user.agent", {"./shop": SHOP})]


@pytest.mark.parametrize(
    ("word", "name", "in_shop", "in_user"),
    [
        ("Order {", "Purchase", "type Purchase {", "shop.Purchase"),
        ("first(", "any", "pipeline any(", "shop.any(all_of)"),
        ("id:", "number", "{ number: Int", "one.number"),
        ("Kind {", "Size", "enum Size {", "use ./shop: Size"),
    ],
)
def test_a_new_name_goes_into_all_files(word: str, name: str, in_shop: str, in_user: str) -> None:
    shop, user = both()
    edits = rename(shop, SHOP.index(word), name, [user])
    after = applied({"shop.agent": SHOP, "user.agent": USER}, edits)
    assert in_shop in after["shop.agent"] and in_user in after["user.agent"]
    again = analysed(after["user.agent"], "user.agent", {"./shop": after["shop.agent"]})
    assert [p for p in again.problems if p.slug != "unused"] == []


def test_a_module_gets_a_name_of_its_own() -> None:
    _, user = both()
    edits = rename(user, USER.index("shop.first") + 1, "store")
    after = applied({"user.agent": USER}, edits)["user.agent"]
    assert "use ./shop as store\n" in after and "store.first(all_of)" in after and "[store.Order]" in after
    again = analysed(after, "user.agent", {"./shop": SHOP})
    assert [p for p in again.problems if p.slug != "unused"] == []


def test_a_name_that_would_mean_something_else_is_refused() -> None:
    text = body("  found = order(3)\n  found.note")
    analysis = analysed(text)
    edits = rename(analysis, text.index("found"), "question")
    with pytest.raises(Refused, match="already"):
        check_renamed([analysis], edits, lambda texts: [analysed(texts["main.agent"])])
    edits = rename(analysis, text.index("found"), "seen")
    check_renamed([analysis], edits, lambda texts: [analysed(texts["main.agent"])])


# --- what is shown


def shown(text: str) -> str:
    source, at = cut(text)
    found = hover(analysed(source), at)
    return "" if found is None else "\n".join([found.code, found.what, found.doc or "", *found.lines])


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (body("  ord¦er(3).note"), ["tool order(id: Int) -> Order", "Looks an order up.", 'reads "orders"']),
        (body("  order(3).no¦te"), ["note: Text @pii", "field of `Order`"]),
        (body("  x = order(3)\n  ¦x.note"), ["x: Order", "binding"]),
        (body("  all(writer.ch¦at(question))"), ["-> stream Text", "1 model call", "256 tokens out"]),
        (body("  a¦ll(writer.chat(question))"), ["part of the language"]),
        (body("  x = 25¦0 ms\n  question"), ["Duration", "is 250 ms"]),
        (body("  x = 1 +¦ 2\n  question"), ["Int"]),
        (PROGRAM + "type A { a: Dura¦tion }", ["type of the language"]),
        (body("  x = all(writer.chat(question)) otherwise on trun¦cated question\n  x"), ["ended before it was whole"]),
        (body("  text.jo¦in([question])"), ["join("]),
        (FORMS.replace("enum Intent", "enum Int¦ent"), ["enum Intent { Refund(order: Int, why: Text)"]),
    ],
)
def test_what_is_said_of_a_word(text: str, words: list[str]) -> None:
    found = shown(text)
    assert [word for word in words if word not in found] == []


def test_nothing_is_said_of_space() -> None:
    assert shown("¦\n\n" + PROGRAM) == ""


def test_the_argument_that_is_written() -> None:
    def active(text: str) -> str:
        source, at = cut(text)
        found = signature(source, at, analysed)
        assert found is not None and found.active is not None
        start, end = found.parameters[found.active]
        return found.label[start:end].split(":")[0]

    assert active(body("  writer.chat(¦)")) == "prompt"
    assert active(body("  writer.chat(question, max_tokens: ¦)")) == "max_tokens"
    assert active(body("  x = order(¦")) == "id"
    assert active(body("  x = Order(1, ¦")) == "note"
    assert active(body('  x = ["a"] |> text.join(¦)')) == "separator"
    source, at = cut(body("  x = (1 + ¦"))
    assert signature(source, at, analysed) is None


def test_inferred_types_stand_behind_names() -> None:
    analysis = analysed(FORMS)
    found = {FORMS[: hint.offset].split("(")[-1].split()[-1]: hint.text for hint in hints(analysis, 0, len(FORMS))}
    # Labels flow with what a name is bound to.
    assert found["found"] == ": Order" and found["kind"] == ": Intent" and found["parts"] == ": [Text] @pii"
    assert {"why", "last"} <= set(found)


def test_the_outline() -> None:
    entries = {entry.name: entry for entry in outline(analysed(FORMS))}
    assert entries["Intent"].kind == "enum" and [e.name for e in entries["Intent"].inside] == [
        "Refund",
        "Question",
        "Other",
    ]
    assert [e.name for e in entries["lab"].inside] == ["near", "far"]
    assert entries["answer"].detail == "(question: Text, top: Int) -> Text"
    assert entries["support"].kind == "agent" and entries["goal answer"].kind == "goal" and entries["it"].kind == "test"
    assert any(kind == "imports" for _, kind in foldings(analysed(FORMS)))


def test_fixes_of_a_place_and_of_a_kind() -> None:
    text = (
        PROGRAM.replace("use std/text\n", "")
        + 'pipeline p(a: [Text]) -> Text {\n  x = text.join(a, "")\n  text.join(a, x)\n}\n'
    )
    analysis = analysed(text)
    at = text.index("text.join(a, x)")
    (repair, *_) = repairs(analysis, at, at)
    fixed = applied({analysis.path: text}, repair.fix.edits)[analysis.path]
    assert [p for p in analysed(fixed).problems if p.slug != "unused"] == []
    assert all_of(analysis, "no-such-kind") is None


def test_an_edit_keeps_what_it_does_not_touch() -> None:
    """Trees, and what is known of them, are the same objects wherever the text around them went."""
    document = Document(interface)
    before = document.update(Source("main.agent", FORMS))
    after = document.update(Source("main.agent", "# one line more\n" + FORMS.replace("order(3)", "order(33)")))
    kept = {id(node) for node in before.file.declarations} & {id(node) for node in after.file.declarations}
    assert len(kept) >= len(before.file.declarations) - 2
    at = after.text.index("{topic}") + 2
    found = navigation.definition(after, at)
    assert found is not None and after.text[found[1].start :].startswith("topic: Text")
