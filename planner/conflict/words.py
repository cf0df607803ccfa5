"""Sentences for people: what each requirement of a conflict forbids, with the number that decides it, and what would
help. Every number comes from an outcome that was looked at, or from a bound that no choice beats."""

from __future__ import annotations

from collections.abc import Sequence

from ..figures import show_value
from ..space.problem import Problem, Promise
from .bounds import bound_by, least, too_slow
from .core import kind_of
from .give import Give
from .parts import parts

_UNITS = {"cost": "$", "energy": "J", "rate": "per s"}


def promised(kind: str, value: float) -> str:
    """A value of a promise, as a program writes it."""
    match kind:
        case "cost":
            return f"{show_value(value * 1000, '$')} per 1000 runs"
        case "energy":
            return f"{show_value(value, 'J')} per run"
        case "rate":
            return f"{value:.6g} per s"
        case _:
            return show_value(value, "s")


def asked_text(problem: Problem, name: str) -> str:
    """A requirement as the program says it, in backticks."""
    text = next((each.text for each in problem.requirements if each.name == name), "")
    promise = _promise(problem, name)
    return f"`{text or (term(promise, promise.limit) if promise else name)}`"


def term(promise: Promise, limit: float) -> str:
    """A promise with a limit, as a program writes it."""
    if promise.kind == "rate":
        return f"rate {promised('rate', limit)}"
    tail = f" p{promise.percentile:g}" if promise.kind not in ("cost", "energy") and promise.percentile != 50.0 else ""
    return f"{promise.kind}{tail} <= {promised(promise.kind, limit)}"


def place_of(problem: Problem, name: str) -> str:
    return next((each.place for each in problem.requirements if each.name == name), "")


# --- why ---------------------------------------------------------------------------------------------------------


def alone(problem: Problem, name: str) -> str:
    """A requirement that cannot hold even by itself."""
    promise = _promise(problem, name)
    given = asked_text(problem, name)
    if promise is None or promise.kind in ("cost", "rate"):
        return f"{given} cannot hold, whatever else is given up"
    lowest = least(problem, promise)
    if lowest <= promise.limit:
        return f"{given} cannot hold on this fleet, whatever else is given up"
    shown = promised(promise.kind, lowest)
    if promise.kind == "energy":
        return f"{given} is beyond reach: every stage where it takes least comes to {shown}"
    stage, tier, seconds, largest = bound_by(problem, promise)
    said = f"{given} is beyond reach: with every stage at its quickest it is {shown}"
    if stage:
        said += f", {show_value(seconds, 's')} of it {stage} on {tier}"
    if largest is not None:
        said += f", which is bound by {largest.name}" + (f" ({largest.detail})" if largest.detail else "")
    return said


def because(problem: Problem, name: str, members: Sequence[str], give: Give | None) -> str:
    """What a requirement forbids beside the others of a conflict: `give` is how far it would have to give if only they
    were asked, None where nothing was found."""
    given = asked_text(problem, name)
    rest = _rest(problem, name, members)
    promise = _promise(problem, name)
    match kind_of(problem, name):
        case "count":
            tier = next(tier for tier in problem.tiers if tier.counted == name)
            need = _needed(problem, name, members, f"{give.after:.0f}" if give else "more", give)
            return f"there are at most {tier.high} of {tier.name}: {need}"
        case "memory":
            tier = next(tier for tier in problem.tiers if tier.held == name)
            size = f"{show_value(give.reached, 'B')} on each" if give else "more"
            need = _needed(problem, name, members, size, give) + _largest(problem, give)
            return f"{tier.name} has {show_value(tier.memory, 'B')} of memory a device: {need}"
        case "link":
            link = next(link for link in problem.links if link.carries == name)
            need = _needed(problem, name, members, _speed(give.reached) if give else "more", give)
            return f"{given} carries {_speed(link.bandwidth)} between two devices: {need}"
        case "links":
            pairs = give.places if give else ()
            between = f"nothing links {' or '.join(pairs)}" if pairs else "some tiers are not linked"
            return f"{between}: {_needed(problem, name, members, 'a link')}"
        case "keep":
            places = " and ".join(give.places) if give else ""
            more = f"; {_needed(problem, name, members, places)}" if places else ""
            return _kept(problem, name) + more
        case "rate":
            assert promise is not None
            most = f"room for {promised('rate', give.after)}" if give else "no room for that"
            can = f"{rest} leave{_s(members)} {most}" + _as_found(give)
            return f"{given}: {can}"
        case kind:
            assert promise is not None
            said = _needs(problem, promise)
            if len(members) == 1 and kind == "cost" and give is not None:
                cheapest = "the cheapest plan" + ("" if give.proven else " that was found")
                return f"{given} is beyond reach: {cheapest} costs {promised(kind, give.reached)}"
            if give is None:
                return f"{given}{said}"
            reach = "at least" if give.proven else "in the best that was found"
            said += f"{';' if said else ':'} beside {rest} it is {promised(kind, give.reached)} {reach}"
            return f"{given}{said}{_made_of(problem, promise, members, give)}"


def _needs(problem: Problem, promise: Promise) -> str:
    """Where a promise lets stages run at all: only what it forbids by itself."""
    refused: dict[str, dict[str, float]] = {}
    for stage, tier, value in too_slow(problem, promise):
        refused.setdefault(stage, {})[tier] = value
    said: list[str] = []
    for stage in problem.stages:
        no = refused.get(stage.name, {})
        tiers = dict.fromkeys(problem.pool(option.pool).tier for option in stage.options)
        yes = [tier for tier in tiers if tier not in no]
        if no and yes:
            values = ", ".join(f"{tier} {promised(promise.kind, value)}" for tier, value in no.items())
            said.append(f"{stage.name} on {either(yes)} (with it elsewhere it is at least: {values})")
    # The two that say most: where the least is left.
    return f" needs {' and '.join(said[:2])}" if said else ""


