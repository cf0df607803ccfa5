"""A package from its folder, step by step: nothing is parsed before its hash is checked, and nothing that could act is
used before somebody is known to stand for it.

1. Every file is a plain file that the manifest names, with the bytes that it says.
2. The signature, if there is one, is that of the manifest, whoever's key it is.
3. Machine code, Python and commands are used only with a trusted key, or by `trust`.
4. The module and the functions are read in a process of their own, then here.
"""

from __future__ import annotations

import hashlib
import os
import platform
import stat
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from .. import package_problems as problems
from ..api import Compiled, settings_of
from ..base import paths
from ..base.problems import OutsideError, Problem, Problems
from ..base.source import Source
from ..base.store import write_atomic
from ..executor.engines.packaged import PackagedModel
from ..ir.artifact import Artifact, UnsoundEntry, from_entry
from ..ir.foreign import parse_foreign, unsound_functions
from ..ir.graph import Graph
from ..lang.program import Program
from ..stdlib.catalogue import catalogue
from ..stdlib.library import Library
from ..stdlib.store import Progress, silent
from .functions import native
from .manifest import LARGEST, Function, Manifest, parse
from .names import NAME, SIGNATURE
from .resources import CODE
from .signing import signer, trusted_keys

if TYPE_CHECKING:
    from ..ir.compile import Module

DRIVERS: Mapping[str, str] = {
    "x86-64": "local-task",
    "arm64": "local-task",
    "riscv64": "local-task",
    "iree-cuda": "cuda",
    "iree-rocm": "hip",
    "vulkan": "vulkan",
    "metal": "metal",
}
"""IREE's device for the machine code of a target."""

_PROCESSORS = {"x86_64": "x86-64", "amd64": "x86-64", "aarch64": "arm64", "arm64": "arm64", "riscv64": "riscv64"}


@dataclass(frozen=True, slots=True)
class Trust:
    """Whom to believe: anybody (`anyone`), or who holds one of these keys (files) or of the trusted folder."""

    anyone: bool = False
    keys: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Opened:
    """A package that is fit to run: its program as `api` takes it, the target whose functions it uses, and whose key
    signed it (None: nobody's)."""

    manifest: Manifest
    compiled: Compiled
    target: str | None
    signer: bytes | None


def is_package(path: Path) -> bool:
    """Whether a folder says that it is one."""
    return (path / NAME).exists()


def open_package(
    folder: Path,
    trust: Trust | None = None,
    target: str | None = None,
    progress: Progress = silent,
    warn: Callable[[Problem], None] | None = None,
    profile: str | None = None,
) -> tuple[Opened | None, Problems]:
    """The package in a folder, or all that is wrong with the first step that finds something.

    `target` chooses whose functions are run; without it, StableHLO where the package has some, else machine code for
    this machine. Raises `OutsideError` (extra-missing, key-unreadable, unsafe-folder, and for a disk that is full).
    """
    name = str(folder)
    trust = trust or Trust()
    manifest, data, found = _manifest(folder, name)
    if manifest is None:
        return None, found
    files, found = _files(folder, name, manifest)
    if found:
        return None, found
    signed, believed, found = _believed(folder, name, data, trust)
    if found:
        return None, found
    chosen, found = _choose(name, manifest, target, believed, signed is not None)
    if found:
        return None, found
    found = (*_acts(name, manifest, believed, signed is not None), *_models(name, manifest))
    if found:
        return None, found
    packages, found = _functions(name, manifest, files, chosen)
    if found:
        return None, found
    module, found = _module(name, manifest, files[manifest.module.path])
    if module is None:
        return None, found
    graph = module.graph()
    place = _lay_out(manifest, hashlib.sha256(data).hexdigest(), files)
    settings, found = settings_of(place, profile)
    if found:
        return None, found
    library = Library(place, progress, warn, settings=settings, packages=packages)
    return Opened(
        manifest, Compiled(_program(manifest, graph), graph, library, module), chosen[0] if chosen else None, signed
    ), ()


# --- what is there ---------------------------------------------------------------------------------------------------


def _manifest(folder: Path, name: str) -> tuple[Manifest | None, bytes, Problems]:
    data = _plain(folder, NAME, name, LARGEST)
    if data is None:
        programs = sorted(str(path) for path in folder.glob("*.agent")) if folder.is_dir() else []
        return None, b"", (problems.not_a_package(name, programs),)
    if isinstance(data, Problem):
        return None, b"", (data,)
    manifest = parse(data, name)
    return (None, b"", (manifest,)) if isinstance(manifest, Problem) else (manifest, data, ())


