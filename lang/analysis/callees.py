"""Pipelines after those that they call, which is the order in which a summary of each can be made.

A summary says of a pipeline what its callers need to know (which labels pass through it, how long it may take, how
often it calls a model), so that each body is looked at once and not once for every way of calling it.
"""

from __future__ import annotations

from collections.abc import Iterable

from ..program import Pipeline, PipelineCall, walk


def callees_first(pipelines: Iterable[Pipeline]) -> tuple[Pipeline, ...]:
    """Each pipeline after all that it calls. Those of a circle, and those that call into one, are left out: the checker
    reports the circle, and nothing that holds of the whole can be said of them.

    Written with its own stack, so that a long chain of calls needs no deep one.
    """
    named = {pipeline.name: pipeline for pipeline in pipelines}
    calls = {
        name: [e.pipeline for e in walk(pipeline.body) if isinstance(e, PipelineCall) and e.pipeline in named]
        for name, pipeline in named.items()
    }
    waiting = {name: len(set(called)) for name, called in calls.items()}
    callers: dict[str, list[str]] = {name: [] for name in named}
    for name, called in calls.items():
        for callee in dict.fromkeys(called):
            callers[callee].append(name)
    ready = [name for name, count in waiting.items() if count == 0]
    out: list[Pipeline] = []
    while ready:
        name = ready.pop()
        out.append(named[name])
        for caller in callers[name]:
            waiting[caller] -= 1
            if waiting[caller] == 0:
                ready.append(caller)
    return tuple(out)
