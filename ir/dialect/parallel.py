"""Operations of models that several devices share: one step of a model, in tensor- and expert-parallel shards.

A step stands beside the pipelines, once for each model and way of spreading it; the stages that run it (`agent.prefill`
once, from an empty cache; `agent.decode` for each token) name it. Its operations say on which `device` of the stage's
tier they are, by number, and what goes from device to device is an operation too. A hidden state is on all devices that
use it; a *partial* one is on the device that made it, and only a sum of all of them is a hidden state again. The types
keep one from standing for the other, and a model's from standing for another's.

    !agent.hidden<"m">    hidden states of the tokens of a step    !agent.routing<"m">   which expert each token goes to
    !agent.partial<"m">   what one shard adds to them              !agent.logits<"m">    behind the last token
    !agent.kv_shard<"m", [0, 4]>   the first of four parts of a KV cache, by key-value heads
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, cast

from ..graph import ActivationType, KvShardType, TokensType, ValueType
from .spec import MOST_OPERANDS, Is, RegionView, View, operation
from .types import from_mlir

_INSIDE = ("agent.step", "agent.layers")
_LAYER = ("agent.layers",)
_DEVICE = {"device": Is.INTEGER}
_SHARD = {"device": Is.INTEGER, "shard": Is.INTEGER, "shards": Is.INTEGER}


def is_a(given: ValueType | None, word: str) -> bool:
    return isinstance(given, ActivationType) and given.word == word


def _one_model(op: View) -> Iterator[str]:
    """All values are of one model."""
    models = {str(getattr(given, "model", "")) for given in (*op.operands, *op.results)}
    if len(models) > 1:
        yield f"mixes values of the models {', '.join(sorted(models))}"


def _takes(op: View, *words: str) -> Iterator[str]:
    """The operands are those, the last one any number of times."""
    wanted = [*words, *[words[-1]] * (len(op.operands) - len(words))]
    for given, word in zip(op.operands, wanted, strict=False):
        if not is_a(given, word):
            yield f"takes a {word}, not {given}"
    yield from _one_model(op)


def _gives(op: View, word: str) -> Iterator[str]:
    for given in op.results:
        if not is_a(given, word):
            yield f"gives a {word}, not {given}"


def _device(op: View) -> Iterator[str]:
    if op.attributes["device"] < 0:
        yield f"is on the device {op.attributes['device']}"


def _shard(op: View) -> Iterator[str]:
    if not 0 <= op.attributes["shard"] < op.attributes["shards"]:
        yield f"is shard {op.attributes['shard']} of {op.attributes['shards']}"


def group_of(op: View) -> tuple[int, ...]:
    return cast("tuple[int, ...]", op.attributes["group"])


def _group(op: View) -> Iterator[str]:
    group: tuple[object, ...] = op.attributes["group"]
    if not group or len(set(group)) != len(group) or not all(isinstance(each, int) and each >= 0 for each in group):
        yield f"is of a group that is not devices, each once: {list(group)}"


def _device_of(value: Any) -> int | None:
    """The device on which a value was made, where an operation says so."""
    from .. import _mlir

    made = _mlir.owner(value)
    return _mlir.attributes_of(made).get("device") if made is not None else None


def _summed(op: View) -> Iterator[str]:
    """Each device of the group adds one summand."""
    devices = [_device_of(value) for value in list(op.operation.operands)[1:]]
    if None not in devices and sorted(cast("list[int]", devices)) != sorted(group_of(op)):
        yield f"sums what the devices {devices} add, in the group {list(group_of(op))}"


# --- a step ----------------------------------------------------------------------------------------------------------


def _caches(given: tuple[ValueType, ...], model: str, shards: int) -> bool:
    return given == tuple(KvShardType(model, shard, shards) for shard in range(shards))


def _ends(body: RegionView) -> Iterator[str]:
    if body.terminator is None or body.terminator.name != "agent.give":
        yield "has a body that gives nothing"


def _step_body(op: View) -> Iterator[str]:
    body, model, tensor = op.region(0), op.attributes["model"], op.attributes["tensor"]
    if body is None:
        yield "has no body"
        return
    yield from _ends(body)
    if body.arguments[:1] != (TokensType(model),) or not _caches(body.arguments[1:], model, tensor):
        yield f"takes tokens<{model}> and its cache in {tensor} shards, not {', '.join(map(str, body.arguments))}"
    if body.results[:1] != (ActivationType("logits", model),) or not _caches(body.results[1:], model, tensor):
        yield f"gives logits<{model}> and its cache in {tensor} shards, not {', '.join(map(str, body.results))}"


@operation(
    "step",
    attributes={"name": Is.TEXT, "model": Is.TEXT, "tensor": Is.INTEGER, "expert": Is.INTEGER},
    optional={"weights": Is.ARRAY},
    results=(0, 0),
    regions=("body",),
    inside=("builtin.module",),
    verify_regions=_step_body,
)
def step(op: View) -> Iterator[str]:
    """One step of a model whose layers are in `tensor` shards, its experts in `expert` groups: the next tokens and what
    is cached of those before, to the logits behind them and the cache with them. Operations in it say what they need
    (`demand`) for a step of `tokens` tokens behind `past` ones; `weights` are the bytes of them that each device holds.

    "agent.step"() ({
    ^bb0(%ids: !agent.tokens<"m">, %0: !agent.kv_shard<"m", [0, 2]>, %1: !agent.kv_shard<"m", [1, 2]>):
      … "agent.give"(%logits, %2, %3)
    }) {name = "m.step_2", model = "m", tensor = 2 : i64, expert = 1 : i64, weights = [1.5e9, 1.2e9]} : () -> ()
    """
    if not op.attributes["name"]:
        yield "has no name"
    for name in ("tensor", "expert"):
        if op.attributes[name] < 1:
            yield f"has {op.attributes[name]} for {name!r}"
    weights: tuple[object, ...] = op.attributes.get("weights", ())
    if weights and len(weights) != max(op.attributes["tensor"], op.attributes["expert"]):
        yield f"says of {len(weights)} devices what they hold"


@operation("give", operands=(1, MOST_OPERANDS), results=(0, 0), inside=_INSIDE, terminator=True)
def give(op: View) -> Iterator[str]:
    """What a step, or one layer of it, hands on.

    "agent.give"(%hidden, %0, %1) : (!agent.hidden<"m">, !agent.kv_shard<"m", [0, 2]>, …) -> ()
    """
    yield from _one_model(op)


@operation("enter", operands=(1, 1), attributes=_DEVICE, inside=("agent.step",))
def enter(op: View) -> Iterator[str]:
    """The hidden states that tokens enter the layers with, from the table of the device; on all devices of the group.

    %1 = "agent.enter"(%0) {device = 0 : i64} : (!agent.tokens<"m">) -> !agent.hidden<"m">
    """
    if not isinstance(op.operands[0], TokensType):
        yield f"takes tokens, not {op.operands[0]}"
    yield from _one_model(op)
    yield from _gives(op, "hidden")
    yield from _device(op)


def _layers_body(op: View) -> Iterator[str]:
    body = op.region(0)
    if body is None:
        yield "has no body"
        return
    yield from _ends(body)
    if body.arguments != op.operands or body.results != op.results:
        yield "has a body that takes and gives something else than it does"
    for inner in body.operations:
        for value in inner.results:
            if is_a(from_mlir(value.type), "partial") and len(list(value.uses)) != 1:
                yield f"holds a summand of {inner.name} that is not summed once"


@operation(
    "layers",
    operands=(2, MOST_OPERANDS),
    results=(2, MOST_OPERANDS),
    attributes={"count": Is.INTEGER},
    regions=("body",),
    inside=("agent.step",),
    verify_regions=_layers_body,
)
def layers(op: View) -> Iterator[str]:
    """The layers, one after the other: the body for each, with its own weights. Each part of the cache holds that of
    all layers; in the body it is that of one.

    %3:3 = "agent.layers"(%1, %0, %2) ({ ^bb0(%h: !agent.hidden<"m">, %a: …, %b: …): … "agent.give"(%h2, %a2, %b2) })
      {count = 32 : i64} : (!agent.hidden<"m">, !agent.kv_shard<"m", [0, 2]>, …) -> (!agent.hidden<"m">, …)
    """
    if op.attributes["count"] < 1:
        yield f"has {op.attributes['count']} layers"
    if not is_a(op.operands[0], "hidden") or op.operands != op.results:
        yield "takes hidden states and the cache, and gives the same"
        return
    yield from _one_model(op)
    model = cast(ActivationType, op.operands[0]).model
    if not _caches(op.operands[1:], model, len(op.operands) - 1):
        yield "does not take all parts of the cache, in order"


# --- tensor parallelism ----------------------------------------------------------------------------------------------


@operation(
    "attention",
    operands=(2, 2),
    results=(2, 2),
    attributes={"device": Is.INTEGER, "heads": Is.INTEGER, "kv_heads": Is.INTEGER},
    inside=_LAYER,
)
def attention(op: View) -> Iterator[str]:
    """What some heads of a layer add to the hidden states: `heads` of queries, which share `kv_heads` of keys and
    values, and their part of the cache, with the step's positions. Which ones the type of that part says.

    %2, %3 = "agent.attention"(%h, %0) {device = 1 : i64, heads = 16 : i64, kv_heads = 4 : i64}
      : (!agent.hidden<"m">, !agent.kv_shard<"m", [1, 2]>) -> (!agent.partial<"m">, !agent.kv_shard<"m", [1, 2]>)
    """
    hidden, cache = op.operands
    added, filled = op.results
    if not is_a(hidden, "hidden") or not is_a(added, "partial"):
        yield f"takes a hidden and gives a partial, not {hidden} and {added}"
    if not isinstance(cache, KvShardType) or cache != filled:
        yield f"takes a part of the cache and gives it, not {cache} and {filled}"
    heads, kv_heads = op.attributes["heads"], op.attributes["kv_heads"]
    if not 1 <= kv_heads <= heads or heads % kv_heads:
        yield f"has {heads} heads that cannot share {kv_heads}"
    yield from _one_model(op)
    yield from _device(op)


@operation("feed_forward", operands=(1, 1), attributes={**_SHARD, "width": Is.INTEGER}, inside=_LAYER)
def feed_forward(op: View) -> Iterator[str]:
    """What a part of a layer's feed-forward block adds to the hidden states: `width` of its inner numbers.

    %5 = "agent.feed_forward"(%4) {device = 1 : i64, shard = 1 : i64, shards = 2 : i64, width = 7168 : i64}
      : (!agent.hidden<"m">) -> !agent.partial<"m">
    """
    yield from _takes(op, "hidden")
    yield from _gives(op, "partial")
    yield from _device(op)
    yield from _shard(op)
    if op.attributes["width"] < 1:
        yield f"is {op.attributes['width']} wide"


@operation("all_reduce", operands=(2, MOST_OPERANDS), attributes={"group": Is.ARRAY}, inside=_LAYER)
def all_reduce(op: View) -> Iterator[str]:
    """The hidden states (the first operand) with what all devices of the `group` add to them, on each of these devices.
    In a ring each device sends `2 (n - 1) / n` times the bytes of the states; the `demand` is of all together.

    %4 = "agent.all_reduce"(%h, %2, %3) {group = [0, 1]}
      : (!agent.hidden<"m">, !agent.partial<"m">, !agent.partial<"m">) -> !agent.hidden<"m">
    """
    yield from _takes(op, "hidden", "partial")
    yield from _gives(op, "hidden")
    wrong = list(_group(op))
    yield from wrong or _summed(op)


@operation("leave", operands=(1, 1), attributes=_DEVICE, inside=("agent.step",))
def leave(op: View) -> Iterator[str]:
    """The logits behind the last token, by the output table of the device.

    %6 = "agent.leave"(%h) {device = 0 : i64} : (!agent.hidden<"m">) -> !agent.logits<"m">
    """
    yield from _takes(op, "hidden")
    yield from _gives(op, "logits")
    yield from _device(op)


# --- expert parallelism ----------------------------------------------------------------------------------------------


@operation(
    "route",
    operands=(1, 1),
    attributes={"device": Is.INTEGER, "experts": Is.INTEGER, "active": Is.INTEGER},
    inside=_LAYER,
)
def route(op: View) -> Iterator[str]:
    """To which of the `experts` each token goes (`active` of them), and what weight each has.

    %5 = "agent.route"(%4) {device = 0 : i64, experts = 128 : i64, active = 4 : i64}
      : (!agent.hidden<"m">) -> !agent.routing<"m">
    """
    yield from _takes(op, "hidden")
    yield from _gives(op, "routing")
    yield from _device(op)
    if not 1 <= op.attributes["active"] <= op.attributes["experts"]:
        yield f"sends tokens to {op.attributes['active']} of {op.attributes['experts']} experts"


@operation(
    "dispatch",
    operands=(2, 2),
    results=(2, MOST_OPERANDS),
    attributes={"device": Is.INTEGER, "group": Is.ARRAY},
    inside=_LAYER,
)
def dispatch(op: View) -> Iterator[str]:
    """Sends the hidden state of each token from its device to those of the `group` that hold one of its experts: what
    each of these gets, in the order of the group.

    %6:2 = "agent.dispatch"(%4, %5) {device = 0 : i64, group = [0, 1]}
      : (!agent.hidden<"m">, !agent.routing<"m">) -> (!agent.hidden<"m">, !agent.hidden<"m">)
    """
    yield from _takes(op, "hidden", "routing")
    yield from _gives(op, "hidden")
    yield from _device(op)
    yield from _group(op)
    if len(op.results) != len(group_of(op)):
        yield f"gives {len(op.results)} devices what is for {len(group_of(op))}"


@operation(
    "experts",
    operands=(2, 2),
    attributes={**_SHARD, "first": Is.INTEGER, "count": Is.INTEGER, "width": Is.INTEGER},
    inside=_LAYER,
)
def experts(op: View) -> Iterator[str]:
    """What `count` experts from the `first` on add to the tokens that go to them, weighted: `width` of the inner
    numbers of each, a `shard` of `shards`.

    %7 = "agent.experts"(%6#1, %5) {device = 1 : i64, first = 64 : i64, count = 64 : i64,
      shard = 0 : i64, shards = 1 : i64, width = 2880 : i64}
      : (!agent.hidden<"m">, !agent.routing<"m">) -> !agent.partial<"m">
    """
    yield from _takes(op, "hidden", "routing")
    yield from _gives(op, "partial")
    yield from _device(op)
    yield from _shard(op)
    if op.attributes["first"] < 0 or op.attributes["count"] < 1 or op.attributes["width"] < 1:
        yield "holds no experts"


@operation(
    "combine",
    operands=(2, MOST_OPERANDS),
    attributes={"device": Is.INTEGER, "group": Is.ARRAY},
    inside=_LAYER,
)
def combine(op: View) -> Iterator[str]:
    """The hidden states (the first operand) with what the experts of the `group` add to them, sent back to one device.

    %8 = "agent.combine"(%4, %7, %9) {device = 0 : i64, group = [0, 1]}
      : (!agent.hidden<"m">, !agent.partial<"m">, !agent.partial<"m">) -> !agent.hidden<"m">
    """
    yield from _takes(op, "hidden", "partial")
    yield from _gives(op, "hidden")
    yield from _device(op)
    wrong = list(_group(op))
    yield from wrong or _summed(op)
