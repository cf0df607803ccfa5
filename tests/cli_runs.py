"""Running the installed command as a user does: a real process, its exit code, its two outputs."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
EXAMPLES = ROOT / "examples"
COMMAND = str(Path(sys.executable).with_name("agentlang"))
LIMIT = 120.0


@dataclass(frozen=True)
class Done:
    code: int
    out: str
    err: str


def agentlang(*words: str | Path, cwd: Path = ROOT, stdin: bytes = b"", **environment: str) -> Done:
    """Run `agentlang WORDS…` and wait. What it prints must be UTF-8, and must hold no traceback."""
    done = subprocess.run(
        [COMMAND, *map(str, words)],
        cwd=cwd,
        input=stdin,
        env={**os.environ, **environment},
        capture_output=True,
        timeout=LIMIT,
        check=False,
    )
    result = Done(done.returncode, done.stdout.decode(), done.stderr.decode())
    assert "Traceback" not in result.err, result.err
    assert "error[bug]" not in result.err, result.err
    return result


def models_here(*names: str) -> bool:
    """Whether the weights of these models are on this machine."""
    from agentlang.stdlib import store

    return all(store.located(store.entry(name)) is not None for name in names)
