"""What people of other languages write: the problem says what is written here, and its fix makes it so."""

from __future__ import annotations

import pytest
from agent_sources import checked

from agentlang.base.problems import Problem, Severity

PARAMETERS = "x: Text, xs: [Text], ns: [Int], m: {Text: Int}, n: Int"


def errors(text: str) -> list[Problem]:
    return [problem for problem in checked(text)[1] if problem.severity is Severity.ERROR]


def only(text: str) -> Problem:
    (problem,) = errors(text)
    return problem


def mended(text: str) -> str:
    """The text with the fix of its only error."""
    fix = only(text).fix
    assert fix is not None
    for edit in sorted(fix.edits, key=lambda edit: -edit.span.start):
        text = text[: edit.span.start] + edit.text + text[edit.span.end :]
    return text


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("str", "Text"),
        ("String", "Text"),
        ("int", "Int"),
        ("float", "Float"),
        ("number", "Float"),
        ("bool", "Bool"),
        ("boolean", "Bool"),
        ("dict", "Json"),
        ("list[str]", "[Text]"),
        ("List<int>", "[Int]"),
        ("Optional[str]", "Text?"),
        ("dict[str, float]", "{Text: Float}"),
        ("Map<String, Text>", "{Text: Text}"),
        ("AsyncIterator[str]", "stream Text"),
    ],
)
def test_types_of_other_languages(written: str, meant: str) -> None:
    text = f"pipeline p(q: {written}) -> Int {{\n  return 1\n}}\n"
    assert mended(text) == text.replace(written, meant)
    assert errors(mended(text)) == []
    result = f'tool f(q: Text) -> {written} = python("m:f") effects []\n'
    assert mended(result) == result.replace(written, meant)


def test_a_type_of_the_file_is_nearer_than_one_of_another_language() -> None:
    text = "type Number { n: Int }\npipeline p(q: number) -> Int {\n  return q.n\n}\n"
    assert mended(text) == text.replace("number", "Number")


@pytest.mark.parametrize("name", ["list", "None", "optional"])
def test_types_that_need_more_are_told(name: str) -> None:
    problem = only(f'tool f(q: Text) -> {name} = python("m:f") effects []\n')
    assert problem.slug == "unknown-name" and problem.fix is None and "declare it" not in (problem.hint or "")


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("x.upper()", "text.upper(x)"),
        ("x.strip()", "text.trim(x)"),
        ('x.startswith("a")', 'text.starts_with(x, "a")'),
        ('", ".join(xs)', 'text.join(xs, ", ")'),
        ('(x + x).replace("a", "b")', 'text.replace(x + x, "a", "b")'),
        ("xs.append(x)", "xs + [x]"),
        ("len(xs.append(x))", "len(xs + [x])"),
        ("xs.append(x)[0]", "(xs + [x])[0]"),
        ("xs.len()", "len(xs)"),
        ("x.length", "len(x)"),
        ("m.size", "len(m)"),
        ("ns.sort()", "list.sorted(ns)"),
        ("xs.first()", "list.first(xs)"),
        ('m.get("k")', 'm["k"]'),
        ("xs.contains(x)", "xs contains x"),
        ("not xs.includes(x)", "not (xs contains x)"),
        ("n.to_string()", '"{n}"'),
        ("(n + 1).str()", '"{n + 1}"'),
    ],
)
@pytest.mark.parametrize("imported", [False, True])
def test_methods_of_other_languages(written: str, meant: str, imported: bool) -> None:
    top = "use std/list\nuse std/text\n\n" if imported else ""
    text = f"{top}pipeline p({PARAMETERS}) -> Int {{\n  found = {written}\n  return 1\n}}\n"
    done = mended(text)
    assert f"  found = {meant}\n" in done
    assert errors(done) == []


def test_a_module_has_the_name_that_the_file_gives_it() -> None:
    text = "use std/text as words\n\npipeline p(x: Text) -> Text {\n  return x.lower()\n}\n"
    assert "return words.lower(x)\n" in mended(text)


@pytest.mark.parametrize("written", ["xs.map(x)", "x.format(n)", 'x.split(",")', "m.keys()", "x.foo()", "m.upper()"])
def test_what_has_no_expression_of_its_own_has_no_fix(written: str) -> None:
    problem = only(f"pipeline p({PARAMETERS}) -> Int {{\n  found = {written}\n  return 1\n}}\n")
    assert problem.slug == "not-callable" and problem.fix is None and problem.hint


@pytest.mark.parametrize("top", ["use std/lllm\n", "use llm\n", "use std/llm2\n"])
def test_a_misspelt_module_is_one_problem(top: str) -> None:
    text = (
        f'{top}model writer = llm.chat("smollm2-135m-instruct")\n'
        "pipeline p(x: Text) -> stream Text {\n  return writer.chat(x)\n}\n"
        "pipeline q(v: llm.Verdict) -> Bool {\n  return v.ok\n}\n"
    )
    assert [problem.slug for problem in checked(text)[1]] == ["unknown-module"]
    assert checked(mended(text))[1] == ()


def test_what_else_has_the_name_of_the_module_keeps_it() -> None:
    text = (
        "use std/lllm\npipeline llm(x: Text) -> Text {\n  return x\n}\n"
        "pipeline p(x: Text) -> Int {\n  return llm(x)\n}\n"
    )
    assert sorted(problem.slug for problem in errors(text)) == ["unknown-module", "wrong-type"]
