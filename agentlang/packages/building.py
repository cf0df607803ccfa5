"""From a checked program to a package in memory; `writing` puts it into a folder.

The same program, by the same agentlang and compilers, is the same package wherever it lies and whoever builds it: paths
in it are relative to the program's folder, and nothing in it tells the time.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from .. import __version__, api
from .. import package_problems as problems
from ..base.problems import Problems, has_errors
from ..base.source import Source
from ..ir.graph import Graph
from ..ir.targets import Target
from ..stdlib.catalogue import catalogue
from ..stdlib.settings import Settings, applied
from ..stdlib.store import Progress, silent
from .functions import Made, Working, built, exported, unheard
from .keeping import Inputs, imports_of
from .resources import Found, find_resources, source_of

if TYPE_CHECKING:
    from ..ir.compile import Module
    from ..stdlib.library import Library
    from .manifest import Manifest

LONGEST = 1024
"""Tokens of a sequence that a package's models take, unless asked otherwise."""

_ROLES = ("llm:model", "embed:model", "search:reranker")


@dataclass(frozen=True, slots=True)
class Package:
    """A package before it is written: the manifest's bytes, and those of every file that it names. `notes` are what the
    targets could not do here."""

    manifest: bytes
    files: Mapping[str, bytes]
    notes: tuple[str, ...] = ()
    inputs: Inputs = field(default_factory=Inputs)
    """What it was made of, for who wants to know whether it still is."""


@dataclass(frozen=True, slots=True)
class Order:
    """What is wanted: for which targets (with variants), for inputs of up to `longest` tokens, and which files of the
    folder come along besides those that the program names (patterns). `plain` leaves out what only makes it cheaper."""

    targets: tuple[tuple[Target, str], ...]
    longest: int = LONGEST
    include: Sequence[str] = ()
    plain: bool = False


def build(
    checked: api.Checked,
    order: Order,
    settings: Settings,
    library: Library,
    progress: Progress = silent,
    working: Working = unheard,
) -> tuple[Package | None, Problems]:
    """The package of a program without errors. `library` is that of its folder, by its settings.

    Raises `OutsideError` where a model cannot be had, or an extra is missing.
    """
    assert checked.program is not None
    source = checked.source
    folder = Path(source.path).parent
    program = applied(checked.program, settings)
    found = api.look(program, folder)
    if has_errors(found):
        return None, found
    module, more = _module(checked, settings, library, order.plain)
    found = (*found, *more)
    if module is None:
        return None, found
    graph = module.graph()
    resources, more = find_resources(graph, folder, settings, order.include)
    found = (*found, *more)
    if has_errors(found):
        return None, found
    models = _models(graph)
    known = catalogue()
    portable = {name: exported(known[name], order.longest, progress) for name in models if known[name].runs}
    made, more = built(portable, order.targets, working)
    found = (*found, *more)
    if has_errors(found):
        return None, found
    files, wrong = _resource_bytes(folder, resources)
    if wrong:
        return None, (*found, *wrong)
    chosen, _ = api.choose(checked.program)
    code = module.bytecode()
    files[_module_path(code)] = code
    for each in made:
        files[_function_path(each)] = each.built.data
    imports = {_relative(path, folder): _digest(checked.sources[path]) for path in imports_of(checked)}
    manifest = _manifest(
        Source(Path(source.path).name, source.text), imports, module, code, resources, made, models, files,
        tuple(p.name for p in checked.program.pipelines), chosen.name if chosen else None, order,
    )  # fmt: skip
    notes = tuple(dict.fromkeys(each.built.note for each in made if each.built.note))
    inputs = Inputs(imports_of(checked), resources.patterns, resources.modules, settings=True)
    return Package(manifest.sealed().text(), files, notes, inputs), found


