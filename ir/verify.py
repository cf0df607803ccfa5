"""Whether a module is sound: MLIR's verifier with the dialect's rules, then the laws of the module.

What MLIR reports becomes problems at the places of the source.
"""

from __future__ import annotations

from typing import Any

from ..base.problems import Problem, Problems, Related
from . import _mlir, laws, problems


def verify(module: Any, done: tuple[str, ...] = ()) -> Problems:
    """The problems of a module after the passes in `done`; none if it is sound."""
    with _mlir.working():
        try:
            module.verify()
        except _mlir.MLIRError as error:
            return diagnostics(error)
    return laws.check(module, done)


def diagnostics(error: Any) -> Problems:
    """What the bindings raise, as problems. Never empty: some parse errors come without diagnostics."""
    found = tuple(_problem(given) for given in error.error_diagnostics)
    return found or (problems.unreadable(str(error).splitlines()[0]),)


def _problem(given: Any) -> Problem:
    span = next(_mlir.spans(given.location), None)
    if not given.message.startswith("'"):
        # Verifiers name the operation first; what does not is a fault of syntax.
        return problems.unreadable(given.message, span)
    notes = ((next(_mlir.spans(note.location), None), note.message) for note in given.notes)
    return problems.unsound(given.message, span, tuple(Related(at, text) for at, text in notes if at is not None))
