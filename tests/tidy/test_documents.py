"""Documents are run: programs in them check, links in them lead somewhere, commands in them exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from agentlang.api import check
from agentlang.base.problems import Severity
from agentlang.base.render import terminal
from agentlang.base.source import Source
from agentlang.cli.main import COMMANDS

ROOT = Path(__file__).parents[2]
# Pages of problems have a harness of their own: their first program must fail.
PAGES = sorted(
    p
    for p in [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("examples/**/README.md")]
    if "problems" not in p.parts
)
ALL = [*PAGES, *sorted(ROOT.glob("docs/problems/*.md"))]
NAMES = [str(p.relative_to(ROOT)) for p in PAGES]


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_programs_check(page: Path) -> None:
    """Whole programs check; the pages of examples quote their program, piece by piece."""
    if page.parent.parent.name == "examples":
        program = (page.parent / f"{page.parent.name}.agent").read_text()
        for block in re.findall(r"^```agent\n(.*?)^```", page.read_text(), re.S | re.M):
            lines = [line for line in block.splitlines() if line.strip() and "…" not in line]
            assert [line for line in lines if line.strip() not in program] == []
        return
    for number, block in enumerate(re.findall(r"^```agent\n(.*?)^```", page.read_text(), re.S | re.M)):
        checked = check(Source(f"{page.name}[{number}]", block))
        errors = [p for p in checked.problems if p.severity is Severity.ERROR]
        assert not errors, "\n".join(terminal(p, checked.sources) for p in errors)


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", page.read_text()):
        if "://" not in target:
            assert (page.parent / target).exists(), target


@pytest.mark.parametrize("page", ALL, ids=lambda page: str(page.relative_to(ROOT)))
def test_commands_exist(page: Path) -> None:
    """In blocks, and in `agentlang …` in a sentence."""
    text = page.read_text()
    blocks = re.findall(r"^```(?:sh|console)\n(.*?)^```", text, re.S | re.M)
    said = [word for block in blocks for word in re.findall(r"(?:^|/| )agentlang ([a-z]+)", re.sub(r"#.*", "", block))]
    said += re.findall(r"`agentlang\s+([a-z]+)", text)
    assert set(said) <= set(COMMANDS)
