"""A fix does what it says: with its edits, the problem is gone and no error is there that was not before.

The faults are those that the language's description lists, the examples of the problem pages, and all mistakes of
spelling that the parser knows.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator

import pytest
from agent_sources import ROOT, blocks, checked
from fault_list import FAULTS, together

from agentlang.base.problems import Fix, Problem, Severity
from agentlang.base.source import Source
from agentlang.lang.mistakes import MISTAKES
from agentlang.lang.parser import parse
from agentlang.lang.printer import show

PATH = "page.agent"


def applied(text: str, fix: Fix) -> str:
    """The text with the edits of a fix, which stand in the file itself and do not overlap."""
    edits = sorted(fix.edits, key=lambda edit: (edit.span.start, edit.span.end))
    assert all(edit.span.path == PATH for edit in edits)
    ends = [edit.span.end for edit in edits]
    assert all(edit.span.start >= end for edit, end in zip(edits[1:], ends, strict=False))
    for edit in reversed(edits):
        text = text[: edit.span.start] + edit.text + text[edit.span.end :]
    return text


def texts() -> Iterator[tuple[str, str]]:
    """Faulty files with a name each."""
    yield from ((fault.name, fault.text) for fault in FAULTS)
    yield from (("together", together()[0]), ("together with broken", together(broken=True)[0]))
    for page in sorted((ROOT / "docs" / "problems").glob("*.md")):
        for number, (kind, text, _) in enumerate(blocks(page.read_text("utf-8"))):
            if kind == "agent":
                yield f"{page.stem} {number}", text
    yield from ((f"mistake {mistake.title} {number}", mistake.example) for number, mistake in enumerate(MISTAKES))


def cases() -> Iterator[tuple[str, str, Problem]]:
    seen = set[str]()
    for name, text in texts():
        if text in seen:
            continue
        seen.add(text)
        for number, problem in enumerate(checked(text, PATH)[1]):
            if problem.fix is not None:
                yield f"{name}: {problem.slug} {number}", text, problem


CASES = list(cases())


def counted(problems: Iterable[Problem]) -> Counter[tuple[str, str]]:
    return Counter((problem.slug, problem.title) for problem in problems)


@pytest.mark.parametrize(("text", "problem"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_a_fix_takes_the_problem_away_and_adds_none(text: str, problem: Problem) -> None:
    assert problem.fix is not None
    assert problem.fix.title
    assert not problem.fix.title.endswith(".")
    mended = applied(text, problem.fix)
    assert mended != text
    before, after = checked(text, PATH)[1], checked(mended, PATH)[1]
    key = problem.slug, problem.title
    assert counted(after)[key] < counted(before)[key], mended
    syntax = parse(Source(PATH, text))[1]
    if any(p.severity is Severity.ERROR for p in syntax):
        # What a broken declaration means is only known once it parses, so more may come to light; its syntax not.
        more = counted(parse(Source(PATH, mended))[1]) - counted(syntax)
    else:
        more = counted(p for p in after if p.severity is Severity.ERROR) - counted(before)
    assert not more, mended


def test_many_problems_have_a_fix() -> None:
    assert len({problem.slug for _, _, problem in CASES}) >= 30


@pytest.mark.parametrize("fault", [fault for fault in FAULTS if fault.fix], ids=lambda fault: fault.name)
def test_a_fixed_fault_leaves_a_sound_file(fault: object) -> None:
    from fault_list import Fault

    assert isinstance(fault, Fault)
    text = fault.text
    for _ in range(3):
        fixes = [problem.fix for problem in checked(text, PATH)[1] if problem.fix is not None]
        if not fixes:
            break
        text = applied(text, fixes[0])
    file, problems = parse(Source(PATH, text))
    assert not problems
    assert parse(Source(PATH, show(file)))[1] == ()
    assert not [problem for problem in checked(text, PATH)[1] if problem.severity is Severity.ERROR], text
