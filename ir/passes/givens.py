"""What a test gives: calls that are answered there instead of running. A part of `inline_pipelines`.

    given order(1) = first                    f.order         found = order(id)
    given order(2) = second          =>       f.order.given   found = if id == 1 { first }
    f.order      found = order(id)                                    else { if id == 2 { second } else { order(id) } }

So a test's graph says all by itself, and whoever runs it needs to know nothing of givens. The first that fits answers;
a call that none fits runs. A model's answer is text: what stands for a document (`chat(…) into T`) is read as one, and
an answer where a stream is expected is sent as a stream by the kind `given:stream`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ...lang.types import BOOL, TEXT, ListType, StreamType, Type
from .. import _mlir
from ..dialect.types import from_mlir, to_mlir
from ..lower.names import Ids

STREAM = "given:stream"
_KNOWN = ("binding", "labels")

Put = Callable[[Any], Any]


class Givens:
    """The answers of one test, by the name of what they answer for."""

    def __init__(self, test: Any) -> None:
        self._stated = [operation for operation in _mlir.walk(test) if operation.name == "agent.given"]
        self._table: dict[str, list[Any]] = {}
        for given in self._stated:
            self._table.setdefault(given.attributes["name"].value, []).append(given)
        self._done: set[str] = set()

    def answer(self, operation: Any) -> bool:
        """Answer a call, if it is one of those and has not been; its own operation then stands in the last branch."""
        name = called(operation)
        if name not in self._table or _id(operation) in self._done:
            return False
        self._done.add(_id(operation))
        _Answers(operation).write(self._table[name])
        return True

    def finish(self) -> None:
        """Leave no given behind."""
        for given in self._stated:
            given.erase()


def called(operation: Any) -> str | None:
    """What a test would call this operation."""
    for name in ("callee", "known_as"):
        if name in operation.attributes:
            return operation.attributes[name].value
    return None


def _id(operation: Any) -> str:
    return operation.attributes["id"].value


class _Answers:
    """Writes the branches around one call."""

    def __init__(self, call: Any) -> None:
        self._call = call
        self._given = _mlir.attributes_of(call)
        self._results = [value.type for value in call.results]
        self._ids = Ids(f"{_id(call)}.given")
        self._arguments: dict[str, Any] = dict(zip(self._given["parameters"], call.operands, strict=True))

    def write(self, givens: list[Any]) -> None:
        kept = self._branch(givens, _mlir.core.InsertionPoint(self._call).insert)
        if not kept:
            self._call.erase()

    def _branch(self, givens: list[Any], put: Put, block: Any = None) -> bool:
        """One given after the other: outermost in place of the call, then at the end of the `block` for what has not
        fitted. Whether the call itself is kept, in the last of them."""
        if not givens:
            self._keep(block)
            return True
        given, *rest = givens
        known = {name: self._given[name] for name in _KNOWN if name in self._given} if block is None else {}
        condition = self._condition(given, put)
        if condition is None:
            self._result(block, self._value(given, put, known))
            return False
        made = self._make("agent.if", "if", (condition,), self._results, known, regions=2)
        put(made)
        self._result(block, made.results[0] if self._results else None)
        then, otherwise = (_mlir.block_of(region) for region in made.regions)
        self._hand_out(then, self._value(given, then.append, {}))
        return self._branch(rest, otherwise.append, otherwise)

    def _result(self, block: Any, value: Any) -> None:
        """Give a value in place of the call, or at the end of a block."""
        if block is not None:
            self._hand_out(block, value)
        elif value is not None:
            self._call.results[0].replace_all_uses_with(value)

    def _keep(self, block: Any) -> None:
        """The call itself, where no given fits."""
        if "binding" in self._call.attributes:
            del self._call.attributes["binding"]
        end = self._hand_out(block, self._call.results[0] if self._results else None)
        self._call.move_before(end)

    def _condition(self, given: Any, put: Put) -> Any:
        """Whether all arguments that the given states are equal; None where it states none."""
        whole = None
        for name, wanted in zip(_mlir.attributes_of(given)["parameters"], given.operands, strict=False):
            both = [self._data(value, put) for value in (self._arguments[name], wanted)]
            equal = self._put("agent.binary", "equal", tuple(both), BOOL, {"operator": "=="}, put)
            operands = (whole, equal)
            whole = (
                equal if whole is None else self._put("agent.binary", "and", operands, BOOL, {"operator": "and"}, put)
            )
        return whole

    def _data(self, value: Any, put: Put) -> Any:
        """A value that can be compared: all of a stream."""
        given = from_mlir(value.type)
        if not isinstance(given, StreamType):
            return value
        return self._put("agent.collect", "collect", (value,), collected(given), {}, put)

    def _value(self, given: Any, put: Put, known: dict[str, Any]) -> Any:
        """The answer as the call's result."""
        if not self._results:
            return None
        answer, wanted = given.operands[len(given.operands) - 1], from_mlir(self._results[0])
        if "schema" in self._given:
            return self._put("agent.parse", "parse", (answer,), wanted, {"schema": self._given["schema"], **known}, put)
        if isinstance(wanted, StreamType) and not isinstance(from_mlir(answer.type), StreamType):
            attributes = {"entry": STREAM, "parameters": ["value"], **known}
            return self._put("agent.stage", "stream", (answer,), wanted, attributes, put)
        return answer

    # --- making ------------------------------------------------------------------------------------------------------

    def _hand_out(self, block: Any, value: Any) -> Any:
        end = self._make("agent.yield", "yield", () if value is None else (value,), [], {})
        block.append(end)
        return end

    def _put(self, name: str, word: str, operands: tuple[Any, ...], result: Any, attributes: Any, put: Put) -> Any:
        made = self._make(name, word, operands, [to_mlir(result)], attributes)
        put(made)
        return made.results[0]

    def _make(
        self, name: str, word: str, operands: tuple[Any, ...], results: list[Any], attributes: Any, regions: int = 0
    ) -> Any:
        own = {"id": self._ids.take(word), **attributes}
        place = self._call.location
        return _mlir.create(name, operands=operands, results=results, attributes=own, regions=regions, place=place)


def collected(stream: StreamType) -> Type:
    """What all of a stream is: the texts joined, or a list."""
    return TEXT if stream.element == TEXT else ListType(stream.element)
