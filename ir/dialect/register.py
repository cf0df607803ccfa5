"""From descriptions to `ext.Dialect` classes, registered in a context.

The classes live as long as the process, because the bindings do not keep the callables of verifiers alive.
"""

from __future__ import annotations

import types as python_types
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

from .. import _mlir
from . import (
    agents,
    branches,
    control,
    data,
    declarations,
    fleets,
    fused,
    operators,
    parallel,
    placed,
    policies,
    stages,
    values,
)
from .spec import OPERATIONS, Is, OpSpec, Verifier, View, attribute_fits
from .types import PARAMETRIC, PRIMITIVE_NAMES

# Importing these registers their operations.
MODULES = (
    *(values, data, stages, operators, control, branches, policies, agents, fused),
    *(declarations, fleets, placed, parallel),
)

_ATTRIBUTE_CLASSES = {
    Is.TEXT: "StringAttr",
    Is.INTEGER: "IntegerAttr",
    Is.TEXTS: "ArrayAttr",
    Is.ARRAY: "ArrayAttr",
    Is.MAP: "DictAttr",
}


def load() -> None:
    """Make the dialect known to the current context. Once per context."""
    _dialect().load()


@lru_cache(maxsize=1)
def _dialect() -> Any:
    ext = _mlir.ext()
    dialect: Any = python_types.new_class("Agent", (ext.Dialect,), {"name": "agent"})
    for short in PRIMITIVE_NAMES.values():
        _type(dialect, short, {})
    kinds = {"type": _mlir.core.TypeAttr, "text": _mlir.core.StringAttr, "array": _mlir.core.ArrayAttr}
    for short, parameters in PARAMETRIC.items():
        _type(dialect, short, {name: kinds[kind] for name, kind in parameters})
    for spec in OPERATIONS.values():
        _operation(dialect, ext, spec)
    return dialect


def _class(base: Any, keywords: dict[str, Any], body: dict[str, Any]) -> Any:
    name = "".join(part.capitalize() for part in keywords["name"].split("_"))
    return python_types.new_class(name, (base,), keywords, lambda space: space.update(body))


def _type(dialect: Any, short: str, parameters: dict[str, Any]) -> None:
    _class(dialect.Type, {"name": short}, {"__annotations__": parameters})


def _operation(dialect: Any, ext: Any, spec: OpSpec) -> None:
    core = _mlir.core
    annotations: dict[str, Any] = {}
    for kind, (least, most) in ((ext.Operand[Any], spec.operands), (ext.Result[Any], spec.results)):
        word = "operand" if most and kind == ext.Operand[Any] else "result"
        annotations |= {f"{word}_{i}": kind if i < least else kind | None for i in range(most)}
    for name, kind in spec.attributes.items():
        annotations[f"{name}"] = getattr(core, _ATTRIBUTE_CLASSES[kind]) if kind in _ATTRIBUTE_CLASSES else Any
    for name in spec.regions:
        annotations[f"{name}_region"] = core.Region
    body: dict[str, Any] = {
        "__doc__": spec.doc,
        "__annotations__": annotations,
        "verify_invariants": staticmethod(_checked(_generic(spec))),
    }
    if spec.verify_regions is not None:
        body["verify_region_invariants"] = staticmethod(_checked(spec.verify_regions))
    traits: list[Any] = []
    if spec.terminator:
        traits.append(core.IsTerminatorTrait)
    if spec.unterminated:
        traits.append(core.NoTerminatorTrait)
    if spec.pure:
        traits.append(ext.Pure)
    _class(dialect.Operation, {"name": spec.name, "traits": traits}, body)


def _checked(rules: Verifier) -> Any:
    """A verifier as the bindings want it: problems go out as diagnostics at the operation, the answer is a Bool."""

    def verify(given: Any) -> bool:
        operation = given.operation
        try:
            view = View(operation, _mlir.attributes_of(operation))
            wrong = list(rules(view))
        except (TypeError, ValueError) as error:
            # An attribute or type of another dialect, which no operation of ours may have.
            wrong = [f"has something foreign: {error}"]
        for text in wrong:
            operation.location.emit_error(f"'{operation.name}' {text}")
        return not wrong

    return verify


def _generic(spec: OpSpec) -> Verifier:
    """The rules that follow from the description, then the operation's own."""

    def rules(op: View) -> Iterator[str]:
        wrong = list(_shape(spec, op))
        yield from wrong or spec.verify(op)
        for name in op.attributes:
            if name not in spec.attributes and name not in spec.optional:
                yield f"has an attribute {name!r} that it does not know"
        parent = op.operation.parent
        if spec.inside and parent is not None and parent.name not in spec.inside:
            yield f"stands in {parent.name}, but belongs in {' or '.join(spec.inside)}"

    return rules


def _shape(spec: OpSpec, op: View) -> Iterator[str]:
    """What must hold before an operation's own rules can be asked. They run before those of IRDL."""
    operation = op.operation
    for word, count, (least, most) in (
        ("operands", len(operation.operands), spec.operands),
        ("results", len(operation.results), spec.results),
    ):
        if not least <= count <= most:
            yield f"has {count} {word}, and takes {least if least == most else f'{least} to {most}'}"
    if len(operation.regions) != len(spec.regions):
        yield f"has {len(operation.regions)} regions, and takes {len(spec.regions)}"
        return
    for name, region in zip(spec.regions, operation.regions, strict=True):
        if len(list(region.blocks)) > 1:
            yield f"has more than one block in its {name!r}"
    for name, kind in (*spec.attributes.items(), *spec.optional.items()):
        if name not in op.attributes:
            if name in spec.attributes:
                yield f"lacks the attribute {name!r}"
        elif not attribute_fits(op.attributes[name], kind):
            yield f"has an attribute {name!r} that is not {kind.value}"
