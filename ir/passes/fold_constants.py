"""What is known before the program runs is computed now, and a branch that is known to be taken stands alone.

    limit = 2 * 16                             limit = 32
    style = "short"
    ask   = template [style, ": ", question]   ask = template ["short: ", question]
    if limit > 100 { a(ask) }            =>    b(ask)
    else { b(ask) }

Pure operations of which all operands are constants become constants; a hole of a template whose value is known becomes
a part of its text; a field of a record that was just built, and the length of a list of so many items, are what they
are. Of an `if` or `match` over what is known the taken body stays, in its place: neither is a region of its own for
failures.

The arithmetic is that of `ir.meaning`, which the machine uses too. What has no result (a division by zero, an element
outside of its list) stays and fails when it runs, and what uses it stays, for without a use it would not be computed.
So does what would be a very large constant. Labels stop all this: a value that carries one is made where the program
makes it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from math import isfinite
from typing import Any, cast

from ...base.problems import Problems
from ...lang.types import JSON, OptionType, TurnType, Type
from .. import _mlir
from ..constants import decoded, encoded
from ..dialect.spec import value_fits
from ..dialect.types import from_mlir
from ..graph import Operation, Value
from ..library import Library
from ..meaning import PLAIN, element, widened
from ..texts import text_form
from .facts import MARKED, PURE, acting, acts, bodies, can_fail, forget, keep_acting, names_of, stand_for

LARGEST = 4096
"""Characters of texts and items of lists, maps and records that a new constant holds at most: constants that double a
few times are cheaper to compute than to carry."""


def run(module: Any, library: Library) -> Problems:
    del library
    for body in bodies(module):
        before, folding = acting(body), _Folding()
        folding.block(body.regions[0].blocks[0])
        forget(body, folding.gone)
        keep_acting(body, before)
    return ()


def _marked(operation: Any) -> bool:
    return any(name in operation.attributes for name in MARKED)


class _Folding:
    """One walk, in order: operands are folded before what uses them."""

    def __init__(self) -> None:
        self._known: dict[Any, Any] = {}
        # Values that some operation which can fail is computed for: without a use of theirs it might not be.
        self._risky: set[Any] = set()
        # How deep in bodies of a generator: what is emitted there makes them run.
        self._deep = 0
        self.gone: dict[str, None] = {}

    def block(self, block: Any) -> bool:
        """Fold what stands in a block; whether anything that is left in it is risky."""
        risky = False
        waiting = _mlir.operations(block)[::-1]
        while waiting:
            operation = waiting.pop()
            taken = self._taken(operation)
            if taken is not None:
                # What stood in the taken body stands here now, and is looked at next.
                waiting += reversed(self._splice(operation, taken))
                continue
            inside = self._bodies(operation)
            if operation.name in PURE and not _marked(operation):
                kept = self._fold(operation)
                if kept is None:
                    continue
                operation = kept
            if inside or self._is_risky(operation):
                risky = True
                self._risky.update(operation.results)
        return risky

    def _bodies(self, operation: Any) -> bool:
        outside = self._deep
        if operation.name == "agent.generator":
            self._deep = 1
        elif self._deep and operation.name != "agent.arm":
            self._deep += 1
        risky = False
        for region in operation.regions:
            for inner in region.blocks:
                risky |= self.block(inner)
        self._deep = outside
        return risky

    def _is_risky(self, operation: Any) -> bool:
        if operation.name in PURE and can_fail(operation):
            return True
        return bool(self._risky) and not acts(operation) and any(value in self._risky for value in operation.operands)

    # --- values ------------------------------------------------------------------------------------------------------

    def _fold(self, operation: Any) -> Any:
        """The operation that stands in its place now, if that is to be looked at further."""
        if operation.name == "agent.constant":
            self._known[operation.results[0]] = decoded(_mlir.plain(operation.attributes["value"]))
            return None
        operands = list(operation.operands)
        if operation.name == "agent.template":
            if any(value in self._known for value in operands) or not operands:
                return self._template(operation, operands)
        elif all(value in self._known for value in operands):
            given = from_mlir(operation.results[0].type)
            if operation.name != "agent.parse" and not isinstance(given, TurnType) and not _extended(operation):
                return self._compute(operation, [self._known[value] for value in operands])
        else:
            return self._simplify(operation, operands)
        return operation

    def _compute(self, operation: Any, values: list[Any]) -> Any:
        seen = _seen(operation)
        try:
            if seen.name == "agent.index":
                value = element(seen, values)
            elif seen.name == "agent.convert":
                source, target = cast(Type, seen.operands[0].type), cast(Type, seen.results[0].type)
                if seen.attributes.get("checked") or (target == JSON and source != JSON):
                    return operation
                value = widened(values[0], target, source)
            else:
                value = PLAIN[seen.name](seen, values)
        except (ArithmeticError, IndexError):
            return operation
        return self._put(operation, value)

    def _template(self, operation: Any, operands: list[Any]) -> Any:
        """Fill the holes that are known; the others stay, numbered anew."""
        parts: list[str | int] = []
        left: list[Any] = []
        for part in _mlir.plain(operation.attributes["parts"]):
            if isinstance(part, int):
                value = operands[part]
                if value not in self._known:
                    if value not in left:
                        left.append(value)
                    parts.append(left.index(value))
                    continue
                part = text_form(self._known[value], from_mlir(value.type))
            if parts and isinstance(parts[-1], str):
                parts[-1] += part
            else:
                parts.append(part)
        if sum(len(part) for part in parts if isinstance(part, str)) > LARGEST:
            return operation
        if not left:
            return self._put(operation, "".join(cast("list[str]", parts)))
        try:
            attributes = {**_kept(operation), "parts": _mlir.attribute([part for part in parts if part != ""])}
        except UnicodeError:
            return operation
        made = _mlir.create(
            operation.name,
            operands=left,
            results=[operation.results[0].type],
            attributes=attributes,
            place=operation.location,
        )
        _replace(operation, made)
        return made

    def _put(self, operation: Any, value: Any) -> Any:
        """The constant in the operation's place, where it can be one; else the operation."""
        result = operation.results[0]
        if not value_fits(value, from_mlir(result.type)) or not _small(value):
            return operation
        try:
            given = _mlir.attribute(encoded(value))
        except (OverflowError, UnicodeError):  # beyond 64 bits, or no characters
            return operation
        made = _mlir.create(
            "agent.constant",
            results=[result.type],
            attributes={**_kept(operation), "value": given},
            place=operation.location,
        )
        _replace(operation, made)
        self._known[made.results[0]] = value
        return None

    def _simplify(self, operation: Any, operands: list[Any]) -> Any:
        """What needs only some of its operands."""
        if not self._risky.isdisjoint(operands):
            return operation
        made = _mlir.owner(operands[0])
        if made is not None and (_marked(made) or "extends" in made.attributes):
            made = None
        match operation.name:
            case "agent.field" if made is not None and made.name == "agent.build":
                fields = _mlir.plain(made.attributes["fields"])
                name = operation.attributes["name"].value
                if name in fields:
                    return self._stand_in(operation, made.operands[fields.index(name)])
            case "agent.length" if made is not None and made.name == "agent.list":
                return self._put(operation, len(made.operands))
            case "agent.binary" if operation.attributes["operator"].value in ("and", "or"):
                whole = operation.attributes["operator"].value == "or"
                for value, other in (operands, operands[::-1]):
                    if value in self._known:
                        decided = self._known[value] == whole
                        return self._put(operation, whole) if decided else self._stand_in(operation, other)
            case _:
                pass
        return operation

    def _stand_in(self, operation: Any, value: Any) -> Any:
        """The value in the operation's place."""
        if value.type != operation.results[0].type:
            return operation
        made = _mlir.owner(value)
        if made is None:
            self.gone.update(dict.fromkeys(names_of(operation)))
            operation.results[0].replace_all_uses_with(value)
        else:
            stand_for(made, operation)
        operation.erase()
        return None

    # --- branches ----------------------------------------------------------------------------------------------------

    def _taken(self, operation: Any) -> Any:
        """The block that is taken for sure, where it can stand alone."""
        name = operation.name
        if name not in ("agent.if", "agent.match") or _marked(operation):
            return None
        subject = operation.operands[0]
        if name == "agent.if":
            if subject not in self._known:
                return None
            block = operation.regions[0 if self._known[subject] else 1].blocks[0]
        else:
            block = self._arm(operation, subject)
        if block is None or ((self._risky or self._deep > 1) and not self._spared(operation, block)):
            return None
        last = _mlir.operations(block)[-1]
        if _marked(last) or [value.type for value in last.operands] != [value.type for value in operation.results]:
            return None
        return block

    def _spared(self, operation: Any, taken: Any) -> bool:
        """Whether nothing that would go uses what is risky, or makes the body around run."""
        holders = [operation] if operation.name == "agent.if" else _mlir.operations(operation.regions[0].blocks[0])
        blocks = [region.blocks[0] for holder in holders for region in holder.regions]
        gone = [each for block in blocks if block != taken for each in _inside(block)]
        if self._deep > 1 and any(each.name == "agent.emit" for each in gone):
            return False
        return self._risky.isdisjoint(value for each in (operation, *gone) for value in each.operands)

    def _arm(self, operation: Any, subject: Any) -> Any:
        made = _mlir.owner(subject)
        payload: list[Any] = []
        if subject in self._known:
            value = self._known[subject]
            if isinstance(from_mlir(subject.type), OptionType):
                case = "none" if value is None else "some"
            else:
                case = value if isinstance(value, str) else next(iter(value))
        elif made is not None and made.name == "agent.case" and "extends" not in made.attributes:
            if _marked(made):
                return None
            case = made.attributes["case"].value
            payload = list(made.operands)
        else:
            return None
        arms = {arm.attributes["case"].value: arm for arm in _mlir.operations(operation.regions[0].blocks[0])}
        arm = arms.get(case) or arms.get("_")
        if arm is None or _marked(arm):
            return None
        block = arm.regions[0].blocks[0]
        arguments = list(block.arguments)
        for at, argument in enumerate(arguments):
            if next(iter(argument.uses), None) is None:
                continue
            # What a constant holds has no value of its own.
            if len(payload) != len(arguments) or payload[at].type != argument.type:
                return None
        for argument, value in zip(arguments, payload, strict=False):
            argument.replace_all_uses_with(value)
        return block

    def _splice(self, operation: Any, block: Any) -> list[Any]:
        *inner, last = _mlir.operations(block)
        for each in inner:
            each.move_before(operation)
        for result, value in zip(operation.results, last.operands, strict=True):
            made = _mlir.owner(value)
            if made is not None and len(made.results) == 1:
                stand_for(made, operation)
            else:
                result.replace_all_uses_with(value)
        for each in (operation, *_mlir.walk(operation)):
            self.gone.update(dict.fromkeys(names_of(each)))
        operation.erase()
        return inner


