"""Calls of pipelines become what they call.

    pipeline find(question)                      pipeline answer(question)
      find.search   hits = search(question)        answer.redact        clean = redact(question)
      find.rerank   rerank(hits)              =>   answer.find.search   find.hits = search(clean)
    pipeline answer(question)                      answer.find.rerank   best = rerank(find.hits)
      answer.redact clean = redact(question)
      answer.find   best = find(clean)

The planner places stages, not pipelines: after this, each pipeline that may be run stands alone. Called pipelines stay
in the module, as they may be run too.

An id below the callee's name moves below the call's id; a binding or loop variable gets the call's path before it
(`find.hits`), which is how an `assume` block names it; a location becomes a call site, so that a problem points at the
stage and names the calls it came through. The result keeps the caller's name.

What a test gives an answer for is answered on the way, in the test only (see `givens`).

A pipeline that emits is a stream to who calls it: its body goes into an `agent.generator`, so that its items do not
leave by the caller. Only where its stream is the last that leaves the caller, they may.

    pipeline lines(t)   emit a; return rest    =>    f.lines   lines = generator { emit a; yield rest }
    pipeline f(t)       return all(lines(t))         f.collect all(lines)
"""

from __future__ import annotations

from typing import Any

from ...base.problems import Problems
from .. import _mlir, problems
from ..carried import carried, carry, declare, label
from ..dialect.agents import names_of
from ..dialect.control import sender
from ..library import Library
from ..lower.names import test_path
from .givens import Givens

DEEPEST = 100
"""How deep pipelines may call each other: what stands there is named by all of its callers."""
MOST_OPERATIONS = 20_000
"""What a pipeline may hold with all that it calls. Each call is a copy, so calls in calls grow without measure."""


def run(module: Any, library: Library) -> Problems:
    del library
    bodies = {
        _text(operation, "name"): operation
        for operation in _mlir.operations(_mlir.body(module))
        if operation.name == "agent.pipeline"
    }
    tests = [operation for operation in _mlir.operations(_mlir.body(module)) if operation.name == "agent.test"]
    givens = {_text(test, "name"): Givens(test) for test in tests}
    # A test may answer for a pipeline that others call, so it looks at them as they were.
    written = {name: body.clone().operation for name, body in bodies.items()} if tests else {}
    inliner = _Inliner(bodies)
    for name in bodies:
        inliner.finish(name, ())
    for test in tests:
        if not inliner.problems:
            inliner.inline_test(test, givens[_text(test, "name")], written)
    for copy in written.values():
        copy.erase()
    for operation in _mlir.walk(module):
        if "known_as" in operation.attributes:
            del operation.attributes["known_as"]
    return tuple(inliner.problems)


def _text(operation: Any, name: str) -> str:
    return operation.attributes[name].value


class _Inliner:
    def __init__(self, pipelines: dict[str, Any]) -> None:
        self.problems: list[Any] = []
        self._pipelines = pipelines
        # How many operations a pipeline holds once it is finished, and how deep its calls went.
        self._sizes: dict[str, int] = {}
        self._depths: dict[str, int] = {}
        self._full = False

    def finish(self, name: str, path: tuple[str, ...]) -> None:
        """Leave no call in that pipeline. Callees come first, so that what is copied holds no calls."""
        if name not in self._sizes:
            self.inline_into(self._pipelines[name], (*path, name))

    def inline_into(self, body: Any, path: tuple[str, ...]) -> None:
        operations = list(_mlir.walk(body))
        size, depth = len(operations), 0
        for call in [operation for operation in operations if operation.name == "agent.call"]:
            callee = _text(call, "callee")
            if callee in path:
                span = next(_mlir.spans(call.location), None)
                cycle = " calls ".join((*path[path.index(callee) :], callee))
                self.problems.append(problems.unsound(f"pipelines call each other without end: {cycle}", span))
                continue
            if len(path) <= DEEPEST:
                self.finish(callee, path)
            size += self._sizes.get(callee, 0)
            depth = max(depth, self._depths.get(callee, DEEPEST) + 1)
            if not self._fits(size, depth, call):
                break
            self._inline(call, self._pipelines[callee], body)
        self._sizes[path[-1]] = size
        self._depths[path[-1]] = depth

    def _fits(self, size: int, depth: int, call: Any) -> bool:
        """Whether a body may grow so large; else it is reported at the call, once, and nothing more is copied."""
        what = None
        if depth > DEEPEST:
            what = f"pipelines call each other deeper than {DEEPEST}"
        elif size > MOST_OPERATIONS:
            what = f"more than {MOST_OPERATIONS:,} operations, with all that is called"
        if what is not None and not self._full:
            span = next(_mlir.spans(call.location), None)
            hint = "call fewer pipelines from each other, or the same work in a `for` over a list"
            self.problems.append(problems.beyond_limits(what, span, hint))
            self._full = True
        return not self._full

    def inline_test(self, test: Any, givens: Givens, written: dict[str, Any]) -> None:
        """Leave no call in a test but what it runs: one level of calls after the other, each answered where the test
        says so. That calls end is known from the pipelines themselves."""
        more = True
        while more and not self.problems:
            answered = [givens.answer(operation) for operation in list(_mlir.walk(test))]
            calls = [operation for operation in _mlir.walk(test) if operation.name == "agent.call"]
            size = sum(self._sizes.get(_text(call, "callee"), 0) for call in calls)
            if calls and not self._fits(size, 0, calls[0]):
                break
            for call in calls:
                self._inline(call, written[_text(call, "callee")], test)
            more = bool(calls) or any(answered)
        givens.finish()

    def _inline(self, call: Any, pipeline: Any, body: Any) -> None:
        if not self.problems:
            _inline(call, pipeline, _text(pipeline, "name"), _path(body))


