"""Traces through the real commands: a plan for one, verified without it; and all that can be wrong with one."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from cli_runs import agentlang
from recorded import CHAT, HEAD, azure, two_minutes

ROW = "2025-03-01 00:00:01,12,3"
BAD: dict[str, tuple[bytes, int, str, str]] = {
    "unsorted": (f"{HEAD}\n{ROW}\n2025-03-01 00:00:00,12,3\n".encode(), 1, "trace-unsorted", ":3:1"),
    "missing": (f"{HEAD}\n2025-03-01 00:00:01,12\n".encode(), 1, "trace-line", ":2:1"),
    "columns": (b"a,b\n1,2\n", 1, "trace-columns", ":1:1"),
    "letters": (f"{HEAD}\n2025-03-01 00:00:01,x,3\n".encode(), 1, "trace-line", ":2:1"),
    "negative": (f"{HEAD}\n2025-03-01 00:00:01,-1,3\n".encode(), 1, "trace-line", ":2:1"),
    "nan": (f"{HEAD}\n{ROW}\n2025-03-01 00:00:02,nan,3\n".encode(), 1, "trace-line", ":3:1"),
    "empty": (b"", 1, "trace-empty", ""),
    "binary": (b"\x7fELF\x02\x01\x01\x00\x00\x00", 1, "not-text", ":1:1"),
    "huge": (f"{HEAD}\n{ROW}{'1' * 3_000_000}\n".encode(), 1, "trace-line", ":2:1"),
    "one": (f"{HEAD}\n{ROW}\n".encode(), 0, "trace-short", ""),
    "pause": (azure([(at + (9e3 if at > 300 else 0.0), 12, 3) for at in range(600)]), 0, "trace-gap", ":302:1"),
}


@pytest.fixture
def place(tmp_path: Path) -> Path:
    (tmp_path / "chat.agent").write_text(CHAT)
    (tmp_path / "requests.csv").write_bytes(two_minutes())
    return tmp_path


def test_a_plan_for_a_trace_is_verified_without_it(place: Path) -> None:
    done = agentlang("plan", "chat.agent", "--trace", "requests.csv", "--out", "plan.json", cwd=place)
    assert done.code == 0, done.err
    assert "trace, busiest minute of requests.csv, from requests.csv:62:1" in done.out
    (place / "requests.csv").unlink()
    assert agentlang("verify", "plan.json", "--program", "chat.agent", cwd=place).code == 0
    document = json.loads((place / "plan.json").read_text())
    document["workload"]["sizes"][0][1]["value"] = 700.0
    (place / "plan.json").write_text(json.dumps(document))
    done = agentlang("verify", "plan.json", "--program", "chat.agent", cwd=place)
    assert done.code == 1 and "workload" in done.err


def test_a_trace_that_is_not_there(place: Path) -> None:
    done = agentlang("plan", "chat.agent", "--trace", "request.csv", cwd=place)
    assert done.code == 2
    assert "did you mean requests.csv?" in done.err
    done = agentlang("simulate", "chat.agent", "--trace", ".", cwd=place)
    assert done.code == 2
    assert "not-a-file" in done.err


@pytest.mark.slow
@pytest.mark.parametrize("command", ["plan", "simulate"])
@pytest.mark.parametrize("name", BAD)
def test_what_is_wrong_with_a_trace_is_said_alike(place: Path, command: str, name: str) -> None:
    data, code, slug, line = BAD[name]
    (place / "bad.csv").write_bytes(data)
    done = agentlang(command, "chat.agent", "--trace", "bad.csv", cwd=place)
    assert done.code == code, done.err
    assert f"[{slug}]" in done.err
    assert f"bad.csv{line}" in done.err
    assert "next:" in done.err
    assert len(done.err) < 4000
