"""What stands behind the interface files: one module for each word before the colon of an entry (`text:redact`).

A module gives `stages(environment)` and `openers(environment)`, tables of what it offers; it is imported when the first
of its stages starts.
"""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ...base.problems import Problem
from ...executor.engines.packaged import PackagedModel
from ...executor.engines.protocol import Engine
from ..served import Served
from ..settings import Settings
from ..store.steps import Progress
from ..tools.secrets import Secrets


def print_line(tool: str, line: str) -> None:
    """What a tool prints goes to standard error, under its name: standard output is the program's answer."""
    print(f"{tool}: {line}", file=sys.stderr)


@dataclass(frozen=True)
class Environment:
    """What kinds get from outside: `folder` is that of the `.agent` file, for the paths written in it; `engine` gives
    the engine of a name ("" is the usual one), one for all models; `progress` hears of downloads and index builds,
    `warn` of what was left out of an index.

    For tools: `heard` is told what they print, `secrets` are looked up when a tool needs one, `settings` are those of
    `agentlang.toml`. A kind that holds processes adds to `closers` what ends them."""

    folder: Path
    engine: Callable[[str], Engine]
    progress: Progress
    warn: Callable[[Problem], None]
    heard: Callable[[str, str], None] = print_line
    secrets: Secrets = field(default_factory=Secrets)
    settings: Settings = field(default_factory=Settings)
    closers: list[Callable[[], Awaitable[None]]] = field(default_factory=list["Callable[[], Awaitable[None]]"])
    packages: Mapping[str, PackagedModel] = field(default_factory=dict[str, "PackagedModel"])
    """Models by name whose functions came in a package, and are run instead of the model's own."""
    endpoints: dict[str, Served] = field(default_factory=dict[str, "Served"])
    """Models by name that an endpoint of the program serves: they are asked there."""
    unlabelled: set[str] = field(default_factory=set[str])
    """Prefills by their ids that are given nothing with a label: what is cached of them may lie on a disk."""
