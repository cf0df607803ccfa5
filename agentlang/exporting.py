"""A plan and its program as files for a cluster, in a folder.

The folder holds nothing else: what an earlier export wrote and this one does not is removed, so that what is applied is
what stands in the plan. Files appear whole, the list of them (`export.json`) last.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast
from urllib.parse import urlsplit

from .api import Compiled, settings_of
from .base.problems import Problem, Problems, has_errors
from .base.source import Source
from .base.store import sha256_bytes, write_atomic
from .lang.program import Program
from .planner import export_problems as words
from .planner.cells.plan import CellsPlan
from .planner.export import kubernetes, raycluster
from .planner.export.deployment import PLAN, About, Deployment, Outside, Shipped, deployment_of, plain_name, refusals
from .planner.plan import Plan, to_json

INDEX = "export.json"
FORMAT = "agentlang export"
WRITERS = {"kubernetes": kubernetes.manifests, "ray": raycluster.manifests}


def shipped(plan: Plan, program: Program, sources: Mapping[str, Source], resources: Mapping[str, str]) -> Shipped:
    """The program's text and what it imports, the files of its folder that it needs (`find_resources`), and the plan.
    OSError where one cannot be read."""
    from .packages.resources import source_of

    place = Path(program.source.path)
    folder = place.parent
    files = {PLAN: to_json(plan).encode(), place.name: program.source.text.encode()}
    for path, source in sources.items():
        inside = os.path.relpath(path, folder)
        if Path(path).is_file() and not inside.startswith(os.pardir):
            files[Path(inside).as_posix()] = source.text.encode()
    for path, purpose in resources.items():
        files[path] = source_of(folder, path, purpose).read_bytes()
    return Shipped.of(place.stem, place.name, files)


def deployments(
    plan: Plan | CellsPlan,
    target: Compiled,
    sources: Mapping[str, Source],
    image: str,
    profile: str | None = None,
    include: Sequence[str] = (),
) -> tuple[tuple[Deployment, ...], Problems]:
    """One for a plan, one for each cell; none, and why, where no cluster could hold them."""
    from .packages.resources import find_resources

    program = target.program
    folder = Path(program.source.path).parent
    settings, found = settings_of(folder, profile)
    if has_errors(found):
        return (), found
    needed, found = find_resources(target.graph, folder, settings, include)
    if has_errors(found):
        return (), found
    whole = isinstance(plan, Plan)
    cells = ((plan, None),) if whole else tuple((cell.plan, cell.share) for cell in plan.cells)
    made: list[Deployment] = []
    refused: list[Problem] = []
    for number, (each, share) in enumerate(cells, 1):
        name = (
            plain_name(Path(program.source.path).stem)
            if whole
            else f"{plain_name(Path(program.source.path).stem)}-cell-{number}"
        )
        about = About(
            name=name,
            image=image,
            shipped=shipped(each, program, sources, needed.files),
            outside=_outside(each, program, plan.made.fleet),
            keeps=_keeps(program, plan.pipeline),
            secrets=needed.secrets,
            models=bool(target.graph.handles),
            outward=bool(needed.hosts),
            asks=bool(target.graph.pipeline(plan.pipeline).inputs),
            share=share,
        )
        deployment = deployment_of(each, about)
        refused += refusals(each, deployment)
        made.append(deployment)
    return (() if refused else tuple(made)), tuple(dict.fromkeys(refused))


def files_of(made: tuple[Deployment, ...], kind: str) -> Mapping[str, str]:
    """The files of all deployments by name; those of a cell in a folder of its own."""
    alone = len(made) == 1 and made[0].about.share is None
    return {
        name if alone else f"cell-{number}/{name}": text
        for number, deployment in enumerate(made, 1)
        for name, text in WRITERS[kind](deployment).items()
    }


def write(folder: Path, files: Mapping[str, str], beside: Shipped | None) -> Problem | bool:
    """Whether anything had to be written; or why nothing was. OSError from the system. `beside` is laid beside the
    files where they do not hold it."""
    contents = {name: text.encode() for name, text in files.items()}
    if beside is not None:
        contents |= {f"program/{beside.folder}/{path}": data for path, data in beside.files.items()}
    earlier = _earlier(folder)
    if isinstance(earlier, str):
        return words.not_an_export(str(folder), earlier)
    listed = {name: sha256_bytes(data) for name, data in sorted(contents.items())}
    index = (json.dumps({"format": FORMAT, "files": listed}, indent=2) + "\n").encode()
    if all(_same(folder / name, data) for name, data in (*contents.items(), (INDEX, index))) and not (
        set(earlier) - set(contents)
    ):
        return False
    for name, data in contents.items():
        write_atomic(folder / name, data)
    for name in set(earlier) - set(contents):
        (folder / name).unlink(missing_ok=True)
    write_atomic(folder / INDEX, index)
    return True


def _earlier(folder: Path) -> tuple[str, ...] | str:
    """The files of an earlier export; or the name of something that is none."""
    if not folder.exists():
        return ()
    if not folder.is_dir():
        return folder.name
    try:
        known: Any = json.loads((folder / INDEX).read_bytes())
        files: Any = known["files"]
        if known["format"] == FORMAT and isinstance(files, dict):
            names = cast("dict[str, Any]", files)
            return tuple(name for name in names if ".." not in Path(name).parts and not Path(name).is_absolute())
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        pass
    there = sorted(path.name for path in folder.iterdir())
    return there[0] if there else ()


def _same(path: Path, data: bytes) -> bool:
    try:
        return path.read_bytes() == data
    except OSError:
        return False


def _keeps(program: Program, pipeline: str) -> tuple[tuple[str, tuple[str, ...]], ...]:
    return tuple(
        (term.word, term.tiers)
        for goal in program.goals
        if goal.pipeline == pipeline
        for term in goal.terms
        if term.kind == "keep" and term.word is not None
    )


def _outside(plan: Plan, program: Program, name: str | None) -> tuple[Outside, ...]:
    used = {stage.tier for stage in plan.stages}
    found: list[Outside] = []
    for fleet in program.fleets:
        for tier in fleet.tiers if fleet.name == name else ():
            if tier.endpoint is not None and tier.name in used:
                host = urlsplit(tier.endpoint.url).hostname if tier.endpoint.url else None
                found.append(Outside(tier.name, host, tier.endpoint.secret, tier.endpoint.serves))
    return tuple(found)
