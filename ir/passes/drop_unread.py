"""What nobody uses goes.

    handle  = open @writer                           redact(question)
    note    = template "about {question}"
    reply   = chat(handle, note)            =>       return question
    redact(question)
    return question

A call that gives a value stays, used or not, for it may act on the world. A call that gives a stream is never started
if nobody reads it, so it goes with all that only it used; so do templates, records and the like, and what opens a
handle that nobody uses. A body (a branch, a loop) goes whole if nothing in it acts.

This is what a run would leave out by itself; here it goes before it is split, placed and counted. Its names stay known
(`unread` of the pipeline), as an `assume` block may say something of them.
"""

from __future__ import annotations

from typing import Any

from ...base.problems import Problems
from .. import _mlir
from ..library import Library
from .facts import acts, bodies, forget, names_of

_ENDS = ("agent.return", "agent.yield")


def run(module: Any, library: Library) -> Problems:
    del library
    for body in bodies(module):
        gone: dict[str, None] = {}
        _block(body.regions[0].blocks[0], gone)
        forget(body, gone)
    return ()


def _block(block: Any, gone: dict[str, None]) -> tuple[bool, bool]:
    """Drop what is unread, last first, so that one look is enough; whether anything that is left acts, and whether it
    sends anything out. What is emitted in a generator is a part of its stream, and is wanted if that is."""
    acting = sending = False
    for operation in reversed(_mlir.operations(block)):
        name = operation.name
        if name in _ENDS:
            continue
        if name == "agent.emit":
            sending = True
            continue
        does, sends = acts(operation), False
        for region in operation.regions:
            for inner in region.blocks:
                inside = _block(inner, gone)
                does, sends = does or inside[0], sends or inside[1]
        sends = sends and name != "agent.generator"
        if name != "agent.arm" and not (does or sends or _used(operation)):
            for each in (operation, *_mlir.walk(operation)):
                gone.update(dict.fromkeys(names_of(each)))
            operation.erase()
            continue
        acting, sending = acting or does, sending or sends
    return acting, sending


def _used(operation: Any) -> bool:
    return any(next(iter(value.uses), None) is not None for value in operation.results)