def _files(folder: Path, name: str, manifest: Manifest) -> tuple[dict[str, bytes], Problems]:
    """Every file of the package, once all are there and are what the manifest says."""
    wrong: list[Problem] = []
    allowed = {*manifest.files, NAME, SIGNATURE}
    folders = {str(parent) for path in manifest.files for parent in Path(path).parents}
    for path, kind in _walk(folder):
        if kind != "file" and not (kind == "folder" and path in folders):
            what = "a link" if kind == "link" else kind
            extra = kind == "folder"
            wrong.append(problems.file_extra(name, path) if extra else problems.file_no_file(name, path, what))
        elif kind == "file" and path not in allowed:
            wrong.append(problems.file_extra(name, path))
    if wrong:
        return {}, tuple(wrong)
    files: dict[str, bytes] = {}
    for path, said in manifest.files.items():
        data = _plain(folder, path, name, said.bytes)
        if data is None:
            wrong.append(problems.file_missing(name, path))
        elif isinstance(data, Problem):
            wrong.append(data)
        elif len(data) != said.bytes or hashlib.sha256(data).hexdigest() != said.sha256:
            wrong.append(problems.file_altered(name, path))
        else:
            files[path] = data
    return files, tuple(wrong)


def _walk(folder: Path, inside: str = "") -> Iterator[tuple[str, str]]:
    """Everything below a folder with its kind; links are not followed."""
    with os.scandir(folder) as entries:
        for entry in sorted(entries, key=lambda each: each.name):
            path = f"{inside}{entry.name}"
            if entry.is_symlink():
                yield path, "link"
            elif entry.is_dir():
                yield path, "folder"
                yield from _walk(folder / entry.name, f"{path}/")
            else:
                yield path, "file" if entry.is_file() else "a device or a pipe"


def _plain(folder: Path, path: str, name: str, most: int) -> bytes | Problem | None:
    """The bytes of a plain file, at most one more than `most`; None if it is not there. Links are not followed."""
    place = folder / path
    try:
        if not stat.S_ISREG(place.lstat().st_mode):
            return problems.file_no_file(name, path, "no plain file")
        with os.fdopen(os.open(place, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0)), "rb") as file:
            return file.read(most + 1)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        return problems.unreadable(name, path, (error.strerror or str(error)).lower())


# --- who stands for it -----------------------------------------------------------------------------------------------


def _believed(folder: Path, name: str, manifest: bytes, trust: Trust) -> tuple[bytes | None, bool, Problems]:
    """The key that signed it, and whether the package is trusted."""
    signature = _plain(folder, SIGNATURE, name, 1 << 16)
    if isinstance(signature, Problem):
        return None, False, (signature,)
    if signature is None:
        return None, trust.anyone, ()
    key = signer(signature, manifest, name)
    if isinstance(key, Problem):
        return None, False, (key,)
    return key, trust.anyone or key in trusted_keys(trust.keys), ()


def _acts(name: str, manifest: Manifest, believed: bool, signed: bool) -> Problems:
    """What would run on this machine besides the model, where nobody stands for it."""
    code = [resource.path for resource in manifest.resources if resource.purpose == CODE]
    acts = [*code[:1], *(f"the command {command!r}" for command in manifest.needs.commands[:1])]
    if believed or not acts:
        return ()
    return (problems.untrusted(name, f"code that would run here ({acts[0]})", signed),)


# --- what runs here --------------------------------------------------------------------------------------------------


def _choose(
    name: str, manifest: Manifest, target: str | None, believed: bool, signed: bool
) -> tuple[tuple[str, str] | None, Problems]:
    """The target, with its variant, whose functions are run; None for a program without models."""
    if not manifest.functions:
        return None, ()
    offered = {(f.target, f.variant): f.kind == "iree" for f in manifest.functions}
    if target is not None:
        wanted, _, variant = target.partition(":")
        matching = [pair for pair in offered if pair[0] == wanted and (not variant or pair[1] == variant)]
        if not matching:
            return None, (problems.target_not_in(name, target, manifest.targets),)
    else:
        portable = [pair for pair, machine_code in offered.items() if not machine_code]
        # A processor's own code runs wherever it is that of this machine; for other hardware one has to ask.
        matching = portable or [pair for pair in offered if _is_here(*pair)]
        if not matching:
            return None, (problems.plugin_missing(name, manifest.targets),)
    chosen = matching[0]
    if offered[chosen] and not believed:
        return None, (problems.untrusted(name, f"machine code ({chosen[0]})", signed),)
    return chosen, ()


