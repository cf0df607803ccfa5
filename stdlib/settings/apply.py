"""A program as the settings of this place make it: models under their real names, servers with their commands here.

Done once, on the typed program, so that the compiler, the planner and the executor need not know of settings.
"""

from __future__ import annotations

from dataclasses import replace

from ...lang.program import Argument, Expression, HandleDeclaration, ListOf, Literal, Program
from ...lang.types import TEXT
from .values import Settings


def applied(program: Program, settings: Settings) -> Program:
    """The program with the settings put in. Places stay those of its own text."""
    if not settings.models and not settings.servers:
        return program
    return replace(program, handles=tuple(_handle(handle, settings) for handle in program.handles))


def _handle(handle: HandleDeclaration, settings: Settings) -> HandleDeclaration:
    server = settings.servers.get(handle.name) if handle.keyword == "server" else None
    arguments: list[Argument] = []
    for argument in handle.arguments:
        value = argument.value
        if handle.keyword == "model" and argument.name == "name" and isinstance(value, Literal):
            value = replace(value, value=settings.model(str(value.value)))
        elif server is not None and server.command and argument.name == "command":
            value = _texts(server.command, value)
        arguments.append(Argument(argument.name, value))
    if handle.keyword == "model":
        arguments = _with_engine(handle, arguments, settings)
    return replace(handle, arguments=tuple(arguments))


def _with_engine(handle: HandleDeclaration, arguments: list[Argument], settings: Settings) -> list[Argument]:
    """The engine that the settings name for a model, unless the program names one."""
    said = {argument.name: argument.value for argument in handle.arguments}
    name, stated = said.get("name"), said.get("engine")
    known = settings.models.get(str(name.value)) if isinstance(name, Literal) else None
    if known is None or known.engine is None or (isinstance(stated, Literal) and stated.value):
        return arguments
    chosen = Argument("engine", Literal(type=TEXT, span=handle.span, value=known.engine))
    return [*(argument for argument in arguments if argument.name != "engine"), chosen]


def _texts(words: tuple[str, ...], where: Expression) -> Expression:
    items = tuple(Literal(type=TEXT, span=where.span, value=word) for word in words)
    return ListOf(type=where.type, span=where.span, items=items)
