"""Whether a pass keeps what a program means, three ways: by the oracle, on the real machine with toy stages that take
their time, and on the null backend with the answers that were recorded before the pass.

    before, after = passed(program, "share_duplicates")
    keeps_meaning(before, after)

Any pass, or several, can be put through: `passed` runs what the pass needs before it. Of a machine's run the calls are
known too (`calls`), by entry and arguments: a pass may make fewer, and none that is new, but for calls that only
compute (`Library.harmless`).
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from zlib import crc32

import anyio
import ir_oracle
import ir_programs as P
from ir_oracle import outcome
from ir_values import some

from agentlang.executor.backends import Backend, Call
from agentlang.executor.backends.batches import each, single, singles
from agentlang.executor.backends.local import LocalBackend
from agentlang.executor.backends.null import Answer, NullBackend
from agentlang.executor.clock import VirtualEventLoop
from agentlang.executor.deployment import Deployment
from agentlang.executor.frames import End, Item
from agentlang.executor.machine.orders import HandleValue
from agentlang.executor.machine.semantics import leaf
from agentlang.executor.shell import open_shell
from agentlang.ir import compile as irc
from agentlang.ir.compile import Module
from agentlang.ir.fused import FUSED
from agentlang.ir.graph import Graph, GraphPipeline, Operation, walk
from agentlang.ir.library import Library
from agentlang.ir.passes import PASSES, PLAIN
from agentlang.lang import program as p
from agentlang.lang.types import INT, TEXT, ListType, StreamType

# What depends on time by the program's own will: which branch wins, what a deadline ends.
_TIMED = ("agent.race",)


def passed(program: p.Program, *names: str, library: Library | None = None, tests: bool = False) -> tuple[Module, ...]:
    """The module before the first of the passes, and after each of them. What is needed before it is done: the passes
    of `PLAIN` that stand before it."""
    library = library or P.SmallLibrary()
    module, problems = irc.lower(program, tests)
    assert module is not None, [problem.title for problem in problems]
    order = PASSES.index(names[0]) if names[0] in PASSES else len(PASSES)
    modules = [_run(module, library, [name for name in PLAIN if PASSES.index(name) < order])]
    for name in names:
        modules.append(_run(modules[-1], library, [name]))
    return tuple(modules)


def _run(module: Module, library: Library, names: Sequence[str]) -> Module:
    """The module after the passes. Verified and all laws checked after each."""
    made, problems = irc.run_passes(module, library, passes=names)
    assert made is not None, [problem.title for problem in problems]
    return made


def keeps_meaning(before: Module, after: Module, library: Library | None = None) -> None:
    """The same value, the same items in the same order, or the same failure; from every pipeline that can be run."""
    library = library or P.SmallLibrary()
    first, second = before.graph(), after.graph()
    for pipeline in first.pipelines:
        inputs = arguments(pipeline, first)
        if any(isinstance(given.type, StreamType) for given in pipeline.inputs):
            continue
        assert outcome(second, pipeline.name, inputs) == outcome(first, pipeline.name, inputs), pipeline.name
    ready = [
        _run(each, library, [name for name in PLAIN if name not in each.passes]).graph() for each in (before, after)
    ]
    for pipeline in ready[0].pipelines:
        if not any(operation.name in _TIMED for operation in walk(pipeline.body)):
            _runs_alike(ready[0], ready[1], pipeline, library)


def arguments(pipeline: GraphPipeline, graph: Graph | None = None) -> dict[str, object]:
    """Some value for each parameter: texts, a number, lists of texts; where the graph is given any data."""
    known: dict[object, Callable[[str], object]] = {
        TEXT: lambda name: name,
        INT: lambda _: 3,
        ListType(TEXT): lambda name: (name, f"{name}. 2"),
    }
    return {
        i.name: known[i.type](i.name) if i.type in known or graph is None else some(i.type, graph, i.name)
        for i in pipeline.inputs
    }


def _runs_alike(first: Graph, second: Graph, pipeline: GraphPipeline, library: Library) -> None:
    inputs = arguments(pipeline, first)
    before = run(first, pipeline.name, inputs)
    after = run(second, pipeline.name, inputs)
    assert after.result == before.result, (pipeline.name, before.result, after.result)
    if any(operation.name == FUSED for operation in walk(second.pipeline(pipeline.name).body)):
        # Where cheap stages take time they are not fused: once more, as they run on a real machine.
        quick = [run(each, pipeline.name, inputs, quick=library) for each in (first, second)]
        assert quick[1].result == quick[0].result == before.result, (pipeline.name, quick[0].result, quick[1].result)
        assert before.failed or not _new(*quick, library), _new(*quick, library)
    if before.failed:
        return
    assert not _new(before, after, library), _new(before, after, library)
    if not (before.clear and after.clear):
        return
    recorded = run(second, pipeline.name, inputs, tape=before.tape)
    assert recorded.result == before.result, (pipeline.name, before.result, recorded.result)


def _new(before: Ran, after: Ran, library: Library) -> list[tuple[str, str]]:
    """Calls that were not made before, and may be noticed."""
    new = after.calls - before.calls
    return [call for call in new if not call[0].startswith("llm:") and not library.harmless(call[0])]


# --- runs ------------------------------------------------------------------------------------------------------------


@dataclass
class Ran:
    """One run: how it ended, with its value or reason and what it sent; the calls that it made, and what they
    answered, which is `clear` if equal calls had equal answers."""

    result: tuple[object, ...] = ()
    failed: bool = False
    clear: bool = True
    calls: Counter[tuple[str, str]] = field(default_factory=Counter[tuple[str, str]])
    tape: dict[tuple[str, str], Any] = field(default_factory=dict[tuple[str, str], Any])


def run(
    graph: Graph,
    pipeline: str,
    inputs: Mapping[str, object],
    tape: Mapping[Any, Any] | None = None,
    quick: Library | None = None,
) -> Ran:
    """One run on the real machine and shell, on virtual time: with toy stages, or where there is a `tape` on the null
    backend with what that says (a call that is not there is answered by the toy, and is counted). Stages that are
    harmless to the library `quick` never wait."""
    ran = Ran()
    toys = _Toys(graph, ran, quick)
    backend: Backend = (
        LocalBackend(toys) if tape is None else NullBackend(lambda call: _recorded(call, graph, tape, ran))
    )

    async def main() -> None:
        items: list[object] = []
        last: Any = None
        async with open_shell(Deployment(graph), backend) as shell:
            running = shell.start(pipeline, inputs, approve=_granted)
            async with running:
                async for last in running:
                    if isinstance(last, Item):
                        items.append(last.output)
        assert isinstance(last, End)
        outcome = last.outcome
        ran.failed = outcome.status != "done"
        # What had left before a failure depends on time.
        ran.result = (outcome.status, outcome.reason) if ran.failed else (outcome.status, outcome.value, items)

    anyio.run(main, backend_options={"loop_factory": VirtualEventLoop})
    return ran


async def _granted(question: Any) -> bool:
    del question
    return True


def _plain(arguments: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: ("handle", value.name) if isinstance(value, HandleValue) else value for name, value in arguments.items()
    }


def _key(entry: str, arguments: Mapping[str, Any]) -> tuple[str, str]:
    known = {name: "~" if hasattr(value, "__anext__") else value for name, value in arguments.items()}
    return entry, repr(sorted(known.items()))


def _seconds(key: object) -> float:
    """Some time, short enough for every deadline, and another for each call."""
    return (crc32(repr(key).encode()) % 50) / 1000


class _Toys:
    """Kinds that answer as the oracle does, after some time; what they answer is written down."""

    def __init__(self, graph: Graph, ran: Ran, quick: Library | None = None) -> None:
        self._quick = quick
        self._operations = {o.id: o for pipeline in graph.pipelines for o in walk(pipeline.body)}
        self._graph = graph
        self._ran = ran

    def kind(self, entry: str) -> Any:
        streams = [o for o in self._operations.values() if o.attributes.get("entry") == entry]
        assert streams, entry
        gives_stream = any(isinstance(value.type, StreamType) for value in streams[0].results)
        if self._quick is not None and self._quick.harmless(entry):
            return self._at_once(entry)
        return self._stream(entry) if gives_stream else self._value(entry)

    def opener(self, entry: str) -> Any:
        async def opened(name: str, arguments: Mapping[str, object]) -> object:
            del arguments
            return ("handle", name)

        return opened

    async def _answer(self, entry: str, context: Any, arguments: Mapping[str, Any]) -> Any:
        del entry
        operation = self._operations[context.stage]
        if "batch" in operation.attributes:
            return tuple([await self._one(single(operation), given) for given in each(operation, arguments)])
        return await self._one(operation, arguments)

    async def _one(self, operation: Operation, arguments: Mapping[str, Any]) -> Any:
        key = _key(leaf(operation)[0], arguments)
        self._ran.calls[key] += 1
        whole = {n: [i async for i in v] if hasattr(v, "__anext__") else v for n, v in arguments.items()}
        await anyio.sleep(_seconds(key))
        value = answered(operation, whole, self._graph)
        # What reads a stream has no key of its own: where two differ, nobody can say which is meant.
        self._ran.clear &= self._ran.tape.setdefault(key, value) == value
        return value

    def _at_once(self, entry: str) -> Any:
        async def stage(context: Any, arguments: Mapping[str, Any]) -> object:
            self._ran.calls[_key(entry, arguments)] += 1
            return answered(self._operations[context.stage], arguments, self._graph)

        return stage

    def _value(self, entry: str) -> Any:
        async def stage(context: Any, arguments: Mapping[str, Any]) -> object:
            return await self._answer(entry, context, arguments)

        return stage

    def _stream(self, entry: str) -> Any:
        async def stage(context: Any, arguments: Mapping[str, Any]) -> AsyncIterator[object]:
            for item in await self._answer(entry, context, arguments):
                await anyio.sleep(0.001)
                yield item

        return stage


def answered(operation: Operation, arguments: Mapping[str, Any], graph: Graph) -> Any:
    """The oracle's answer; a decoder that has a schema says a document that the machine can read."""
    value = ir_oracle.answer(operation, arguments, graph)
    if operation.name == "agent.decode" and "schema" in operation.attributes:
        said = "".join(map(chr, value))
        return [ord(letter) for letter in json.dumps(ir_oracle.said(operation, said))]
    return value


def _recorded(call: Call, graph: Graph, tape: Mapping[Any, Any], ran: Ran) -> Answer:
    calls = singles(call)
    if calls is not None:
        answers = [_recorded(each, graph, tape, ran) for each in calls]
        return Answer(tuple(one.value for one in answers), seconds=sum(one.seconds for one in answers))
    arguments = _plain(call.arguments)
    key = _key(call.entry, arguments)
    ran.calls[key] += 1
    value = tape.get(key)
    if value is None:
        streams = {n: [] for n, v in arguments.items() if hasattr(v, "__anext__")}
        value = answered(call.operation, {**arguments, **streams}, graph)
    if call.streams:
        return Answer(items=tuple(value), seconds=_seconds(key), gap=0.001)
    return Answer(value, seconds=_seconds(key))
