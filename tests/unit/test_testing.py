"""The parts of testing that need no process: what labels the calls of a program have, what an expectation shows, what a
report may hold, what a judge is asked, which models a test opens."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as Xml

import anyio
import pytest
from agent_sources import checked, slugs

from agentlang.api import Compiled, compile
from agentlang.base.problems import OutsideError, Problem, has_errors
from agentlang.base.source import Source
from agentlang.cli.junit import report
from agentlang.executor.backends import Call
from agentlang.executor.backends.lazy import LazyBackend
from agentlang.executor.cassettes import Recorded, line, read
from agentlang.executor.labels import labels_of
from agentlang.executor.machine.orders import HandleValue
from agentlang.ir.graph import Handle, HandleName, walk
from agentlang.stdlib.library import Library
from agentlang.tapes import Recording
from agentlang.tapes import read as read_tape
from agentlang.testing import Result, run_tests, titles

HEAD = """use std/llm
use std/text
model writer = llm.chat("smollm2-135m-instruct")
type Person { name: Text, mail: Text }
tool person(id: Int) -> Person @pii = python("shop:person") effects [reads "people"]
tool log(what: Text, id: Int) -> Text = python("shop:log") effects []
"""


def compiled(text: str, folder: Path) -> Compiled:
    program, problems = checked(HEAD + text)
    assert program is not None and not has_errors(problems), [problem.title for problem in problems]
    found, problems = compile(program, Library(folder), tests=True)
    assert found is not None, problems
    return found


def ran(text: str, folder: Path, **words: Any) -> list[Result]:
    async def main() -> list[Result]:
        return [tested async for tested in run_tests(compiled(text, folder), **words)]

    return anyio.run(main)


# --- labels ----------------------------------------------------------------------------------------------------------


def labels(text: str, folder: Path) -> dict[str, Mapping[str | None, tuple[str, ...]]]:
    """For each call of the pipeline `p` that a tape would hold, by its entry or tool: the labels that it has."""
    whole = compiled(text, folder)
    graph = whole.graph
    find = labels_of(graph)
    found: dict[str, Mapping[str | None, tuple[str, ...]]] = {}
    for operation in walk(graph.pipeline("p").body):
        name = str(operation.attributes.get("tool") or operation.attributes.get("entry"))
        if "entry" in operation.attributes:
            words = operation.attributes["parameters"]
            assert isinstance(words, tuple)
            found[name] = {word: find(operation, word) for word in (None, *map(str, words)) if find(operation, word)}
    return found


def test_labels_follow_data_into_calls(tmp_path: Path) -> None:
    found = labels(
        """pipeline p(id: Int) -> Text {
          found = person(id)
          said = all(writer.chat("Greet {found.name}", max_tokens: 7))
          return log(said, id)
        }""",
        tmp_path,
    )
    assert found["person"] == {None: ("pii",)}
    assert found["llm:tokenize"]["prompt"] == ("pii",)
    assert found["llm:detokenize"][None] == ("pii",)
    assert found["log"] == {None: ("pii",), "what": ("pii",)}


def test_labels_of_items_of_cases_and_of_parameters(tmp_path: Path) -> None:
    found = labels(
        """pipeline p(ids: [Int], mail: Text @pii) -> [Text] {
          people = for id in ids { person(id) }
          first = match people[0] { some(one) => one.name, none => "" } otherwise ""
          return for one in people { log(one.mail, 1) } + [log(mail, 2), log(first, 3)]
        }""".replace('match people[0] { some(one) => one.name, none => "" } otherwise ""', "people[0].name"),
        tmp_path,
    )
    assert found["log"]["what"] == ("pii",)


def test_a_labelled_document_masks_the_text_that_it_is_read_from(tmp_path: Path) -> None:
    found = labels(
        """pipeline p(id: Int) -> Person @pii {
          return writer.chat("Invent a person", max_tokens: 7) into Person @pii
        }""",
        tmp_path,
    )
    assert found["llm:detokenize"][None] == ("pii",)


def test_labels_follow_what_a_called_pipeline_emits(tmp_path: Path) -> None:
    found = labels(
        """pipeline greet(one: Text) -> stream Text {
          emit all(writer.chat("Greet {one}", max_tokens: 7))
        }
        pipeline p(id: Int) -> Text {
          return log(all(greet(person(id).name)), id)
        }""",
        tmp_path,
    )
    assert found["llm:detokenize"][None] == ("pii",) and found["log"]["what"] == ("pii",)
    found = labels(
        """pipeline invent(kind: Text) -> stream Text {
          emit all(writer.chat("Invent a {kind}", max_tokens: 7))
        }
        pipeline p(kind: Text) -> stream Text @pii {
          return invent(kind)
        }""",
        tmp_path,
    )
    # What the caller declares of its stream is declared of the reply that is emitted in it.
    assert found["llm:detokenize"][None] == ("pii",) and "prompt" not in found["llm:tokenize"]


def test_redaction_ends_a_label(tmp_path: Path) -> None:
    text = "pipeline p(id: Int) -> Text { return log(text.redact(person(id).mail), id) }"
    assert labels(text, tmp_path)["log"] == {}


@pytest.mark.parametrize(
    ("declared", "body"),
    [
        # What the caller gives, through one call and through two.
        ("", "relay(mail)"),
        ("", "twice(mail)"),
        ("", 'relay("to {mail}")'),
        ("", "relay(Person(name: mail, mail: mail).name)"),
        ("", "(for part in [mail] { relay(part) })[0]"),
        ("", "relay([mail][0])"),
        # What is declared inside, of something that the caller does not label.
        ("pipeline relay(words: Text @pii) -> Text { return log(words, 1) }", 'relay("x")'),
        ("pipeline same(words: Text @pii) -> Text { return words }", 'log(same("x"), 1)'),
        ("pipeline made() -> Text @pii { return declassify(person(1).mail) }", "log(made(), 1)"),
        ("pipeline made() -> Text @pii { return declassify(person(1).mail) }", "relay(made())"),
        ("pipeline word(words: Text) -> Text @pii { return words }", 'relay(word("x"))'),
        # The parts of a value that is taken whole, and what a case holds.
        ('tool keep(card: Card) -> Int = python("shop:k") effects []', 'log("{keep(Card(mail, "x"))}", 1)'),
        ("", 'relay(Card("x", "y").owner)'),
        ("", "match want { Refund(who, what) => log(who, 1), Other => mail }"),
        ("", "match want { Refund(who, what) => relay(who), Other => mail }"),
        # What comes later, and by another way.
        ("", 'repeat said = "", at most 3 times { next log("{said}{mail}", 1) }'),
        ("", 'repeat said = "", at most 3 times { if len(log(said, 1)) > 3 { stop said } else { next mail } }'),
        ("", "relay(mail) otherwise relay(mail)"),
        ("", "relay(mail) with retry 1"),
    ],
)
def test_labels_that_a_caller_gives_are_seen_inside(declared: str, body: str, tmp_path: Path) -> None:
    relay = "pipeline relay(words: Text) -> Text { return log(words, 1) }"
    text = f"""type Card {{ owner: Text @pii, number: Text }}
    enum Want {{ Refund(who: Text @pii, what: Text), Other }}
    {relay if "pipeline relay" not in declared else ""}
    pipeline twice(words: Text) -> Text {{ return relay("{{words}}!") }}
    {declared}
    pipeline p(mail: Text @pii, want: Want) -> Text {{ return {body} }}
    """
    found = labels(text, tmp_path)
    assert found["log"].get("what") == ("pii",) and found["log"][None] == ("pii",)
    if "keep" in found:
        assert found["keep"] == {None: ("pii",), "card": ("pii",)}


def test_labels_end_where_they_end_inside(tmp_path: Path) -> None:
    text = """pipeline clean(words: Text) -> Text { return text.redact(words) }
    pipeline relay(words: Text) -> Text { return log(words, 1) }
    pipeline p(mail: Text @pii, other: Text) -> Text {
      known = if len(mail) > 3 { relay(other) } else { relay(clean(mail)) }
      return relay(declassify(known))
    }"""
    assert labels(text, tmp_path)["log"] == {}


def test_an_answer_that_is_declared_to_be_labelled_is_masked(tmp_path: Path) -> None:
    text = """tool card(id: Int) -> Card = python("shop:card") effects []
    type Card { owner: Text @pii, number: Text }
    pipeline said(id: Int) -> Text @pii { return if id > 3 { log("x", id) } else { "" } }
    pipeline p(id: Int) -> Text { return "{card(id).number}{said(id)}" }"""
    found = labels(text, tmp_path)
    assert found["card"] == {None: ("pii",)}, "a part of it is @pii"
    assert found["log"] == {None: ("pii",)}


def test_a_memory_gives_back_labelled_what_another_run_stored(tmp_path: Path) -> None:
    text = """use std/memory
    memory notes = memory.session()
    pipeline keeper(mail: Text @pii) -> Int { return len(notes.store([Message(Role.User, mail)], "")) }
    pipeline p(id: Int) -> Text { return log("{len(notes.load())}", id) }"""
    assert labels(text, tmp_path)["log"] == {None: ("pii",), "what": ("pii",)}


# --- tests of a program ----------------------------------------------------------------------------------------------


def test_tests_are_chosen_by_title_and_run_in_order(tmp_path: Path) -> None:
    text = 'test "a" { expect 1 == 1 }\ntest "b" { expect 1 == 2 }\ntest "c" { expect "x" != "y" }'
    assert titles(compiled(text, tmp_path)) == ("a", "b", "c")
    assert [(one.title, one.status) for one in ran(text, tmp_path)] == [
        ("a", "passed"),
        ("b", "failed"),
        ("c", "passed"),
    ]
    assert [one.title for one in ran(text, tmp_path, wanted=["c", "a"])] == ["a", "c"]


SHOWN = [
    ("1 == 2", ("got     1", "wanted  2")),
    ('"a" contains "b"', ('got     "a"', 'wanted  something that contains "b"')),
    ("[1, 2] != [1, 2]", ("got     [1, 2]", "wanted  anything but [1, 2]")),
    ("2 s > 3 s", ("got     2 s", "wanted  more than 3 s")),
    ("len([1]) >= 2", ("got     1", "wanted  at least 2")),
    ('text.starts_with(given_text(), "b")', ('given_text() is "abc"',)),
    ('given_text() == "" or not (given_text() contains "c")', ('given_text() is "abc"',)),
    ("no()", ("no() is false",)),
    ("false", ()),
]
PIPELINES = 'pipeline given_text() -> Text { return "abc" }\npipeline no() -> Bool { return 1 > 2 }\n'


@pytest.mark.parametrize(("condition", "shown"), SHOWN, ids=[condition for condition, _ in SHOWN])
def test_what_decided_an_expectation_is_shown(condition: str, shown: tuple[str, ...], tmp_path: Path) -> None:
    (tested,) = ran(f'{PIPELINES}test "t" {{ expect {condition} }}', tmp_path)
    assert tested.status == "failed"
    (expected,) = tested.expected
    assert expected.text == f"expect {condition}"
    assert expected.shown == shown
    assert tested.problems[0].detail == ("\n".join(shown) or None)


def test_an_expectation_is_no_failure_that_a_fallback_catches(tmp_path: Path) -> None:
    text = """test "t" {
      n = for i in [0, 1] {
        expect i == 3
        [1, 2][i]
      } otherwise [0]
      expect n == [1, 2]
    }"""
    (tested,) = ran(text, tmp_path)
    assert [one.holds for one in tested.expected] == [False, False, True]


# --- a judge ---------------------------------------------------------------------------------------------------------


def test_a_judge_is_a_chat_whose_answer_is_a_verdict(tmp_path: Path) -> None:
    text = """test "t" {
      given writer.chat = llm.Verdict(why: "It is short.", ok: false)
      expect writer.agrees("hello", "it is long") with timeout 3 s
    }"""
    (tested,) = ran(text, tmp_path)
    assert tested.expected[0].holds is False
    program, _ = checked(HEAD + 'pipeline p(t: Text) -> Bool { return writer.agrees(t, "it is long", max_tokens: 9) }')
    assert program is not None and "llm.Verdict" in program.records
    found, problems = compile(program, Library(tmp_path))
    assert found is not None, problems
    operations = {operation.name: operation for operation in walk(found.graph.pipeline("p").body)}
    assert "agent.parse" in operations and "agent.field" in operations
    parts = operations["agent.template"].attributes["parts"]
    assert isinstance(parts, tuple) and "Claim about the text: " in str(parts[2])
    assert '"ok"' in str(operations["agent.decode"].attributes["schema"])


def test_the_words_of_a_judge_belong_to_programs_that_ask_one() -> None:
    program, _ = checked(HEAD + "pipeline p(t: Text) -> Text { return all(writer.chat(t)) }")
    assert program is not None and "llm.Verdict" not in program.records


@pytest.mark.parametrize(
    ("expression", "slug"),
    [
        ("writer.agrees(1, true)", "wrong-type"),
        ('writer.agrees("a")', "missing-argument"),
        ('writer.agrees("a", "b", seed: 1)', "unknown-argument"),
        ('writer.agree("a", "b")', "unknown-member"),
    ],
)
def test_a_judge_is_asked_as_declared(expression: str, slug: str) -> None:
    assert slug in slugs(HEAD + f'test "t" {{ expect {expression} }}')


def test_a_judge_is_given_what_its_chat_would_say() -> None:
    found, problems = checked(HEAD + 'test "t" {\n  given writer.agrees = true\n  expect writer.agrees("a", "b")\n}')
    assert found is None
    (problem,) = [p for p in problems if p.slug == "not-callable"]
    assert problem.hint is not None and "llm.Verdict" in problem.hint


# --- models that are opened late -------------------------------------------------------------------------------------


class _Opens:
    """Writes down what is opened, in order."""

    def __init__(self) -> None:
        self.opened: list[str] = []

    async def open(self, handle: Handle) -> None:
        await anyio.sleep(0.001)
        if handle.name == "broken":
            raise OutsideError(Problem("gone", "it is not there"))
        self.opened.append(handle.name)

    def immediate(self, entry: str) -> bool:
        del entry
        return True

    def now(self, call: Call) -> object:
        raise AssertionError(call)

    def bound(self, call: Call) -> None:
        raise AssertionError(call)

    async def run(self, call: Call) -> object:
        return call.arguments

    async def close(self) -> None:
        pass


def test_a_handle_is_opened_once_by_the_first_call_that_needs_it() -> None:
    async def main() -> list[str]:
        inner = _Opens()
        lazy = LazyBackend(inner, ("model", "index", "broken"))
        await lazy.open(Handle("other", "T", "a:b", {}))
        await lazy.open(Handle("model", "T", "a:b", {}))
        await lazy.open(Handle("index", "T", "a:b", {"encoder": HandleName("model")}))
        await lazy.open(Handle("broken", "T", "a:b", {}))
        assert inner.opened == ["other"]
        assert not lazy.immediate("llm:transfer") and lazy.immediate("text:lower")
        async with anyio.create_task_group() as group:
            for _ in range(3):
                group.start_soon(lazy.run, _call("index"))
        for _ in range(2):
            with pytest.raises(OutsideError):
                await lazy.run(_call("broken"))
        return inner.opened

    assert anyio.run(main) == ["other", "model", "index"]


def _call(handle: str) -> Any:
    class Given:
        arguments: Mapping[str, object] = {"self": HandleValue(handle)}

    return Given()


# --- files -----------------------------------------------------------------------------------------------------------


def test_a_text_in_pieces_may_be_edited() -> None:
    call = Recorded("writer.chat", "k", "p.chat", {}, items=("I", " am", " here"))
    head = '{"cassette": 1, "salt": "s"}\n'
    written = line(call)
    assert '"text": "I am here"' in written and '"pieces": [1, 3, 5]' in written
    assert read(head + written, "t")[0].calls == (call,)
    assert read(head + written.replace("I am here", "I was there"), "t")[0].calls[0].items == ("I was there",)
    assert read(head + written.replace("[1, 3, 5]", "[-1, 5, 5]"), "t")[0].calls[0].items == ("I am here",)


def test_an_exception_leaves_the_tape_as_it_was(tmp_path: Path) -> None:
    tape = tmp_path / "tape.jsonl"
    tape.write_text("old")
    with pytest.raises(KeyError), Recording(tape, ["a.agent"]):
        raise KeyError("a bug")
    assert tape.read_text() == "old"
    with Recording(tape, ["a.agent"], ["pii"]) as recording:
        assert recording.calls == 0
    again, problems = read_tape(tape)
    assert again is not None and not problems
    assert again.cassette.programs == ("a.agent",) and again.cassette.kept == ("pii",) and again.cassette.salt
    assert list(tmp_path.iterdir()) == [tape]


def test_a_tape_that_cannot_be_read_or_written_is_a_problem(tmp_path: Path) -> None:
    for path, slug in ((tmp_path, "cassette-unreadable"), (tmp_path / "gone", "no-such-file")):
        tape, problems = read_tape(path)
        assert tape is None and [problem.slug for problem in problems] == [slug]
    (tmp_path / "latin").write_bytes(b"\xff\xfe")
    assert read_tape(tmp_path / "latin")[1][0].slug == "cassette-unreadable"
    with pytest.raises(OutsideError) as error, Recording(tmp_path / "gone" / "tape"):
        pass
    assert error.value.problem.slug == "cassette-unwritable"


def test_a_report_holds_any_text() -> None:
    source = Source("a.agent", 'test "x" { expect 1 == 2 }')
    span = source.span(0, 4)
    problem = Problem(
        "expectation-failed", "bell \x07, half a pair \ud800, ]]> & <b>", span, detail="\x00\ufffe\U0001f600"
    )
    tested = [
        Result("a \x1b[31m<&>", span, "failed", 0.25, problems=(problem,)),
        Result("b", span, "error", 1e-9),
        Result("c", span, "interrupted", 0.0),
        Result("d", span, "passed", 3.0),
    ]
    root = Xml.fromstring(report([("a.agent", tested)], {"a.agent": source}))
    suite = root[0]
    assert [suite.get(name) for name in ("tests", "failures", "errors", "skipped")] == ["4", "1", "1", "1"]
    assert [[child.tag for child in case] for case in suite] == [["failure"], ["error"], ["skipped"], []]
    text = suite[0][0].text
    assert text is not None and "\U0001f600" in text and "]]> & <b>" in text
    assert suite[0].get("name") == "a \ufffd[31m<&>"
    assert suite[0].get("time") == "0.250000"