def _path(body: Any) -> str:
    """How the stage ids of a pipeline or test begin."""
    name = _text(body, "name")
    return test_path(name) if body.name == "agent.test" else name


def _emits(pipeline: Any) -> list[Any]:
    """What sends items of its stream out."""
    return [op for op in _mlir.walk(pipeline) if op.name == "agent.emit" and sender(op) == pipeline]


def _leaves_last(call: Any) -> bool:
    """Whether the call's stream is what its pipeline returns, and nothing else, and nothing is emitted behind the call:
    then what is emitted inside may as well leave by the pipeline itself."""
    uses = [use.owner.operation for use in call.results[0].uses]
    if len(uses) != 1 or uses[0].name not in ("agent.return", "agent.yield") or uses[0].parent != call.parent:
        return False
    around = call.parent
    if uses[0].name == "agent.yield" and around.name != "agent.generator":
        return False
    (block,) = around.regions[0].blocks
    inside = _mlir.operations(block)
    behind = inside[inside.index(call) + 1 :]
    return not any(
        op.name == "agent.emit" and sender(op) == around for each in behind for op in (each, *_mlir.walk(each))
    )


def _inline(call: Any, pipeline: Any, callee: str, caller: str) -> None:
    copy = pipeline.clone().operation
    block = copy.regions[0].blocks[0]
    given = _mlir.attributes_of(call)
    emits, last = _emits(copy), _mlir.operations(block)[-1]
    generates = bool(len(call.results)) and (bool(emits) or not last.operands) and not _leaves_last(call)
    for end in (*emits, last) if generates else emits:
        # What is declared of the stream of the call is declared of its items.
        declare(end, given.get("labels", ()))
    arguments = dict(zip(given["parameters"], call.operands, strict=True))
    at_call = {name: carried(call, index) for index, name in enumerate(given["parameters"])}
    for parameter, argument in zip(_mlir.attributes_of(pipeline)["parameters"], list(block.arguments), strict=True):
        carry(argument, at_call[parameter["name"]])
        argument.replace_all_uses_with(arguments[parameter["name"]])
    for operation in _mlir.walk(copy):
        _rename(operation, given["id"], callee, given["id"].removeprefix(f"{caller}."), given.get("output"))
        _mlir.set_location(operation, _mlir.call_site(operation.location, call.location))
    if generates:
        _into_generator(call, block, given)
    else:
        _before(call, block, given)
    call.erase()
    copy.erase()


def _into_generator(call: Any, block: Any, given: dict[str, Any]) -> None:
    """Put the callee's body into an operation in place of the call, which makes one stream of what leaves it."""
    known = {name: given[name] for name in ("id", "binding", "labels") if name in given}
    results = [value.type for value in call.results]
    made = _mlir.create("agent.generator", results=results, attributes=known, regions=1, place=call.location)
    _mlir.core.InsertionPoint(call).insert(made)
    *inner, last = _mlir.operations(block)
    body = _mlir.block_of(made.regions[0])
    for operation in inner:
        operation.detach_from_parent()
        body.append(operation)
    attributes = _mlir.attributes_of(last)
    body.append(_mlir.create("agent.yield", operands=list(last.operands), attributes=attributes, place=last.location))
    last.erase()
    call.results[0].replace_all_uses_with(made.results[0])


def _before(call: Any, block: Any, given: dict[str, Any]) -> None:
    """Put the callee's operations where the call is; what it returns takes the place of the call's result."""
    *inner, last = _mlir.operations(block)
    for operation in inner:
        operation.move_before(call)
    if len(call.results) and not last.operands:
        # Its items leave by `emit`, and so do the caller's now.
        (use,) = [each.owner.operation for each in call.results[0].uses]
        attributes = _mlir.attributes_of(use)
        _mlir.core.InsertionPoint(use).insert(_mlir.create(use.name, attributes=attributes, place=use.location))
        use.erase()
    elif len(call.results):
        result = last.operands[0]
        made = _mlir.owner(result)
        inside = made is not None and made in inner
        # What is handed through unchanged is the caller's own value: labelled only behind the call.
        carry(call.results[0], carried(last, 0).union(() if inside else given.get("labels", ())))
        call.results[0].replace_all_uses_with(result)
        if made is not None and inside:
            if "binding" in given:
                made.attributes["binding"] = call.attributes["binding"]
            label(made, given.get("labels", ()))
    last.erase()


def _rename(operation: Any, call_id: str, callee: str, path: str, output: str | None) -> None:
    """Put an operation of the callee below its call; `path` is the call's id without the caller's name."""
    if operation.name == "agent.arm":
        if "binders" in operation.attributes:
            names = [f"{path}.{name}" if name else "" for name in _mlir.plain(operation.attributes["binders"])]
            operation.attributes["binders"] = _mlir.attribute(names)
        return
    own = _text(operation, "id").removeprefix(f"{callee}.")
    operation.attributes["id"] = _mlir.attribute(f"{call_id}.{own}")
    for name in ("binding", "variable"):
        if name in operation.attributes:
            operation.attributes[name] = _mlir.attribute(f"{path}.{_text(operation, name)}")
    if operation.name == "agent.agent":
        names = {role: f"{path}.{name}" for role, name in names_of(_mlir.attributes_of(operation)).items()}
        operation.attributes["names"] = _mlir.attribute(names)
    if "output" in operation.attributes:
        name = _text(operation, "output")
        # The reply that the callee returns is the caller's `output` where the caller returns it or binds it.
        new = (output or path) if name == callee else f"{path}.{name}"
        operation.attributes["output"] = _mlir.attribute(new)
