"""What a graph of any stage of the compiler means, without time: a stream is a list that is there at once.

Stages are toys, but each depends on all of its arguments, and a chat says the same in one piece as in five or seven: a
pass that loses, swaps or repeats anything gives another value. Of a race the first branch wins; an element outside of a
list fails, and the failure goes up to a fallback for it, or fails the run. What was emitted until then is gone.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any
from zlib import crc32

from ir_values import document, frozen, some

from agentlang.executor.backends.batches import each, single
from agentlang.executor.machine.faults import Fault
from agentlang.executor.machine.semantics import PLAIN, joined, leaf
from agentlang.ir.graph import Graph, Operation, Region
from agentlang.ir.live import live, only_live
from agentlang.ir.texts import text_form
from agentlang.lang.types import JSON, MapType, OptionType, StreamType

Values = Mapping[int, Any]
_SENT = -1
"""Where values hold the list of what was emitted so far: no value has this number."""


class Failed(Exception):
    """A failure of the program, by its reason."""


def outcome(graph: Graph, pipeline: str, inputs: Mapping[str, object]) -> Any:
    """The value that a pipeline returns, or how it fails."""
    try:
        return meaning(graph, pipeline, inputs)
    except Failed as failed:
        return ("failed", *failed.args)


def meaning(graph: Graph, pipeline: str, inputs: Mapping[str, object]) -> Any:
    """The value that a pipeline returns; raises `Failed`."""
    found = graph.pipeline(pipeline)
    values = {argument.id: inputs[argument.name or ""] for argument in found.body.arguments}
    # What nobody uses is not computed, and so does not fail.
    value, items = _sending(graph, only_live(found.body, live(found.body)), values)
    return items if isinstance(found.result, StreamType) else value


def expectations(graph: Graph, test: str) -> list[bool]:
    """What a test expects, one after the other: whether it holds."""
    (found,) = (each for each in graph.tests if each.name == test)
    values: dict[int, Any] = {_SENT: []}
    held: list[bool] = []
    for operation in found.body.operations:
        operands = [values[operand.id] for operand in operation.operands]
        if operation.name == "agent.expect":
            held.append(operands[0])
        for result in operation.results:
            values[result.id] = _operation(graph, operation, operands, values)
    return held


def _sending(graph: Graph, region: Region, outer: Values) -> tuple[Any, list[Any]]:
    """The value of a body, and the items of its stream: what it emits, then what it returns."""
    sent: list[Any] = []
    value = _region(graph, region, {**outer, _SENT: sent})
    return value, [*sent, *value] if isinstance(value, list) else sent


def _region(graph: Graph, region: Region, outer: Values) -> Any:
    values = dict(outer)
    for operation in region.operations:
        operands = [values[operand.id] for operand in operation.operands]
        if operation.name in ("agent.return", "agent.yield"):
            return operands[0] if operands else None
        if operation.name == "agent.emit":
            values[_SENT].extend(operands[0] if isinstance(operands[0], list) else operands)
            continue
        value = _operation(graph, operation, operands, values)
        for result in operation.results:
            values[result.id] = value
    raise AssertionError("a region has no terminator")


def _operation(graph: Graph, operation: Operation, operands: list[Any], values: Values) -> Any:
    match operation.name:
        case "agent.expect" | "agent.given":
            return None
        case "agent.open":
            return ("handle", operation.attributes["name"])
        case "agent.if":
            return _region(graph, operation.regions[0 if operands[0] else 1], values)
        case "agent.fused":
            return _region(graph, operation.regions[0], values)
        case "agent.generator":
            return _sending(graph, operation.regions[0], values)[1]
        case "agent.map":
            return _map(graph, operation, operands[0], values)
        case "agent.collect":
            return joined(operation, operands[0])
        case "agent.call":
            names = operation.attributes["parameters"]
            assert isinstance(names, tuple)
            inputs = {str(name): value for name, value in zip(names, operands, strict=True)}
            return meaning(graph, str(operation.attributes["callee"]), inputs)
        case "agent.match":
            return _match(graph, operation, operands[0], values)
        case "agent.agent":
            return _agent(graph, operation, operands[0], values)
        case "agent.repeat":
            return _repeat(graph, operation, operands[0], values)
        case "agent.race" | "agent.guard" | "agent.interruptible":
            return _region(graph, operation.regions[0], values)
        case "agent.try":
            there = len(values[_SENT])
            try:
                return _region(graph, operation.regions[0], values)
            except Failed as failed:
                if operation.attributes["reasons"] and failed.args[0] not in _texts(operation.attributes["reasons"]):
                    raise
            del values[_SENT][there:]
            return _region(graph, operation.regions[1], values)
        case name if name in _DATA:
            return _DATA[name](operation, *operands)
        case name if name in PLAIN:
            try:
                return PLAIN[name](operation, operands)
            except Fault as fault:
                raise Failed(fault.reason) from None
        case _:
            _, names = leaf(operation)
            return answer(operation, dict(zip(names, operands, strict=True)), graph)


def answer(operation: Operation, arguments: Mapping[str, Any], graph: Graph) -> Any:
    """What a leaf answers: a value, or a list for a stream. Handles are `("handle", name)`. A tool answers with some
    value of its type, which depends on its arguments."""
    if "batch" in operation.attributes:
        return tuple(answer(single(operation), given, graph) for given in each(operation, arguments))
    entry, _ = leaf(operation)
    if "part_of" in operation.attributes:
        # The last part does what the whole call does, with the arguments of that.
        arguments = _whole(operation, arguments)
        if operation.attributes.get("partial"):
            return ("part", tuple(sorted(arguments.items())))
        entry = str(operation.attributes["part_of"])
    if "tool" in operation.attributes:
        asked = repr((operation.attributes["tool"], sorted(arguments.items())))
        return some(operation.results[0].type, graph, asked)
    schema = operation.attributes.get("schema")
    if schema is None or operation.name == "agent.sample":
        return _STAGES[entry](**arguments)
    if operation.name == "agent.chat":
        return said(operation, "".join(_chat(**arguments, schema=schema)))
    return _decode(**arguments, schema=schema)


def _whole(operation: Operation, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments of the whole call that are known at one of its parts, by the names that the call has for them."""
    known: dict[str, Any] = {}
    for name, value in zip(
        _texts(operation.attributes.get("arguments", tuple(arguments))), arguments.values(), strict=True
    ):
        if isinstance(value, tuple) and value[:1] == ("part",):
            known |= dict(value[1])
        elif name:
            known[name] = value
    return known


