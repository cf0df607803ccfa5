"""What stands around a call: policies, fallbacks, what a newer input cancels.

They are no scopes: what they hold keeps the ids that it would have without them (`ask.chat`), so that adding a timeout
renames no stage. Only a fallback is below its operation (`ask.otherwise.chat`).
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from ...lang import program as p
from .. import _mlir
from ..dialect.policies import COUNTS, SECONDS
from .making import Form, Hint, Lowering, Scope, known, valueless
from .names import Ids


def _otherwise(lowering: Lowering, choice: p.Otherwise, scope: Scope, hint: Hint) -> Any:
    operation_id, _ = lowering.named(choice, scope, hint, "otherwise")
    without = valueless(choice)
    results = () if without else (choice.type,)
    attributes = {"reasons": choice.reasons, **known(choice, hint)}
    made = lowering.make("agent.try", choice.span, operation_id, (), results, attributes, regions=2)
    value, fallback = (_mlir.block_of(region) for region in made.regions)
    own = Ids(operation_id)
    for inside, expression in (
        (replace(scope, block=value), choice.value),
        (Scope(fallback, scope.names, own, own), choice.fallback),
    ):
        body = p.Block((), expression, expression.span)
        lowering.block(body, inside, "agent.yield", hint.output, not without, own.take("yield"))
    return lowering.append(made, scope)


def _with(lowering: Lowering, guarded: p.With, scope: Scope, hint: Hint) -> Any:
    operation_id, _ = lowering.named(guarded, scope, hint, "with")
    own = Ids(operation_id)
    policies = guarded.policies
    question = (
        ()
        if policies.approve is None
        else (lowering.value(policies.approve, replace(scope, inner=own), Hint("approve")),)
    )
    without = valueless(guarded)
    made = lowering.make(
        "agent.guard",
        guarded.span,
        operation_id,
        question,
        () if without else (guarded.type,),
        {"approve": policies.approve is not None, **attributes(policies), **known(guarded, hint)},
        regions=1,
    )
    inside = replace(scope, block=_mlir.block_of(made.regions[0]))
    body = p.Block((), guarded.call, guarded.call.span)
    lowering.block(body, inside, "agent.yield", hint.output, not without, own.take("yield"))
    return lowering.append(made, scope)


def attributes(policies: p.Policies) -> dict[str, Any]:
    """What is asked for, by name: amounts that are not zero, `drop` where it is not `wait`, `place`."""
    given: dict[str, Any] = {}
    for name in (*SECONDS, "rate"):
        # An amount of nothing is the default, but a timeout of nothing is a timeout.
        amount: float | None = getattr(policies, name)
        if amount is not None and (amount or name not in ("backoff", "breaker_pause")):
            given[name] = float(amount)
    given |= {name: count for name in COUNTS if (count := getattr(policies, name))}
    if policies.drop != "wait":
        given["drop"] = policies.drop
    if policies.place is not None:
        given["place"] = policies.place
    return given


def _interruptible(lowering: Lowering, expression: p.Interruptible, scope: Scope, hint: Hint) -> Any:
    operation_id, _ = lowering.named(expression, scope, hint, "interruptible")
    without = valueless(expression)
    results = () if without else (expression.type,)
    made = lowering.make(
        "agent.interruptible", expression.span, operation_id, (), results, known(expression, hint), regions=1
    )
    inside = replace(scope, block=_mlir.block_of(made.regions[0]), inner=scope.ids)
    lowering.block(expression.body, inside, "agent.yield", hint.output, not without, f"{operation_id}.yield")
    return lowering.append(made, scope)


FORMS: dict[type[p.Typed], Form] = {
    p.Otherwise: _otherwise,
    p.With: _with,
    p.Interruptible: _interruptible,
}
