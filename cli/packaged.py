"""A compiled package to something that runs: the side of `agentlang run DIR`."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

from ..base.problems import OutsideError, Problem
from ..base.suggest import suggest
from ..stdlib.store import Progress
from .console import Exit
from .target import Refused, Target, split

_USAGE = ("not-a-package", "no-such-pipeline", "which-pipeline", "package-elsewhere", "key-unreadable")


def configure(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("packages (agentlang run DIR)")
    group.add_argument("--trust", action="store_true", help="run its machine code and tools, whoever made it")
    group.add_argument("--key", metavar="FILE", action="append", default=[], help="trust who holds this public key")
    group.add_argument("--target", metavar="T", help="whose functions to run (default: StableHLO, else this machine's)")


def is_folder(word: str) -> bool:
    """Whether `DIR` or `DIR:PIPELINE` names a folder."""
    return Path(split(word)[0]).is_dir() or Path(word.rpartition(":")[0] or word).is_dir()


def open_packaged(
    arguments: argparse.Namespace, progress: Progress, warn: Callable[[Problem], None]
) -> Target | Refused:
    """Check it and open it. A first value without `=` is the pipeline, and is taken off the values."""
    from ..packages import opening

    folder, _, named = arguments.file.rpartition(":") if not Path(arguments.file).is_dir() else (arguments.file, "", "")
    pipeline = named or None
    if pipeline is None and arguments.values and "=" not in arguments.values[0]:
        pipeline = arguments.values.pop(0)
    trust = opening.Trust(arguments.trust, arguments.key)
    try:
        opened, found = opening.open_package(
            Path(folder), trust, arguments.target, progress, warn, arguments.profile
        )  # fmt: skip
    except OutsideError as error:
        usage = error.problem.slug in _USAGE
        return Refused((error.problem,), {}, Exit.USAGE if usage else Exit.OUTSIDE)
    if opened is None:
        usage = all(problem.slug in _USAGE for problem in found)
        return Refused(found, {}, Exit.USAGE if usage else Exit.ERRORS)
    names = opened.manifest.pipelines
    chosen = pipeline or opened.manifest.default
    if chosen is None or chosen not in names:
        from ..package_problems import no_pipeline_in

        near = suggest(chosen, names) if chosen else None
        return Refused((no_pipeline_in(folder, chosen, names, near),), {}, Exit.USAGE)
    return Target(opened.compiled, chosen, (), {})
