"""The pages of the planner's problems: each program on them produces its problem, through every layer before the
plan."""

import re
from pathlib import Path

import pytest
from planned import plan
from planner_graphs import machine

from agentlang import api
from agentlang.base.problems import has_errors
from agentlang.base.source import Source
from agentlang.ir import compile as compiler
from agentlang.planner import problems
from agentlang.planner.place import choose_fleet
from agentlang.stdlib.library import Library

PAGES = Path(__file__).parents[2] / "docs" / "problems"
SLUGS = sorted(set(re.findall(r'"(plan-[a-z-]+)"', Path(str(problems.__file__)).read_text("utf-8"))))


def programs() -> list[tuple[str, str]]:
    texts = {slug: (PAGES / f"{slug}.md").read_text("utf-8") for slug in SLUGS}
    found = {slug: re.findall(r"```agent[^\n]*\n(.*?)```", text, re.DOTALL) for slug, text in texts.items()}
    return [(slug, text) for slug, blocks in found.items() for text in blocks]


def test_every_problem_of_the_planner_has_a_page_that_names_it() -> None:
    assert len(SLUGS) == 13
    for slug in SLUGS:
        text = (PAGES / f"{slug}.md").read_text("utf-8")
        assert text.startswith(f"# {slug}\n")
        assert f"[{slug}]" in text
        assert "## What to do" in text


@pytest.mark.parametrize(("slug", "text"), programs(), ids=[slug for slug, _ in programs()])
def test_a_pages_program_produces_its_problem(slug: str, text: str, tmp_path: Path) -> None:
    checked = api.check(Source("page.agent", text))
    assert checked.program is not None, checked.problems
    assert not has_errors(checked.problems)
    graph, found = compiler.compile_graph(checked.program, Library(tmp_path))
    assert graph is not None, found
    fleet, found = choose_fleet(checked.program)
    if not found:
        pipeline = checked.program.pipelines[0].name
        _, found = plan(graph, pipeline, machine(), goal=checked.program.goal(pipeline), fleet=fleet)
    assert slug in [problem.slug for problem in found]
