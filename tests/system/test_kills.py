"""A process that is killed at any moment leaves a machine on which the next run works."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import time
from pathlib import Path

import pytest
from cli_runs import COMMAND, EXAMPLES, ROOT, agentlang, models_here

from agentlang.base.paths import models_home

HELLO = EXAMPLES / "hello" / "hello.agent"
HANDBOOK = EXAMPLES / "handbook" / "handbook.agent"

pytestmark = [
    pytest.mark.slow,
    pytest.mark.models,
    pytest.mark.skipif(
        not models_here("smollm2-135m-instruct", "all-minilm-l6-v2", "ms-marco-minilm-l12"),
        reason="needs the models: agentlang models pull --for examples/handbook/handbook.agent",
    ),
]


def test_kill_at_any_moment_of_the_first_runs(tmp_path: Path) -> None:
    """Kills fall into fetching, preparing weights, compiling, indexing, measuring and decoding."""
    home = {"AGENTLANG_HOME": str(tmp_path / "home"), "AGENTLANG_MODELS": str(models_home())}
    moments = random.Random(7)
    for _ in range(12):
        process = subprocess.Popen(
            [COMMAND, "run", str(HANDBOOK), "question=How long do I have to return something?"],
            cwd=ROOT,
            env={**os.environ, **home},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        time.sleep(moments.uniform(0.2, 6.0))
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    done = agentlang("run", HANDBOOK, "question=How long do I have to return something?", **home)
    assert done.code == 0, done.err
    assert "30 days" in done.out


def test_every_question_of_the_handbook_finds_its_page() -> None:
    """All answerable questions through the index and the reranker, in one process: the page is among the three."""
    import anyio

    from agentlang import api
    from agentlang.executor.frames import End
    from agentlang.stdlib.library import Library

    questions = [q for q in json.loads((HANDBOOK.parent / "questions.json").read_text()) if q["page"]]
    source, problems = api.read(HANDBOOK)
    assert source is not None, problems
    program = api.check(source).program
    assert program is not None
    compiled, problems = api.compile(program, Library(HANDBOOK.parent))
    assert compiled is not None, problems

    async def ask(question: str) -> list[str]:
        async for frame in api.run(compiled, "sources", {"question": question}):
            if isinstance(frame, End):
                assert frame.outcome.status == "done", frame.outcome
                return [s["path"] for s in frame.outcome.value]  # type: ignore[union-attr]
        raise AssertionError("no end")

    async def main() -> int:
        return sum([q["page"] in await ask(q["question"]) for q in questions])

    found = anyio.run(main)
    assert found >= 0.9 * len(questions), f"{found} of {len(questions)}"
