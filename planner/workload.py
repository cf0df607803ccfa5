"""The work that one run brings: every size that demands name, with its value and where the value comes from."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from ..ir.graph import Graph
from ..ir.sizes import resolve
from .figures import Basis, Figure

_BASES = {"program": Basis.DERIVED, "assumed": Basis.ASSUMED, "goal": Basis.GIVEN}


@dataclass(frozen=True, slots=True)
class Sizing:
    """Sizes of one run of a pipeline. `unused` are names that were given and that nothing depends on."""

    figures: tuple[tuple[str, Figure], ...]
    unused: tuple[str, ...]

    @property
    def values(self) -> dict[str, float]:
        return {name: figure.value for name, figure in self.figures}


def sizing(
    graph: Graph, pipeline: str, assumed: Mapping[str, float], measured: Mapping[str, float] | None = None
) -> Sizing:
    """The sizes of `pipeline`: what was measured (a run's own), else what its goal assumes, else defaults."""
    seen = measured or {}
    resolved, unused = resolve(graph.pipeline(pipeline).sizes, {**assumed, **seen})
    figures: list[tuple[str, Figure]] = []
    for size in resolved:
        if size.name in seen:
            basis, source = Basis.MEASURED, "this run"
        else:
            basis = _BASES[size.basis]
            source = "the goal" if basis is Basis.GIVEN else ""
        figures.append((size.name, Figure(size.value, _unit(size.name), basis, source)))
    known = graph.pipeline(pipeline).unread
    return Sizing(tuple(figures), tuple(name for name in unused if name not in seen and not _of(name, known)))


def _of(name: str, known: Iterable[str]) -> bool:
    """Whether a size is one of those names': `hits.items` is of `hits`, and of `find.hits`, which a call brought."""
    return any(f".{of}.".endswith(f".{name.rpartition('.')[0]}.") or f"{name}.".startswith(f"{of}.") for of in known)


def loose(sizes: Iterable[tuple[str, Figure]]) -> tuple[str, ...]:
    """Sizes that a program's writer may state otherwise: those that do not follow from others, and lengths of replies,
    which `max_tokens` sets."""
    return tuple(name for name, figure in sizes if figure.basis is not Basis.DERIVED or name.endswith(".output"))


def _unit(name: str) -> str:
    match name.rpartition(".")[2]:
        case "items":
            return "items"
        case "tokens" | "output":
            return "tokens"
        case _:
            return ""
