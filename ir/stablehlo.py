"""Model operations as StableHLO, nested in the module beside the pipelines that use them.

    module @writer { func @prefill_64_256(…)  func @decode_256(…) }
    "agent.prefill"(…) {functions = ["prefill_64_256"], …}

JAX exports functions as portable artifacts, bytes with a stable format; they are read into our context, cloned into one
module for each model handle, and renamed. No object is ever shared between JAX's copy of MLIR and ours. The bytes come
in as values: this module imports no JAX and knows no model.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ..base.problems import Problem, Problems
from . import _mlir, problems
from .artifact import STABLEHLO_VERSION
from .passes.split_llm import model_name

Artifacts = Mapping[str, Mapping[str, bytes]]
"""By model handle, then by function: `prefill_64_256`, `encode_8_64`. The part before the first `_` says whose work it
is."""

_WORK = {"agent.prefill": "prefill", "agent.decode": "decode", "agent.embed": "encode", "agent.score": "score"}
"""The functions that do the work of an operation, by how their names begin."""


def nest(module: Any, artifacts: Artifacts) -> tuple[Any, Problems]:
    """A clone of the module with the functions in it; None with a problem if an artifact cannot be read.

    KeyError for a handle that the module does not declare, or which has its functions already.
    """
    declared = {op.attributes["name"].value for op in _top(module) if op.name == "agent.handle"}
    unknown = set(artifacts) - declared | set(artifacts) & set(functions(module))
    if unknown:
        raise KeyError(", ".join(sorted(unknown)))
    made = module.clone().operation
    found: list[Problem] = []
    with _mlir.working():
        for handle, given in artifacts.items():
            nested = _mlir.nested_module(handle)
            for name, artifact in given.items():
                try:
                    _add(nested, name, artifact)
                except ValueError as error:
                    found.append(problems.function_unreadable(name, handle, str(error)))
            _mlir.body(made).append(nested)
            _link(made, handle, tuple(given))
    if found:
        return None, tuple(found)
    from .verify import verify

    bad = verify(made)
    return (None if bad else made), bad


def functions(module: Any) -> dict[str, dict[str, Any]]:
    """The linked functions, by handle and name: MLIR operations, for those inside `ir`."""
    return {
        nested.attributes["sym_name"].value: {
            inner.attributes["sym_name"].value: inner
            for inner in _mlir.operations(_mlir.body(nested))
            if inner.name == "func.func"
        }
        for nested in _top(module)
        if nested.name == "builtin.module" and "sym_name" in nested.attributes
    }


def describe(module: Any) -> list[str]:
    """A line for each function that a stage may call: its name, the tensors in and out by shape, and the number of its
    operations with those of its helpers. Bodies are left out, as different versions of JAX write different ones."""
    lines: list[str] = []
    for handle, given in functions(module).items():
        for name, operation in given.items():
            if "." in name:
                continue
            kind = _mlir.core.TypeAttr(operation.attributes["function_type"]).value
            mine = [each for other, each in given.items() if other == name or other.startswith(f"{name}.")]
            count = sum(1 for each in mine for _ in _mlir.walk(each))
            lines.append(
                f"function @{handle}::@{name}({_shapes(kind.inputs)}) -> ({_shapes(kind.results)}), {count} operations"
            )
    return lines


def _shapes(types: Any) -> str:
    counts: dict[str, int] = {}
    for given in types:
        counts[str(given)] = counts.get(str(given), 0) + 1
    return ", ".join(shape if count == 1 else f"{count} x {shape}" for shape, count in counts.items())


def portable(module: Any, handle: str, name: str) -> bytes:
    """A linked function as a portable artifact again, with its helpers, under the name `main`."""
    with _mlir.working():
        shlo = _mlir.stablehlo()
        alone = _mlir.core.Module.create(_mlir.location(None)).operation
        for other, operation in functions(module)[handle].items():
            if other == name or other.startswith(f"{name}."):
                _mlir.body(alone).append(operation.clone().operation)
        _rename(alone, name, "main")
        return shlo.serialize_portable_artifact_str(_mlir.text(alone), STABLEHLO_VERSION)


def _top(module: Any) -> list[Any]:
    return _mlir.operations(_mlir.body(module))


def _add(nested: Any, name: str, artifact: bytes) -> None:
    """Clone an artifact's functions, `main` as `name` and its helpers as `name.helper`. ValueError if it is broken."""
    shlo = _mlir.stablehlo()
    with _quiet() as said:
        try:
            alone = shlo.deserialize_portable_artifact(_mlir.context(), artifact).operation
        except ValueError as error:
            raise ValueError(said[0] if said else str(error)) from error
    names = [op.attributes["sym_name"].value for op in _top(alone) if "sym_name" in op.attributes]
    if "main" not in names:
        raise ValueError("it has no function 'main'")
    # Helpers first: one of them may bear the name that `main` gets.
    for helper in sorted(names, key=lambda each: each == "main"):
        _rename(alone, helper, name if helper == "main" else f"{name}.{helper}")
    for operation in _top(alone):
        _mlir.body(nested).append(operation.clone().operation)


def _rename(module: Any, old: str, new: str) -> None:
    table = _mlir.core.SymbolTable
    target = next(op for op in _top(module) if "sym_name" in op.attributes and op.attributes["sym_name"].value == old)
    table.replace_all_symbol_uses(old, new, module)
    target.attributes["sym_name"] = _mlir.attribute(new)


class _quiet:
    """Keeps what MLIR would print to the standard error, as texts."""

    def __enter__(self) -> list[str]:
        self._said: list[str] = []
        heard: Callable[[Any], bool] = self._hear
        self._handler = _mlir.context().attach_diagnostic_handler(heard)
        return self._said

    def _hear(self, diagnostic: Any) -> bool:
        self._said.append(diagnostic.message)
        return True

    def __exit__(self, *_: object) -> None:
        self._handler.detach()


def _link(module: Any, handle: str, names: tuple[str, ...]) -> None:
    """Tell the stages of a model which functions do their work."""
    for operation in _mlir.walk(module):
        work = _WORK.get(operation.name)
        if work is not None and model_name(operation.operands[0]) == handle:
            mine = [name for name in names if name.split("_", 1)[0] == work]
            operation.attributes["functions"] = _mlir.attribute(mine)
