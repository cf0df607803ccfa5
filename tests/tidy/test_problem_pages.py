"""Every problem has a page, every page a problem, and the examples on the pages do what they say."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

import pytest
from agent_sources import ROOT, blocks, slugs

PAGES = {page.stem: page for page in sorted((ROOT / "docs" / "problems").glob("*.md"))}
TOPS = ("base", "lang", "ir", "planner", "executor", "stdlib", "services", "cli", "agentlang")
# Problems that `check` finds in a source; the page's first example must produce them.
WORDS_OF_CHECK = (
    *sorted((ROOT / "lang" / "problems").glob("[!_]*.py")),
    ROOT / "lang" / "syntax_problems.py",
    ROOT / "lang" / "structure_problems.py",
)


@cache
def texts(path: Path) -> frozenset[str]:
    """Every text literal of a module."""
    tree = ast.parse(path.read_text("utf-8"))
    return frozenset(n.value for n in ast.walk(tree) if isinstance(n, ast.Constant) and isinstance(n.value, str))


@cache
def slugs_of(path: Path) -> frozenset[str]:
    """The slugs that a module gives to `Problem`."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Problem"):
            continue
        given = [*node.args[:1], *(k.value for k in node.keywords if k.arg == "slug")]
        found |= {a.value for a in given if isinstance(a, ast.Constant) and isinstance(a.value, str)}
    return frozenset(found)


def words() -> list[Path]:
    """The modules that hold the words of problems."""
    # In `base`, problems are a type and have no words.
    named = [*ROOT.glob("*/problems.py"), *ROOT.glob("*/*_problems.py")]
    areas = [path for path in ROOT.glob("*/problems/[!_]*.py") if path.stem != "words"]
    return sorted(path for path in (*named, *areas) if path.relative_to(ROOT).parts[0] in TOPS[1:])


def sources() -> list[Path]:
    return [path for top in TOPS for path in sorted((ROOT / top).rglob("*.py"))]


# An example of half a million characters is no example.
NOT_SHOWN = {"source-too-large"}
CHECKED = sorted(({slug for path in WORDS_OF_CHECK for slug in slugs_of(path)} & set(PAGES)) - NOT_SHOWN)


@pytest.mark.parametrize("path", words(), ids=lambda path: str(path.relative_to(ROOT)))
def test_every_slug_has_a_page(path: Path) -> None:
    found = slugs_of(path)
    assert found, "a module of words without words"
    assert sorted(found - set(PAGES)) == []


def test_every_page_has_a_slug() -> None:
    used = frozenset[str]().union(*(texts(path) for path in sources()))
    assert sorted(set(PAGES) - used) == []


def test_pages_are_titled_by_their_slug() -> None:
    assert [slug for slug, page in PAGES.items() if not page.read_text("utf-8").startswith(f"# {slug}\n")] == []


@pytest.mark.parametrize("slug", CHECKED)
def test_the_first_example_produces_the_problem_and_the_last_does_not(slug: str) -> None:
    examples = [text for kind, text, _ in blocks(PAGES[slug].read_text("utf-8")) if kind == "agent"]
    assert examples, "the page shows no example"
    assert slug in slugs(examples[0])
    if len(examples) > 1:
        assert slugs(examples[-1]) == []
