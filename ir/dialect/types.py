"""The types of the `agent` dialect, and their way to and from the language's types.

Each primitive of the language is a type of its own (`!agent.text`, `!agent.duration`), so that a wrong one cannot pass
for another. Records, enums and handles are nominal, as in the language. `tokens` and `kv` name the model handle whose
vocabulary and cache they belong to: the KV cache of one model in the decode of another is a type error.

    Text            !agent.text                     [Text]          !agent.list_of<!agent.text>
    stream Text     !agent.stream_of<!agent.text>   T?              !agent.option_of<T>
    {Text: T}       !agent.map_of<T>                Answer          !agent.record_of<"Answer">
    llm.Model       !agent.handle_of<"llm.Model">   Tensor[f32, 8]  !agent.tensor<"f32", [8]>
    token ids       !agent.tokens<"writer">         KV cache        !agent.kv<"writer">
    how to choose   !agent.sampler<"writer">
    turn of Text    !agent.turn_of<!agent.text>
    under way       !agent.in_transit<T>            why a body fell  !agent.failure
    part of a cache !agent.kv_shard<"writer", [0, 4]>
    inside a step of a model: !agent.hidden<"writer">, !agent.partial, !agent.routing, !agent.logits

IRDL keeps types and operations of a dialect in one table of names; hence `list_of` beside the operation `agent.list`.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from ...lang.types import (
    PRIMITIVES,
    EnumType,
    HandleType,
    ListType,
    MapType,
    OptionType,
    Primitive,
    RecordType,
    StreamType,
    TensorType,
    TurnType,
)
from ..graph import (
    ActivationType,
    FailureType,
    InTransitType,
    KvShardType,
    KvType,
    SamplerType,
    TokensType,
    ValueType,
)

# `Tokens` (a quantity) would read like `tokens<model>` (token ids), so it has a name of its own.
PRIMITIVE_NAMES = {**{name: name.lower() for name in (*PRIMITIVES, "None")}, "Tokens": "token_count"}
_PRIMITIVES = {short: Primitive(name) for name, short in PRIMITIVE_NAMES.items()}

# Dialect name => the kinds of its parameters (`type`, `text`, `array`).
PARAMETRIC: dict[str, tuple[tuple[str, str], ...]] = {
    "list_of": (("element", "type"),),
    "map_of": (("element", "type"),),
    "option_of": (("element", "type"),),
    "stream_of": (("element", "type"),),
    "turn_of": (("element", "type"),),
    "tensor": (("dtype", "text"), ("shape", "array")),
    "record_of": (("record", "text"),),
    "enum_of": (("enum", "text"),),
    "handle_of": (("kind", "text"),),
    "tokens": (("model", "text"),),
    "kv": (("model", "text"),),
    "sampler": (("model", "text"),),
    "in_transit": (("element", "type"),),
    "failure": (),
    "hidden": (("model", "text"),),
    "partial": (("model", "text"),),
    "routing": (("model", "text"),),
    "logits": (("model", "text"),),
    "kv_shard": (("model", "text"), ("part", "array")),
}
_ACTIVATIONS = ("hidden", "partial", "routing", "logits")

_CONTAINERS: dict[str, Any] = {
    "list_of": ListType,
    "map_of": MapType,
    "option_of": OptionType,
    "stream_of": StreamType,
    "turn_of": TurnType,
    "in_transit": InTransitType,
}
_NAMED: dict[str, Any] = {
    "record_of": RecordType,
    "enum_of": EnumType,
    "handle_of": HandleType,
    "tokens": TokensType,
    "kv": KvType,
    "sampler": SamplerType,
}


@lru_cache(maxsize=4096)
def to_mlir(given: ValueType) -> Any:
    """The dialect's type for a type of the language (or `tokens`, `kv`), in the process's context."""
    from .. import _mlir

    def make(name: str, *parameters: object) -> Any:
        attributes = [_mlir.attribute(parameter) for parameter in parameters]
        return _mlir.core.DynamicType.get(f"agent.{name}", attributes)

    with _mlir.working():
        match given:
            case Primitive(name):
                return make(PRIMITIVE_NAMES[name])
            case TensorType(dtype, shape):
                return make("tensor", dtype, shape)
            case KvType(model):
                return make("kv", model)
            case TokensType(model):
                return make("tokens", model)
            case SamplerType(model):
                return make("sampler", model)
            case FailureType():
                return make("failure")
            case ActivationType(word, model):
                return make(word, model)
            case KvShardType(model, shard, shards):
                return make("kv_shard", model, (shard, shards))
            case ListType() | MapType() | OptionType() | StreamType() | TurnType() | InTransitType():
                name = next(name for name, made in _CONTAINERS.items() if isinstance(given, made))
                return make(name, to_mlir(given.element))
            case RecordType() | EnumType() | HandleType():
                return make(next(name for name, made in _NAMED.items() if isinstance(given, made)), given.name)


_KNOWN: dict[str, ValueType] = {}


def from_mlir(given: Any) -> ValueType:
    """The inverse of `to_mlir`. ValueError for a type of another dialect."""
    text = str(given)
    known = _KNOWN.get(text)
    if known is None:
        known = _KNOWN[text] = _parse(given, text)
    return known


def _parse(given: Any, text: str) -> ValueType:
    from .. import _mlir

    short = text.removeprefix("!agent.").split("<", 1)[0]
    if not text.startswith("!agent."):
        raise ValueError(f"{text} is no type of the agent dialect")
    if short in _PRIMITIVES:
        return _PRIMITIVES[short]
    if short == "failure":
        return FailureType()
    parameters = [_mlir.plain(_mlir.narrow(parameter)) for parameter in given.params]
    if short in _CONTAINERS:
        return _CONTAINERS[short](from_mlir(parameters[0]))
    if short in _NAMED:
        return _NAMED[short](parameters[0])
    if short in _ACTIVATIONS:
        return ActivationType(short, parameters[0])
    if short == "kv_shard":
        shard, shards = parameters[1]
        if not 0 <= shard < shards:
            raise ValueError(f"{text} is part {shard} of {shards}")
        return KvShardType(parameters[0], shard, shards)
    return TensorType(parameters[0], parameters[1])
