"""What is called at the cursor, and which argument is being written."""

from __future__ import annotations

from ...base.frozen import frozen
from ..checker.symbols import PipelineSymbol, RecordSymbol, StageSymbol, ToolSymbol
from ..program import NO_LABELS, EnumCase, Labels, Parameter, StageSignature
from ..types import Type
from .completion import Look
from .cursor import Cursor
from .items import parameters_of
from .things import Thing, parameter, typed
from .words import BUILTINS


@frozen
class Signature:
    """A call's `label`; for each argument where it stands in the label; `active` is the one at the cursor, or None."""

    label: str
    parameters: tuple[tuple[int, int], ...]
    active: int | None
    doc: str | None = None


def signature(text: str, offset: int, look: Look) -> Signature | None:
    """Of the innermost call around the cursor whose brackets are open there."""
    cursor = Cursor(text, offset)
    if not cursor.tokens:
        return None
    opening = next((token for token in reversed(cursor.open) if token.kind in ("LPAR", "LBRACE", "HOLE")), None)
    if opening is None or opening.kind != "LPAR":
        return None
    at = cursor.tokens.index(opening)
    name = cursor.tokens[at - 1] if at else None
    if name is None or name.kind != "NAME":
        return None
    if name.text in BUILTINS:
        code, doc = BUILTINS[name.text]
        start = code.find("(") + 1
        return Signature(code, ((start, code.find(")")),), 0, doc)
    patched = text if cursor.word else f"{text[:offset]}word{text[offset:]}"
    found = look(patched).index.word(cursor.head + name.end)
    if found is None:
        return None
    parameters, given = _takes_and_gives(found.mention.thing)
    if parameters is None:
        return None
    result, labels, doc = given
    parts = [parameter(p) for p in parameters]
    head = f"{name.text}("
    label = f"{head}{', '.join(parts)})" + ("" if result is None else f" -> {typed(result, labels)}")
    places: list[tuple[int, int]] = []
    start = len(head)
    for part in parts:
        places.append((start, start + len(part)))
        start += len(part) + 2
    return Signature(label, tuple(places), _active(cursor, at, [p.name for p in parameters]), doc)


def _takes_and_gives(thing: Thing) -> tuple[tuple[Parameter, ...] | None, tuple[Type | None, Labels, str | None]]:
    """The parameters of what is called, None where it is not; its result with labels, and its doc."""
    match thing:
        case StageSignature():
            return parameters_of(thing), (thing.result, thing.result_labels, thing.doc)
        case ToolSymbol() | StageSymbol() if thing.signature is not None:
            return _takes_and_gives(thing.signature)
        case PipelineSymbol():
            doc = thing.declaration.doc
            return thing.parameters, (thing.result, thing.result_labels, None if doc is None else doc.text)
        case RecordSymbol():
            return thing.declaration.fields, (thing.type, NO_LABELS, thing.declaration.doc)
        case EnumCase() if thing.payload:
            return thing.payload, (None, NO_LABELS, None)
        case _:
            return None, (None, NO_LABELS, None)


def _active(cursor: Cursor, opening: int, names: list[str]) -> int | None:
    """The argument that the cursor is in: by its name, or by how many stand before it."""
    depth, position, start = 0, 0, opening + 1
    for index, token in enumerate(cursor.tokens[opening + 1 :], opening + 1):
        depth += (token.kind in ("LPAR", "LSQB", "LBRACE", "TEXT", "HOLE")) - (
            token.kind in ("RPAR", "RSQB", "RBRACE", "TEXT_END", "HOLE_END")
        )
        if depth == 0 and token.kind == "COMMA":
            position, start = position + 1, index + 1
    here = cursor.tokens[start : start + 2]
    if len(here) == 2 and here[1].kind == "COLON":
        return names.index(here[0].text) if here[0].text in names else None
    # What stands before `|>` is the first argument.
    position += _piped(cursor, opening)
    return position if position < len(names) else None


def _piped(cursor: Cursor, opening: int) -> int:
    index = opening - 1
    while index > 1 and cursor.tokens[index - 1].kind == "DOT":
        index -= 2
    return int(index > 0 and cursor.tokens[index - 1].kind == "PIPE")
