"""Nothing that can stand in a file makes parsing, checking or formatting raise, hang or say nonsense.

Random texts, programs with their tokens damaged, and the shapes that break hand-written readers: deep nests, long
lines, what never ends, odd characters.
"""

from __future__ import annotations

import random
import time
from itertools import pairwise
from pathlib import Path

import pytest
from agent_sources import ACCEPTANCE, EXAMPLES, ROOT
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mutations import mutations
from whole_language import WHOLE

from agentlang import api
from agentlang.base.problems import has_errors
from agentlang.base.render import concise, terminal
from agentlang.base.source import Source
from agentlang.lang.checker import check
from agentlang.lang.format import format_source
from agentlang.lang.parser import parse
from agentlang.lang.printer import show
from agentlang.lang.scanner import scan
from agentlang.lang.tokens import RESERVED, SIGNS
from agentlang.stdlib.interfaces import interface

TEXTS = [path.read_text("utf-8") for path in [*EXAMPLES, *sorted(ACCEPTANCE.glob("*.agent"))]] + [WHOLE]


def declarations(text: str) -> list[str]:
    found = scan(Source("x", text))
    cuts = [0, *(cut.offset for cut in found.cuts), len(text)]
    return [text[start:end] for start, end in pairwise(cuts)]


POOL = sorted({part for text in TEXTS for part in declarations(text)})
WORDS = sorted({token.text for text in TEXTS for token in scan(Source("x", text)).tokens if "\n" not in token.text})
ODD = [*SIGNS, *sorted(RESERVED), '"', '"""', "#", "##", "\\", "'", ";", "$", "\n", "\n  ", " ", "\t", "\r\n", "\x00"]
ODD += ["1", "2 s", "$0.40", "10 %", "4 per s", "é", "名", "\u202e", "😀", "\ufeff", "{{", "}}", "\u2028", "¼", "٣"]


def survives(text: str) -> None:
    source = Source("fuzz.agent", text)
    file, problems = parse(source)
    _, found = check(file, source, interface)
    for problem in (*problems, *found):
        assert problem.title
        if problem.span is not None and problem.span.path == source.path:
            assert 0 <= problem.span.start <= problem.span.end <= len(text)
            assert concise(problem)
    formatted, again = format_source(source)
    assert again == problems
    if has_errors(problems):
        assert formatted == text
    else:
        # No parse of what is sound may lose anything that printing would need.
        assert parse(Source("fuzz.agent", show(file)))[0] == file


def relaxed(count: int) -> settings:
    slow = [HealthCheck.too_slow, HealthCheck.data_too_large]
    return settings(max_examples=count, deadline=None, suppress_health_check=slow)


noise = st.lists(st.sampled_from([*ODD, *WORDS]) | st.text(max_size=3), max_size=40).map("".join)
programs = st.lists(st.sampled_from(POOL), min_size=1, max_size=3).map("".join)
changes = st.lists(st.tuples(st.integers(0, 5), st.integers(0, 9999), st.integers(0, 9999)), min_size=1, max_size=5)


