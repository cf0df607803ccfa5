"""What stands behind the interface files: one module for each word before the colon of an entry (`text:redact`).

A module gives `stages(environment)` and `openers(environment)`, tables of what it offers; it is imported when the first
of its stages starts.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ...base.problems import Problem
from ...executor.engines.protocol import Engine
from ..store.steps import Progress


@dataclass(frozen=True)
class Environment:
    """What kinds get from outside: `folder` is that of the `.agent` file, for the paths written in it; `engine` makes
    the engine that runs models, once; `progress` hears of downloads and index builds, `warn` of
    what was left out of an index."""

    folder: Path
    engine: Callable[[], Engine]
    progress: Progress
    warn: Callable[[Problem], None]
