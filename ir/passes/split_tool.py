"""A tool or index call becomes its parts: what waits, and what uses the CPU or a model.

    order   o = stage "http:get"(id) tool order        order.lookup   b = lookup "http:get"(id)       Bytes
                                                  =>   order.compute  o = compute "http:read"(b)      Order
    search  h = stage "search:search"(handbook, q)     search.embed   v = embed "embed:embed"(encoder, q)
                                                  =>   search.lookup  h = lookup "search:lookup"(handbook, v)
    rerank  r = stage "search:rerank"(judge, h)   =>   rerank         r = score "search:rerank"(judge, h)

What waits may stand where the network is or where the index lies, and take next to nothing; what computes takes a core,
and a model's work goes where that model is. The library says what a stage is made of (`Library.parts`): what is one
piece gets its operation's name, and of what it says nothing stays a stage.

The parts stand where the call stood, so a failure of each is one of the same region. The effects and settings are those
of the part that acts, the stated `needs` (CPU time, memory) those of the part that computes. The name and labels of the
result are the last part's.
"""

from __future__ import annotations

from typing import Any, cast

from ...base.problems import Problems
from ...lang.types import HandleType, Type
from .. import _mlir
from ..carried import RESULT, carried, put
from ..dialect.types import from_mlir, to_mlir
from ..graph import Handle, HandleName
from ..library import Called, Library, Part, Source
from ..lower.names import test_path
from ..read import handle_of
from .facts import bodies, text

_RESULT = ("binding", "labels", "also", "output")


def run(module: Any, library: Library) -> Problems:
    handles = {
        handle.name: handle
        for operation in _mlir.operations(_mlir.body(module))
        if operation.name == "agent.handle"
        for handle in (handle_of(_mlir.attributes_of(operation)),)
    }
    for body in bodies(module):
        opened = _Opened(body, handles)
        for operation in list(_mlir.walk(body)):
            # One that a test may still give an answer for is one call until it has.
            if operation.name == "agent.stage" and "known_as" not in operation.attributes:
                parts = library.parts(_called(operation, opened))
                if len(parts) == 1:
                    _named(operation, parts[0], opened)
                elif parts and "batch" not in operation.attributes:
                    _split(operation, parts, opened)
    return ()


class _Opened:
    """The handles of one pipeline or test: which value is which, and more of them at its top."""

    def __init__(self, body: Any, handles: dict[str, Handle]) -> None:
        self.handles = handles
        self._place = body.location
        self._block = body.regions[0].blocks[0]
        self._ids = {text(operation, "id") for operation in _mlir.walk(body)}
        self._own: dict[str, Any] = {}
        name = text(body, "name") or ""
        self._path = name if body.name == "agent.pipeline" else test_path(name)

    def of(self, value: Any) -> Handle | None:
        made = _mlir.owner(value)
        if made is None or made.name != "agent.open":
            return None
        return self.handles.get(text(made, "name") or "")

    def value(self, name: str) -> Any:
        """The value of a declared handle, opened at the top of the body."""
        if name not in self._own:
            self._own[name] = self._there(name) or self._open(name)
        return self._own[name]

    def _there(self, name: str) -> Any:
        for operation in _mlir.operations(self._block):
            if operation.name != "agent.open":
                break
            if text(operation, "name") == name:
                return operation.results[0]
        return None

    def _open(self, name: str) -> Any:
        given, number = f"{self._path}.open.{name}", 1
        while given in self._ids:
            number += 1
            given = f"{self._path}.open.{name}_{number}"
        self._ids.add(given)
        made = _mlir.create(
            "agent.open",
            results=[to_mlir(HandleType(self.handles[name].type))],
            attributes={"id": given, "name": name},
            place=self._place,  # not the call's, which may be that of an inlined one
        )
        _mlir.core.InsertionPoint.at_block_begin(self._block).insert(made)
        return made.results[0]


def _called(operation: Any, opened: _Opened) -> Called:
    given = _mlir.attributes_of(operation)
    names: tuple[str, ...] = given["parameters"]
    found = {name: opened.of(value) for name, value in zip(names, operation.operands, strict=True)}
    handles = {name: handle for name, handle in found.items() if handle is not None}
    # What a stage gives is of a type of the language.
    result = cast("Type", from_mlir(operation.results[0].type)) if len(operation.results) else None
    return Called(given["entry"], names, result, given.get("effects", ()), handles)


