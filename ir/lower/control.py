"""Loops and choices: expressions with bodies that have names of their own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...lang import program as p
from ...lang.types import EnumType, OptionType, Type
from .. import _mlir
from ..dialect.types import to_mlir
from .making import Form, Hint, Lowering, Scope, known, own, valueless
from .names import Ids


def _map(lowering: Lowering, loop: p.MapOver, scope: Scope, hint: Hint) -> Any:
    operation_id, part = lowering.named(loop, scope, hint, "map")
    over = lowering.value(loop.over, part, Hint())
    without = valueless(loop)
    made = lowering.make(
        "agent.map",
        loop.span,
        operation_id,
        (over,),
        () if without else (loop.type,),
        {"variable": loop.variable, "at_most": loop.at_most, **known(loop, hint)},
        regions=2,
    )
    path = scope.ids.take(loop.variable)
    item = (to_mlir(loop.variable_type),), (_mlir.location(loop.span),)
    body = _mlir.block_of(made.regions[0], *item)
    inside = Ids(path)
    below = Ids(inside.take("where")) if loop.where is not None else inside
    names = scope.names.new_child({loop.variable: body.arguments[0]})
    lowering.block(loop.body, Scope(body, names, inside, inside), "agent.yield", hint.output, not without)
    if loop.where is not None:
        filtered = _mlir.block_of(made.regions[1], *item)
        names = scope.names.new_child({loop.variable: filtered.arguments[0]})
        condition = p.Block((), loop.where, loop.where.span)
        lowering.block(condition, Scope(filtered, names, below, below), "agent.yield", None)
    return lowering.append(made, scope)


def _if(lowering: Lowering, choice: p.If, scope: Scope, hint: Hint) -> Any:
    operation_id, part = lowering.named(choice, scope, hint, "if")
    below = own(operation_id, part)
    paths = (below.take("then"), below.take("otherwise"))
    condition = lowering.value(choice.condition, part, Hint())
    without = valueless(choice)
    made = lowering.make(
        "agent.if",
        choice.span,
        operation_id,
        (condition,),
        () if without else (choice.type,),
        known(choice, hint),
        regions=2,
    )
    for region, path, branch in zip(made.regions, paths, (choice.then, choice.otherwise), strict=True):
        ids = Ids(path)
        inside = Scope(_mlir.block_of(region), scope.names, ids, ids)
        lowering.block(branch, inside, "agent.yield", hint.output, not without)
    return lowering.append(made, scope)


def _match(lowering: Lowering, choice: p.Match, scope: Scope, hint: Hint) -> Any:
    operation_id, part = lowering.named(choice, scope, hint, "match")
    below = own(operation_id, part)
    paths = [below.take(arm.case or "_") for arm in choice.arms]
    subject = lowering.value(choice.subject, part, Hint())
    without = valueless(choice)
    made = lowering.make(
        "agent.match",
        choice.span,
        operation_id,
        (subject,),
        () if without else (choice.type,),
        known(choice, hint),
        regions=1,
    )
    arms = _mlir.block_of(made.regions[0])
    payloads = _payloads(lowering.program, choice)
    for arm, path in zip(choice.arms, paths, strict=True):
        case = arm.case or "_"
        given = payloads.get(case, ())
        attributes: dict[str, Any] = {"case": case}
        if any(arm.binders):
            attributes["binders"] = [binder.name if binder is not None else "" for binder in arm.binders]
        each = lowering.make("agent.arm", arm.span, None, attributes=attributes, regions=1)
        places = [_mlir.location(binder.span if binder is not None else arm.span) for binder in arm.binders]
        block = _mlir.block_of(each.regions[0], [to_mlir(kind) for kind in given], places)
        bound = {b.name: block.arguments[at] for at, b in enumerate(arm.binders) if b is not None}
        ids = Ids(path)
        inside = Scope(block, scope.names.new_child(bound), ids, ids)
        lowering.block(arm.body, inside, "agent.yield", hint.output, not without)
        arms.append(each)
    return lowering.append(made, scope)


def _repeat(lowering: Lowering, loop: p.Repeat, scope: Scope, hint: Hint) -> Any:
    operation_id, part = lowering.named(loop, scope, hint, "repeat")
    initial = lowering.value(loop.initial, part, Hint("initial"))
    made = lowering.make(
        "agent.repeat",
        loop.span,
        operation_id,
        (initial,),
        (loop.type,),
        {"variable": loop.state, "at_most": loop.at_most, **known(loop, hint)},
        regions=1,
    )
    place = _mlir.location(loop.span)
    block = _mlir.block_of(made.regions[0], [to_mlir(loop.state_type)], [place])
    below = Ids(scope.ids.take(loop.state))
    names = scope.names.new_child({loop.state: block.arguments[0]})
    lowering.block(loop.body, Scope(block, names, below, below), "agent.yield", None)
    return lowering.append(made, scope)


def _race(lowering: Lowering, race: p.Race, scope: Scope, hint: Hint) -> Any:
    operation_id, _ = lowering.named(race, scope, hint, "race")
    without = valueless(race)
    results = () if without else (race.type,)
    made = lowering.make("agent.race", race.span, operation_id, (), results, known(race, hint), regions=1)
    arms = _mlir.block_of(made.regions[0])
    for number, branch in enumerate(race.branches, 1):
        each = lowering.make("agent.arm", branch.span, None, regions=1)
        below = Ids(f"{operation_id}.{number}")
        inside = Scope(_mlir.block_of(each.regions[0]), scope.names, below, below)
        lowering.block(p.Block((), branch, branch.span), inside, "agent.yield", hint.output, not without)
        arms.append(each)
    return lowering.append(made, scope)


def _payloads(program: p.Program, choice: p.Match) -> Mapping[str, tuple[Type, ...]]:
    """The types of what each case of the subject holds, whether its arm names it or not."""
    subject = choice.subject.type
    if isinstance(subject, OptionType):
        return {"some": (subject.element,), "none": ()}
    assert isinstance(subject, EnumType), f"{choice.span}: a match over {subject}"
    return {case.name: tuple(field.type for field in case.payload) for case in program.enums[subject.name].cases}


FORMS: dict[type[p.Typed], Form] = {
    p.MapOver: _map,
    p.If: _if,
    p.Match: _match,
    p.Repeat: _repeat,
    p.Race: _race,
}
