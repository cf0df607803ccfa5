"""A program made ready to be looked at as a whole: pipelines after those that they call, and all that stands in each.

Callees first is the order in which a summary of each pipeline can be made: it says what callers need to know (which
labels pass through, how long it may take, how often it calls a model), so that each body is looked at once and not once
for every way of calling it.
"""

from __future__ import annotations

from ..program import Expression, Pipeline, PipelineCall, Program, walk


class Whole:
    """`pipelines` are in that order; those of a circle, and those that call into one, are left out: the checker
    reports the circle, and nothing that holds of the whole can be said of them. `nodes` has the expressions of every
    pipeline, parents before children."""

    __slots__ = ("named", "nodes", "pipelines", "program")

    def __init__(self, program: Program) -> None:
        self.program = program
        self.named = {pipeline.name: pipeline for pipeline in program.pipelines}
        self.nodes: dict[str, tuple[Expression, ...]] = {
            name: tuple(walk(pipeline.body)) for name, pipeline in self.named.items()
        }
        self.pipelines = self._callees_first()

    def called(self, name: str) -> tuple[str, ...]:
        """The pipelines that one calls, each once."""
        names = (e.pipeline for e in self.nodes.get(name, ()) if isinstance(e, PipelineCall))
        return tuple(dict.fromkeys(n for n in names if n in self.named))

    def _callees_first(self) -> tuple[Pipeline, ...]:
        """Written with its own stack, so that a long chain of calls needs no deep one."""
        calls = {name: self.called(name) for name in self.named}
        waiting = {name: len(called) for name, called in calls.items()}
        callers: dict[str, list[str]] = {name: [] for name in self.named}
        for name, called in calls.items():
            for callee in called:
                callers[callee].append(name)
        ready = [name for name, count in waiting.items() if count == 0]
        out: list[Pipeline] = []
        while ready:
            name = ready.pop()
            out.append(self.named[name])
            for caller in callers[name]:
                waiting[caller] -= 1
                if waiting[caller] == 0:
                    ready.append(caller)
        return tuple(out)
