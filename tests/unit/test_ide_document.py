"""An edit costs what it touches: told by what is done, and by a generous ratio to checking afresh."""

from __future__ import annotations

import time
from collections.abc import Callable

from agentlang.base.source import Source
from agentlang.lang.checker import check
from agentlang.lang.ide import Document
from agentlang.lang.parser import parse
from agentlang.stdlib.interfaces import interface

UNIT = """
type Note{n} {{ text: Text, tags: [Text] }}

pipeline help{n}(question: Text, top: Int = 4) -> Text {{
  note  = Note{n}(text: question, tags: ["a", "b"])
  draft = repeat state = note.text, at most 3 times {{
    better = all(writer.chat("Improve:\\n{{state}}", max_tokens: 64))
    stop state when len(better) > 100
    next better
  }}
  words = for tag in note.tags where len(tag) > 0 {{ all(writer.chat("Say {{tag}}")) }}
  return text.join(words, "; ") + draft
}}
"""
TEXT = 'use std/llm\nuse std/text\nmodel writer = llm.chat("smollm2-135m-instruct")\n' + "".join(
    UNIT.format(n=n) for n in range(60)
)


def test_a_keystroke_takes_a_part_of_a_check() -> None:
    source = Source("big.agent", TEXT)
    document = Document(interface)
    document.update(source)
    at = TEXT.index("Improve", len(TEXT) // 2)

    def afresh() -> None:
        check(parse(source)[0], source, interface)

    def keystroke() -> None:
        document.update(Source("big.agent", TEXT[:at] + "x" + TEXT[at:]))

    def seconds(work: Callable[[], None]) -> float:
        times: list[float] = []
        for _ in range(3):
            document.update(source)
            began = time.process_time()
            work()
            times.append(time.process_time() - began)
        return min(times)

    # It is a twelfth, when nobody else uses the machine.
    assert seconds(keystroke) < seconds(afresh) / 2


def test_only_the_edited_body_is_checked_again() -> None:
    document = Document(interface)
    before = document.update(Source("big.agent", TEXT)).program
    at = TEXT.index("Improve", len(TEXT) // 2)
    after = document.update(Source("big.agent", TEXT[:at] + "x" + TEXT[at:])).program
    assert before is not None and after is not None
    pairs = zip(before.pipelines, after.pipelines, strict=True)
    assert [old.name for old, new in pairs if old is not new] == ["help30"]


def test_what_mentions_a_changed_type_is_checked_again() -> None:
    document = Document(interface)
    document.update(Source("big.agent", TEXT))
    changed = TEXT.replace("type Note7 { text: Text,", "type Note7 { text: Int,")
    (problem, *_) = document.update(Source("big.agent", changed)).problems
    assert problem.slug == "wrong-type" and problem.span is not None
    assert "Note7" in changed.split("\n")[problem.span.line - 1]
    assert document.update(Source("big.agent", TEXT)).problems == ()


def test_the_sheet_is_begun_anew_now_and_then() -> None:
    """However long somebody types, what is kept stays small."""
    document = Document(interface)
    text = TEXT[: TEXT.index("type Note3")]
    at = text.index("Improve")
    for n in range(40):
        edited = text[:at] + "long " * (2000 + n) + text[at:]
        analysis = document.update(Source("big.agent", edited))
        assert analysis.problems == ()
    assert len(analysis.layout.sheet.text) < 1 << 20
