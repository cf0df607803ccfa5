"""A process that is killed at any moment leaves a machine on which the next run works."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import time
from pathlib import Path

import pytest
from cli_runs import COMMAND, EXAMPLES, ROOT, agentlang, models_here

from agentlang.base.paths import models_home

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
