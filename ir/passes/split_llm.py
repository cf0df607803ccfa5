"""A chat call becomes its five stages.

    reply = chat(self, prompt, system, max_tokens, …)

    =>   ids  = tokenize(self, prompt, system)       tokens<writer>
         kv   = prefill(self, ids)                   kv<writer>
         kv'  = kv_transfer(kv)                      kv<writer>
         out  = decode(self, kv', max_tokens, …)     stream Int
         reply = detokenize(self, out, stop)         stream Text

With a schema (`chat(…) into T`) it steers decoding, and what was said is read as JSON at the end. How the next token
is chosen is made ready by a stage of its own, which needs no prompt: the grammar is compiled while that is prefilled. A
chat with a temperature has one too; a greedy one needs nothing of the kind.

         s    = sample(self, temperature, seed) {schema}       sampler<writer>
         out  = decode(self, kv', s, …) {schema}     stream Int
         said = detokenize(self, out, stop)          stream Text
         all  = collect(said)                        Text
         reply = parse(all) {schema, acts}           T

Such a call gives a value, so it runs whether anybody uses that or not: its last part says so (`acts`).

Prefill is bound by compute and decode by memory bandwidth, so a plan may put them on different machines; the transfer
of the KV cache is then a stage with a cost of its own. On one machine it is the identity. (Splitwise, DistServe and
the paper that this language follows split alike.)

The ids are the chat's with the stage behind it (`hello.chat.prefill`). All are at the chat's place in the source.
"""

from __future__ import annotations

from typing import Any

from ...base.problems import Problems
from ...lang.types import INT, TEXT, StreamType
from .. import _mlir
from ..carried import RESULT, carried, put
from ..dialect.stages import SAMPLING
from ..dialect.types import from_mlir, to_mlir
from ..graph import KvType, SamplerType, TokensType, ValueType
from ..library import Library

# Who gets which argument of the chat. Anything else (a sampling option that is yet to come) steers decoding.
TOKENIZE = ("prompt", "messages", "system")
DETOKENIZE = ("stop",)

# The operator of a stage, where it is not the stage's word.
_OPERATORS = {"transfer": "kv_transfer"}


def run(module: Any, library: Library) -> Problems:
    del library
    for operation in list(_mlir.walk(module)):
        if operation.name == "agent.chat":
            _split(operation)
    return ()


def _split(chat: Any) -> None:
    given = _mlir.attributes_of(chat)
    arguments: dict[str, Any] = dict(zip(given["parameters"], chat.operands, strict=True))
    model = arguments.pop("self")
    name = model_name(model)
    to_tokenize = {key: value for key, value in arguments.items() if key in TOKENIZE}
    to_detokenize = {key: value for key, value in arguments.items() if key in DETOKENIZE}
    to_decode = {key: value for key, value in arguments.items() if key not in to_tokenize and key not in to_detokenize}

    def add(word: str, result: ValueType, operands: list[Any], attributes: dict[str, Any]) -> Any:
        made = _mlir.create(
            f"agent.{_OPERATORS.get(word, word)}",
            operands=operands,
            results=[to_mlir(result)],
            attributes={"id": f"{given['id']}.{word}", **attributes},
            place=chat.location,
        )
        _mlir.core.InsertionPoint(chat).insert(made)
        return made.results[0]

    def stage(word: str, result: ValueType, extra: dict[str, Any] | None = None, **operands: Any) -> Any:
        attributes = {"entry": f"llm:{word}", "parameters": list(operands), **(extra or {})}
        value = add(word, result, list(operands.values()), attributes)
        for at, name in enumerate(operands):
            if name in given["parameters"]:
                put(_mlir.owner(value), at, carried(chat, given["parameters"].index(name)))
        return value

    tokens = stage("tokenize", TokensType(name), self=model, **to_tokenize)
    kv = stage("prefill", KvType(name), self=model, tokens=tokens)
    moved = stage("transfer", KvType(name), kv=kv)
    steering = {name: given[name] for name in ("output", "schema") if name in given}
    if "schema" in given or not _greedy(to_decode):
        choosing = {key: to_decode.pop(key) for key in SAMPLING if key in to_decode}
        schema_of = {"schema": given["schema"]} if "schema" in given else {}
        to_decode["sampler"] = stage("sample", SamplerType(name), schema_of, self=model, **choosing)
    ids = stage("decode", StreamType(INT), steering, self=model, kv=moved, **to_decode)
    known = {name: given[name] for name in ("binding", "labels") if name in given}
    schema = given.get("schema")
    held = carried(chat, RESULT)
    said = {} if schema is not None else known
    reply = stage("detokenize", StreamType(TEXT), said, self=model, tokens=ids, **to_detokenize)
    if schema is not None:
        whole = add("collect", TEXT, [reply], {})
        reply = add("parse", from_mlir(chat.results[0].type), [whole], {"schema": schema, "acts": True, **known})
        put(_mlir.owner(reply), RESULT, held)
    chat.results[0].replace_all_uses_with(reply)
    chat.erase()


def _greedy(arguments: dict[str, Any]) -> bool:
    """Whether a decode takes the likeliest token each time: then there is nothing to make ready for."""
    temperature = arguments.get("temperature")
    made = None if temperature is None else _mlir.owner(temperature)
    stated = made is not None and made.name == "agent.constant" and _mlir.plain(made.attributes["value"]) == 0
    return temperature is None or stated


def model_name(model: Any) -> str:
    """The declared name behind a handle, or the name of the parameter that it comes in by."""
    made = _mlir.owner(model)
    if made is not None and made.name == "agent.open":
        return made.attributes["name"].value
    pipeline = model.owner.owner
    parameters = _mlir.attributes_of(pipeline).get("parameters", ())
    return parameters[model.arg_number]["name"] if parameters else "model"
