"""The MLIR bindings, and the only place that imports them.

They come from the `torch-mlir` wheel, used as an MLIR distribution; when the real `mlir-python-bindings` are on the
index, they take its place here. The wheel has no type stubs, so everything that leaves this module is `Any` under a
name that says what it is. No MLIR object leaves the package `ir`.

One context serves the process: dynamic dialects register their classes globally, and attributes are interned, so that
lowering the same text again costs no memory.
"""

from __future__ import annotations

import importlib
import io
import sys
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import lru_cache
from types import ModuleType
from typing import Any, TypeAlias

from ..base.source import Span

core: Any = importlib.import_module("torch_mlir.ir")

# What the values below are, for readers; the bindings have no types of their own.
MlirOperation: TypeAlias = Any
MlirValue: TypeAlias = Any
MlirType: TypeAlias = Any
MlirAttribute: TypeAlias = Any
MlirBlock: TypeAlias = Any
MlirLocation: TypeAlias = Any

MLIRError: type[Exception] = core.MLIRError

_SEGMENTS = "operandSegmentSizes"
_RESULT_SEGMENTS = "resultSegmentSizes"
_GROUPS = frozenset({_SEGMENTS, _RESULT_SEGMENTS})


def ext() -> Any:
    """Dialects that are defined in Python."""
    return importlib.import_module("torch_mlir.dialects.ext")


def stablehlo() -> Any:
    """StableHLO and its portable artifacts. Registers the dialect in the context when first called."""
    library: Any = importlib.import_module("torch_mlir._mlir_libs._stablehlo")
    _load_stablehlo()
    return library


@lru_cache(maxsize=1)
def _load_stablehlo() -> None:
    importlib.import_module("torch_mlir._mlir_libs._stablehlo").register_dialect(context())
    context().dialects["func"]  # pyright: ignore[reportUnusedExpression]: looking a dialect up loads it


@lru_cache(maxsize=1)
def context() -> Any:
    """The process's context, with the `agent` dialect."""
    # The bindings look for a Python module of each dialect, every time they meet one of its operations, and remember
    # only what they found: without this, most of the time goes into failing imports.
    sys.modules.setdefault("torch_mlir.dialects.agent", ModuleType("torch_mlir.dialects.agent"))
    made: Any = core.Context(load_on_create_dialects=["irdl"])
    from .dialect.register import load

    with made:
        load()
    return made


@contextmanager
def working() -> Generator[Any]:
    """Work in the context: types and attributes that are made inside belong to it."""
    made = context()
    with made:
        yield made


# --- plain data <-> attributes ---------------------------------------------------------------------------------------


class SymbolName(str):
    """A name that stands for another declaration: a symbol reference in MLIR, a text elsewhere."""

    __slots__ = ()


def attribute(value: object) -> MlirAttribute:
    """A plain value as an attribute: texts, numbers, booleans, None (unit), sequences, mappings with text keys,
    `SymbolName`. OverflowError for an integer beyond 64 bits; TypeError for anything else."""
    match value:
        case SymbolName():
            return core.FlatSymbolRefAttr.get(str(value))
        case str():
            return core.StringAttr.get(value)
        case bool():
            return core.BoolAttr.get(value)
        case int():
            if not -(2**63) <= value < 2**63:
                raise OverflowError(f"{value} does not fit in 64 bits")
            return core.IntegerAttr.get(core.IntegerType.get_signless(64), value)
        case float():
            return core.FloatAttr.get_f64(value)
        case None:
            return core.UnitAttr.get()
        case Mapping():
            return core.DictAttr.get({str(key): attribute(item) for key, item in _items(value)})
        case list() | tuple():
            return core.ArrayAttr.get([attribute(item) for item in _list(value)])
        case _ if isinstance(value, core.Type):
            return core.TypeAttr.get(value)
        case _ if isinstance(value, core.Attribute):
            return value
        case _:
            raise TypeError(f"no attribute for {value!r}")


def _items(value: Any) -> Iterator[tuple[object, object]]:
    yield from value.items()


def _list(value: Any) -> Iterator[object]:
    yield from value


@lru_cache(maxsize=1 << 16)
def plain(given: MlirAttribute) -> Any:
    """The inverse of `attribute`. A type attribute gives the MLIR type. TypeError for an attribute that is no plain
    data.

    Attributes never change and are read many times, by each verification and pass: what was read is kept, and shared
    by those who ask, so it must not be changed.
    """
    return _decoded(given)


def _decoded(given: MlirAttribute) -> Any:
    match type(given).__name__:
        case "StringAttr" | "BoolAttr" | "IntegerAttr" | "FloatAttr" | "TypeAttr":
            return given.value
        case "FlatSymbolRefAttr":
            return SymbolName(given.value)
        case "UnitAttr":
            return None
        case "ArrayAttr":
            return tuple([_decoded(item) for item in given])
        case "DictAttr":
            return {entry.name: _decoded(entry.attr) for at in range(len(given)) for entry in (given[at],)}
        case _:
            raise TypeError(f"no plain value for {given}")


def narrow(given: MlirAttribute) -> MlirAttribute:
    """A type's parameter as the attribute class that it is: parameters come as plain `Attribute`."""
    for kind in ("TypeAttr", "StringAttr", "ArrayAttr"):
        made: Any = getattr(core, kind)
        try:
            return made(given)
        except ValueError:
            continue
    raise TypeError(f"{given} is no parameter of a type")


def attributes_of(operation: MlirOperation) -> dict[str, Any]:
    """All attributes of an operation, as plain data."""
    return {name: plain(value) for name, value in operation.attributes.items() if name not in _GROUPS}