class _Call:
    """A call that becomes its parts."""

    def __init__(self, operation: Any, opened: _Opened) -> None:
        self.operation = operation
        self.given = _mlir.attributes_of(operation)
        self._opened = opened
        self._names: tuple[str, ...] = self.given["parameters"]
        self._made: list[Any] = []

    def operand(self, source: Source) -> Any:
        match source:
            case str():
                return self.operation.operands[self._names.index(source)]
            case int():
                return self._made[source]
            case (parameter, argument):
                handle = self._opened.of(self.operand(parameter))
                held = handle.arguments[argument] if handle is not None else None
                assert isinstance(held, HandleName), f"{parameter} was declared with no handle for {argument}"
                return self._opened.value(held.name)

    def put(self, part: Part, attributes: dict[str, Any]) -> Any:
        """A part before the call, in the place of what it takes."""
        whole = part.result is None
        result = [value.type for value in self.operation.results] if whole else [to_mlir(part.result)]
        made = _mlir.create(
            f"agent.{part.operator}",
            operands=[self.operand(source) for source in part.arguments.values()],
            results=result,
            attributes={"entry": part.entry, "parameters": list(part.arguments), **attributes},
            place=self.operation.location,
        )
        _mlir.core.InsertionPoint(self.operation).insert(made)
        for at, source in enumerate(part.arguments.values()):
            if isinstance(source, str):
                put(made, at, carried(self.operation, self._names.index(source)))
        if whole:
            put(made, RESULT, carried(self.operation, RESULT))
        self._made += list(made.results)
        return made

    def replace(self) -> None:
        """The last part gives what the call gave."""
        for value in self.operation.results:
            value.replace_all_uses_with(self._made[-1])
        self.operation.erase()


def _named(operation: Any, part: Part, opened: _Opened) -> None:
    call = _Call(operation, opened)
    own = {name: value for name, value in call.given.items() if name not in ("entry", "parameters", "carried")}
    call.put(part, own)
    call.replace()


def _split(operation: Any, parts: tuple[Part, ...], opened: _Opened) -> None:
    call = _Call(operation, opened)
    given = call.given
    known_as = _known_as(given, call, opened)
    for number, part in enumerate(parts):
        last = number == len(parts) - 1
        attributes: dict[str, Any] = {"id": f"{given['id']}.{_word(number, parts)}", "part_of": known_as}
        attributes |= {name: given[name] for name in ("tool",) if name in given}
        said = [source if isinstance(source, str) else "" for source in part.arguments.values()]
        if any(name not in ("", own) for name, own in zip(said, part.arguments, strict=True)):
            attributes["arguments"] = said
        if part.acts:
            # What it brings holds what the result holds.
            attributes |= {name: given[name] for name in ("settings", "effects", "labels") if name in given}
        if "needs" in given and part is _computing(parts):
            attributes["needs"] = given["needs"]
        if last:
            attributes |= {name: given[name] for name in _RESULT if name in given}
        else:
            attributes["partial"] = True
        call.put(part, attributes)
    call.replace()


def _word(number: int, parts: tuple[Part, ...]) -> str:
    """The part's word in its id: what it does, with a number where an earlier part does that too."""
    word = parts[number].operator
    before = sum(part.operator == word for part in parts[:number])
    return f"{word}_{before + 1}" if before else word


def _known_as(given: dict[str, Any], call: _Call, opened: _Opened) -> str:
    """What people call the whole call: the tool, or the handle and its method (`handbook.search`)."""
    if "tool" in given:
        return given["tool"]
    handle = opened.of(call.operand("self")) if "self" in given["parameters"] else None
    return f"{handle.name}.{given['entry'].partition(':')[2]}" if handle is not None else given["entry"]


def _computing(parts: tuple[Part, ...]) -> Part:
    """The part that takes the CPU and the memory that a call is said to need."""
    return next((each for each in parts if each.operator == "compute"), next(each for each in parts if each.acts))
