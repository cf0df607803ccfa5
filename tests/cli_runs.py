"""Running the installed command as a user does: a real process, its exit code, its two outputs."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from shutil import copy
from tempfile import mkdtemp

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


def fresh_home(place: Path) -> Path:
    """A home that nobody has used, except that what was measured of this machine is known there: measuring it takes
    seconds, and is tested where it is meant."""
    place.mkdir(exist_ok=True)
    for known in ("hardware.json", "calibration.json"):
        if (_measured() / known).exists():
            copy(_measured() / known, place / known)
    return place


@cache
def _measured() -> Path:
    from agentlang.base.paths import home

    if (home() / "hardware.json").exists():
        return home()
    place = Path(mkdtemp())
    assert agentlang("hardware", "measure", AGENTLANG_HOME=str(place)).code == 0
    return place


def models_here(*names: str) -> bool:
    """Whether the weights of these models are on this machine."""
    from agentlang.stdlib import store

    return all(store.located(store.entry(name)) is not None for name in names)