def _inside(block: Any) -> Iterator[Any]:
    for operation in _mlir.operations(block):
        yield operation
        yield from _mlir.walk(operation)


def _extended(operation: Any) -> bool:
    """Whether it is a part of something that is built in steps."""
    return any("extends" in use.owner.operation.attributes for value in operation.results for use in value.uses)


def _kept(operation: Any) -> Mapping[str, Any]:
    """What a new operation keeps of the one whose place it takes."""
    names = ("id", "binding", "also", "times")
    return {name: operation.attributes[name] for name in names if name in operation.attributes}


def _replace(operation: Any, made: Any) -> None:
    _mlir.core.InsertionPoint(operation).insert(made)
    operation.results[0].replace_all_uses_with(made.results[0])
    operation.erase()


def _seen(operation: Any) -> Operation:
    """The operation as `ir.meaning` reads it: its name, attributes and types."""
    return Operation(
        "",
        operation.name,
        tuple(Value(at, from_mlir(value.type)) for at, value in enumerate(operation.operands)),
        tuple(Value(-1, from_mlir(value.type)) for value in operation.results),
        _mlir.attributes_of(operation),
    )


def _small(value: Any) -> bool:
    """Whether a value is a constant that one would write: finite numbers, and not too many parts."""
    left = LARGEST
    for part in _parts(value):
        if isinstance(part, float) and not isfinite(part):
            return False
        left -= len(part) + 1 if isinstance(part, str | bytes) else 1
        if left < 0:
            return False
    return True


def _parts(value: Any) -> Iterator[Any]:
    if isinstance(value, Mapping):
        for name, item in cast("Mapping[str, Any]", value).items():
            yield name
            yield from _parts(item)
    elif isinstance(value, tuple | list):
        for item in cast("tuple[Any, ...]", value):
            yield from _parts(item)
    else:
        yield value
