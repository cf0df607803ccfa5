"""Puts the labels that declarations give where the values are used (see `ir.carried`): of parameters, of what cases
hold, of results, and of the parts of a type wherever a value of it is taken whole."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ...lang import program as p
from ...lang.types import EnumType, ListType, MapType, OptionType, RecordType, StreamType, TurnType
from .. import _mlir
from ..carried import RESULT, carry, declare, put
from ..dialect.types import from_mlir

# What is made of a whole value holds whatever its parts hold; the rest takes a part, or passes the value on.
_WHOLE = ("agent.stage", "agent.chat", "agent.convert", "agent.length", "agent.binary", "agent.unary")
_ANSWERS = ("agent.stage", "agent.chat")
_CONTAINERS = ListType | MapType | OptionType | StreamType | TurnType

Labels = frozenset[str]
_NONE: Labels = frozenset()


class Carrying:
    """The labels of one program's declarations."""

    def __init__(self, program: p.Program) -> None:
        self._program = program
        self._parts: dict[str, Labels] = {}
        cases = (case.payload for enum in program.enums.values() for case in enum.cases)
        fields = (*(record.fields for record in program.records.values()), *cases)
        self._any = any(field.labels for group in fields for field in group)

    def put(self, body: Any, parameters: Iterable[p.Parameter] = (), result: Labels = _NONE) -> None:
        """Into a lowered pipeline or test."""
        block = body.regions[0].blocks[0]
        for argument, parameter in zip(block.arguments, parameters, strict=False):
            carry(argument, parameter.labels)
        if not self._any and not result:
            return
        operations = list(_mlir.walk(body))
        for operation in operations if self._any else ():
            if operation.name == "agent.match":
                self._cases(operation)
            elif operation.name in _WHOLE:
                self._whole(operation)
            elif operation.name == "agent.agent":
                self._agent(operation)
        if result:
            for operation in operations:
                if operation.name == "agent.emit":
                    declare(operation, result)
            declare(_mlir.operations(block)[-1], result)

    def _whole(self, operation: Any) -> None:
        for index, operand in enumerate(operation.operands):
            put(operation, index, self._held(from_mlir(operand.type)))
        if operation.name in _ANSWERS and len(operation.results):
            put(operation, RESULT, self._held(from_mlir(operation.results[0].type)))

    def _agent(self, agent: Any) -> None:
        """Of a reply, which becomes a message whole, and of an answer."""
        reply = agent.regions[0].blocks[0].operations[-1].operands[0]
        put(agent, "reply", self._held(from_mlir(reply.type)))
        put(agent, "answer", self._held(from_mlir(agent.results[0].type)))

    def _cases(self, match: Any) -> None:
        subject = from_mlir(match.operands[0].type)
        enum = self._program.enums.get(subject.name) if isinstance(subject, EnumType) else None
        if enum is None:
            return
        cases = {case.name: case.payload for case in enum.cases}
        for arm in _mlir.operations(match.regions[0].blocks[0]):
            payload = cases.get(arm.attributes["case"].value, ())
            for argument, field in zip(arm.regions[0].blocks[0].arguments, payload, strict=False):
                carry(argument, field.labels)

    def _held(self, type: object) -> Labels:
        """The labels of the parts of a type's values."""
        while isinstance(type, _CONTAINERS):
            type = type.element
        if not isinstance(type, RecordType | EnumType):
            return _NONE
        if type.name not in self._parts:
            self._parts[type.name] = self._below(type)
        return self._parts[type.name]

    def _below(self, type: RecordType | EnumType) -> Labels:
        """A type may hold itself, so this looks at each once."""
        found: set[str] = set()
        seen: set[str] = set()
        waiting: list[object] = [type]
        while waiting:
            each = waiting.pop()
            while isinstance(each, _CONTAINERS):
                each = each.element
            if isinstance(each, RecordType | EnumType) and each.name not in seen:
                seen.add(each.name)
                for field in self._fields(each):
                    found |= field.labels
                    waiting.append(field.type)
        return frozenset(found)

    def _fields(self, type: RecordType | EnumType) -> Iterable[p.Parameter]:
        if isinstance(type, RecordType):
            record = self._program.records.get(type.name)
            return record.fields if record else ()
        enum = self._program.enums.get(type.name)
        return [field for case in enum.cases for field in case.payload] if enum else ()
