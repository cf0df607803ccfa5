"""The child of `ir.foreign`: reads one module from its standard input and says on its standard output what it is.

Its limits come first, before anything of the module is looked at. Whatever it raises is for its parent to tell.
"""

from __future__ import annotations

import json
import sys
from typing import Any

from ..base.problems import Problems, has_errors

# Less than who asked has for sure, so that what is read here can be read there.
_STACK = 4 << 20


def _limit(seconds: float, memory: int) -> None:
    try:
        import resource
    except ImportError:  # no such module outside POSIX: the parent's clock is all there is
        return
    whole = max(1, int(seconds))
    wanted = {"AS": memory, "CPU": whole, "CORE": 0, "FSIZE": 0, "STACK": _STACK}
    for word, most in wanted.items():
        kind = getattr(resource, f"RLIMIT_{word}", None)
        if kind is None:
            continue
        _, hard = resource.getrlimit(kind)
        if hard != resource.RLIM_INFINITY:
            most = min(most, hard)
        try:
            resource.setrlimit(kind, (most, hard))
        except (OSError, ValueError):  # macOS refuses some of them
            continue


def _read(data: bytes, text: bool, graph: bool) -> tuple[dict[str, Any], Problems]:
    from . import _mlir
    from .compile import Module
    from .read import passes
    from .verify import diagnostics, newer, verify

    nothing: dict[str, Any] = {"text": None}
    try:
        operation = _mlir.parse(data.decode() if text else data)
    except _mlir.MLIRError as error:
        return nothing, (newer(data.decode()) if text else ()) or diagnostics(error)
    done = passes(operation)
    found = verify(operation, done)
    if has_errors(found):
        return nothing, found
    module = Module(operation, {}, done)
    if graph:
        found = _figures(operation)
        if found:
            return nothing, found
        module.graph()
    return {"text": module.text(), "passes": list(done), "digest": module.digest}, found


def _figures(module: Any) -> Problems:
    """The formulas in a module that are none. Its verifiers leave them alone, for a module of ours has only those that
    it wrote."""
    from . import _mlir, problems
    from .demand.data import demand_from, size_from
    from .formula import parse

    found: list[Any] = []
    with _mlir.working():
        for operation in _mlir.walk(module):
            given = _mlir.attributes_of(operation)
            try:
                if "times" in given:
                    parse(given["times"])
                if "demand" in given:
                    demand_from(given["demand"])
                for size in given.get("sizes", ()):
                    size_from(size)
            except (ValueError, TypeError, KeyError) as error:
                place = next(_mlir.spans(operation.location), None)
                found.append(problems.unsound(f"'{operation.name}' says something of its sizes: {error}", place))
    return tuple(found)


def _functions(data: bytes) -> dict[str, Any]:
    """For each portable function, what is wrong with it, or None. Each has its length in front, in eight bytes."""
    from . import _mlir

    said: list[str | None] = []
    at = 0
    with _mlir.working() as context:
        while at < len(data):
            end = at + 8 + int.from_bytes(data[at : at + 8], "little")
            try:
                module = _mlir.stablehlo().deserialize_portable_artifact(context, data[at + 8 : end]).operation
                module.verify()
                main = any(
                    operation.name == "func.func" and operation.attributes["sym_name"].value == "main"
                    for operation in _mlir.operations(_mlir.body(module))
                )
                said.append(None if main else "it has no function 'main'")
            except (ValueError, _mlir.MLIRError) as error:
                said.append(str(error).splitlines()[0] if str(error) else "it cannot be read")
            at = end
    return {"functions": said}


def main() -> None:
    from .foreign import as_data

    options = json.loads(sys.argv[1])
    _limit(options["seconds"], options["memory"])
    data = sys.stdin.buffer.read()
    if options["what"] == "functions":
        answer = _functions(data)
    else:
        answer, found = _read(data, options["text"], options["graph"])
        answer["problems"] = [as_data(problem) for problem in found]
    json.dump(answer, sys.stdout)


if __name__ == "__main__":
    main()
