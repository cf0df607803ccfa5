"""What completion offers, and lists of it: names in scope, members of a value, arguments, types, cases."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from ...base.frozen import frozen
from ...base.units import UNITS, Notation
from ..checker.context import Context
from ..checker.symbols import (
    EnumSymbol,
    HandleSymbol,
    ModuleSymbol,
    PipelineSymbol,
    RecordSymbol,
    StageSymbol,
    Symbol,
    ToolSymbol,
    UncheckedSymbol,
)
from ..checker.written import is_type
from ..program import EnumCase, EnumDeclaration, Parameter, StageSignature
from ..types import DIMENSIONS, EnumType, HandleType, OptionType, RecordType, StreamType, Type
from .things import Thing, detail, kind_of, own_parameters
from .words import BUILTINS, DATA_TYPES, TYPES

# What is offered first has the lowest rank.
NEAR, OWN, CASES, COMMON, KEYWORDS = range(5)


@frozen
class Item:
    """One word that may stand at the cursor. `insert` is a snippet (`$0` is where the cursor then stands) where that is
    more than the word."""

    label: str
    kind: str
    detail: str = ""
    doc: str | None = None
    insert: str | None = None
    rank: int = OWN


def of(thing: Thing, rank: int = OWN, name: str | None = None) -> Item:
    """An item for a name that stands for something. What is called is offered with its brackets."""
    label = name or thing.name.rpartition(".")[2]
    insert = None
    match thing:
        case StageSignature():
            insert = _call(label, own_parameters(thing))
        case ToolSymbol() if thing.signature is not None:
            insert = _call(label, own_parameters(thing.signature))
        case PipelineSymbol():
            insert = _call(label, thing.parameters)
        case StageSymbol():
            insert = _call(label, thing.signature.parameters)
        case RecordSymbol():
            insert = _call(label, thing.declaration.fields)
        case EnumCase() if thing.payload:
            insert = _call(label, thing.payload)
        case _:
            pass
    doc = thing.doc if isinstance(thing, StageSignature) else None
    return Item(label, kind_of(thing), detail(thing), doc, insert, rank)


def _call(name: str, parameters: tuple[Parameter, ...]) -> str:
    return f"{name}($0)" if parameters else f"{name}()"


# --- lists -----------------------------------------------------------------------------------------------------------


def names(context: Context) -> Iterator[Item]:
    """The names of the file that may stand in an expression."""
    for name, symbol in context.names.items():
        # Names with a point stand for what an agent is made of.
        if "." not in name and not isinstance(symbol, UncheckedSymbol):
            yield of(symbol)
    for symbol in context.language.values():
        yield of(symbol, COMMON)
    for name, (code, doc) in BUILTINS.items():
        if name in ("all", "buffered", "declassify", "len"):
            yield Item(name, "builtin", code, doc, f"{name}($0)", COMMON)


def cases(context: Context) -> Iterator[Item]:
    """The cases that mean one thing by their name alone."""
    for name, owners in context.cases.items():
        owner = next(iter(owners.values()), None)
        if owner is not None and len(owners) == 1 and "." not in owner.name and name not in context.names:
            yield from (of(case, CASES) for case in owner.cases if case.name == name)


def cases_of(context: Context, type: Type | None) -> Iterator[Item]:
    """The values of an enum that is expected; `none` where nothing may stand."""
    if isinstance(type, OptionType):
        yield Item("none", "value", "no value", rank=NEAR)
        type = type.element
    if isinstance(type, EnumType) and (declared := context.enums.get(type.name)) is not None:
        yield from (of(case, NEAR) for case in declared.cases)


def patterns(context: Context, type: Type | None, taken: Iterable[str] = ()) -> Iterator[Item]:
    """The arms that a `match` over a type may have."""
    seen = set(taken)
    if isinstance(type, OptionType):
        found = [("some(${1:value}) => $0", "some", "there is a value"), ("none => $0", "none", "there is none")]
        for insert, name, text in found:
            if name not in seen:
                yield Item(name, "case", text, insert=insert, rank=NEAR)
    elif isinstance(type, EnumType) and (declared := context.enums.get(type.name)) is not None:
        for case in declared.cases:
            if case.name not in seen:
                binders = ", ".join(f"${{{n}:{p.name}}}" for n, p in enumerate(case.payload, 1))
                insert = f"{case.name}({binders}) => $0" if case.payload else f"{case.name} => $0"
                yield Item(case.name, "case", detail(case), insert=insert, rank=NEAR)
    yield Item("_", "keyword", "every other case", insert="_ => $0", rank=CASES)


def members(context: Context, type: Type) -> Iterator[Item]:
    """The fields of a record, the methods of a handle."""
    match type:
        case RecordType() if (record := context.records.get(type.name)) is not None:
            for field in record.fields:
                yield Item(field.name, "field", detail(field), rank=NEAR)
        case HandleType():
            for name, signatures in context.methods.get(type.name, {}).items():
                yield of(signatures[0], NEAR, name)
        case _:
            pass


def module_members(symbol: ModuleSymbol) -> Iterator[Item]:
    for name, member in (symbol.interface.names if symbol.interface is not None else {}).items():
        if "." not in name and not isinstance(member, UncheckedSymbol):
            yield of(member, NEAR, name)


def enum_members(declared: EnumDeclaration) -> Iterator[Item]:
    return (of(case, NEAR) for case in declared.cases)


def arguments(parameters: Iterable[Parameter], given: Iterable[str]) -> Iterator[Item]:
    """The arguments of a call that are not given yet, by name."""
    taken = set(given)
    for parameter in parameters:
        if parameter.name not in taken:
            insert = f"{parameter.name}: "
            yield Item(f"{parameter.name}:", "argument", detail(parameter), insert=insert, rank=NEAR)


def types(context: Context) -> Iterator[Item]:
    for name, symbol in context.names.items():
        if "." not in name and is_type(symbol):
            yield of_type(symbol, NEAR)
        elif isinstance(symbol, ModuleSymbol) and any(
            isinstance(s, RecordSymbol | EnumSymbol) for s in _members(symbol)
        ):
            yield of(symbol)
    for name in DATA_TYPES:
        yield Item(name, "type", TYPES.get(name, ""), rank=COMMON)


def _members(symbol: ModuleSymbol) -> Iterable[Symbol]:
    return () if symbol.interface is None else symbol.interface.names.values()


def of_type(symbol: Symbol, rank: int = OWN) -> Item:
    return Item(symbol.name, kind_of(symbol), "", rank=rank)


def units(wanted: Type | None) -> Iterator[Item]:
    """Units that may stand behind a number, only those of the wanted type where one is."""
    dimension = DIMENSIONS.get(str(wanted))
    for name, unit in UNITS.items():
        if unit.notation is Notation.BEHIND and (dimension is None or unit.dimension == dimension):
            yield Item(name, "unit", str(unit.dimension), rank=NEAR)


def handles(context: Context, type: str) -> Iterator[Item]:
    for symbol in context.names.values():
        if isinstance(symbol, HandleSymbol) and str(symbol.type) == type:
            yield of(symbol, NEAR)


def usable(context: Context) -> Iterator[Item]:
    """What an agent may use: tools, pipelines and other agents."""
    for name, symbol in context.names.items():
        if isinstance(symbol, ToolSymbol | PipelineSymbol | ModuleSymbol) and "." not in name:
            found = of(symbol, NEAR)
            yield Item(found.label, found.kind, found.detail, found.doc, None, NEAR)


def table(words: Mapping[str, tuple[str, str]], kind: str, rank: int = NEAR) -> Iterator[Item]:
    """Words with a snippet and a line about each."""
    for word, (insert, text) in words.items():
        yield Item(word, kind, text, insert=insert, rank=rank)


def plain(words: Iterable[str], kind: str, rank: int = NEAR) -> Iterator[Item]:
    return (Item(word, kind, rank=rank) for word in words)


def assumable(symbol: PipelineSymbol) -> Iterator[Item]:
    """What a goal may assume of its pipeline."""
    for local in symbol.locals.values():
        text = isinstance(local.type, StreamType)
        yield Item(local.name, "binding", detail(local), insert=f"{local.name} output " if text else None, rank=NEAR)


def parameters_of(thing: Thing | None) -> tuple[Parameter, ...]:
    """What a call of a thing takes."""
    match thing:
        case StageSignature():
            return own_parameters(thing)
        case ToolSymbol():
            return () if thing.signature is None else own_parameters(thing.signature)
        case StageSymbol():
            return own_parameters(thing.signature)
        case PipelineSymbol():
            return thing.parameters
        case RecordSymbol():
            return thing.declaration.fields
        case EnumCase():
            return thing.payload
        case EnumSymbol():
            return ()
        case _:
            return ()
