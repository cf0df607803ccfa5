"""How an operation of the dialect is described: its attributes, regions and results as data, its own rules as a
verifier that yields what is wrong.

Descriptions need no MLIR, so the operations can be listed, documented and tested alone; `register` turns them into
`ext.Dialect` classes. Verifiers see MLIR operations through the few helpers below.

Every operation may carry `id` (a readable stage id, required inside pipelines by `ir.laws`), `binding` (the source's
name for its result), `also` (the names of operations whose work it does too), `labels` (those of its result), `demand`
and `times` (see `annotate_demand`). They are discardable attributes: IRDL has no optional ones.

An operation with any number of bodies holds one region of `agent.arm`, each with a body: IRDL wants a fixed number of
regions. `ir.read` gives each arm as a region of its operation.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

from ...lang.types import (
    BOOL,
    FLOAT,
    INT,
    JSON,
    NONE,
    TEXT,
    EnumType,
    ListType,
    MapType,
    OptionType,
    Primitive,
    RecordType,
    StreamType,
    TensorType,
)
from ..graph import ValueType
from .types import from_mlir

Verifier = Callable[["View"], Iterator[str]]


class Is(Enum):
    """What an attribute holds, as plain data."""

    TEXT = "a text"
    INTEGER = "an integer"
    BOOLEAN = "true or false"
    TEXTS = "a list of texts"
    ARRAY = "a list"
    MAP = "a map"
    TYPE = "a type"
    ANYTHING = "a value"


@dataclass(frozen=True, slots=True)
class OpSpec:
    """One operation. `operands` and `results` are the fewest and the most of them; `inside` the operations it may stand
    in (empty: any); `verify` runs before the operations in its regions are verified, `verify_regions` after."""

    name: str
    doc: str
    attributes: Mapping[str, Is]
    optional: Mapping[str, Is]
    operands: tuple[int, int]
    results: tuple[int, int]
    regions: tuple[str, ...]
    inside: tuple[str, ...]
    terminator: bool
    unterminated: bool
    pure: bool
    verify: Verifier
    verify_regions: Verifier | None


OPERATIONS: dict[str, OpSpec] = {}

MOST_OPERANDS = 32
"""Of an operation with any number of operands. IRDL wants the operands of one variadic group to have one type, so each
operand is an optional group of its own, and an operation has as many groups as it may ever need."""

ANY_NUMBER = (0, MOST_OPERANDS)

_COMMON = {
    "id": Is.TEXT,
    "binding": Is.TEXT,
    "labels": Is.TEXTS,
    "carried": Is.MAP,
    "demand": Is.MAP,
    "times": Is.TEXT,
    "also": Is.TEXTS,
} | {
    "tier": Is.TEXT,
    "kept": Is.ARRAY,
    "acts": Is.BOOLEAN,
    "copies": Is.TEXT,
}


def operation(
    name: str,
    *,
    attributes: Mapping[str, Is] | None = None,
    optional: Mapping[str, Is] | None = None,
    operands: tuple[int, int] = (0, 0),
    results: tuple[int, int] = (1, 1),
    regions: tuple[str, ...] = (),
    inside: tuple[str, ...] = (),
    terminator: bool = False,
    unterminated: bool = False,
    pure: bool = False,
    verify_regions: Verifier | None = None,
) -> Callable[[Verifier], Verifier]:
    """Describe the operation `agent.<name>` by its verifier, whose docstring is the operation's documentation."""

    def describe(verify: Verifier) -> Verifier:
        OPERATIONS[name] = OpSpec(
            name,
            (verify.__doc__ or "").strip(),
            attributes or {},
            _COMMON | dict(optional or {}),
            operands,
            results,
            regions,
            inside,
            terminator,
            unterminated,
            pure,
            verify,
            verify_regions,
        )
        return verify

    return describe


@dataclass(frozen=True, slots=True)
class RegionView:
    """A region with at most one block. `results` are the types of what its terminator hands out."""

    arguments: tuple[ValueType, ...]
    operations: tuple[Any, ...]
    terminator: Any
    results: tuple[ValueType, ...]


class View:
    """What a verifier sees of an operation: plain attributes and types of ours. `attributes` may lack what is not plain
    data or missing; the generic rules have spoken of that already."""

    __slots__ = ("attributes", "operation")

    def __init__(self, operation: Any, attributes: Mapping[str, Any]) -> None:
        self.operation = operation
        self.attributes = attributes

    @property
    def operands(self) -> tuple[ValueType, ...]:
        return tuple(from_mlir(value.type) for value in self.operation.operands)

    @property
    def added(self) -> tuple[ValueType, ...]:
        """The operands; without the first, if the operation `extends` what that holds."""
        return self.operands[1:] if self.attributes.get("extends") else self.operands

    @property
    def results(self) -> tuple[ValueType, ...]:
        return tuple(from_mlir(value.type) for value in self.operation.results)

    @property
    def result(self) -> ValueType:
        return from_mlir(self.operation.results[0].type)

    def region(self, index: int) -> RegionView | None:
        """The region, or None if it is empty."""
        blocks = list(self.operation.regions[index].blocks)
        if not blocks:
            return None
        inner = tuple(view.operation for view in blocks[0].operations)
        last = inner[-1] if inner else None
        types = tuple(from_mlir(value.type) for value in last.operands) if last is not None else ()
        return RegionView(tuple(from_mlir(a.type) for a in blocks[0].arguments), inner, last, types)

    @property
    def arms(self) -> tuple[tuple[str | None, RegionView], ...]:
        """The bodies of an operation that has any number of them, each with the case that it is for."""
        from .. import _mlir

        held = self.region(0)
        arms = [each for each in held.operations if each.name == "agent.arm"] if held is not None else []
        views = [View(each, _mlir.attributes_of(each)) for each in arms]
        return tuple((v.attributes.get("case"), body) for v in views if (body := v.region(0)) is not None)

    def named(self, parameter: str) -> ValueType | None:
        """The type of the argument for a parameter, or None."""
        value = self.value(parameter)
        return None if value is None else from_mlir(value.type)

    def value(self, parameter: str) -> Any:
        names = self.attributes["parameters"]
        return self.operation.operands[names.index(parameter)] if parameter in names else None

    def opened(self, value: Any) -> str | None:
        """The declared name behind a handle's value, where an `agent.open` made it."""
        from .. import _mlir

        made = _mlir.owner(value)
        if made is None or made.name != "agent.open" or "name" not in made.attributes:
            return None
        return made.attributes["name"].value


