"""Whether a module is sound: MLIR's verifier with the dialect's rules, then the laws of the module.

What MLIR reports becomes problems at the places of the source.
"""

from __future__ import annotations

from typing import Any

from ..base.problems import Problems, Related
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
    found = tuple(
        problems.unsound(
            given.message,
            next(_mlir.spans(given.location), None),
            tuple(Related(span, note.message) for note in given.notes for span in list(_mlir.spans(note.location))[:1]),
        )
        for given in error.error_diagnostics
    )
    return found or (problems.unreadable(str(error).splitlines()[0]),)