def _made_of(problem: Problem, promise: Promise, members: Sequence[str], give: Give) -> str:
    if promise.kind in _UNITS:
        return ""
    others = {each.name for each in problem.requirements} | {each.name for each in problem.promises}
    without = others - set(members) | {promise.name}
    found = parts(problem, give.choice, promise, without)[:2]
    said = [f"{show_value(value, 's')} {what}{f' {_at(where)}' if where else ''}" for what, where, value in found]
    return f" ({', '.join(said)})" if said else ""


def _at(where: str) -> str:
    return f"over {where}" if "<->" in where else f"on {where}"


def _kept(problem: Problem, name: str) -> str:
    """What a label leaves."""
    said: list[str] = []
    for stage in problem.stages:
        tiers = {problem.pool(option.pool).tier: name in option.barred for option in stage.options}
        left = [
            tier
            for tier in tiers
            if any(problem.pool(o.pool).tier == tier and name not in o.barred for o in stage.options)
        ]
        if len(left) < len(tiers):
            said.append(f"{stage.name} {_alone(left)}")
    return f"{asked_text(problem, name)} leaves {'; '.join(said[:3])}" + (" …" if len(said) > 3 else "")


def _alone(tiers: Sequence[str]) -> str:
    if not tiers:
        return "no tier at all"
    return f"{tiers[0]} alone" if len(tiers) == 1 else either(tiers)


def _largest(problem: Problem, give: Give | None) -> str:
    """The largest part of a replica's memory, where a tier has too little."""
    if give is None:
        return ""
    taken = [stage.options[place] for stage, place in zip(problem.stages, give.choice.options, strict=True)]
    held = [each for option in taken if problem.pool(option.pool).tier in give.places for each in option.held]
    most = max(held, key=lambda each: each.bytes, default=None)
    return f" (the largest part: {most.key}, {show_value(most.bytes, 'B')})" if most else ""


def _as_found(give: Give | None) -> str:
    """Behind a number that may not be the nearest."""
    return ", in the best that was found" if give is not None and not give.proven else ""


def _needed(problem: Problem, name: str, members: Sequence[str], what: str, give: Give | None = None) -> str:
    """What the others of a conflict need of this one: promises need it, devices leave that need. Of a number that is
    not known to be the least, only that it would do."""
    rest = _rest(problem, name, members)
    promises = {each.name for each in problem.promises}
    if give is not None and not give.proven:
        return f"beside {rest}, {what} would do, the least that was found"
    if all(other in promises for other in members if other != name):
        return f"{rest} need{_s(members)} {what}"
    return f"beside {rest}, {what} would be needed"


def _rest(problem: Problem, name: str, members: Sequence[str]) -> str:
    others = [other for other in members if other != name]
    match others:
        case []:
            return "the program"
        case [one]:
            return named(problem, one)
        case [one, two]:
            return f"{named(problem, one)} and {named(problem, two)}"
        case _:
            return f"the other {len(others)}"


def named(problem: Problem, name: str) -> str:
    """A requirement within a sentence."""
    for tier in problem.tiers:
        if name == tier.held:
            return f"the memory of {tier.name}"
        if name == tier.counted:
            return f"at most {tier.high} of {tier.name}"
    return asked_text(problem, name)


def _s(members: Sequence[str]) -> str:
    """The verb of one other takes an s."""
    return "s" if len(members) <= 2 else ""


def either(names: Sequence[str]) -> str:
    """Names as alternatives."""
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} or {names[-1]}"


def _speed(bandwidth: float) -> str:
    return f"{bandwidth * 8 / 1e9:.3g} Gbit/s"


def _promise(problem: Problem, name: str) -> Promise | None:
    return next((each for each in problem.promises if each.name == name), None)


# --- what would help ---------------------------------------------------------------------------------------------


def help_text(problem: Problem, give: Give) -> str:
    """A change as a program would write it, or in words."""
    promise = _promise(problem, give.requirement)
    match give.kind:
        case "count":
            tier = next(tier for tier in problem.tiers if tier.counted == give.requirement)
            return f"{give.after:.0f} of {tier.name}"
        case "memory":
            return f"{show_value(give.after, 'B')} of memory on each of {give.places[0]}"
        case "link":
            return f"a link {give.places[0]} of {_speed(give.after)}"
        case "links":
            latency = show_value(give.problem.links[-1].latency, "s")
            return f"a link {' and '.join(give.places)} of {_speed(give.after)}, {latency}"
        case "keep":
            return f"{' and '.join(give.places)} too in {asked_text(problem, give.requirement)}"
        case "size":
            return size_text(give.requirement, give.after)
        case "dropped":
            return f"no {asked_text(problem, give.requirement)}"
        case _:
            assert promise is not None
            text = next((each.text for each in problem.requirements if each.name == give.requirement), "")
            head, less, _ = text.partition("<=")
            if less and promise.kind not in ("rate",):
                return f"`{head.rstrip()} <= {promised(promise.kind, give.after)}`"
            return f"`{term(promise, give.after)}`"


def size_text(name: str, most: float) -> str:
    """A size that is smaller: `at most 180 output tokens in writer.chat`."""
    what, _, kind = name.rpartition(".")
    return (
        f"at most {most:.0f} {'output tokens' if kind == 'output' else kind} in {what}"
        if what
        else (f"{name} of at most {most:.0f}")
    )
