"""The same plan simulated and for real here, by the command."""

import json
from pathlib import Path

import pytest
from cli_runs import agentlang

TOOLS = """stage first(text: Text) -> Text = python("napping:nap") needs [cpu 20 ms]
stage second(text: Text) -> Text = python("napping:nap") needs [cpu 20 ms]

pipeline both(text: Text) -> Text {
  return second(first(text))
}

goal both {
  rate 10 per s
  finish p95 <= 2 s
}
"""


def test_tools_of_known_length_take_what_is_simulated(tmp_path: Path) -> None:
    (tmp_path / "napping.py").write_text("import time\n\n\ndef nap(text):\n    time.sleep(0.02)\n    return text\n")
    (tmp_path / "both.agent").write_text(TOOLS)
    told = ("--beside-real", "10", "--json")
    done = agentlang("simulate", "both.agent", "text=hi", *told, cwd=tmp_path, AGENTLANG_HOME=str(tmp_path / "home"))
    assert done.code == 0, done.err
    found = json.loads(done.out)
    assert (found["runs"], found["alone"], found["rate"]) == (10, 5, 10.0)
    rows = {row["name"]: row for row in (*found["promises"], *found["stages"])}
    assert {"finish p50", "finish p95", "both.first", "both.second"} <= set(rows)
    # It sleeps for 20 ms, and cannot take less; a busy machine makes it longer, which has a name.
    assert rows["both.first"]["simulated"] == pytest.approx(0.02, rel=0.1)
    assert rows["both.first"]["measured"] >= 0.02
    for row in rows.values():
        assert sum(row["terms"].values()) == pytest.approx(row["measured"] - row["simulated"], abs=1e-6)
    missing = agentlang("simulate", "both.agent", "--beside-real", "2", cwd=tmp_path)
    assert missing.code == 2 and "argument-missing" in missing.err


@pytest.mark.slow
@pytest.mark.models
def test_the_handbook_is_told_term_by_term() -> None:
    folder = Path(__file__).parents[2] / "examples" / "handbook"
    asked = ("question=How long may I keep a hired tent?", "--beside-real", "4", "--rate", "0.2", "--json")
    done = agentlang("simulate", "handbook.agent:answer", *asked, cwd=folder)
    assert done.code == 0, done.err
    found = json.loads(done.out)
    rows = {row["name"]: row for row in (*found["promises"], *found["stages"])}
    assert {"first_token p95", "token_gap p95", "finish p99", "answer.chat.decode"} <= set(rows)
    for row in found["stages"]:
        assert sum(row["terms"].values()) == pytest.approx(row["measured"] - row["simulated"], abs=1e-6)
