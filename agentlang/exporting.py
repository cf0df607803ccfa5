"""A plan and the package of its program as files for a cluster, in a folder.

The folder holds nothing else: what an earlier export wrote and this one does not is removed, so that what is applied is
what stands in the plan. Files appear whole, the list of them (`export.json`) last.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, cast
from urllib.parse import urlsplit

from .base.problems import Problem, Problems
from .base.store import sha256_bytes, write_atomic
from .lang.program import Fleet, Program
from .packages.manifest import Manifest
from .packages.names import NAME
from .planner import export_problems as words
from .planner.cells.plan import CellsPlan
from .planner.export import kubernetes, raycluster
from .planner.export.deployment import About, Deployment, Outside, Package, deployment_of, plain_name, refusals
from .planner.plan import Plan

INDEX = "export.json"
FORMAT = "agentlang export"
WRITERS = {"kubernetes": kubernetes.manifests, "ray": raycluster.manifests}


def read_package(folder: Path, program: Program) -> tuple[tuple[Package, Manifest] | None, Problems]:
    """A package that is sound, and of this program as it stands; or what is wrong."""
    from .packages.opening import contents

    found, problems = contents(folder)
    if found is None:
        return None, problems
    manifest, files = found
    if manifest.program.sha256 != sha256_bytes(program.source.text.encode()):
        return None, (words.other_package(str(folder), program.source.path),)
    return (Package(sha256_bytes(files[NAME]), folder.name, files), manifest), ()


def deployments(
    plan: Plan | CellsPlan, program: Program, manifest: Manifest, package: Package, image: str, asks: bool
) -> tuple[tuple[Deployment, ...], Problems]:
    """One for a plan, one for each cell; none, and why, where no cluster could hold them."""
    whole = isinstance(plan, Plan)
    cells = ((plan, None),) if whole else tuple((cell.plan, cell.share) for cell in plan.cells)
    about = replace(_about(plan, program, manifest, package, image), asks=asks)
    made: list[Deployment] = []
    found: list[Problem] = []
    for number, (each, share) in enumerate(cells, 1):
        name = about.name if whole else f"{about.name}-cell-{number}"
        deployment = deployment_of(each, replace(about, name=name, share=share))
        found += refusals(each, deployment)
        made.append(deployment)
    return (() if found else tuple(made)), tuple(dict.fromkeys(found))


def files_of(made: tuple[Deployment, ...], kind: str) -> Mapping[str, str]:
    """The files of all deployments by name; those of a cell in a folder of its own."""
    alone = len(made) == 1 and made[0].about.share is None
    return {
        name if alone else f"cell-{number}/{name}": text
        for number, deployment in enumerate(made, 1)
        for name, text in WRITERS[kind](deployment).items()
    }


def write(folder: Path, files: Mapping[str, str], package: Package | None) -> Problem | bool:
    """Whether anything had to be written; or why nothing was. OSError from the system. `package` is laid beside the
    files where they do not hold it."""
    contents = {name: text.encode() for name, text in files.items()}
    if package is not None:
        contents |= {f"package/{package.folder}/{path}": data for path, data in package.files.items()}
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


def _about(plan: Plan | CellsPlan, program: Program, manifest: Manifest, package: Package, image: str) -> About:
    fleet = next((fleet for fleet in program.fleets if fleet.name == plan.made.fleet), None)
    keeps = tuple(
        (term.word, term.tiers)
        for goal in program.goals
        if goal.pipeline == plan.pipeline
        for term in goal.terms
        if term.kind == "keep" and term.word is not None
    )
    return About(
        name=plain_name(Path(program.source.path).stem),
        image=image,
        package=package,
        outside=_outside(plan, fleet),
        keeps=keeps,
        secrets=manifest.needs.secrets,
        models=bool(manifest.models),
        outward=bool(manifest.needs.hosts),
    )


def _outside(plan: Plan | CellsPlan, fleet: Fleet | None) -> tuple[Outside, ...]:
    plans = (plan,) if isinstance(plan, Plan) else tuple(cell.plan for cell in plan.cells)
    used = {stage.tier for each in plans for stage in each.stages}
    found: list[Outside] = []
    for tier in fleet.tiers if fleet is not None else ():
        if tier.endpoint is not None and tier.name in used:
            host = urlsplit(tier.endpoint.url).hostname if tier.endpoint.url else None
            found.append(Outside(tier.name, host, tier.endpoint.secret, tier.endpoint.serves))
    return tuple(found)
