"""What the language itself declares, in scope in every file: `Role` and `Message`.

They are written out as source, so that a problem can show where a field of a message comes from.
"""

from __future__ import annotations

from ...base.source import Source, Span
from ..program import EnumCase, EnumDeclaration, Parameter, RecordDeclaration
from ..types import MESSAGE, PRIMITIVES, ROLE, TEXT, Primitive, Type
from .symbols import EnumSymbol, RecordSymbol, Symbol

SOURCE = Source(
    "std/language.agent",
    "enum Role { System, User, Assistant, Tool }\ntype Message { role: Role, text: Text }\n",
)
# Words that no file may declare as its own.
TYPE_NAMES = frozenset((*PRIMITIVES, "Tensor", "Message", "Role"))


def _span(word: str) -> Span:
    at = SOURCE.text.index(word)
    return SOURCE.span(at, at + len(word))


_ROLE_CASES = ("System", "User", "Assistant", "Tool")
ROLE_DECLARATION = EnumDeclaration("Role", tuple(EnumCase(n, (), _span(n)) for n in _ROLE_CASES), _span("Role"))
MESSAGE_DECLARATION = RecordDeclaration(
    "Message",
    (Parameter("role", ROLE, _span("role")), Parameter("text", TEXT, _span("text"))),
    _span("Message"),
)


def _role() -> EnumSymbol:
    symbol = EnumSymbol("Role", _span("Role"), ROLE)
    symbol.declaration = ROLE_DECLARATION
    return symbol


def _message() -> RecordSymbol:
    symbol = RecordSymbol("Message", _span("Message"), MESSAGE)
    symbol.declaration = MESSAGE_DECLARATION
    return symbol


def symbols() -> dict[str, Symbol]:
    """New ones for each file, since a symbol notes its uses."""
    return {"Role": _role(), "Message": _message()}


def is_variable(type: Type) -> bool:
    """Whether a type is a variable of a library's signature, which each call fills in: a single capital letter."""
    return isinstance(type, Primitive) and len(type.name) == 1 and type.name.isupper()
