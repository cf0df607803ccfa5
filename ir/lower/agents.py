"""The pipeline of an agent to one operation, `agent.agent`.

The checker has checked the whole loop that an agent stands for, as if somebody had written it, so an agent has no rules
of its own. Here the parts of the loop that are this agent's become the bodies of the operation: they are lowered as
they stand, with the ids that they have in the loop. `passes/split_agent.py` puts the loop around them again.
"""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Mapping
from typing import Any

from ...base.frozen import frozen, replace
from ...base.source import Span
from ...lang import program as p
from .. import _mlir
from ..dialect.agents import NAMES
from ..dialect.types import to_mlir
from .body import FORMS
from .making import Hint, Lowering, Scope, known
from .names import Ids


@frozen
class _Parts:
    """What the loop of an agent is made of."""

    said: p.Bind
    loop: p.Repeat
    step: p.Bind
    use: p.MapOver
    ended: p.Match
    last: p.Block
    names: Mapping[str, str]


def lower_agent(
    program: p.Program,
    path: str,
    block: Any,
    body: p.Block,
    names: Mapping[str, Any],
    *,
    answered: frozenset[str] = frozenset(),
) -> None:
    """Fill the block of an agent's pipeline. `BeyondLimits` for what no operation can hold."""
    agent = next(pipeline.agent for pipeline in program.pipelines if pipeline.name == path)
    parts = _parts(body)
    assert agent is not None, f"{path}: no agent"
    ids = Ids(path)
    lowering = Lowering(program, path, FORMS, block, answered)
    scope = Scope(block, ChainMap(dict(names)), ids, ids)
    said = parts.said.name
    opening = lowering.value(parts.said.value, scope, Hint(said, said, said))
    # Names that a parameter has taken are told, so that the loop is as the checker has named it.
    other = {role: name for role, name in parts.names.items() if name != role}
    attributes: dict[str, Any] = {
        "name": path,
        "model": agent.model,
        "tools": list(agent.tools),
        "at_most": agent.steps,
        "record": str(parts.loop.state_type),
        **({"names": other} if other else {}),
        **known(parts.ended, Hint()),
    }
    span = parts.ended.span
    made = lowering.make("agent.agent", span, ids.take("agent"), (opening,), (parts.ended.type,), attributes, regions=3)
    turn, match = f"{path}.{parts.names['turn']}", f"{path}.match"
    places = (turn, f"{turn}.match.Use.{parts.names['call']}", f"{match}.none")
    takes = (parts.said.value.type, parts.use.variable_type, parts.said.value.type)
    step, use, last = (
        _scope(scope, region, place, name, to_mlir(given), span)
        for region, place, name, given in zip(
            made.regions, places, (said, parts.names["call"], said), takes, strict=True
        )
    )
    asked = lowering.value(parts.step.value, step, Hint(parts.step.name, parts.step.name, parts.step.name))
    lowering.operation("agent.yield", span, step, (asked,))
    lowering.block(parts.use.body, use, "agent.yield", parts.names["results"])
    lowering.block(parts.last, last, "agent.yield", path)
    lowering.operation("agent.return", span, scope, (lowering.append(made, scope),))


def _scope(around: Scope, region: Any, path: str, name: str, given: Any, span: Span) -> Scope:
    """Of a body with one argument."""
    block = _mlir.block_of(region, [given], [_mlir.location(span)])
    ids = Ids(path)
    return Scope(block, around.names.new_child({name: block.arguments[0]}), ids, ids)


def _parts(body: p.Block) -> _Parts:
    """The parts of a loop as `lang.checker.agent_loop` makes it; TypeError for any other."""
    match body:
        case p.Block(
            statements=(p.Bind() as said, p.Bind(name=done, value=p.Repeat() as loop)),
            result=p.Match(arms=(p.Arm(binders=(p.Parameter(name=found),)), p.Arm(body=last))) as ended,
        ):
            pass
        case _:
            raise TypeError(f"{body.span}: no loop of an agent")
    match loop.body:
        case p.Block(
            statements=(p.Bind(value=p.Into(call=asked) as into) as step,),
            result=p.Match(
                arms=(
                    p.Arm(case="Answer", binders=(p.Parameter(name=answer),)),
                    p.Arm(
                        case="Use",
                        binders=(p.Parameter(name=calls),),
                        body=p.Block(statements=(p.Bind(name=results, value=p.MapOver() as use),)),
                    ),
                )
            ),
        ):
            pass
        case _:
            raise TypeError(f"{loop.span}: no loop of an agent")
    names: dict[str, str] = dict(
        zip(NAMES, (loop.state, done, answer, calls, use.variable, results, found), strict=True)
    )
    step = replace(step, value=replace(into, call=_asking(asked, said.name)))
    return _Parts(said, loop, step, use, ended, _asking_last(last, said.name), names)


def _asking_last(block: p.Block, said: str) -> p.Block:
    """The last call of the model, for a text or a document."""
    match block:
        case p.Block(statements=(), result=p.Collect(stream=p.StageCall() as call) as collected):
            return replace(block, result=replace(collected, stream=_asking(call, said)))
        case p.Block(statements=(p.Bind(value=p.Into(call=call) as into) as bound,)):
            return replace(block, statements=(replace(bound, value=replace(into, call=_asking(call, said))),))
        case _:
            raise TypeError(f"{block.span}: no last call of an agent")


def _asking(call: p.StageCall, said: str) -> p.StageCall:
    """The call with the conversation by its name, which is a field of the loop's state."""

    def by_name(value: p.Expression) -> p.Expression:
        match value:
            case p.FieldOf():
                return p.Reference(type=value.type, span=value.span, labels=value.labels, name=said)
            case p.Binary(left=p.FieldOf() as left):
                return replace(value, left=by_name(left))
            case _:
                raise TypeError(f"{value.span}: no conversation of an agent")

    return replace(
        call,
        arguments=tuple(
            p.Argument(each.name, by_name(each.value)) if each.name == "prompt" else each for each in call.arguments
        ),
    )