def _is_here(target: str, variant: str) -> bool:
    if _PROCESSORS.get(platform.machine().lower()) != target:
        return False
    if target != "x86-64" or variant == "v2":
        return True
    try:
        said = Path("/proc/cpuinfo").read_text("utf-8")
    except OSError:
        return variant == "v3"
    flags = set(said.partition("flags")[2].partition("\n")[0].split())
    return {"v3": {"avx2", "fma", "bmi2"}, "v4": {"avx512f", "avx512bw", "avx512vl"}}[variant] <= flags


def _models(name: str, manifest: Manifest) -> Problems:
    """Models whose weights here are others than those that the functions were made for."""
    known = catalogue()
    wrong: list[Problem] = []
    for model in manifest.models:
        entry = known.get(model.name)
        has = {(file.role, file.sha256) for file in entry.files} if entry is not None else None
        if has != {(file.role, file.sha256) for file in model.files}:
            wrong.append(problems.model_differs(name, model.name, entry is not None))
    return tuple(wrong)


def _functions(
    name: str, manifest: Manifest, files: Mapping[str, bytes], chosen: tuple[str, str] | None
) -> tuple[dict[str, PackagedModel], Problems]:
    """The functions of the chosen target, by model."""
    mine = [f for f in manifest.functions if (f.target, f.variant) == chosen]
    portable = {f.path: files[f.path] for f in mine if f.kind == "stablehlo"}
    unsound = unsound_functions(portable) if portable else {}
    wrong: list[Problem] = []
    by_model: dict[str, list[Function]] = {}
    for function in mine:
        if function.path in unsound:
            label = str(function.entry.get("name"))
            wrong.append(problems.function_unfit(name, f"{label} of {function.model}", unsound[function.path]))
        by_model.setdefault(function.model, []).append(function)
    if wrong:
        return {}, tuple(wrong)
    out: dict[str, PackagedModel] = {}
    for model, functions in by_model.items():
        made: dict[str, Artifact] = {}
        for function in functions:
            read = from_entry if function.kind == "stablehlo" else native
            try:
                artifact = read(function.entry, files[function.path])
            except UnsoundEntry as error:
                return {}, (problems.function_unfit(name, f"one of {model}", str(error)),)
            made[artifact.name] = artifact
        kind, target = functions[0].kind, functions[0].target
        out[model] = PackagedModel(made, kind, DRIVERS.get(target, "local-task"))
    return out, ()


def _module(name: str, manifest: Manifest, code: bytes) -> tuple[Module | None, Problems]:
    from ..ir.compile import parse as parse_module

    foreign, found = parse_foreign(code, f"{name}/{manifest.module.path}", hashlib.sha256(code).hexdigest(), graph=True)
    if foreign is None:
        return None, found
    module, found = parse_module(foreign.text)
    if module is None:
        return None, found
    graph = module.graph()
    if graph.digest != manifest.module.digest:
        return None, (problems.manifest_unreadable(name, "it is that of another module"),)
    missing = [pipeline for pipeline in manifest.pipelines if all(pipeline != each.name for each in graph.pipelines)]
    if missing or (manifest.default is not None and manifest.default not in manifest.pipelines):
        return None, (problems.manifest_unreadable(name, "it names pipelines that the module does not have"),)
    return module, ()


def _program(manifest: Manifest, graph: Graph) -> Program:
    """What planning and comparing ask of a program, without its source: its goals, and where it came from."""
    from ..ir.goals import goals

    return Program(Source(manifest.program.path, ""), {}, {}, (), (), goals(graph), (), ())


def _lay_out(manifest: Manifest, digest: str, files: Mapping[str, bytes]) -> Path:
    """The program's files in a private folder of their own, as they were checked: a run works there, so that what it
    leaves behind is not in the package, and what is changed in the package meanwhile is not run."""
    place = paths.private("packages") / digest[:32]
    place.mkdir(mode=0o700, exist_ok=True)
    try:
        for resource in manifest.resources:
            path, data = place / resource.path, files[f"files/{resource.path}"]
            if not path.is_file() or path.read_bytes() != data:
                write_atomic(path, data, 0o700 if resource.purpose == CODE else 0o600)
    except OSError as error:
        raise OutsideError(problems.not_written(str(place), (error.strerror or str(error)).lower())) from error
    return place