def _map(graph: Graph, operation: Operation, over: Any, values: Values) -> Any:
    body, where = operation.regions
    given = body.operations[-1].operands
    flat = bool(operation.results) and [value.type for value in given] == [operation.results[0].type]
    results: list[Any] = []
    for item in over:
        if where.operations and not _region(graph, where, {**values, where.arguments[0].id: item}):
            continue
        result = _region(graph, body, {**values, body.arguments[0].id: item})
        results.extend(result if flat else [result])
    streams = any(isinstance(value.type, StreamType) for value in operation.results)
    return results if streams else tuple(results)


def _match(graph: Graph, operation: Operation, subject: Any, values: Values) -> Any:
    if isinstance(operation.operands[0].type, OptionType):
        case, payload = ("none", []) if subject is None else ("some", [subject])
    else:
        case, payload = (
            (subject, []) if isinstance(subject, str) else next((c, [*p.values()]) for c, p in subject.items())
        )
    cases = _texts(operation.attributes["cases"])
    region = operation.regions[cases.index(case) if case in cases else cases.index("_")]
    bound = {argument.id: value for argument, value in zip(region.arguments, payload, strict=False)}
    return _region(graph, region, {**values, **bound})


def _repeat(graph: Graph, operation: Operation, state: Any, values: Values) -> Any:
    (body,) = operation.regions
    for _ in range(int(str(operation.attributes["at_most"]))):
        stop, state = _region(graph, body, {**values, body.arguments[0].id: state})
        if stop:
            break
    return state


def _agent(graph: Graph, operation: Operation, said: Any, values: Values) -> Any:
    """Step by step, until a reply is an answer; the last step may only answer."""
    step, use, last = operation.regions
    for _ in range(int(str(operation.attributes["at_most"])) - 1):
        reply = _region(graph, step, {**values, step.arguments[0].id: said})
        if "Answer" in reply:
            answer = reply["Answer"]["answer"]
            if answer is not None:
                return answer
            break  # an option without a value is no answer
        gave = tuple(_region(graph, use, {**values, use.arguments[0].id: call}) for call in reply["Use"]["calls"])
        said = (*said, {"role": "Assistant", "text": text_form(reply, JSON)}, *gave)
    return _region(graph, last, {**values, last.arguments[0].id: said})


