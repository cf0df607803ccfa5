"""Whether an expression does something beside its value, so that a line whose value nobody uses still means something."""

from __future__ import annotations

from .. import program

# Stages of the library that keep something, by what stands behind them.
_KEEPS = frozenset({"memory:store"})


def has_effects(found: program.Expression) -> bool:
    """A call of a tool, of a stage that keeps something, or of a pipeline, which may hold one, somewhere inside."""
    waiting = [found]
    while waiting:
        part = waiting.pop()
        if isinstance(part, program.PipelineCall):
            return True
        if isinstance(part, program.StageCall) and (part.stage.keyword == "tool" or part.stage.entry in _KEEPS):
            return True
        waiting.extend(program.children(part))
    return False
