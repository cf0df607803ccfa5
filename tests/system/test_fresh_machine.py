"""The two commands as a newcomer has them: a clone in an empty folder, a new virtual environment, an empty home.

Slow: each installs from the package index, which must be reachable. The models come from this machine where they are
here, so that only their installation is repeated, not their download.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from cli_runs import ROOT

from agentlang.base.paths import models_home

pytestmark = pytest.mark.slow


def sh(command: str, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    outside = {k: v for k, v in os.environ.items() if k not in ("VIRTUAL_ENV", "PYTHONPATH", "MAKEFLAGS", "MAKELEVEL")}
    return subprocess.run(
        ["sh", "-c", command],
        cwd=cwd,
        env={**outside, **environment},
        capture_output=True,
        text=True,
        timeout=1200,
        check=False,
    )


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if shutil.which("make") is None or shutil.which("git") is None:
        pytest.skip("needs make and git")
    folder = tmp_path_factory.mktemp("fresh") / "agentlang"
    done = sh(f"git clone -q '{ROOT}' '{folder}'", ROOT)
    assert done.returncode == 0, done.stderr
    return folder


def test_make_run_answers_and_does_nothing_twice(clone: Path, tmp_path: Path) -> None:
    surroundings = {
        "AGENTLANG_HOME": str(tmp_path / "home"),
        "AGENTLANG_MODELS": str(models_home()),
        "PATH": f"{Path(sys.base_prefix) / 'bin'}:{os.environ['PATH']}",
    }
    first = sh("make run", clone, **surroundings)
    assert first.returncode == 0, first.stdout + first.stderr
    assert "30 days" in first.stdout
    assert "fetching" in first.stderr
    again = sh("make run", clone, **surroundings)
    assert again.returncode == 0, again.stderr
    assert "30 days" in again.stdout
    for word in ("installing", "creating", "fetching", "indexing", "measuring"):
        assert word not in again.stdout + again.stderr
    assert sh("git status --porcelain", clone).stdout == ""


def test_a_plain_install_checks_formats_and_plans(clone: Path, tmp_path: Path) -> None:
    sh(f"'{sys.executable}' -m venv plain", tmp_path)
    done = sh(f"plain/bin/python -m pip install -q --disable-pip-version-check '{clone}'", tmp_path)
    assert done.returncode == 0, done.stderr
    surroundings = {"AGENTLANG_HOME": str(tmp_path / "home")}
    handbook = clone / "examples" / "handbook" / "handbook.agent"
    for command in ("check", "fmt --check", "plan --here", "compile --pretty"):
        done = sh(f"plain/bin/agentlang {command} '{handbook}'", tmp_path, **surroundings)
        assert done.returncode == 0, done.stderr
    done = sh(f"plain/bin/agentlang run '{handbook}' question=why", tmp_path, **surroundings)
    assert done.returncode == 3
    assert "error[extra-missing]" in done.stderr
    assert "Traceback" not in done.stderr
    assert not list((tmp_path / "home").rglob("*.gguf"))
