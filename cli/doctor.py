"""`agentlang doctor`: what works here, what is missing, and the next step for each."""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from ..api import settings_of
from ..base import paths
from ..base.problems import OutsideError
from ..base.render import concise
from ..base.units import BYTESIZE, Quantity
from ..stdlib import store
from ..stdlib.extras import MCP, MODELS, missing
from ..stdlib.tools.network import no_network
from ..stdlib.tools.secrets import is_set
from .console import Console, Exit


@dataclass(frozen=True)
class Finding:
    """One line of the report. `needed` says whether the main job fails without it."""

    what: str
    good: bool
    says: str
    next_step: str = ""
    needed: bool = True


_CORE = {"lark": "lark", "torch_mlir": "torch-mlir", "anyio": "anyio", "msgspec": "msgspec", "pydantic": "pydantic"}
_ROOM = 2 * 2**30


def configure(parser: argparse.ArgumentParser) -> None:
    del parser


def execute(arguments: argparse.Namespace, console: Console) -> int:
    del arguments
    findings = list(_findings())
    if console.json:
        console.document([f.__dict__ for f in findings])
    else:
        for finding in findings:
            mark = "ok  " if finding.good else "MISS" if finding.needed else "note"
            console.print(f"{mark}  {finding.what}: {finding.says}")
            if not finding.good and finding.next_step:
                console.print(f"      next: {finding.next_step}")
    return Exit.DONE if all(f.good or not f.needed for f in findings) else Exit.OUTSIDE


def _findings() -> Iterator[Finding]:
    version = ".".join(map(str, sys.version_info[:3]))
    tried = (3, 11) <= sys.version_info[:2] <= (3, 13)
    yield Finding("Python", tried, version, "3.11 to 3.13 are tried", needed=False)
    yield _packages("toolchain", _CORE, "install agentlang again", True)
    yield _packages("model runtime", MODELS, "pip install 'agentlang-toolchain[models]'", True)
    yield _home()
    yield from _models()
    yield _hardware()
    yield _tools()
    absent = missing(MCP)
    says = "cannot be started: the package mcp is not installed" if absent else "can be started"
    yield Finding("servers of tools", not absent, says, "pip install 'agentlang-toolchain[mcp]'", needed=False)
    yield from _settings()


def _settings() -> Iterator[Finding]:
    """The `agentlang.toml` of this folder, and whether the secrets that it names have values."""
    settings, problems = settings_of(Path())
    if problems:
        first = problems[0]
        yield Finding("settings", False, concise(first), first.hint or "", needed=False)
    elif settings.source is not None:
        profile = f", profile {settings.profile}" if settings.profile else ""
        yield Finding("settings", True, f"{settings.source.path}{profile}")
    for name in settings.secrets():
        has = is_set(name)
        yield Finding(f"secret {name}", has, "set" if has else "not set", f"export {name}=…", needed=False)


def _tools() -> Finding:
    """Whether a tool that does not declare `network` is kept from it."""
    if sys.platform == "win32":
        return Finding(
            "tools", False, "Python tools and programs do not run on Windows", "use Linux, macOS or WSL", False
        )
    if no_network() is None:
        says = "run in processes of their own; the network is NOT closed to those that do not declare it"
        return Finding("tools", False, says, "this needs Linux on x86-64 or ARM64, with seccomp filters", needed=False)
    return Finding("tools", True, "run in processes of their own, without network unless they declare it")


def _packages(what: str, modules: Mapping[str, str], step: str, needed: bool) -> Finding:
    absent = missing(modules)
    if absent:
        return Finding(what, False, f"missing {', '.join(absent)}", step, needed)
    return Finding(what, True, ", ".join(f"{name} {metadata.version(name)}" for name in modules.values()))


def _home() -> Finding:
    home = paths.home()
    try:
        home.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=home):
            pass
        paths.private("xla")
        free = shutil.disk_usage(home).free
    except (OSError, paths.UnsafeFolder) as error:
        return Finding("cache", False, f"{home} cannot be used: {error}", "set AGENTLANG_HOME to a folder of your own")
    says = f"{home}, {Quantity(float(free), BYTESIZE)} free"
    return Finding("cache", free >= _ROOM, says, "the models and their compiled code need 2 GiB", needed=False)


def _models() -> Iterator[Finding]:
    for entry in store.catalogue().values():
        if not entry.runs:
            continue
        name = f"model {entry.name}"
        try:
            store.need(entry)
            yield Finding(name, True, "here")
        except OutsideError as error:
            offline = bool(os.environ.get("AGENTLANG_OFFLINE"))
            hint = error.problem.hint or ""
            yield Finding(name, False, "not here" + (", and offline" if offline else ""), hint, needed=False)


def _hardware() -> Finding:
    file = Path(paths.home() / "hardware.json")
    measured = file.is_file()
    step = "`agentlang hardware measure` (the first plan or run does it too)"
    return Finding("hardware", measured, "measured" if measured else "not measured yet", step, needed=False)
