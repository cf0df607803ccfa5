"""What is offered at a cursor: the right kind of thing in each place, in texts that do not parse there."""

from __future__ import annotations

import pytest
from ide_texts import PROGRAM, body, completed, labels

INTENT = "  kind = writer.chat(question) into Intent\n"
MADE = {
    "members of a record": (body("  found = order(1)\n  found.¦"), {"id", "note", "sure"}, {"order", "question"}),
    "members behind a word": (body("  found = order(1)\n  found.no¦"), {"note"}, {"order"}),
    "members of a loop variable": (body("  for o in [order(1)] { o.¦ }"), {"id", "note"}, {"chat"}),
    "methods of a handle": (body("  writer.¦"), {"chat"}, {"question"}),
    "members of a module": (body("  text.¦"), {"join", "split"}, {"question"}),
    "cases behind an enum": (body("  x = Intent.¦\n  question"), {"Refund", "Other"}, {"question"}),
    "arguments of a method": (body("  writer.chat(question, ¦)"), {"max_tokens:", "system:"}, {"prompt:"}),
    "arguments left": (body("  x = Order(id: 3, ¦)\n  x.note"), {"note:", "sure:"}, {"id:"}),
    "arguments of an open call": (body("  x = Order(¦"), {"id:", "note:", "question"}, set()),
    "names in scope": (
        body("  found = order(1)\n  ¦\n  question"),
        {"found", "top", "writer", "window", "len"},
        {"id:"},
    ),
    "names in a hole": (body('  x = "{¦}"\n  x'), {"question", "order"}, {"timeout"}),
    "names are not seen before": (body("  ¦\n  later = order(1)\n  question"), {"question"}, {"later"}),
    "binders in their arm": (body(INTENT + "  match kind {\n    Refund(id, why) => w¦\n  }"), {"why", "id"}, set()),
    "arms": (body(INTENT + "  match kind {\n    ¦\n  }"), {"Refund", "Question", "Other", "_"}, {"question"}),
    "arms left": (body(INTENT + '  match kind {\n    Other => ""\n    ¦\n  }'), {"Refund", "_"}, {"Other"}),
    "binders": (body(INTENT + "  match kind {\n    Refund(¦)\n  }"), {"order", "_"}, {"question"}),
    "cases that are wanted": (body(INTENT + "  x = kind == ¦\n  question"), {"Refund", "Other"}, set()),
    "types of parameters": (PROGRAM + "pipeline p(q: ¦", {"Text", "Order", "Intent", "stream"}, {"order", "writer"}),
    "types of results": (PROGRAM + "pipeline p(q: Text) -> ¦", {"Text", "Order"}, {"window"}),
    "types of fields": (PROGRAM + "type A { a: [¦] }", {"Int", "Order"}, {"order"}),
    "types behind into": (body("  x = writer.chat(question) into ¦"), {"Order", "Intent"}, {"question"}),
    "units of a time": (body("  x = writer.chat(question) with timeout 2 ¦"), {"s", "ms", "min"}, {"GiB", "tokens"}),
    "units": (PROGRAM + "let limit = 3 ¦", {"GiB", "s", "%"}, {"writer"}),
    "policies": (body("  x = writer.chat(question) with ¦"), {"timeout", "retry", "approve"}, {"question"}),
    "more policies": (body("  x = writer.chat(question) with timeout 2 s, ¦"), {"retry", "cache"}, set()),
    "reasons": (body("  x = all(writer.chat(question)) otherwise on ¦"), {"timeout", "denied"}, {"order"}),
    "more reasons": (body("  x = all(writer.chat(question)) otherwise on timeout, ¦"), {"denied"}, {"order"}),
    "modules": ("use ¦", {"std/llm", "./shop"}, {"pipeline"}),
    "modules of the library": ("use std/¦", {"llm", "text"}, set()),
    "names of a module": ("use std/text: ¦", {"join"}, {"llm"}),
    "pipelines with goals": (body("  question") + "goal ¦", {"answer"}, {"order", "writer"}),
    "goal terms": (body("  question") + "goal answer {\n  ¦\n}", {"finish", "assume", "prefer"}, {"answer"}),
    "percentiles": (body("  question") + "goal answer {\n  finish ¦\n}", {"p95"}, {"answer"}),
    "aims": (body("  question") + "goal answer {\n  prefer ¦\n}", {"cheapest"}, {"finish"}),
    "what is assumed": (
        body("  question") + "goal answer {\n  assume {\n    ¦\n  }\n}",
        {"question", "top"},
        {"order"},
    ),
    "tiers": (PROGRAM + "fleet f {\n  tier a = catalog.h100\n  link ¦\n}", {"a", "*"}, {"order"}),
    "devices": (PROGRAM + "fleet f {\n  tier a = catalog.¦\n}", {"h100", "laptop"}, {"order"}),
    "settings of a tier": (PROGRAM + "fleet f {\n  tier a = catalog.h100 { ¦ }\n}", {"count", "price"}, {"order"}),
    "entries of an agent": (PROGRAM + "agent a(q: Text) -> Text {\n  ¦\n}", {"model", "tools", "system"}, {"order"}),
    "models": (PROGRAM + "agent a(q: Text) -> Text {\n  model ¦\n}", {"writer"}, {"order"}),
    "tools": (PROGRAM + "agent a(q: Text) -> Text {\n  model writer\n  tools [¦]\n}", {"order"}, {"writer"}),
    "effects": (PROGRAM + 'tool a(q: Text) -> Text = python("a:b") effects [¦]', {"network", "reads"}, {"order"}),
    "what tells calls apart": (
        PROGRAM + 'tool a(q: Text) -> Text = python("a:b") effects [network] idempotent by ¦',
        {"q"},
        {"order"},
    ),
    "labels": (PROGRAM + "type A { a: Text @¦ }", {"pii"}, {"Text"}),
    "declarations": (PROGRAM + "¦", {"pipeline", "agent", "goal"}, {"order"}),
    "keywords of a statement": (body("  ¦\n  question"), {"for", "match", "return"}, {"pipeline", "timeout"}),
    "keywords of a loop": (body("  x = repeat s = 1, at most 3 ¦"), {"times"}, {"question"}),
}


