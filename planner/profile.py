"""What past runs of a pipeline brought: lengths of prompts and replies, turns of loops, shares of branches, as means of
the runs that `agentlang profile` made. They stand in for what a goal assumes until a trace says more.

Kept by the shape of the pipeline (its stages and sizes), not by its text: another limit in the goal changes nothing of
what a run brings, another prompt may, and a new profile then replaces the old.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ..base.paths import home
from ..base.store import write_atomic
from ..ir.graph import GraphPipeline, walk
from .codec import DecodeError, decode, digest, encode

MOST = 256
"""Pipelines that are remembered; the oldest are forgotten."""


@dataclass(frozen=True, slots=True)
class Profile:
    """`pipeline` names its shape (see `key_of`), `runs` is how many there were, `sizes` are means by the names of the
    pipeline's sizes."""

    pipeline: str
    runs: int
    sizes: tuple[tuple[str, float], ...]


def key_of(pipeline: GraphPipeline) -> str:
    """The SHA-256 (hex) of what a run of a pipeline consists of."""
    sizes = [(size.name, str(size.default), str(size.bound), size.group) for size in pipeline.sizes]
    stages = [(o.id, o.name, str(o.times)) for o in walk(pipeline.body) if o.demand is not None]
    return digest([pipeline.name, sizes, stages])


def made(pipeline: GraphPipeline, runs: int, sizes: Mapping[str, float]) -> Profile:
    return Profile(key_of(pipeline), runs, tuple(sorted(sizes.items())))


def default_path() -> Path:
    return home() / "workloads.json"


def load(pipeline: GraphPipeline, path: Path | None = None) -> Profile | None:
    """What is known of a pipeline; None where nobody profiled it, or the file is damaged."""
    key = key_of(pipeline)
    return next((each for each in _read(path or default_path()) if each.pipeline == key), None)


def save(profile: Profile, path: Path | None = None) -> None:
    """Keep it instead of what was known of the same pipeline. Of two writers at once the last wins."""
    place = path or default_path()
    others = [each for each in _read(place) if each.pipeline != profile.pipeline]
    write_atomic(place, encode([*others[-MOST + 1 :], profile], indent=2) + b"\n")


def _read(path: Path) -> tuple[Profile, ...]:
    try:
        return decode(path.read_bytes(), tuple[Profile, ...])
    except (OSError, DecodeError):
        return ()
