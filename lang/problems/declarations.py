"""Declarations: models, tools, servers, enums, agents, imported files."""

from __future__ import annotations

from ...base.problems import Problem
from ...base.source import Span
from ..types import Type


def not_constant(what: str, span: Span) -> Problem:
    return Problem(
        "not-constant",
        f"{what} must be known before the program runs",
        span,
        hint="write it out: a text without holes, a number, a quantity, a list of these, or a constant of the file",
    )


def not_a_handle(keyword: str, name: str, span: Span, actual: str) -> Problem:
    example = "llm.chat(…)" if keyword == "model" else "search.index(…)"
    return Problem(
        "not-a-handle",
        f"{keyword} `{name}` must be built by a stage of the library, but this is {actual}",
        span,
        hint=f"write for example `{keyword} {name} = {example}`; a plain constant is declared with `let`",
    )


def handle_not_declared(stage: str, result: Type, span: Span) -> Problem:
    return Problem(
        "handle-not-declared",
        f"`{stage}` builds a {result}, which must be declared at the top of the file",
        span,
        hint=f"write `model NAME = {stage}(…)` (or `resource`) outside the pipeline, and use NAME here",
    )
