"""Calls: of stages and tools, of models (`chat`, and `chat … into T`), of other pipelines; and the handles they use."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from ...base.units import Quantity, show
from ...lang import program as p
from ...lang.types import HandleType
from ..schema import canonical, json_schema
from .making import Form, Hint, Lowering, Scope
from .names import Ids

CHAT = "llm:chat"

_NEUTRAL: Mapping[str, float] = {"top_k": 0, "top_p": 1}
"""Arguments of a chat that change nothing when they are so. They are not said then: a call with fewer operands, whose
recordings are those of a chat that does not know them."""


def _handle(lowering: Lowering, expression: p.HandleReference, scope: Scope, hint: Hint) -> Any:
    del scope, hint
    return lowering.opened(expression.name, cast(HandleType, expression.type), expression.span)


def _stage(lowering: Lowering, call: p.StageCall, scope: Scope, hint: Hint) -> Any:
    if call.stage.entry == CHAT:
        return _chat(lowering, call, call, scope, hint, {})
    stage = call.stage
    operation_id = scope.ids.take(stage.name.rsplit(".", 1)[-1])
    operands, names = lowering.arguments(call.arguments, scope, Ids(operation_id), str)
    if stage.server is not None and "self" not in names:
        server = lowering.program.handle(stage.server)
        assert server is not None, f"{call.span}: {stage.name} is of a server that is not declared"
        operands = (lowering.opened(server.name, server.type, call.span), *operands)
        names = ["self", *names]
    attributes: dict[str, Any] = {"entry": stage.entry, "parameters": names, **tool_attributes(stage)}
    if stage.keyword == "tool":
        attributes["tool"] = stage.name
    attributes |= _known_as(lowering, call)
    if stage.needs:
        attributes["needs"] = {name: need.value for name, need in stage.needs.items()}
    return lowering.result("agent.stage", call, scope, operation_id, hint, operands, attributes)


def _into(lowering: Lowering, expression: p.Into, scope: Scope, hint: Hint) -> Any:
    program = lowering.program
    schema = canonical(json_schema(expression.type, program.records, program.enums))
    return _chat(lowering, expression.call, expression, scope, hint, {"schema": schema})


def _chat(
    lowering: Lowering, call: p.StageCall, whole: p.Expression, scope: Scope, hint: Hint, more: Mapping[str, Any]
) -> Any:
    operation_id = scope.ids.take(call.stage.name.rsplit(".", 1)[-1])
    operands, names = lowering.arguments(_steering(call), scope, Ids(operation_id), str)
    attributes = {"parameters": names, "output": lowering.output(hint, operation_id), **more}
    attributes |= _known_as(lowering, call)
    return lowering.result("agent.chat", whole, scope, operation_id, hint, operands, attributes)


def _steering(call: p.StageCall) -> tuple[p.Argument, ...]:
    """The arguments of a chat without those that change nothing."""

    def neutral(argument: p.Argument) -> bool:
        value = argument.value
        return isinstance(value, p.Literal) and argument.name in _NEUTRAL and value.value == _NEUTRAL[argument.name]

    return tuple(argument for argument in call.arguments if not neutral(argument))


def _known_as(lowering: Lowering, call: p.StageCall) -> dict[str, str]:
    """The name by which a test gives an answer for this stage: its own, or its handle's and the method's."""
    name = call.stage.name
    receiver = next((a.value for a in call.arguments if a.name == "self"), None)
    if isinstance(receiver, p.HandleReference) and call.stage.server is None:
        name = f"{receiver.name}.{name.rsplit('.', 1)[-1]}"
    return {"known_as": name} if name in lowering.answered else {}


def _call(lowering: Lowering, call: p.PipelineCall, scope: Scope, hint: Hint) -> Any:
    operation_id = scope.ids.take(call.pipeline)
    # Not below the call's own id: that is where the callee's operations go when it is inlined.
    prefix = operation_id.rsplit(".", 1)[-1]
    operands, names = lowering.arguments(call.arguments, scope, scope.ids, lambda name: f"{prefix}_{name}")
    attributes: dict[str, Any] = {"callee": call.pipeline, "parameters": names}
    if hint.output is not None:
        attributes["output"] = hint.output
    return lowering.result("agent.call", call, scope, operation_id, hint, operands, attributes)


def tool_attributes(stage: p.StageSignature) -> dict[str, Any]:
    """What a stage's declaration says beside its types: settings, and what it does to the world."""
    attributes: dict[str, Any] = {}
    if stage.settings:
        attributes["settings"] = stage.settings
    if stage.effects:
        attributes["effects"] = [_effect(effect) for effect in stage.effects]
    return attributes


def _effect(effect: p.Effect) -> str:
    what = show(effect.what) if isinstance(effect.what, Quantity) else effect.what
    return effect.kind if what is None else f"{effect.kind} {what}"


FORMS: dict[type[p.Typed], Form] = {
    p.HandleReference: _handle,
    p.StageCall: _stage,
    p.Into: _into,
    p.PipelineCall: _call,
}