# --- locations -------------------------------------------------------------------------------------------------------


def location(span: Span | None) -> MlirLocation:
    if span is None:
        return core.Location.unknown()
    return core.Location.file(span.path, span.line, span.column, span.end_line, span.end_column)


def call_site(callee: MlirLocation, caller: MlirLocation) -> MlirLocation:
    """The location of an operation that came here through a call."""
    return core.Location.callsite(callee, [caller])


def set_location(operation: MlirOperation, place: MlirLocation) -> None:
    """Move an operation and the arguments of its bodies to another place."""
    operation.location = place
    for region in operation.regions:
        for block in region.blocks:
            for argument in block.arguments:
                argument.set_location(call_site(argument.location, place.caller))


def spans(place: MlirLocation) -> Iterator[Span]:
    """The places of a location, innermost first: where it is written, then the calls it came through. Offsets are 0,
    as MLIR keeps lines and columns only; `ir.read` restores them where it has the source."""
    if type(place) is core.Location:
        place = _downcast(place)
    match type(place).__name__:
        case "FileLineColLoc":
            yield Span(place.filename, 0, 0, place.start_line, place.start_col, place.end_line, place.end_col)
        case "CallSiteLoc":
            yield from spans(place.callee)
            yield from spans(place.caller)
        case "FusedLoc":
            for part in place.locations:
                yield from spans(part)
        case "NameLoc":
            yield from spans(place.child_loc)
        case _:
            return


def _downcast(place: MlirLocation) -> MlirLocation:
    """A location as what it is: those of diagnostics come as plain locations."""
    for kind in (core.FileLineColLoc, core.CallSiteLoc, core.FusedLoc, core.NameLoc):
        try:
            return kind(place)
        except ValueError:
            continue
    return place


# --- operations ------------------------------------------------------------------------------------------------------


def create(
    name: str,
    *,
    operands: Sequence[MlirValue] = (),
    results: Sequence[MlirType] = (),
    attributes: Mapping[str, object] | None = None,
    regions: int = 0,
    place: MlirLocation,
) -> MlirOperation:
    """A new, detached operation."""
    from .dialect.spec import MOST_OPERANDS, OPERATIONS

    given = {key: attribute(value) for key, value in (attributes or {}).items()}
    if OPERATIONS[name.removeprefix("agent.")].operands[1] == MOST_OPERANDS:
        given[_SEGMENTS] = _segments(len(operands), MOST_OPERANDS)
    if OPERATIONS[name.removeprefix("agent.")].results[1] == MOST_OPERANDS:
        given[_RESULT_SEGMENTS] = _segments(len(results), MOST_OPERANDS)
    return core.Operation.create(
        name,
        operands=list(operands),
        results=list(results),
        attributes=given,
        regions=regions,
        loc=place,
    )


def _segments(count: int, most: int) -> MlirAttribute:
    """Which of the optional groups of operands are there: the first ones. OverflowError for too many operands."""
    if count > most:
        raise OverflowError(f"{count} operands, and an operation takes {most}")
    return core.DenseI32ArrayAttr.get([1] * count + [0] * (most - count))


VERSION = 1
"""Of the dialect, as it stands in every module (`agent.version`). It grows when a module of today could not be read, or
would mean something else, tomorrow."""


def empty_module(span: Span | None) -> MlirOperation:
    made = core.Module.create(location(span)).operation
    made.attributes["agent.version"] = attribute(VERSION)
    return made


def nested_module(name: str) -> MlirOperation:
    """A named module to append to another. Not `Module.create`: that object would free what its new parent owns."""
    made = core.Operation.create(
        "builtin.module", regions=1, attributes={"sym_name": attribute(name)}, loc=location(None)
    )
    block_of(made.regions[0])
    return made


def block_of(region: Any, arguments: Sequence[MlirType] = (), places: Sequence[MlirLocation] = ()) -> MlirBlock:
    """A new block at the end of a region."""
    return region.blocks.append(*arguments, arg_locs=list(places))


def body(module: MlirOperation) -> MlirBlock:
    return module.regions[0].blocks[0]


def operations(block: MlirBlock) -> list[MlirOperation]:
    """The operations of a block, at this moment: the list does not change when the block does."""
    return [view.operation for view in block.operations]


def walk(operation: MlirOperation) -> Iterator[MlirOperation]:
    """Every operation inside, parents first."""
    # Not recursive: what is deep inside would pass through a generator for each operation around it.
    waiting = _held(operation)
    while waiting:
        inner = waiting.pop()
        yield inner
        waiting += _held(inner)


def _held(operation: MlirOperation) -> list[MlirOperation]:
    """What the bodies of an operation hold, last first."""
    return [inner for region in operation.regions for block in region.blocks for inner in operations(block)][::-1]


def owner(value: MlirValue) -> MlirOperation | None:
    """The operation whose result this is; None for the argument of a block."""
    made: Any = value.owner
    return None if isinstance(made, core.Block) else made.operation


def text(module: MlirOperation, locations: bool = True) -> str:
    return module.get_asm(enable_debug_info=locations, assume_verified=True)


def bytecode(module: MlirOperation) -> bytes:
    out = io.BytesIO()
    module.write_bytecode(out)
    return out.getvalue()


def parse(given: str | bytes) -> MlirOperation:
    """Raises MLIRError. Bytecode that was damaged can end the process: check its hash first."""
    if b"stablehlo" in (given.encode() if isinstance(given, str) else given):
        stablehlo()
    with working():
        return core.Module.parse(given).operation
