"""What a program declares, held against the world: are its models in the catalogue, are its documents there.

Names are checked before anything is compiled; files are looked at only when asked (`check --online`), for a program may
be written before its documents are.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from ..base.problems import OutsideError, Problem, Problems
from ..base.source import Span
from ..base.suggest import suggest
from ..ir.graph import Graph
from ..lang.program import HandleDeclaration, Literal, Program
from . import problems
from .catalogue import catalogue

ROLES = {
    "llm:model": "chat",
    "embed:model": "embed",
    "search:reranker": "rerank",
    "text:recognizer": "recognise",
    "speech:recognizer": "transcribe",
    "speech:voice": "speak",
}
"""What the model behind a constructor must be made for."""


def model_problems(program: Program) -> Problems:
    """A declared model that the catalogue does not know, or that is made for something else."""
    return tuple(_model_problems(program))


def document_problems(program: Program, folder: Path) -> Problems:
    """An index whose pattern finds no document below `folder`, and documents that cannot be read."""
    from .retrieval.documents import read

    found: list[Problem] = []
    for handle in program.handles:
        argument = _text(handle, "pattern") if handle.constructor.entry == "search:index" else None
        if argument is None:
            continue
        pattern, span = argument
        try:
            found += read(folder, pattern, span)[1]
        except OutsideError as error:
            found.append(error.problem)
    return tuple(found)


# The most devices that share one model in the plans that we make.
_SHARED_BY = 8


def tier_notes(program: Program) -> Problems:
    """Tiers of several that could run none of the program's models: nothing but plain stages can be placed there."""
    from ..planner.catalogue import catalogue as devices

    known = {name: entry for name, entry in catalogue().items() if entry.shape is not None}
    named = dict.fromkeys(name for _, name, _ in models(program) if name in known)
    found: list[Problem] = []
    for tier in (tier for fleet in program.fleets if len(fleet.tiers) > 1 for tier in fleet.tiers):
        if tier.endpoint is not None:
            suits = any(name in tier.endpoint.serves for name in named)
        else:
            device = devices().get(tier.device)
            room = device.memory.value * min(_SHARED_BY, tier.count[1]) if device else 0.0
            suits = device is None or any(known[name].transformer.weight_bytes <= room for name in named)
        if named and not suits:
            found.append(problems.tier_unsuitable(tier.name, tuple(named), tier.span))
    return tuple(found)


def models(program: Program) -> Iterator[tuple[HandleDeclaration, str, Span]]:
    """The models that a program declares: declaration, catalogue name, and where the name stands."""
    for handle in program.handles:
        argument = _text(handle, "name") if handle.constructor.entry in ROLES else None
        if argument is not None:
            yield handle, *argument


def shapes_alone(graph: Graph) -> dict[str, Problem]:
    """The declared models that no machine can run, because only their shape is known; by the declaration's name, with
    the problem that says so."""
    known = catalogue()
    named = {handle.name: (str(handle.arguments.get("name")), handle.span) for handle in graph.handles}
    return {
        handle: problems.model_shape_only(name, span)
        for handle, (name, span) in named.items()
        if name in known and not known[name].runs
    }


def _model_problems(program: Program) -> Iterator[Problem]:
    known = catalogue()
    elsewhere = {
        name
        for fleet in program.fleets
        for tier in fleet.tiers
        if tier.endpoint is not None
        for name in tier.endpoint.serves
    }
    for handle, name, span in models(program):
        wanted = ROLES[handle.constructor.entry]
        if name not in known and name in elsewhere:
            continue
        if name not in known:
            yield problems.model_unknown(name, suggest(name, known), span)
        elif known[name].role != wanted:
            yield problems.wrong_role(name, known[name].role, wanted, span)


def _text(handle: HandleDeclaration, name: str) -> tuple[str, Span] | None:
    for argument in handle.arguments:
        if argument.name == name and isinstance(argument.value, Literal) and isinstance(argument.value.value, str):
            return argument.value.value, argument.value.span
    return None
