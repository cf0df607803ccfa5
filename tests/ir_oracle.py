"""What a graph of any stage of the compiler means, without time: a stream is a list that is there at once.

Stages are toys, but each depends on all of its arguments, and a chat says the same in one piece as in five: a pass that
loses, swaps or repeats anything gives another value.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any
from zlib import crc32

from agentlang.executor.machine.semantics import PLAIN, joined, leaf
from agentlang.ir.graph import Graph, Operation, Region

Values = Mapping[int, Any]


def meaning(graph: Graph, pipeline: str, inputs: Mapping[str, object]) -> Any:
    """The value that a pipeline returns."""
    found = graph.pipeline(pipeline)
    values = {argument.id: inputs[argument.name or ""] for argument in found.body.arguments}
    return _region(graph, found.body, values)


def _region(graph: Graph, region: Region, outer: Values) -> Any:
    values = dict(outer)
    for operation in region.operations:
        operands = [values[operand.id] for operand in operation.operands]
        if operation.name in ("agent.return", "agent.yield"):
            return operands[0] if operands else None
        for result in operation.results:
            values[result.id] = _operation(graph, operation, operands, values)
    raise AssertionError("a region has no terminator")


def _operation(graph: Graph, operation: Operation, operands: list[Any], values: Values) -> Any:
    match operation.name:
        case "agent.open":
            return ("handle", operation.attributes["name"])
        case "agent.if":
            return _region(graph, operation.regions[0 if operands[0] else 1], values)
        case "agent.map":
            return _map(graph, operation, operands[0], values)
        case "agent.collect":
            return joined(operation, operands[0])
        case "agent.call":
            names = operation.attributes["parameters"]
            assert isinstance(names, tuple)
            inputs = {str(name): value for name, value in zip(names, operands, strict=True)}
            return meaning(graph, str(operation.attributes["callee"]), inputs)
        case name if name in PLAIN:
            return PLAIN[name](operation, operands)
        case _:
            entry, names = leaf(operation)
            return _STAGES[entry](**dict(zip(names, operands, strict=True)))


def _map(graph: Graph, operation: Operation, over: Any, values: Values) -> Any:
    body, where = operation.regions
    flat = isinstance(over, list) and operation.results[0].type == body.operations[-1].operands[0].type
    results: list[Any] = []
    for item in over:
        if where.operations and not _region(graph, where, {**values, where.arguments[0].id: item}):
            continue
        result = _region(graph, body, {**values, body.arguments[0].id: item})
        results.extend(result if flat else [result])
    return results if isinstance(over, list) else tuple(results)


def _chat(**arguments: Any) -> list[str]:
    tokens = _tokenize(self=arguments["self"], prompt=arguments["prompt"], system=arguments["system"])
    kv = ("kv", arguments["self"], tokens)
    steering = {name: arguments[name] for name in ("max_tokens", "temperature", "seed")}
    return _detokenize(
        self=arguments["self"], tokens=_decode(self=arguments["self"], kv=kv, **steering), stop=arguments["stop"]
    )


def _tokenize(**arguments: Any) -> Any:
    return ("tokens", tuple(sorted(arguments.items())))


def _decode(**arguments: Any) -> list[int]:
    # Depends on everything and on its order, and has sentences.
    said = f"{crc32(repr(sorted(arguments.items())).encode()):08x}"
    return [ord(letter) for letter in f"{said[:2]}.{said[2:]}"][: arguments["max_tokens"]]


def _detokenize(**arguments: Any) -> list[str]:
    assert arguments["self"][0] == "handle"
    return [chr(token) for token in arguments["tokens"] if chr(token) not in arguments["stop"]]


def _prefill(**arguments: Any) -> Any:
    return ("kv", arguments["self"], arguments["tokens"])


_STAGES: dict[str, Callable[..., Any]] = {
    "llm:chat": _chat,
    "llm:tokenize": _tokenize,
    "llm:prefill": _prefill,
    "llm:transfer": lambda kv: kv,
    "llm:decode": _decode,
    "llm:detokenize": _detokenize,
    "text:redact": lambda text: f"<{text}>"[:40],
    "text:join": lambda texts, separator: separator.join(texts)[:80],
    "text:split": lambda text, tokens: tuple(text[at : at + tokens] for at in range(0, min(len(text), 8), tokens)),
    "text:sentences": lambda text: "".join(text).split(".")[:4],
}
