"""Parsing again after an edit gives what parsing afresh gives, places included, and keeps what did not change."""

from __future__ import annotations

import random
import time
from collections.abc import Callable

import pytest
from agent_sources import ACCEPTANCE, EXAMPLES
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from whole_language import WHOLE

from agentlang.base.source import Source
from agentlang.lang.incremental import Incremental
from agentlang.lang.parser import parse

TEXTS = [path.read_text("utf-8") for path in [*EXAMPLES, *sorted(ACCEPTANCE.glob("*.agent"))]]
LONG = "\n".join(TEXTS)
# What parts texts and declarations, so that it is put in and taken out most often.
PIECES = [
    *('"', '"""', "{", "}", "(", ")", "\n", "\n\n", "  ", "#", "## doc\n", "\ufeff", "\r\n", "\x00", "x", " = "),
    *(
        "pipeline p(",
        "\npipeline p(q: Text) -> Text {\n  return q\n}\n",
        "\ntype A { x: Int }\n",
        "let x = 1\n",
        "type ",
    ),
    *('\n"""\n', '"""\npipeline inside(\n"""', "use std/llm\n", "\nlet y = (\n", "\n)\n", "((((((((((" * 8),
]


def same(incremental: Incremental, text: str, path: str = "law.agent") -> None:
    source = Source(path, text)
    file, problems = incremental.parse(source)
    fresh, expected = parse(source)
    assert problems == expected
    assert file == fresh
    # Equality does not look at places; what is shown of a tree has them all.
    assert repr(file) == repr(fresh)


edits = st.lists(
    st.tuples(st.floats(0, 1), st.integers(0, 3) | st.integers(0, 300), st.sampled_from(["", *PIECES])),
    min_size=1,
    max_size=8,
)


def edited(text: str, changes: list[tuple[float, int, str]]) -> None:
    incremental = Incremental()
    same(incremental, text)
    for where, removed, piece in changes:
        at = int(where * len(text))
        text = text[:at] + piece + text[at + removed :]
        same(incremental, text)


def relaxed(count: int) -> settings:
    return settings(max_examples=count, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@relaxed(50)
@given(st.sampled_from([*TEXTS, WHOLE, ""]), edits)
def test_after_edits_the_result_is_that_of_a_fresh_parse(text: str, changes: list[tuple[float, int, str]]) -> None:
    edited(text, changes)


@pytest.mark.slow
@relaxed(500)
@given(st.sampled_from([*TEXTS, ""]), edits)
def test_after_many_edits(text: str, changes: list[tuple[float, int, str]]) -> None:
    edited(text, changes)


def test_typing_a_program_character_by_character() -> None:
    incremental = Incremental()
    text = TEXTS[1]
    for size in range(0, len(text) + 1, 29):
        same(incremental, text[:size])


def test_undoing_and_moving_declarations() -> None:
    incremental = Incremental()
    parts = LONG.split("\n\n")
    draw = random.Random(7)
    for _ in range(3):
        draw.shuffle(parts)
        same(incremental, "\n\n".join(parts))
        same(incremental, "\n\n".join(parts[: len(parts) // 2]))


def test_many_problems_and_control_characters() -> None:
    incremental = Incremental()
    same(incremental, LONG)
    same(incremental, LONG + "€ " * 300)
    same(incremental, LONG + "€ " * 50 + "\n" + LONG)
    same(incremental, "\x07" + LONG)
    same(incremental, LONG)
    same(incremental, LONG, "other.agent")
    same(incremental, LONG + "#" * (1 << 19))
    same(incremental, LONG + "\nlet x = (\n" * 120)
    same(incremental, LONG + "\nlet x = (\n" * 121)


def test_an_unclosed_text_is_closed_by_an_edit_far_behind() -> None:
    broken = LONG.replace("type Verdict", 'let open = """\ntype Verdict', 1)
    incremental = Incremental()
    same(incremental, broken)
    same(incremental, broken + '\n"""\n')
    same(incremental, broken)


def test_declarations_that_did_not_change_are_the_same_objects() -> None:
    incremental = Incremental()
    documented = LONG.replace("\ngoal ", "\n## About it.\ngoal ")
    first, _ = incremental.parse(Source("law.agent", documented))
    edit = documented.replace("  clean = text", "  # Redacted.\n  clean = text", 1)
    second, problems = incremental.parse(Source("law.agent", edit))
    assert not problems
    kept = [old is new for old, new in zip(first.declarations, second.declarations, strict=True)]
    assert kept.count(False) == 1
    assert repr(second) == repr(parse(Source("law.agent", edit))[0])


def test_a_declaration_written_twice_is_two_trees() -> None:
    text = "let a = 1\n\ntype T { x: Int }\n\nlet b = 2\n"
    incremental = Incremental()
    same(incremental, text)
    same(incremental, "let a = 1\n" + text)
    same(incremental, text + text)
    same(incremental, text + "\n" + text)


def test_a_keystroke_in_two_thousand_lines(capsys: pytest.CaptureFixture[str]) -> None:
    """Processor time of parsing 2,000 lines, and of a letter typed at their start, middle and end."""
    parts = [part for text in TEXTS for part in text.split("\n\n") if not part.startswith(("use ", "## "))]
    text = ""
    while text.count("\n") < 2000:
        text += "\n\n".join(parts) + "\n\n"

    def seconds(work: Callable[[], object]) -> float:
        began = time.process_time()
        work()
        return time.process_time() - began

    source = Source("long.agent", text)
    whole = min(seconds(lambda: parse(source)) for _ in range(3))
    incremental = Incremental()
    incremental.parse(source)
    figures: list[float] = []
    for where in (0.01, 0.5, 0.99):
        at = text.index("\n  ", int(where * len(text)) - 400) + 3
        typed = Source("long.agent", f"{text[:at]}x{text[at:]}")
        figures.append(
            min(seconds(lambda new=typed: (incremental.parse(new), incremental.parse(source))) / 2 for _ in range(5))
        )
    with capsys.disabled():
        shown = ", ".join(f"{figure * 1e3:.1f}" for figure in figures)
        print(
            f"\n{text.count(chr(10))} lines: {whole * 1e3:.0f} ms whole; a keystroke at start, middle, end: {shown} ms"
        )
    # Far above what it takes on an idle machine: this finds what is quadratic, the figures are for reading.
    assert whole < 1.0
    assert max(figures) < 0.1