# --- rules on types --------------------------------------------------------------------------------------------------

QUANTITIES = frozenset({"Duration", "Money", "Bytesize", "Bandwidth", "Rate", "Energy", "Power", "Tokens"})
NUMBERS = frozenset({INT, FLOAT})
TEXT_FORM = frozenset({TEXT, INT, FLOAT, BOOL, JSON, *(Primitive(name) for name in QUANTITIES)})
"""What may stand in the hole of a template; an enum without payload may too, which is a law of the module."""


def is_data(given: ValueType) -> bool:
    """Whether values of that type are JSON-able data: no stream, handle, secret or sound."""
    match given:
        case Primitive(name):
            return name not in ("Audio", "Secret")
        case ListType(element) | MapType(element) | OptionType(element):
            return is_data(element)
        case _:
            return isinstance(given, RecordType | EnumType | TensorType)


def fits(given: ValueType, wanted: ValueType) -> bool:
    """Whether a value of type `given` may be used as `wanted`: the same type, an Int as a Float, `T` or `none` as `T?`,
    anything as Json that is JSON; inside lists and streams alike."""
    if given == wanted or (given, wanted) == (INT, FLOAT):
        return True
    if isinstance(wanted, OptionType):
        return given == NONE or fits(given.element if isinstance(given, OptionType) else given, wanted.element)
    if wanted == JSON:
        return is_data(given)
    if isinstance(given, ListType) and isinstance(wanted, ListType):
        return given.element == NONE or fits(given.element, wanted.element)
    if isinstance(given, MapType) and isinstance(wanted, MapType):
        return given.element == NONE or fits(given.element, wanted.element)
    if isinstance(given, StreamType) and isinstance(wanted, StreamType):
        return fits(given.element, wanted.element)
    return False


def value_fits(value: object, wanted: ValueType) -> bool:
    """Whether plain data is a value of that type. Quantities are numbers in base units."""
    match wanted:
        case Primitive("Text" | "Secret"):
            return isinstance(value, str)
        case Primitive("Bool"):
            return isinstance(value, bool)
        case Primitive("Int"):
            return isinstance(value, int) and not isinstance(value, bool)
        case Primitive("Float"):
            return isinstance(value, (int, float)) and not isinstance(value, bool)
        case Primitive("None"):
            return value is None
        case Primitive("Json"):
            return True
        case Primitive(name) if name in QUANTITIES:
            return isinstance(value, (int, float)) and not isinstance(value, bool)
        case EnumType():
            # A case that holds nothing is its name, another a map from its name to what it holds.
            return isinstance(value, str) or (isinstance(value, dict) and len(list(_items(value))) == 1)
        case RecordType():
            return isinstance(value, dict)
        case OptionType(element):
            return value is None or value_fits(value, element)
        case ListType(element):
            return isinstance(value, tuple) and all(value_fits(item, element) for item in _items(value))
        case MapType(element):
            return isinstance(value, dict) and all(value_fits(item, element) for item in _items(value.values()))  # pyright: ignore[reportUnknownArgumentType, reportUnknownMemberType]
        case _:
            return False


def _items(value: Any) -> Iterable[object]:
    return value


# --- rules on attributes ---------------------------------------------------------------------------------------------


def attribute_fits(value: Any, wanted: Is) -> bool:
    from .. import _mlir

    match wanted:
        case Is.TEXT:
            return isinstance(value, str)
        case Is.INTEGER:
            return isinstance(value, int) and not isinstance(value, bool)
        case Is.BOOLEAN:
            return isinstance(value, bool)
        case Is.TEXTS:
            return isinstance(value, tuple) and all(isinstance(item, str) for item in _items(value))
        case Is.ARRAY:
            return isinstance(value, tuple)
        case Is.MAP:
            return isinstance(value, dict)
        case Is.TYPE:
            return isinstance(value, _mlir.core.Type)
        case Is.ANYTHING:
            return True


def extends(view: View) -> Iterator[str]:
    """The rule of `extends`: there is something to add to, of the same type."""
    if view.attributes.get("extends") and view.operands[:1] != (view.result,):
        yield f"extends nothing that is {view.result}"


def arguments(view: View, required: tuple[str, ...] = (), known: tuple[str, ...] | None = None) -> Iterator[str]:
    """The rules of `parameters`: one name for each operand, each once, the required ones there, no unknown one."""
    names: tuple[str, ...] = view.attributes["parameters"]
    if len(names) != len(view.operation.operands):
        yield f"has {len(view.operation.operands)} operands but {len(names)} parameter names"
        return
    if len(set(names)) != len(names):
        yield "names a parameter twice"
    missing = [name for name in required if name not in names]
    if missing:
        yield f"lacks the argument {', '.join(missing)}"
    unknown = [name for name in names if known is not None and name not in known]
    if unknown:
        yield f"has no parameter {', '.join(unknown)}"
