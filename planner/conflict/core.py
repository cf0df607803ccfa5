"""A smallest set of requirements that cannot hold together: none of them can be left out.

Junker's QuickXplain (AAAI 2004): halves of the requirements are added to what is already known to be needed, so that a
core of k among n takes about k log(n / k) questions. What stands earlier is preferred, so promises come first: a reader
can do something about a promise, and little about the memory of a device.
"""

from __future__ import annotations

from collections.abc import Sequence

from ..space.evaluate import missing
from ..space.problem import Problem
from .asked import Asked

_ORDER = ("first_token", "first_item", "token_gap", "item_gap", "finish", "rate", "cost", "energy")
_AFTER = ("count", "keep", "memory", "link", "links")


def kind_of(problem: Problem, name: str) -> str:
    """What a requirement bounds: a promise's kind, or `count`, `memory`, `link`, `links`, `keep` (whatever bars
    options)."""
    for promise in problem.promises:
        if promise.name == name:
            return promise.kind
    for tier in problem.tiers:
        if name == tier.counted:
            return "count"
        if name == tier.held:
            return "memory"
    if any(link.carries == name for link in problem.links):
        return "link"
    return "links" if name == missing(problem) else "keep"


def requirements_of(problem: Problem) -> tuple[str, ...]:
    """The names of everything that can be broken, promises first. A soft promise cannot be."""
    names = dict.fromkeys(each.name for each in problem.requirements)
    names |= dict.fromkeys(each.name for each in problem.promises)
    # Whatever else bounds something: a requirement may have a name and no text.
    names |= dict.fromkeys(name for tier in problem.tiers for name in (tier.counted, tier.held) if name)
    names |= dict.fromkeys(link.carries for link in problem.links if link.carries)
    names |= dict.fromkeys(name for stage in problem.stages for option in stage.options for name in option.barred)
    names |= {missing(problem): None}
    soft = {each.name for each in problem.promises if each.soft is not None}
    order = {kind: number for number, kind in enumerate((*_ORDER, *_AFTER))}
    return tuple(sorted((name for name in names if name not in soft), key=lambda name: order[kind_of(problem, name)]))


def core(
    asked: Asked, problem: Problem, names: Sequence[str], without: frozenset[str] = frozenset()
) -> tuple[str, ...]:
    """The smallest set of `names`, given that all of them cannot hold together (`without` are left out throughout).
    Empty where the problem has no choice at all. Where the program could not be placed even if nothing were promised,
    no promise is to blame."""
    promised = {each.name for each in problem.promises}
    placing = [name for name in names if name not in promised]
    if len(placing) < len(names) and placing and asked.impossible(problem, without | promised):
        return core(asked, problem, placing, without | promised)
    everything = frozenset(names)

    def impossible(kept: Sequence[str]) -> bool:
        return asked.impossible(problem, without | (everything - frozenset(kept)))

    def needed(known: tuple[str, ...], news: bool, among: tuple[str, ...]) -> tuple[str, ...]:
        if news and impossible(known):
            return ()
        if len(among) == 1:
            return among
        half = len(among) // 2
        first, second = among[:half], among[half:]
        late = needed((*known, *first), True, second)
        return (*needed((*known, *late), bool(late), first), *late)

    if not names or impossible(()):
        return ()
    return needed((), False, tuple(names))