def _texts(given: object) -> tuple[str, ...]:
    assert isinstance(given, tuple)
    return tuple(str(each) for each in given)


def _index(operation: Operation, base: Any, at: Any) -> Any:
    if isinstance(operation.operands[0].type, MapType):
        return base.get(at)
    if not 0 <= at < len(base):
        raise Failed("bad_value")
    return base[at]


def _case(operation: Operation, *payload: Any) -> Any:
    fields = dict(zip(_texts(operation.attributes["fields"]), payload, strict=True))
    return {operation.attributes["case"]: fields} if fields else operation.attributes["case"]


def said(operation: Operation, text: str) -> Any:
    """The value that was said; some value that the schema allows, where it was none."""
    with suppress(ValueError):
        value = json.loads(text)
        if isinstance(value, str | dict):  # a toy may have said a digit
            return frozen(value)
    return frozen(document(json.loads(str(operation.attributes["schema"])), text))


_DATA: dict[str, Callable[..., Any]] = {
    "agent.table": lambda operation, *values: dict(zip(_texts(operation.attributes["keys"]), values, strict=True)),
    "agent.index": _index,
    "agent.case": _case,
    "agent.convert": lambda _, value: value,
    "agent.declassify": lambda _, value: value,
    "agent.buffered": lambda _, stream: stream,
    "agent.send": lambda _, value: value,
    "agent.receive": lambda _, value: value,
    "agent.turn": lambda operation, value: (operation.attributes["stop"], value),
    "agent.parse": said,
}


def _chat(**arguments: Any) -> list[str]:
    tokens = _tokenize(self=arguments["self"], prompt=arguments["prompt"], system=arguments["system"])
    kv = ("kv", arguments["self"], tokens)
    known = ("max_tokens", "temperature", "seed", "top_k", "top_p", "schema")
    steering = {name: arguments[name] for name in known if name in arguments}
    return _detokenize(
        self=arguments["self"], tokens=_decode(self=arguments["self"], kv=kv, **steering), stop=arguments["stop"]
    )


def _tokenize(**arguments: Any) -> Any:
    return ("tokens", tuple(sorted(arguments.items())))


def _decode(**arguments: Any) -> list[int]:
    if "sampler" in arguments:
        arguments |= dict(arguments.pop("sampler")[1])
    # Depends on everything and on its order, and has sentences.
    said = f"{crc32(repr(sorted(arguments.items())).encode()):08x}"
    return [ord(letter) for letter in f"{said[:2]}.{said[2:]}"][: arguments["max_tokens"]]


def _detokenize(**arguments: Any) -> list[str]:
    assert arguments["self"][0] == "handle"
    return [chr(token) for token in arguments["tokens"] if chr(token) not in arguments["stop"]]


def _prefill(**arguments: Any) -> Any:
    if arguments.get("prefix") is not None:
        assert _begins(arguments["tokens"], arguments["prefix"]), arguments
    return ("kv", arguments["self"], arguments["tokens"])


def _begins(tokens: Any, prefix: Any) -> bool:
    """Whether a prompt begins with what was prefilled ahead: in the same turn, or in the system text where that is all
    that was known."""
    whole, begun = dict(tokens[1]), dict(prefix[2][1])
    same = whole["self"] == begun["self"] == prefix[1]
    if not begun["prompt"]:
        return same and whole.get("system", "").startswith(begun.get("system", ""))
    return same and whole.get("system", "") == begun.get("system", "") and whole["prompt"].startswith(begun["prompt"])


_STAGES: dict[str, Callable[..., Any]] = {
    "llm:chat": _chat,
    "llm:tokenize": _tokenize,
    "llm:prefill": _prefill,
    "llm:transfer": lambda kv: kv,
    "llm:sample": lambda self, **chosen: ("sampler", tuple(sorted(chosen.items()))),
    "llm:decode": _decode,
    "llm:detokenize": _detokenize,
    "given:stream": lambda value: [value] if isinstance(value, str) else list(value),
    "text:lower": lambda text: text.lower(),
    "text:redact": lambda text: f"<{text}>"[:40],
    "text:join": lambda texts, separator: separator.join(texts)[:80],
    "text:split": lambda text, tokens: tuple(text[at : at + tokens] for at in range(0, min(len(text), 8), tokens)),
    "text:sentences": lambda text: "".join(text).split(".")[:4],
}
