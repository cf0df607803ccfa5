"""The parser: newlines, keywords in their places, precedence, docs, and what is kept of faulty sources."""

from __future__ import annotations

import json
import os
from importlib.resources import files
from pathlib import Path

import pytest
from agent_sources import ACCEPTANCE

from agentlang.base.problems import Fix
from agentlang.base.source import Source
from agentlang.lang import syntax as s
from agentlang.lang import tables
from agentlang.lang.parser import LONGEST_SOURCE, parse
from agentlang.lang.printer import show
from agentlang.lang.scanner import scan
from agentlang.lang.syntax import File, LetDecl, PipelineDecl, RecordDecl

PROGRAMS = Path(os.environ.get("AGENTLANG_PROGRAMS", ACCEPTANCE))


def sound(text: str) -> File:
    file, problems = parse(Source("x.agent", text))
    assert not problems, [problem.title for problem in problems]
    return file


def body(*lines: str) -> str:
    """The canonical text of a pipeline with these lines, without its first and last."""
    file = sound("pipeline p(q: Text) -> Text {\n" + "\n".join(lines) + "\n}\n")
    return "\n".join(line[2:] for line in show(file).splitlines()[1:-1])


def grouped(text: str) -> str:
    """An expression with all its groups written out, to show how it was read."""
    (declaration,) = sound(f"let x = {text}").declarations
    assert isinstance(declaration, LetDecl)

    def write(node: s.Expr) -> str:
        match node:
            case s.Binary():
                return f"({write(node.left)} {node.operator.text} {write(node.right)})"
            case s.Unary():
                return f"({node.operator.text} {write(node.operand)})"
            case s.Otherwise():
                return f"({write(node.value)} otherwise {write(node.fallback)})"
            case s.With() | s.As() | s.Into() | s.Pipe():
                return f"({write(node.value)} {type(node).__name__.lower()})"
            case s.Name():
                return node.text
            case _:
                return type(node).__name__

    return write(declaration.value)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a + b * c", "(a + (b * c))"),
        ("a - b - c", "((a - b) - c)"),
        ("not a == b", "(not (a == b))"),
        ("a or b and not c", "(a or (b and (not c)))"),
        ("-a * b", "((- a) * b)"),
        ("-a as T", "(- (a as))"),
        ("a as T + b", "((a as) + b)"),
        ("a < b + c", "(a < (b + c))"),
        ("a otherwise b otherwise c", "((a otherwise b) otherwise c)"),
        ("a |> f() with timeout 2 s otherwise b", "(((a pipe) with) otherwise b)"),
        ("a + b |> f()", "((a + b) pipe)"),
        ("a or b |> f()", "((a or b) pipe)"),
        ("a |> f() into T", "((a pipe) into)"),
        ("a |> f() as J as T |> g() into T", "(((((a pipe) as) as) pipe) into)"),
        ("a |> (f() into T)", "((a pipe) into)"),
        ("a |> f() into T with timeout 2 s", "(((a pipe) into) with)"),
        ("a contains b and c", "((a contains b) and c)"),
    ],
)
def test_precedence(text: str, expected: str) -> None:
    assert grouped(text) == expected


def test_what_a_chain_gives_is_converted_without_brackets() -> None:
    lines = ["x = (a |> f()) into T", "y = (a |> f() as T) |> g()", "z = -((a |> f()) as Int)", "w = (a |> f() as T).n"]
    plain = ["x = a |> f() into T", "y = a |> f() as T |> g()", "z = -(a |> f() as Int)", "w = (a |> f() as T).n"]
    assert body(*lines) == "\n".join(plain)
    assert body(*plain) == "\n".join(plain)


def test_comparisons_do_not_chain() -> None:
    _, (problem,) = parse(Source("x", "let x = a < b < c"))
    assert problem.slug == "comparison-chain"


def test_a_newline_ends_a_statement_except_where_the_line_goes_on() -> None:
    assert body("a = f(1,\n2)\nb =\n3\nreturn a +\nb") == "a = f(1, 2)\nb = 3\nreturn a + b"
    chain = "return q |> f() otherwise h with timeout 2 s"
    assert body("return q\n  |> f()\n  otherwise h\n  with timeout 2 s") == chain
    assert body("return q.f()\n  .g()") == "return q.f().g()"
    assert body("return if q { a }\nelse { b }") == "return if q { a } else { b }"


def test_a_block_inside_brackets_counts_newlines_again() -> None:
    assert body("return f(if q {\na = 1\na\n} else { b })").startswith("return f(if q {\n")


def test_words_are_keywords_only_where_the_language_takes_them() -> None:
    names = ("model", "rate", "tier", "at", "stream", "on", "timeout", "effects", "contains", "Tensor", "per")
    for name in names:
        assert body(f"{name} = q", f"return f({name}, {name}: {name}.{name})")
    record = "type A {\n" + "\n".join(f"  {name}: Text" for name in names) + "\n}"
    (declaration,) = sound(record).declarations
    assert isinstance(declaration, RecordDecl)
    assert [field.name.text for field in declaration.fields] == list(names)


def test_an_arm_takes_a_call_with_several_policies() -> None:
    lines = "return match q { A => f() with timeout 2 s, retry 1, B => 2 }"
    assert "A => f() with timeout 2 s, retry 1\n" in body(lines)


