"""`--durable --enforce-goal`: what a run promised holds after a kill, too, and the time in which nobody ran it is not
counted."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest
from cli_runs import fresh_home
from test_durable_command import begun, frames, kill, resume

pytestmark = pytest.mark.slow

TOOLS = """
import time

def look(id: int, seconds: float) -> str:
    time.sleep(seconds)
    return f"item {id}"
"""
PROGRAM = """
tool look(id: Int, seconds: Float) -> Text = python("shop:look") effects [reads "orders"]

pipeline ask(second: Float) -> Text {
  first = look(1, 0.2)
  return if len(first) > 1 { look(2, second) } else { first }
}

goal ask { finish p95 <= 2500 ms }
"""


@pytest.mark.parametrize(("second", "code"), [(1.0, 0), (60.0, 1)])
def test_a_goal_is_enforced_over_a_kill(tmp_path: Path, second: float, code: int) -> None:
    (tmp_path / "shop.py").write_text(TOOLS)
    (tmp_path / "shop.agent").write_text(PROGRAM)
    fresh_home(tmp_path / "home")
    process = begun(tmp_path, "shop.agent:ask", f"second={second}", "--durable", "--enforce-goal")
    assert process.stdout is not None
    run = json.loads(process.stdout.readline())["resume"]
    time.sleep(1.0)
    kill(process)
    # Nobody runs it for longer than the whole goal.
    time.sleep(2.6)
    done = resume(tmp_path, run)
    end = frames(done.out)[-1]
    assert (done.code, end["outcome"]) == (code, "failed" if code else "done"), done.out + done.err
    if code:
        assert end["reason"] == "timeout" and any(frame.get("slug") == "slice-used" for frame in frames(done.out))
        assert end["timings"]["finish"] <= 2.6
    else:
        assert "blame" not in end and end["timings"]["finish"] < 2.5
