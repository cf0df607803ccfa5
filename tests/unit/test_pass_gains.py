"""What the optimising passes spare and what they must leave alone, on programs as people write them: how often stages
run on the machine, before and after."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import ir_programs as P
import pytest
from agent_sources import checked
from ir_meaning import arguments, keeps_meaning, passed, run

from agentlang.base.problems import has_errors
from agentlang.ir import compile as irc
from agentlang.ir.compile import Module
from agentlang.ir.graph import Operation, walk
from agentlang.ir.library import UNKNOWN
from agentlang.ir.passes import OPTIMISING, PASSES, PLAIN
from agentlang.ir.sizes import resolve
from agentlang.lang.program import Program
from agentlang.stdlib.library import Library

HEAD = """
use std/llm
use std/text
model writer = llm.chat("smollm2-135m-instruct")
"""


def program(text: str) -> Program:
    """What nobody uses is warned of, and is what some tests are about."""
    made, problems = checked(HEAD + text)
    assert made is not None and not has_errors(problems), [problem.title for problem in problems]
    return made


def put(text: str, *names: str) -> tuple[Module, Module]:
    """Before and after the passes; they mean the same."""
    before, *_, after = passed(program(text), *names)
    keeps_meaning(before, after)
    return before, after


def calls(module: Module, pipeline: str = "answer") -> Counter[str]:
    """How often each entry runs, on the machine."""
    rest = [name for name in PLAIN if name not in module.passes]
    done, problems = irc.run_passes(module, P.SmallLibrary(), passes=rest)
    assert done is not None, problems
    graph = done.graph()
    ran = run(graph, pipeline, arguments(graph.pipeline(pipeline)))
    assert not ran.failed
    return Counter({entry: sum(n for (e, _), n in ran.calls.items() if e == entry) for entry, _ in ran.calls})


def operations(module: Module, name: str, pipeline: str = "answer") -> list[Operation]:
    return [each for each in walk(module.graph().pipeline(pipeline).body) if each.name == f"agent.{name}"]


# --- share_duplicates ------------------------------------------------------------------------------------------------

TWICE = """
pipeline ask(question: Text) -> Text {{ return all(writer.chat("Q: {{question}}", max_tokens: 8{options})) }}
pipeline answer(question: Text) -> Text {{
  first = ask(question)
  second = ask(question)
  return "{{first}} {{second}}"
}}
"""


def test_a_greedy_chat_is_asked_once() -> None:
    before, after = put(TWICE.format(options=""), "share_duplicates")
    assert (calls(before)["llm:decode"], calls(after)["llm:decode"]) == (2, 1)
    assert calls(before)["llm:prefill"] == 2 * calls(after)["llm:prefill"] == 2


def test_what_may_answer_otherwise_is_asked_again() -> None:
    _, after = put(TWICE.format(options=", temperature: 0.7"), "share_duplicates")
    assert calls(after)["llm:decode"] == 2


def test_a_call_in_a_fallback_is_not_shared_with_one_that_may_fail() -> None:
    text = """
    pipeline answer(question: Text) -> Text {
      first = all(writer.chat(question, max_tokens: 8)) otherwise "none"
      second = all(writer.chat(question, max_tokens: 8)) otherwise "none"
      return "{first} {second}"
    }
    """
    _, after = put(text, "share_duplicates")
    assert calls(after)["llm:decode"] == 2


def test_a_labelled_value_never_stands_for_one_without() -> None:
    text = """
    pipeline answer(question: Text @pii, plain: Text) -> Text {
      one = "<{question}>"
      two = "<{plain}>"
      three = declassify("<{question}>")
      return "{one} {two} {three}"
    }
    """
    before, after = put(text, "share_duplicates")
    assert len(operations(after, "template")) == len(operations(before, "template")) - 1
    labelled = [each for each in operations(after, "template") if each.attributes.get("labels")]
    assert labelled


def test_an_assumption_may_name_either() -> None:
    text = """
    pipeline answer(question: Text) -> Int {
      words = text.split(question, 2)
      parts = text.split(question, 2)
      return len(words) + len(parts)
    }
    """
    _, after = passed(program(text), "share_duplicates")
    done, _ = irc.run_passes(after, P.SmallLibrary(), passes=["split_llm", "annotate_demand"])
    assert done is not None
    sizes = done.graph().pipeline("answer").sizes
    for name in ("words", "parts"):
        found, unused = resolve(sizes, {f"{name}.items": 7.0})
        assert unused == ()
        assert {each.name: each.value for each in found}["words.items"] == 7.0


# --- lift_invariant --------------------------------------------------------------------------------------------------


def test_what_does_not_change_is_computed_once() -> None:
    text = """
    pipeline answer(question: Text, notes: [Text]) -> [Text] {
      return for note in notes { "{text.lower(question)}: {note}" }
    }
    """
    before, after = put(text, "lift_invariant")
    assert (calls(before)["text:lower"], calls(after)["text:lower"]) == (2, 1)


def test_a_chat_leaves_a_repeat_and_not_a_loop_that_may_have_no_turns() -> None:
    turns = """
    pipeline answer(question: Text) -> Text {
      return repeat draft = question, at most 3 times {
        hint = all(writer.chat("Hint: {question}", max_tokens: 4))
        next "{hint} {draft}"
      }
    }
    """
    before, after = put(turns, "lift_invariant")
    assert (calls(before)["llm:decode"], calls(after)["llm:decode"]) == (3, 1)
    loop = """
    pipeline answer(question: Text, notes: [Text]) -> [Text] {
      return for note in notes where note != "x" { all(writer.chat(question, max_tokens: 4)) }
    }
    """
    before, after = put(loop, "lift_invariant")
    assert calls(before) == calls(after)


def test_what_may_fail_stays_in_its_region() -> None:
    text = """
    pipeline answer(notes: [Text], count: Int) -> [Text] {
      return for note in notes { "{note} {10 % (count - count)}" otherwise "none" }
    }
    """
    before, after = put(text, "lift_invariant")
    inside = [each.id for each in operations(before, "binary") if each.attributes["operator"] == "%"]
    (loop,) = operations(after, "map")
    assert inside[0] in [each.id for region in loop.regions for each in walk(region)]


# --- fold_constants and drop_unread ----------------------------------------------------------------------------------


def test_a_known_branch_stands_alone_and_the_other_asks_nobody() -> None:
    text = """
    pipeline answer(question: Text) -> Text {
      deep = 3 * 4 > 20
      return if deep { all(writer.chat("Think. {question}", max_tokens: 64)) } else { text.redact(question) }
    }
    """
    _, after = put(text, "fold_constants", "drop_unread")
    assert operations(after, "if") == operations(after, "chat") == operations(after, "open") == []


def test_what_fails_still_fails_where_its_use_is_known_not_to_matter() -> None:
    text = """
    pipeline answer(notes: [Text]) -> Text {
      ninth = notes[9]
      return if 1 > 2 { ninth } else { "fine" }
    }
    """
    before, after = passed(program(text), "fold_constants", "drop_unread")[::2]
    for module in (before, after):
        graph = module.graph()
        assert run(graph, "answer", {"notes": ("a",)}).result == ("failed", "bad_value")


def test_names_that_are_gone_may_be_assumed() -> None:
    text = """
    pipeline answer(question: Text) -> Text {
      notes = for word in text.split(question, 3) { "<{word}>" }
      return question
    }
    """
    _, after = put(text, "drop_unread")
    assert operations(after, "map") == []
    assert {"notes", "word"} <= set(after.graph().pipeline("answer").unread)


def test_a_call_that_gives_a_value_stays() -> None:
    text = """
    pipeline answer(question: Text) -> Text {
      seen = text.redact(question)
      return question
    }
    """
    before, after = put(text, "drop_unread")
    assert calls(before) == calls(after) == {"text:redact": 1}


# --- the library -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("entry", "arguments", "expected"),
    [
        ("text:lower", {}, True),
        ("text:matches", {}, True),
        ("list:sum", {}, True),
        ("search:search", {}, True),
        ("llm:chat", {"temperature": 0.0, "seed": 0}, True),
        ("llm:chat", {"temperature": 0.7, "seed": 0}, False),
        ("llm:chat", {"temperature": 0.7, "seed": 5}, True),
        ("llm:chat", {"temperature": UNKNOWN, "seed": 0}, False),
        ("llm:decode", {"temperature": 0.0}, False),
        ("python:call", {}, False),
        ("http:get", {}, False),
        ("mcp:call", {}, False),
        ("memory:load", {}, False),
        ("nobody:offers", {}, False),
    ],
)
def test_what_the_library_says_is_repeatable(entry: str, arguments: dict[str, object], expected: bool) -> None:
    assert Library(Path()).repeatable(entry, arguments) is expected


def test_what_is_harmless_is_repeatable_too() -> None:
    library = Library(Path())
    harmless = [e for e in ("text:lower", "list:first", "text:matches", "list:sum", "search:search", "llm:chat", "x:y")
                if library.harmless(e)]  # fmt: skip
    assert harmless == ["text:lower", "list:first"]
    assert all(library.repeatable(entry, {}) for entry in harmless)


def test_plain_and_optimising_passes_are_all_of_them() -> None:
    assert sorted((*PLAIN, *OPTIMISING)) == sorted(PASSES)
