"""Whether a module is sound: MLIR's verifier with the dialect's rules, then the laws of the module.

What MLIR reports becomes problems at the places of the source.
"""

from __future__ import annotations

import re
from typing import Any, cast

from ..base.problems import Problem, Problems, Related
from ..base.source import Span
from . import _mlir, laws, problems


def verify(module: Any, done: tuple[str, ...] = ()) -> Problems:
    """The problems of a module after the passes in `done`; none if it is sound."""
    with _mlir.working():
        try:
            module.verify()
        except _mlir.MLIRError as error:
            return diagnostics(error)
        wrong = _header(module)
    return wrong or laws.check(module, done)


def newer(text: str) -> Problems:
    """Whether the text of a module says that it is of a newer form, which is then all that is said of it."""
    found = _VERSION.search(text)
    if found is None or int(found["number"]) <= _mlir.VERSION:
        return ()
    line = text.count("\n", 0, found.start("number")) + 1
    column = found.start("number") - text.rfind("\n", 0, found.start("number"))
    place = Span("-", 0, 0, line, column, line, column + len(found["number"]))
    return (problems.newer(int(found["number"]), _mlir.VERSION, place),)


# The attributes of a module stand in its first line.
_VERSION = re.compile(r"\A(?:\s|//[^\n]*\n|#[^\n]*\n)*module [^\n]*\bagent\.version = (?P<number>\d{1,9})\b")


def _header(module: Any) -> Problems:
    """What the module says of itself: the version of its form, and the passes that it has been through."""
    try:
        given = _mlir.attributes_of(module)
    except TypeError as error:
        return (problems.unsound(f"the module says something foreign of itself: {error}", _place(module)),)
    version, passes = given.get("agent.version", _mlir.VERSION), given.get("agent.passes", ())
    if not isinstance(version, int) or isinstance(version, bool) or version < 1:
        return (problems.unsound("'agent.version' is no version", _place(module)),)
    if version > _mlir.VERSION:
        return (problems.newer(version, _mlir.VERSION, _place(module)),)
    if not isinstance(passes, tuple) or not all(isinstance(name, str) for name in cast("tuple[object, ...]", passes)):
        return (problems.unsound("'agent.passes' is not a list of names", _place(module)),)
    return ()


def _place(module: Any) -> Span | None:
    return next(_mlir.spans(module.location), None)


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
