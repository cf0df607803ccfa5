"""The wall clock may be set back or forward at any time. Nothing depends on it but what stands here, with its reason;
all that runs goes by the event loop's clock, which only goes on."""

from __future__ import annotations

import ast
from pathlib import Path

from agent_sources import ROOT

ALLOWED = {
    "agentlang/builds.py": "which locks of a cache are so old that nobody holds them: a wrong guess costs a build",
    "agentlang/journals.py": "how long ago a run was written to, for people",
    "executor/engines/remote/client.py": "a server's `Retry-After` may be a date",
    "executor/watching/telemetry.py": "spans have times of day: one is read at the beginning",
    "executor/wire/authority.py": "certificates have dates, and begin ten minutes before",
    "planner/hardware.py": "on which day a machine was measured",
    "stdlib/kinds/memory.py": "which turns of other processes were there when a run began",
}
TOPS = ("base", "lang", "ir", "planner", "executor", "stdlib", "services", "cli", "agentlang")
CALLS = {("time", "time"), ("time", "time_ns"), ("datetime", "now"), ("datetime", "utcnow"), ("date", "today")}


def asks(path: Path) -> bool:
    """Whether a module reads the wall clock."""
    text = path.read_text("utf-8")
    if not any(word in text for word in ("import time", "from time", "datetime", "import date")):
        return False
    tree = ast.parse(text)
    modules = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            owner = node.value
            # `time` may be a field; `datetime.datetime` is a class.
            inner = isinstance(owner, ast.Attribute) and owner.attr == "datetime"
            name = "datetime" if inner else owner.id if isinstance(owner, ast.Name) else ""
            if (name, node.attr) in CALLS and (name != "time" or "time" in modules):
                return True
        names = {alias.name for alias in node.names} if isinstance(node, ast.ImportFrom) else set[str]()
        if isinstance(node, ast.ImportFrom) and node.module == "time" and names & {"time", "time_ns"}:
            return True
    return False


def test_who_reads_the_wall_clock_says_why() -> None:
    found = {str(path.relative_to(ROOT)) for top in TOPS for path in (ROOT / top).rglob("*.py") if asks(path)}
    assert found - set(ALLOWED) == set(), "use the clock of the executor (`executor.clock`), or say why not here"
    assert set(ALLOWED) - found == set(), "these do not read it any more"