def damaged(text: str, edits: list[tuple[int, int, int]]) -> str:
    found = scan(Source("x", text)).tokens
    cuts = [0, *(token.start for token in found), len(text)]
    words = [text[start:end] for start, end in pairwise(cuts)]
    for kind, first, second in edits:
        at, to = first % len(words), second % len(words)
        match kind:
            case 0:
                words[at] = ""
            case 1:
                words[at] += words[at]
            case 2:
                words[at], words[to] = words[to], words[at]
            case 3:
                words[at] = WORDS[second % len(WORDS)] + " "
            case 4:
                words[at] += ODD[second % len(ODD)]
            case _:
                words[max(at, len(words) // 2) :] = [""]
    return "".join(words)


@relaxed(150)
@given(noise | st.text(max_size=60))
def test_random_texts(text: str) -> None:
    survives(text)


@relaxed(200)
@given(programs, changes)
def test_damaged_programs(text: str, edits: list[tuple[int, int, int]]) -> None:
    survives(damaged(text, edits))


@pytest.mark.slow
@relaxed(20_000)
@given(noise | st.text(max_size=60))
def test_many_random_texts(text: str) -> None:
    survives(text)


@pytest.mark.slow
@relaxed(30_000)
@given(programs, changes)
def test_many_damaged_programs(text: str, edits: list[tuple[int, int, int]]) -> None:
    survives(damaged(text, edits))


DEEP = 10_000
OPENINGS = [
    *("(", "[", "{", '"{', '"""{', "f(", "[[{", '{"a": ', "a[", "not ", "-", "a + ", "a and ", "x as ", "a."),
    *("a |> f() ", "f()", "(a otherwise ", "(a) with timeout 1 s ", "if a {\n", "match a {\nA => ", "for x in y {\n"),
    *("race {\n", "interruptible {\n", "repeat a = b, at most 3 times {\n", "stream ", "else if a {", "T?", "[Text"),
]


@pytest.mark.parametrize("opening", OPENINGS)
def test_ten_thousand_of_anything(opening: str) -> None:
    for text in (f"let x = {opening * DEEP}", f"pipeline p() -> Text {{\n  x = {opening * DEEP}\n}}"):
        began = time.process_time()
        file, problems = parse(Source("deep.agent", f"{text}\n\nlet sound = 1\n"))
        assert problems
        assert "sound" in [getattr(getattr(d, "name", None), "text", None) for d in file.declarations]
        check(file, Source("deep.agent", text), interface)
        assert time.process_time() - began < 10


@pytest.mark.parametrize(
    "piece", [*SIGNS, '"', '"""', "'", "\\", "\n", "\t", "\x00", "\u2028", "1", "9 ms ", "a ", "let "]
)
def test_ten_thousand_of_one_sign(piece: str) -> None:
    began = time.process_time()
    text = f"pipeline p() -> Text {{\n  {piece * DEEP}\n  return x\n}}\n\nlet sound = 1\n"
    source = Source("long.agent", text)
    file, problems = parse(source)
    assert problems or not piece.strip()
    check(file, source, interface)
    format_source(source)
    assert time.process_time() - began < 10


LONG = 1_000_000


@pytest.mark.parametrize(
    "line", ["a" * LONG, '"' + "a" * LONG, "# " + "c" * LONG, "f(" + "a, " * (LONG // 3), "(" * LONG]
)
def test_a_line_of_a_megabyte_is_a_problem(line: str) -> None:
    _, problems = parse(Source("long.agent", f"let x = {line}\n"))
    assert [problem.slug for problem in problems] == ["source-too-large"]


@pytest.mark.parametrize("line", ["a" * 400_000, '"' + "a" * 400_000, "9" * 400_000, "€" * 400_000, "{" * 400_000])
def test_a_long_line_of_a_file_that_is_read(line: str) -> None:
    began = time.process_time()
    source = Source("long.agent", f"let x = {line}\n")
    _, problems = parse(source)
    for problem in problems:
        assert len(terminal(problem, {source.path: source}, False)) < 4000
    assert time.process_time() - began < 10


@pytest.mark.parametrize(
    ("data", "slug"),
    [
        (b"let x = \xff\xfe", "not-text"),
        (b"let x = \xc3", "not-text"),
        ("let x = 1".encode("utf-16"), "not-text"),
        (b"\x7fELF\x00\x01", "not-text"),
        (b"let x = \xed\xa0\x80", "not-text"),
    ],
)
def test_what_is_no_text_is_refused(data: bytes, slug: str, tmp_path: Path) -> None:
    file = tmp_path / "p.agent"
    file.write_bytes(data)
    source, problems = api.read(file)
    assert source is None
    assert [problem.slug for problem in problems] == [slug]


def test_names_in_any_script_and_mixed_space() -> None:
    text = "\ufefflet größe = 1\r\nlet 名前 = größe\r\nlet \u0924\u094d\u0930 = 2\r\nlet имя\t=\t名前 + 1\r\n"
    source = Source("names.agent", text)
    file, problems = parse(source)
    assert not problems
    assert len(file.declarations) == 4
    assert "\r" not in format_source(source)[0]
    mixed = "pipeline p(q: Text) -> Text {\n\tx = if true {\n        \tq\n \t} else { q }\n\treturn x\n}\n"
    assert not parse(Source("x", mixed))[1]
    assert "\t" not in format_source(Source("x", mixed))[0]


def test_every_single_fault_formats_or_is_left() -> None:
    text = (ROOT / "examples" / "handbook" / "handbook.agent").read_text("utf-8")
    draw = random.Random(3)
    for mutation in draw.sample(mutations(text, names=True), 60):
        survives(mutation.text)


def test_holes_with_braces_of_their_own() -> None:
    sound = ['"{ {"a": 1} }"', '"{f({"a": 1}["a"])}"', '"{if a { "x" } else { "{b}" }}"', '"{{{a}}}"', '"{"{"{a}"}"}"']
    for text in sound:
        assert not parse(Source("x", f"let x = {text}"))[1], text
    for text in (
        '"{"',
        '"{}"',
        '"{a"',
        '"a}"',
        '"{{a}"',
        '"{a}}"',
        '"{ { }"',
        '"{"{"',
        '"{a # b}"',
        '"""{\n',
        '"{\n}"',
    ):
        assert parse(Source("x", f"let x = {text}"))[1], text
