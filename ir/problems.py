"""The words for what can go wrong between a checked program and its graph.

One function per slug. Facts come in, a `Problem` comes out.
"""

from __future__ import annotations

from ..base.problems import Problem, Related
from ..base.source import Span


def unsound(text: str, span: Span | None, notes: tuple[Related, ...] = ()) -> Problem:
    """A rule of the dialect, or a law of the module, is broken."""
    return Problem(
        "module-unsound",
        f"the module breaks a rule: {text}",
        span,
        hint="a module of your own must keep the rules of the dialect; one that `agentlang` made is a bug: report it",
        related=notes,
    )


def unreadable(why: str, span: Span | None = None) -> Problem:
    return Problem(
        "module-unreadable",
        f"this is no module that can be read: {why}",
        span,
        hint="`agentlang compile --emit mlir` writes modules; the readable form (`--pretty`) cannot be read back",
    )


def newer(version: int, known: int, span: Span | None) -> Problem:
    return Problem(
        "module-newer",
        f"this module is of form {version}, and this version reads forms up to {known}",
        span,
        hint="update agentlang, or write the module again with this version",
    )


def function_unreadable(name: str, model: str, why: str) -> Problem:
    return Problem(
        "function-unreadable",
        f"the function {name!r} of model {model!r} is no StableHLO artifact that can be read: {why}",
        hint="export it again, with a version of JAX that writes StableHLO artifacts this version reads",
    )


def beyond_limits(what: str, span: Span | None, hint: str = "split it: a record in a record, a call in two") -> Problem:
    """Something is larger than an operation, or a pipeline, can hold."""
    return Problem(
        "beyond-limits",
        f"this is too large to compile: {what}",
        span,
        hint=hint,
    )
