"""Text and tree are two forms of one thing: printing, parsing and formatting lose nothing.

Trees are generated over the whole language (`syntax_trees`), texts are the programs and what an editor sees of them.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from agent_sources import ACCEPTANCE, EXAMPLES, ROOT
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from syntax_trees import files
from whole_language import WHOLE

from agentlang.base.source import Source, Span
from agentlang.lang import syntax as s
from agentlang.lang.format import format_source
from agentlang.lang.parser import parse
from agentlang.lang.printer import show
from agentlang.lang.scanner import scan
from agentlang.lang.syntax import File, Node, children, walk

FOLDER = Path(os.environ.get("AGENTLANG_PROGRAMS", ACCEPTANCE))
PROGRAMS = sorted(FOLDER.glob("*.agent")) if FOLDER.is_dir() else []
LIBRARY = sorted((ROOT / "stdlib").rglob("*.agent"))
TEXTS = {path.name: path.read_text("utf-8") for path in [*LIBRARY, *EXAMPLES, *PROGRAMS]} | {"whole.agent": WHOLE}
programs = pytest.mark.parametrize("name", TEXTS)


def relaxed(count: int) -> settings:
    slow = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.large_base_example]
    return settings(max_examples=count, deadline=None, suppress_health_check=slow)


def parsed(text: str) -> File:
    file, problems = parse(Source("law.agent", text))
    assert not problems, [(problem.title, problem.span) for problem in problems] + [text]
    return file


@pytest.mark.skipif(not PROGRAMS, reason="the acceptance programs are not beside this checkout")
def test_there_are_programs() -> None:
    assert len(PROGRAMS) >= 10


@programs
def test_printing_a_program_gives_its_tree_again(name: str) -> None:
    tree = parsed(TEXTS[name])
    assert tree.declarations
    assert parsed(show(tree)) == tree


@programs
def test_programs_are_written_as_they_are_formatted(name: str) -> None:
    assert format_source(Source(name, TEXTS[name])) == (TEXTS[name], ())


def printed_and_formatted(tree: File) -> None:
    text = show(tree)
    assert parsed(text) == tree
    assert format_source(Source("law.agent", text)) == (text, ()), "what is printed is formatted"


@relaxed(200)
@given(files)
def test_printing_a_tree_gives_it_again(tree: File) -> None:
    printed_and_formatted(tree)


@pytest.mark.slow
@relaxed(2000)
@given(files)
def test_printing_many_trees_gives_them_again(tree: File) -> None:
    printed_and_formatted(tree)


COMMENTS = "# note", "#note", "## doc", "#", "  # far"


@st.composite
def untidy(draw: Any) -> str:
    """A program with other spaces, indentation, blank lines and comments than it should have."""
    text = draw(st.sampled_from(sorted(TEXTS.values())) | files.map(show))
    tokens = scan(Source("law.agent", text)).tokens
    depth, at = 0, 0
    out: list[str] = []
    for token in tokens:
        between = text[at : token.start]
        if depth == 0 or between.strip(" "):
            if "\n" in between:
                comment = draw(st.none() | st.sampled_from(COMMENTS)) if depth == 0 else None
                lines = "\n" * draw(st.integers(1, 3))
                between = (f" {comment}" if comment else "") + lines + " " * draw(st.integers(0, 5))
            elif between:
                between = " " * draw(st.integers(1, 3))
        out += [between, token.text]
        depth += (token.kind == "TEXT") - (token.kind == "TEXT_END")
        at = token.end
    return "".join(out)


def formatted_once(text: str) -> None:
    once, problems = format_source(Source("law.agent", text))
    if problems:
        assert once == text
        return
    assert parsed(once) == parsed(text)
    assert format_source(Source("law.agent", once)) == (once, ())
    before = [comment.text.lstrip("#").strip() for comment in scan(Source("", text)).comments]
    after = [comment.text.lstrip("#").strip() for comment in scan(Source("", once)).comments]
    assert before == after


@relaxed(80)
@given(untidy())
@example("x\r\n")
@example("use std/llm\r\n\r\nuse std/text # two\r\n")
@example("\ufeffuse std/llm\n")
@example("let x = 1\n# last")
@example("# only")
@example("")
def test_formatting_changes_no_meaning_and_ends_at_once(text: str) -> None:
    formatted_once(text)


@pytest.mark.slow
@relaxed(2000)
@given(untidy())
def test_formatting_many_untidy_programs(text: str) -> None:
    formatted_once(text)


@programs
def test_spans_nest_and_say_where_words_stand(name: str) -> None:
    text = TEXTS[name]
    source = Source(name, text)

    def check(node: Node, outer: Span) -> None:
        span = node.span
        assert outer.start <= span.start <= span.end <= outer.end
        assert source.span(span.start, span.end) == span
        if isinstance(node, s.Ident | s.Name | s.Symbol):
            assert text[span.start : span.end] == node.text
        for inner in children(node):
            # What a comment says stands before its declaration.
            if not isinstance(inner, s.Doc):
                check(inner, span)

    tree, _ = parse(source)
    for declaration in tree.declarations:
        check(declaration, tree.span)
    assert sum(1 for _ in walk(tree)) > 20


@relaxed(150)
@given(st.text(max_size=200) | st.text(st.sampled_from('ab ({[)}]"\n,.:=|>-#$1%\\@?*/'), max_size=80))
def test_any_text_gives_a_file(text: str) -> None:
    file, problems = parse(Source("law.agent", text))
    assert isinstance(file, File)
    for problem in problems:
        assert problem.span is not None
        assert 0 <= problem.span.start <= problem.span.end <= len(text)


def test_a_value_behind_a_reason_is_no_operand_of_it() -> None:
    body = "  return f(x) otherwise on bad_value -1 otherwise on a, b (x) otherwise on - 1\n"
    text = f"pipeline p(x: Int) -> Int {{\n{body}}}\n"
    assert format_source(Source("page.agent", text))[0] == text


@pytest.mark.parametrize("right", ['"x"', "[1]", '{"a": 1}', "x", "1", "-1", "$1.00", "f(x)"])
def test_a_remainder_is_printed_as_one(right: str) -> None:
    printed_and_formatted(parsed(f"pipeline p() -> Int {{\n  return 7 % ({right})\n}}\n"))
