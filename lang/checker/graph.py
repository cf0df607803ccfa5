"""Who calls whom: the order in which bodies are checked, and calls that come back to where they started."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from ...base.problems import Related
from ...base.source import Span
from .. import problems, syntax
from ..syntax.walk import walk
from .context import Context
from .symbols import PipelineSymbol

if TYPE_CHECKING:
    from .memory import Memory

Calls = Mapping[str, Sequence[tuple[str, Span]]]


def calls_between(own: Iterable[PipelineSymbol], memory: Memory | None = None) -> dict[str, list[tuple[str, Span]]]:
    """For each pipeline of the file, the pipelines of the file that it calls and where. From the text alone: no name
    hides another."""
    pipelines = {symbol.name: symbol for symbol in own}
    calls: dict[str, list[tuple[str, Span]]] = {name: [] for name in pipelines}
    for name, symbol in pipelines.items():
        if memory is not None and symbol.agent is None:
            known = memory.calls(symbol.declaration)
            calls[name] += [(callee, node.span) for callee, node in known if callee in pipelines]
            continue
        for node in walk(symbol.declaration.body):
            if isinstance(node, syntax.Call) and isinstance(node.function, syntax.Name):
                callee = node.function.text
                if callee in pipelines:
                    calls[name].append((callee, node.span))
    return calls


def groups(calls: Calls) -> list[list[str]]:
    """Pipelines that call each other in a circle, together; a group after all that it calls (Tarjan, 1972).

    Written with its own stack, so that a long chain of calls needs no deep one.
    """
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    open_: list[str] = []
    is_open: set[str] = set()
    out: list[list[str]] = []
    for root in calls:
        if root in index:
            continue
        work = [(root, 0)]
        while work:
            name, position = work.pop()
            if position == 0:
                index[name] = low[name] = len(index)
                open_.append(name)
                is_open.add(name)
            targets = calls[name]
            while position < len(targets):
                target = targets[position][0]
                position += 1
                if target not in index:
                    work += [(name, position), (target, 0)]
                    break
                if target in is_open:
                    low[name] = min(low[name], index[target])
            else:
                if low[name] == index[name]:
                    group: list[str] = []
                    while not group or group[-1] != name:
                        group.append(open_.pop())
                    is_open.difference_update(group)
                    out.append(group)
                if work:
                    caller = work[-1][0]
                    low[caller] = min(low[caller], low[name])
    return out


def reachable(calls: Calls, start: str) -> set[str]:
    """The pipelines that a run of `start` may call, itself left out unless it calls itself."""
    found: set[str] = set()
    waiting = [start]
    while waiting:
        for target, _ in calls.get(waiting.pop(), ()):
            if target not in found:
                found.add(target)
                waiting.append(target)
    return found


def report_recursion(
    context: Context, calls: Calls, grouped: list[list[str]], own: Mapping[str, PipelineSymbol]
) -> None:
    """A problem on each call that is part of a circle."""
    hint = "a bounded loop over one value is written `repeat state = first, at most N times { … }`"
    for group in grouped:
        members = set(group)
        for name in group:
            who = f"{'pipeline' if own[name].agent is None else 'agent'} `{name}`"
            for target, span in calls[name]:
                if target not in members:
                    continue
                if target == name:
                    title = f"{who} calls itself, and nothing bounds that"
                    context.report(problems.recursion(title, span, hint))
                    continue
                back = next(s for t, s in calls[target] if t in members)
                related = (Related(back, f"`{target}` leads back from here"),)
                title = f"{who} calls `{target}`, which leads back to it, and nothing bounds that"
                context.report(problems.recursion(title, span, hint, related))
