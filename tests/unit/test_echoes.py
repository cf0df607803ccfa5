"""Of a file with a fault of syntax the checker tells what is wrong besides it, not what follows from it."""

from __future__ import annotations

from agent_sources import checked, slugs

HEAD = 'use std/llm\n\nmodel writer = llm.chat("smollm2-135m-instruct")\n\n'


def test_a_lost_binding_is_not_missed() -> None:
    text = HEAD + "pipeline p(q: Text) -> Text {\n  a = all(writer.chat(q)\n  b = a + q\n  return b\n}\n"
    assert slugs(text) == ["unclosed-bracket"]
    lost = HEAD + 'pipeline p(q: Text) -> Text {\n  a all(writer.chat("x"))\n  return a + q\n}\n'
    assert len(slugs(lost)) == 1


def test_what_a_broken_part_used_is_not_unused() -> None:
    text = HEAD + 'pipeline p(q: Text) -> stream Text {\n  return writer.chat("{q)\n}\n'
    assert "unused" not in slugs(text)


def test_what_is_wrong_before_the_fault_and_elsewhere_stays() -> None:
    text = "pipeline p(q: Text) -> Text {\n  a = qq\n  b = f((\n  return a\n}\n"
    text += "\npipeline r() -> Text {\n  return nope\n}\n"
    lines = [(problem.slug, problem.span.line) for problem in checked(text)[1] if problem.span]
    assert ("unknown-name", 2) in lines
    assert ("unknown-name", 8) in lines
    assert all(line in (2, 3, 8) for _, line in lines), lines


def test_a_wrong_type_behind_the_fault_stays() -> None:
    text = 'pipeline p(q: Text) -> Text {\n  a = q +\n  b = 1 + "x"\n  c = true and 3\n  return q\n}\n'
    assert 4 in [problem.span.line for problem in checked(text)[1] if problem.span]


def test_a_sound_file_keeps_all() -> None:
    assert slugs("pipeline p(q: Text) -> Text {\n  a = q\n  return nope\n}\n").count("unknown-name") == 1
