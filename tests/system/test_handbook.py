"""What the handbook example promises: the right page for nearly every question of `questions.json`."""

from __future__ import annotations

import json
from typing import cast

import anyio
import pytest
from cli_runs import EXAMPLES, models_here

from agentlang import api
from agentlang.executor.backends.local import LocalBackend
from agentlang.executor.deployment import Deployment
from agentlang.executor.shell import open_shell
from agentlang.stdlib.library import Library

HANDBOOK = EXAMPLES / "handbook" / "handbook.agent"

pytestmark = [
    pytest.mark.models,
    pytest.mark.skipif(
        not models_here("all-minilm-l6-v2", "ms-marco-minilm-l12", "smollm2-135m-instruct"),
        reason="needs the models: agentlang models pull --for examples/handbook/handbook.agent",
    ),
]


def test_every_question_of_the_handbook_finds_its_page() -> None:
    """All answerable questions through the index and the reranker, in one process: the page is among the three."""
    questions = [q for q in json.loads((HANDBOOK.parent / "questions.json").read_text()) if q["page"]]
    source, problems = api.read(HANDBOOK)
    assert source is not None, problems
    program = api.check(source).program
    assert program is not None
    compiled, problems = api.compile(program, Library(HANDBOOK.parent))
    assert compiled is not None, problems

    async def main() -> int:
        found = 0
        async with open_shell(Deployment(compiled.graph), LocalBackend(compiled.library)) as shell:
            for question in questions:
                end = await shell.start("sources", {"question": question["question"]}).result()
                assert end.outcome.status == "done", end.outcome
                sources = cast("tuple[dict[str, str], ...]", end.outcome.value)
                found += question["page"] in [source["path"] for source in sources]
        return found

    found = anyio.run(main)
    assert found >= 0.9 * len(questions), f"{found} of {len(questions)}"
