"""`agentlang compile FILE --emit artifacts`: the functions of a program's models, and what each needs.

By the formulas that plans are made with, beside what XLA says of the compiled function. Where they differ, and why, is
in `ir.demand.artifact` and `docs/models.md`.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..base.units import BYTESIZE, Quantity

if TYPE_CHECKING:
    from ..lang.program import Program
    from ..stdlib.models.needs import Described

_TERMS = {"compute": "operations", "traffic": "traffic", "weights": "weights", "cache": "KV cache"}
_PREFIXES = ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"), (1.0, ""))
_ROW = "    {:<12}{:>12}{:>12}{:>9}"


def describe(program: Program, folder: Path, longest: int) -> tuple[Described, ...]:
    """The functions of the program's models: one of each kind, or with `longest` (tokens) all for inputs up to that.

    Raises `OutsideError` for a model that is not here. Compiles; blocks.
    """
    from ..ir.compile import lower
    from ..stdlib.library import Library
    from ..stdlib.models.needs import described

    library = Library(folder)
    module, _ = lower(program)
    if module is None:
        return ()
    handles = {handle.name: handle for handle in module.graph().handles}
    found: list[Described] = []
    for name, artifacts in library.artifacts(handles.values(), longest).items():
        shape = library.model_shape(handles[name])
        if shape is not None:
            found += described(name, shape, artifacts)
    return tuple(found)


def document(functions: Iterable[Described]) -> dict[str, Any]:
    """As JSON: for each function what a manifest says of it, `needs` as compiled, and `terms` with both figures."""
    return {"emit": "artifacts", "artifacts": [each.data() for each in functions]}


def table(functions: Iterable[Described]) -> str:
    """For people: a block for each function."""
    lines: list[str] = []
    shown = ""
    for each in functions:
        artifact = each.artifact
        if each.handle != shown:
            shown = each.handle
            heading = f"{each.handle}: {each.model}, StableHLO {artifact.version} by {artifact.written_by}"
            lines += [*([""] if lines else []), heading]
        counts = [
            f"{len(of)} {word}"
            for role, word in (("weight", "weights"), ("cache", "of the cache"), ("input", "inputs"))
            if (of := artifact.of(role))
        ]
        lines.append(f"  {artifact.name}  {_size(len(artifact.data))}: {', '.join(counts)}")
        lines.append(_ROW.format("", "formula", "compiled", "ratio"))
        for term in each.terms:
            show = _operations if term.term == "compute" else _size
            formula = "" if term.formula is None else show(term.formula)
            ratio = "" if term.ratio is None else f"{term.ratio:.2f} x"
            word = _TERMS.get(term.term, term.term)
            lines.append(_ROW.format(word, formula, show(term.compiled), ratio).rstrip())
    return "\n".join(lines) or "the program declares no model"


def _size(count: float) -> str:
    return str(Quantity(float(count), BYTESIZE))


def _operations(count: float) -> str:
    factor, prefix = next((each for each in _PREFIXES if count >= each[0]), _PREFIXES[-1])
    return f"{count / factor:.4g} {prefix}".rstrip()