def _module(checked: api.Checked, settings: Settings, library: Library, plain: bool) -> tuple[Module | None, Problems]:
    """The module after all passes, with places relative to the program's folder."""
    from ..ir.compile import lower, parse, run_passes
    from ..ir.passes import PASSES, PLAIN

    assert checked.program is not None
    module, found = lower(applied(checked.program, settings))
    if module is None:
        return None, found
    module, more = run_passes(module, library, passes=PLAIN if plain else PASSES)
    found = (*found, *more)
    if module is None:
        return None, found
    folder = os.path.normpath(Path(checked.source.path).parent)
    text = module.text()
    if folder != ".":
        # A quote stands bare only around a text: inside one, it is written \22.
        text = text.replace(f'loc("{_escaped(folder)}/', 'loc("')
    moved, more = parse(text)
    return moved, (*found, *more)


def _escaped(path: str) -> str:
    """A path as MLIR writes it in a text."""
    plain = (chr(byte) if 32 <= byte < 127 and byte not in b'"\\' else f"\\{byte:02X}" for byte in path.encode())
    return "".join(plain)


def _manifest(
    source: Source,
    imports: Mapping[str, str],
    module: Module,
    code: bytes,
    resources: Found,
    made: Sequence[Made],
    models: Sequence[str],
    files: Mapping[str, bytes],
    pipelines: tuple[str, ...],
    default: str | None,
    order: Order,
) -> Manifest:
    from . import manifest as m

    known = catalogue()
    needs = m.Needs(
        commands=resources.commands, servers=resources.servers, hosts=resources.hosts, secrets=resources.secrets
    )
    return m.Manifest(
        format="agentlang package",
        version=m.VERSION,
        made_by=f"agentlang {__version__}",
        program=m.ProgramSource(path=source.path, sha256=_digest(source), imports=dict(imports)),
        pipelines=pipelines,
        default=default,
        module=m.Module(path=_module_path(code), digest=module.digest, passes=module.passes),
        targets=tuple(dict.fromkeys(target.name for target, _ in order.targets)),
        longest=order.longest,
        models=tuple(
            m.Model(
                name=name,
                role=known[name].role,
                files=tuple(
                    m.WeightFile(role=file.role, name=file.name, bytes=file.size, sha256=file.sha256)
                    for file in known[name].files
                ),
            )
            for name in models
        ),
        functions=tuple(
            m.Function(
                model=each.model,
                target=each.target.name,
                variant=each.variant,
                builder=each.target.builder,
                kind="iree" if each.built.native else "stablehlo",
                path=_function_path(each),
                checks=dict(each.built.checks),
                entry=each.artifact.entry(),
            )
            for each in made
        ),
        resources=tuple(m.Resource.model_validate({"path": p, "purpose": why}) for p, why in resources.files.items()),
        needs=needs,
        files={
            path: m.File(bytes=len(data), sha256=hashlib.sha256(data).hexdigest())
            for path, data in sorted(files.items())
        },
    )


def _resource_bytes(folder: Path, resources: Found) -> tuple[dict[str, bytes], Problems]:
    files: dict[str, bytes] = {}
    for path, purpose in resources.files.items():
        place = source_of(folder, path, purpose)
        try:
            files[f"files/{path}"] = place.read_bytes()
        except OSError as error:
            return {}, (problems.unreadable(str(folder), path, (error.strerror or str(error)).lower()),)
    return files, ()


def _models(graph: Graph) -> tuple[str, ...]:
    names = (str(handle.arguments["name"]) for handle in graph.handles if handle.entry in _ROLES)
    return tuple(dict.fromkeys(names))


def _module_path(code: bytes) -> str:
    return f"module/{hashlib.sha256(code).hexdigest()[:32]}.mlirbc"


def _function_path(made: Made) -> str:
    return f"functions/{hashlib.sha256(made.built.data).hexdigest()[:32]}{made.built.suffix}"


def _digest(source: Source) -> str:
    return hashlib.sha256(source.text.encode()).hexdigest()


def _relative(path: str, folder: Path) -> str:
    return Path(os.path.relpath(path, folder)).as_posix()
