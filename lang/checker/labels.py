"""Labels follow data: from arguments to results, through fields, elements and texts.

Inside a pipeline each expression's labels are those of its parts. Across a call they are exact: for every pipeline we
know which parameters reach its result, so that one which redacts its question ends the label of whatever it is given.
"""

from __future__ import annotations

from collections.abc import Mapping

from .. import program
from ..program import StageSignature

# Stages whose result carries no label of their arguments, by what stands behind them.
_ENDS = frozenset({"text:redact", "text:redact_found"})

Flow = frozenset[str]
_NONE: Flow = frozenset()


def ends_labels(stage: StageSignature) -> bool:
    return stage.behind == "builtin" and stage.entry in _ENDS


def flows(parameters: tuple[str, ...], block: program.Block, called: Mapping[str, Flow | None]) -> Flow:
    """The parameters whose labels reach the value of a pipeline's block.

    `called` holds the same of the pipelines it calls; None where it is not known, which counts as all of them.
    """
    names = {name: frozenset({name}) for name in parameters}
    return _block(block, names, called)


def _block(block: program.Block, names: dict[str, Flow], called: Mapping[str, Flow | None]) -> Flow:
    sent = _NONE
    for statement in block.statements:
        if isinstance(statement, program.Bind):
            names[statement.name] = _flow(statement.value, names, called)
        elif isinstance(statement, program.Emit):
            # What a pipeline sends is of its result, wherever it stands.
            sent |= _flow(statement.value, names, called)
    return sent if block.result is None else sent | _flow(block.result, names, called)


def _flow(node: program.Expression, names: dict[str, Flow], called: Mapping[str, Flow | None]) -> Flow:
    match node:
        case program.Reference():
            return names.get(node.name, _NONE)
        case program.StageCall() if ends_labels(node.stage):
            return _NONE
        case program.Declassify():
            return _NONE
        case program.PipelineCall():
            reaching = called.get(node.pipeline)
            reached = (a.value for a in node.arguments if reaching is None or a.name in reaching)
            return _NONE.union(*(_flow(value, names, called) for value in reached))
        case program.MapOver():
            names[node.variable] = _flow(node.over, names, called)
            # How many items there are is control, and so is which of them are taken.
            return _block(node.body, names, called)
        case program.If():
            # Labels follow data, not control: the condition does not count.
            return _block(node.then, names, called) | _block(node.otherwise, names, called)
        case program.Match():
            subject = _flow(node.subject, names, called)
            for arm in node.arms:
                names.update((binder.name, subject) for binder in arm.binders if binder is not None)
            return _NONE.union(*(_block(arm.body, names, called) for arm in node.arms))
        case program.Repeat():
            # The state holds what it began with, then what a turn gave it; once more for what a turn moves along. What
            # was found is kept, so that loops inside loops do not start again from nothing.
            state = names.get(node.state, _NONE) | _flow(node.initial, names, called)
            while True:
                names[node.state] = state
                after = state | _block(node.body, names, called)
                if after == state:
                    return state
                state = after
        case program.Interruptible():
            return _block(node.body, names, called)
        case program.With():
            return _flow(node.call, names, called)
        case _:
            return _NONE.union(*(_flow(part, names, called) for part in program.children(node)))
