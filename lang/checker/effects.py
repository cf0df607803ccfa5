"""Whether an expression does something beside its value, so that a line whose value is not used has a meaning."""

from __future__ import annotations

from .. import program

# Stages of the library that keep something, by what stands behind them.
_KEEPS = frozenset({"memory:store"})


def has_effects(found: program.Expression) -> bool:
    """A call of a tool, of a stage that keeps something, or of a pipeline, which may hold one, or an `emit`, somewhere
    inside."""
    waiting = [found]
    while waiting:
        part = waiting.pop()
        match part:
            case program.PipelineCall():
                return True
            case program.StageCall() if part.stage.keyword == "tool" or part.stage.entry in _KEEPS:
                return True
            case _ if any(isinstance(statement, program.Emit) for b in _blocks(part) for statement in b.statements):
                return True
            case _:
                waiting.extend(program.children(part))
    return False


def _blocks(found: program.Expression) -> tuple[program.Block, ...]:
    match found:
        case program.If():
            return found.then, found.otherwise
        case program.Match():
            return tuple(arm.body for arm in found.arms)
        case program.MapOver() | program.Repeat() | program.Interruptible():
            return (found.body,)
        case _:
            return ()