@pytest.mark.parametrize("name", MADE)
def test_what_is_offered(name: str) -> None:
    text, offered, not_offered = MADE[name]
    found = set(labels(text))
    assert offered <= found
    assert not (not_offered & found)


@pytest.mark.parametrize("text", [body('  x = "a ¦"\n  x'), body("  # a ¦\n  question"), PROGRAM + "## a ¦"])
def test_nothing_is_offered_where_anything_may_be_written(text: str) -> None:
    assert labels(text) == []


def test_what_is_nearest_comes_first() -> None:
    found = labels(body("  found = order(1)\n  ¦\n  question"))
    assert found.index("found") < found.index("top") < found.index("writer") < found.index("for")
    wanted = labels(body("  kind = writer.chat(question) into Intent\n  x = kind == ¦\n  question"))
    assert set(wanted[:3]) == {"Refund", "Question", "Other"}


def test_what_is_called_comes_with_its_brackets() -> None:
    found = {item.label: item for item in completed(body("  ¦\n  question"))[1]}
    assert found["order"].insert == "order($0)" and found["order"].detail == "(id: Int) -> Order"
    assert found["question"].insert is None and found["question"].detail == "Text"
    # Brackets that are there already are not written again.
    assert {item.insert for item in completed(body("  or¦(1)\n  question"))[1]} == {None}


def test_the_word_at_the_cursor_is_replaced() -> None:
    assert completed(body("  found = order(1)\n  found.no¦"))[0] == "no"
    assert completed(body("  ord¦"))[0] == "ord"


@pytest.mark.parametrize("step", [1, 7])
def test_every_place_of_a_text_has_an_answer(step: int) -> None:
    """However little of a text is written, asking is safe."""
    whole = body('  found = order(1)\n  match found.note { some(x) => x, none => "" }')
    for at in range(len(PROGRAM) - 40, len(whole), 3 * step):
        completed(whole[:at] + "¦" + (whole[at:] if step == 1 else ""))