def test_handles_and_methods_of_interface_files() -> None:
    text = 'type Model\n\nstage Model.chat(prompt: Text, n: Int = 256) -> stream Text = builtin("llm:chat")\n'
    assert show(sound(text)) == text


def test_docs_belong_to_the_declaration_below_and_the_first_to_the_file() -> None:
    file = sound("## The file.\n## Two lines.\ntype A\n\n## Of B.\ntype B\n\n## Of nothing.\n\n# plain\ntype C\n")
    assert file.doc is not None
    assert file.doc.text == "The file.\nTwo lines."
    assert [d.doc.text if d.doc else None for d in file.declarations] == [None, "Of B.", None]


def test_an_empty_source_is_an_empty_file() -> None:
    for text in ("", "\n\n", "# only a comment\n", "\ufeff"):
        assert sound(text).declarations == ()


def test_a_fault_in_one_declaration_hides_nothing_of_the_others() -> None:
    text = "let a = 1\npipeline b( {\n  x = ) (\n}\n\nlet c = = 3\ntype D { x: Int }\n"
    file, problems = parse(Source("x", text))
    kept = [getattr(declaration, "name").text for declaration in file.declarations]  # noqa: B009
    assert {"a", "D"} <= set(kept)
    assert set(kept) | {name.text for name in file.broken} >= {"a", "b", "c", "D"}
    assert {problem.span.line for problem in problems if problem.span} >= {2, 6}


def test_a_repaired_declaration_keeps_what_is_sound() -> None:
    file, (problem,) = parse(Source("x", "pipeline p(q: Text) -> Text {\n  a = f(q\n  b = g(a)\n  return b\n}\n"))
    (declaration,) = file.declarations
    assert isinstance(declaration, PipelineDecl)
    assert len(declaration.body.statements) == 3
    assert problem.fix is not None


def test_a_source_too_large_is_refused_whole() -> None:
    file, (problem,) = parse(Source("x", "#" * 5_000_000))
    assert (file.declarations, problem.slug) == ((), "source-too-large")
    assert not parse(Source("x", "#" * LONGEST_SOURCE))[1]


@pytest.mark.parametrize(
    "text",
    [
        "let x = " + "(" * 20_000,
        "let x = " + " + ".join(["a"] * 20_000),
        "let x = a" + ".b" * 20_000,
        "let x = " + "not " * 20_000 + "a",
        "let x = f" + "()" * 20_000,
        "let x = " + '"{' * 20_000,
        "type A { x: " + "[" * 20_000,
        "type A { x: T" + "?" * 20_000 + " }",
        "pipeline p() -> Text {\n" + "if a {\n" * 20_000,
    ],
)
def test_deep_nesting_is_one_problem(text: str) -> None:
    file, problems = parse(Source("x", text + "\n\nlet sound = 1\n"))
    assert [problem.slug for problem in problems] == ["too-deep"]
    assert len(file.declarations) == 1
    assert file.broken


def test_what_is_not_too_deep_can_be_walked() -> None:
    text = "let x = " + " + ".join(["a"] * 140)
    file = sound(text)
    assert sound(show(file)) == file


def test_the_shipped_tables_are_those_of_the_grammar() -> None:
    folder = files("agentlang.lang")
    built = tables.build((folder / "grammar.lark").read_text("utf-8"))
    shipped = (folder / "grammar.json").read_text("utf-8")
    assert shipped == tables.text(built), "run `python -m agentlang.lang.tables`"
    assert tables.read(json.loads(shipped)) == tables.read(built)


@pytest.mark.parametrize("shipped", [None, "", "{}", "[1]", '{"checksum": 1}'])
def test_missing_stale_or_damaged_tables_are_built_from_the_grammar(tmp_path: Path, shipped: str | None) -> None:
    grammar = (files("agentlang.lang") / "grammar.lark").read_text("utf-8")
    (tmp_path / "grammar.lark").write_text(grammar, "utf-8")
    if shipped is not None:
        (tmp_path / "grammar.json").write_text(shipped, "utf-8")
    assert tables.load(tmp_path) == tables.tables()


def applied(text: str, fix: Fix) -> str:
    for edit in sorted(fix.edits, key=lambda edit: edit.span.start, reverse=True):
        text = text[: edit.span.start] + edit.text + text[edit.span.end :]
    return text


@pytest.mark.skipif(not PROGRAMS.is_dir(), reason="the acceptance programs are not beside this checkout")
def test_problems_point_at_the_line_of_a_deleted_token(capsys: pytest.CaptureFixture[str]) -> None:
    """Each single token taken out of each program: is the first problem on the line where it stood?"""
    faults = hits = fixes = 0
    for path in sorted(PROGRAMS.glob("*.agent")):
        text = path.read_text("utf-8")
        for number, token in enumerate(scan(Source("x", text)).tokens):
            # Every third, offset by file, keeps this to seconds.
            if token.kind == "TEXT_PART" or number % 3 != len(text) % 3:
                continue
            broken = text[: token.start] + text[token.end :]
            _, problems = parse(Source("x", broken))
            if not problems:
                continue
            faults += 1
            first = problems[0]
            hits += first.span is not None and first.span.line == token.line
            if first.fix is not None:
                fixes += 1
                assert len(parse(Source("x", applied(broken, first.fix)))[1]) < len(problems)
    with capsys.disabled():
        print(f"\n{faults} deletions: {hits / faults:.1%} on the fault's line, {fixes / faults:.0%} with a fix")
    assert faults > 300
    assert hits / faults >= 0.97
