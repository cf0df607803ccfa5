"""Documents are run: programs in them check, links in them lead somewhere, commands in them exist."""

from __future__ import annotations

import re
from pathlib import Path

import dialect_page
import library_page
import pytest
from pages import blocks
from test_problem_pages import CHECKED

from agentlang.api import check
from agentlang.base.render import terminal
from agentlang.base.source import Source
from agentlang.cli.main import COMMANDS
from agentlang.lang.format import format_source

ROOT = Path(__file__).parents[2]
# Pages of problems have a harness of their own: their first program must fail.
PAGES = sorted(
    p
    for p in [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("examples/**/README.md")]
    if "problems" not in p.parts
)
ALL = [*PAGES, *sorted(ROOT.glob("docs/problems/*.md"))]


def name(page: Path) -> str:
    return str(page.relative_to(ROOT))


QUOTED = [p for p in PAGES if p.parent.parent.name == "examples"]
# Where `check` finds the problem of a page, its first program is looked at by the tests of those pages.
STANDING = [p for p in ALL if p not in QUOTED and p.stem not in CHECKED]


@pytest.mark.parametrize("page", STANDING, ids=name)
def test_programs_check(page: Path, tmp_path: Path) -> None:
    """Whole programs check without a problem, or with those that the block names; the first on the page of a problem
    may have that one."""
    before, place = "", "page.agent"
    own = {page.stem} if "problems" in page.parts else set[str]()
    wrong: list[str] = []
    for block in blocks(page.read_text()):
        if block.kind != "agent":
            if block.file:
                (tmp_path / block.file).parent.mkdir(exist_ok=True)
                (tmp_path / block.file).write_text(block.text)
            continue
        if not block.goes_on:
            before, place = "", block.file or "page.agent"
        text = f"{before}\n{block.text}" if before else block.text
        if not block.slugs:
            before = text
            (tmp_path / place).write_text(text)
        checked = check(Source(str(tmp_path / place), text))
        found = {p.slug for p in checked.problems}
        shown = "\n".join(terminal(p, checked.sources) for p in checked.problems)
        found, own = found - own, set[str]()
        if found != block.slugs:
            wrong.append(f"{page.name}:{block.line}: {shown or 'no problem'}")
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("page", [p for p in PAGES if p not in QUOTED], ids=name)
def test_programs_are_formatted(page: Path) -> None:
    for block in blocks(page.read_text()):
        if block.kind == "agent" and not block.slugs:
            assert format_source(Source(page.name, block.text)) == (block.text, ()), block.line


@pytest.mark.parametrize("page", QUOTED, ids=lambda page: page.parent.name)
def test_pages_of_examples_quote_their_program(page: Path) -> None:
    program = (page.parent / f"{page.parent.name}.agent").read_text()
    for block in blocks(page.read_text()):
        if block.kind == "agent":
            lines = [line for line in block.text.splitlines() if line.strip() and "…" not in line]
            assert [line for line in lines if line.strip() not in program] == []


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", page.read_text()):
        if "://" not in target:
            assert (page.parent / target).exists(), target


@pytest.mark.parametrize("page", ALL, ids=name)
def test_commands_exist(page: Path) -> None:
    """In blocks, and in `agentlang …` in a sentence."""
    text = page.read_text()
    shown = [block.text for block in blocks(text) if block.kind in ("sh", "console")]
    said = [word for block in shown for word in re.findall(r"(?:^|/| )agentlang ([a-z]+)", re.sub(r"#.*", "", block))]
    said += re.findall(r"`agentlang\s+([a-z]+)", text)
    assert set(said) <= set(COMMANDS)


def test_the_page_of_the_dialect_says_what_its_operations_say(update: bool) -> None:
    place = ROOT / "docs" / "dialect.md"
    if update:
        place.write_text(dialect_page.text())
    assert place.read_text() == dialect_page.text()


def test_the_page_of_the_library_says_what_its_interfaces_say(update: bool) -> None:
    place = ROOT / "docs" / "library.md"
    if update:
        place.write_text(library_page.text())
    assert place.read_text() == library_page.text()
