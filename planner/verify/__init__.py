"""Whether a plan is what it claims to be: a second, small reading of the same problem, with arithmetic of its own.

The choice is read from the plan, the problem is derived again from program, catalogue and the measurements that the
plan carries, and then the whole document is written down as it has to be (`document`, `facts`) and compared leaf by
leaf. Nothing here imports the search, the solver, or what made the plan.

Three things hold a plan together. Every number and every choice is derived again; that is the proof. The seal is a hash
of the document, which finds accidents, and any change to prose, by whoever does not write a new seal. Claims of the
search (that no choice is better) cannot be derived: they are checked against each other, and where there are few
choices all of them are tried.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from math import inf, prod
from typing import Any, cast

from ..figures import show_value
from ..space.problem import Option, Problem
from .document import Document
from .facts import CLOSE, Facts
from .trees import WORDS, Given, Tree

__all__ = [
    "EXEMPT",
    "Facts",
    "Finding",
    "Given",
    "Summary",
    "choice_of",
    "differences",
    "seal",
    "summary",
    "summed",
    "verify",
]

EXEMPT: Mapping[str, str] = {
    "seal": "it is what is checked, over all the rest",
    "search.considered": "how long somebody looked says nothing of the plan",
    "search.baselines": "each is an objective of a choice that the plan does not carry; none may be below the bound",
    "search.unable": "words: why a simpler way to choose comes to nothing",
    "search.bound": "a claim of the search; it must fit the objective, the gap and the status",
    "search.confirmed": "who looked at it beside the bounds, in words",
    "notes": "sentences of other commands may follow those of the planner",
    "detail": "of sums: the numbers in it stand beside it, and are derived",
    "reason": "of tails: the factor that it speaks of stands beside it, and is derived",
    "terms": "of the certificate's lines of devices, links, labels and loads, in words",
    "arithmetic": "of the cost: its terms in words",
    "prices": "of the cost: the prices of the tiers in words",
}
"""What is not derived again, and why; all of it is under the seal."""

FEW = 2000
"""So many choices are tried in about a second."""

ONLY, OPTIMAL, GAP, FEASIBLE, UNKNOWN = "only choice", "proven optimal", "gap", "feasible", "unknown"
FRONTIER = "on the frontier"
MISSES = "infeasible"
NUMBER = "number "


class _Claim:
    """A number or a list that is looked at elsewhere."""


CLAIM = _Claim()
CLAIMS: Mapping[str, Tree] = {
    "status": WORDS,
    "gap": CLAIM,
    "considered": CLAIM,
    "bound": CLAIM,
    "baselines": CLAIM,
    "confirmed": WORDS,
    "unable": CLAIM,
}


@dataclass(frozen=True, slots=True)
class Finding:
    """`path` is a place in the document; `said` stands there, `derived` should, both as JSON. Without `derived`, `said`
    is a sentence."""

    path: str
    said: str
    derived: str = ""


@dataclass(frozen=True, slots=True)
class Summary:
    """Of a plan that holds: its inequalities, and the tightest of those between quantities, with the part of its limit
    that is left."""

    inequalities: int
    missed: int
    tightest: str
    margin: float
    tried: int


def seal(document: Mapping[str, object]) -> str:
    """The SHA-256 (hex) of a plan's JSON without its seal: keys in order, no spaces."""
    kept = {key: value for key, value in document.items() if key != "seal"}
    return hashlib.sha256(json.dumps(kept, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def verify(plan: Mapping[str, object], problem: Problem, given: Given) -> tuple[Finding, ...]:
    """All that is wrong with a plan (parsed JSON of the right shape) of this problem; empty where it holds."""
    found = [] if plan.get("seal") == seal(plan) else [Finding("seal", "is not that of the document")]
    wrong, facts, numbers = choice_of(plan, problem)
    if facts is None:
        return (*found, *wrong)
    expected = {**Document(facts, numbers, given).tree(), "search": CLAIMS, "notes": WORDS, "seal": WORDS}
    found += wrong
    found += differences("", plan, expected)
    found += _notes(plan, given)
    found += _in_words(plan)
    found += _search(plan, problem, facts)
    # Whoever has been found out once need not be found out by trying everything.
    return tuple(found or _tried(plan, problem, facts))


def summary(plan: Mapping[str, object], problem: Problem) -> Summary:
    """Of a plan that was found to hold."""
    found = summed(cast("list[Any]", plan["certificate"]))
    tried = choices(problem)
    return replace(found, tried=tried if tried <= FEW and not found.missed else 0)


def summed(lines: list[Any]) -> Summary:
    """Of the lines of a certificate."""
    margins = [
        ((line["right"] - line["left"]) / line["right"], str(line["name"]))
        for line in lines
        if line["holds"] and line["right"] and line["kind"] in ("promise", "rate", "load", "memory", "link")
    ]
    margin, tightest = min(margins, default=(inf, ""))
    return Summary(len(lines), sum(not line["holds"] for line in lines), tightest, margin, 0)


# --- the choice ------------------------------------------------------------------------------------------------------


def choice_of(plan: Mapping[str, object], problem: Problem) -> tuple[list[Finding], Facts | None, dict[str, int]]:
    """The options and replicas that a plan names; no facts where they have no meaning."""
    stages: list[Any] = cast("list[Any]", plan["stages"])
    pools: list[Any] = cast("list[Any]", plan["pools"])
    named = [stage["id"] for stage in stages]
    if named != [stage.name for stage in problem.stages]:
        return [Finding("stages", "are not those of the program")], None, {}
    wrong: list[Finding] = []
    numbers: dict[str, int] = {}
    options: dict[str, Option] = {}
    for at, (said, stage) in enumerate(zip(stages, problem.stages, strict=True)):
        number = said["option"]
        if not 0 <= number < len(stage.options):
            wrong.append(Finding(f"stages[{at}].option", f"{number} is none of {len(stage.options)} options"))
            continue
        numbers[stage.name], options[stage.name] = number, stage.options[number]
    taken = {option.pool for option in options.values()}
    counts = {pool["name"]: pool["replicas"] for pool in pools}
    if len(counts) != len(pools) or set(counts) != taken or any(count < 1 for count in counts.values()):
        wrong.append(Finding("pools", "are not those that the options of the stages run in, each with a replica"))
    for name, option in options.items():
        if any(other in options and options[other].pool != option.pool for other in option.together):
            wrong.append(Finding(f"stages[{named.index(name)}].option", "needs other stages in its pool"))
    if wrong:
        return wrong, None, {}
    replicas = {pool.name: counts[pool.name] for pool in problem.pools if pool.name in counts}
    return [], Facts(problem, options, replicas), numbers


# --- leaf by leaf ----------------------------------------------------------------------------------------------------


def differences(path: str, said: object, derived: object) -> Iterator[Finding]:
    """Where a document is not as it has to be."""
    if derived is CLAIM:
        return
    if derived is WORDS:
        if not all(isinstance(each, str) for each in _items(said)):
            yield Finding(path, _shown(said), "text")
    elif isinstance(derived, Mapping) and isinstance(said, Mapping):
        ours, theirs = cast("Mapping[str, object]", derived), cast("Mapping[str, object]", said)
        for key in (*ours, *(key for key in theirs if key not in ours)):
            inner = f"{path}.{key}" if path else key
            if key not in theirs:
                yield Finding(inner, "is missing")
            elif key not in ours:
                yield Finding(inner, "is nothing that a plan has")
            else:
                yield from differences(inner, theirs[key], ours[key])
    elif isinstance(derived, (list, tuple)) and isinstance(said, list):
        wanted, items = cast("Sequence[object]", derived), cast("list[object]", said)
        if len(wanted) != len(items):
            yield Finding(path, f"a list of {len(items)}", f"one of {len(wanted)}")
            return
        for number, (one, other) in enumerate(zip(items, wanted, strict=True)):
            yield from differences(f"{path}[{number}]", one, other)
    else:
        plain: object = cast("object", derived)
        if not _same(said, plain):
            yield Finding(path, _shown(said), _shown(plain))


def _items(value: object) -> list[object]:
    return cast("list[object]", value) if isinstance(value, list) else [value]


def _same(said: Tree, derived: Tree) -> bool:
    if isinstance(said, bool) or isinstance(derived, bool):
        return said is derived
    if isinstance(said, (int, float)) and isinstance(derived, (int, float)):
        return said == derived or abs(said - derived) <= CLOSE * max(abs(said), abs(derived))
    return said == derived


def _shown(value: Tree) -> str:
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= 80 else f"{text[:77]}…"


def _notes(plan: Mapping[str, object], given: Given) -> Iterator[Finding]:
    notes = cast("list[object]", plan["notes"])
    for number, note in enumerate(given.notes):
        if number >= len(notes) or notes[number] != note:
            said = _shown(notes[number]) if number < len(notes) else "nothing"
            yield Finding(f"notes[{number}]", said, _shown(note))


def _in_words(plan: Mapping[str, object]) -> Iterator[Finding]:
    """Lines of the certificate that say the terms of a prediction in words, against those terms."""
    predicted: dict[str, Any] = {
        f"memory of {pool['name']}": pool["memory"] for pool in cast("list[Any]", plan["pools"])
    }
    promised: dict[str, Any] = {each["requirement"]: each["predicted"] for each in cast("list[Any]", plan["goals"])}
    for number, line in enumerate(cast("list[Any]", plan["certificate"])):
        known = predicted.get(line["name"]) if line["kind"] == "memory" else None
        if line["kind"] in ("promise", "rate"):
            known = promised.get(line["requirement"])
        terms = [_term_in_words(each) for each in known["terms"]] if known else []
        if known and line["terms"] != terms:
            yield Finding(f"certificate[{number}].terms", _shown(line["terms"]), _shown(terms))


def _term_in_words(term: Mapping[str, Any]) -> str:
    stage = f" of {term['stage']}" if term["stage"] else ""
    detail = f" ({term['detail']})" if term["detail"] else ""
    return f"{show_value(term['value'], term['unit'])} {term['name']}{stage}{detail}, {term['basis']}"


# --- what the search claims ------------------------------------------------------------------------------------------


def _search(plan: Mapping[str, object], problem: Problem, facts: Facts) -> Iterator[Finding]:
    """Claims of the search against the objective and each other, and where there are few, against all choices."""
    search = cast("Mapping[str, Any]", plan["search"])
    status, gap, bound = search["status"], search["gap"], search["bound"]
    objective, missed = facts.objective(), any(not line.holds for line in facts.lines())
    if status == MISSES or missed:
        if not missed:
            yield Finding("search.status", _shown(status), "another: everything holds")
        elif status != MISSES:
            yield Finding("search.status", _shown(status), _shown(MISSES))
        elif bound or gap:
            yield Finding("search.gap", _shown(gap), "nothing: no choice holds that could be better")
        return
    if status not in (ONLY, OPTIMAL, FEASIBLE, UNKNOWN, GAP, FRONTIER) and not status.startswith(NUMBER):
        yield Finding("search.status", _shown(status), f"one of {', '.join((ONLY, OPTIMAL, GAP, MISSES))}")
    if status == ONLY and any(len(stage.options) > 1 for stage in problem.stages):
        yield Finding("search.status", _shown(status), "another: there are others")
    if bound is not None and bound > objective + CLOSE * abs(objective):
        yield Finding("search.bound", _shown(bound), f"at most the objective, {objective!r}")
    proven = status in (ONLY, OPTIMAL)
    wanted = 0.0 if proven else (objective - bound) / abs(objective) if bound is not None and objective else None
    if status == FRONTIER:
        # It weighs other things too: how far it is from the least of one of them is not said.
        if bound or gap is not None:
            yield Finding("search.gap", _shown(gap), "null")
    elif wanted is not None and not (gap is not None and abs(gap - wanted) <= 1e-6):
        yield Finding("search.gap", _shown(gap), repr(wanted))
    if proven and not _same(bound, objective):
        yield Finding("search.bound", _shown(bound), repr(objective))
    for number, (name, value) in enumerate(search["baselines"]):
        if value is not None and bound is not None and value < bound - CLOSE * abs(bound):
            yield Finding(f"search.baselines[{number}]", f"{name}: {value!r}", f"at least the bound, {bound!r}")


def _tried(plan: Mapping[str, object], problem: Problem, facts: Facts) -> Iterator[Finding]:
    """Where there are few choices, all of them beside what is claimed of them."""
    status = str(cast("Mapping[str, Any]", plan["search"])["status"])
    if choices(problem) > FEW or status not in (ONLY, OPTIMAL, MISSES):
        return
    objective = facts.objective()
    best = min((each.objective() for each in _holding(problem)), default=inf)
    if status == MISSES and best < inf:
        yield Finding("search.status", _shown(status), "another: there is a choice that keeps everything")
    elif status != MISSES and best < objective - CLOSE * abs(objective):
        yield Finding("search.status", _shown(status), f"another: some choice comes to {best!r}, not {objective!r}")


def choices(problem: Problem) -> int:
    """How many choices there are, with or without meaning."""
    return prod((*(len(stage.options) for stage in problem.stages), *map(len, _counts(problem).values())))


def _counts(problem: Problem) -> dict[str, range]:
    """Of each pool, the replicas that there may be."""
    tiers = {tier.name: tier for tier in problem.tiers}
    return {
        pool.name: range(1, 1 + max(1, tiers[pool.tier].high // max(1, pool.devices) if pool.slots else 1))
        for pool in problem.pools
    }


def _holding(problem: Problem) -> Iterator[Facts]:
    """Every choice that keeps all requirements."""
    counts = _counts(problem)
    for options in product(*(stage.options for stage in problem.stages)):
        taken = {stage.name: option for stage, option in zip(problem.stages, options, strict=True)}
        if any(taken[other].pool != option.pool for option in options for other in option.together):
            continue
        pools = [name for name in counts if any(option.pool == name for option in options)]
        for replicas in product(*(counts[name] for name in pools)):
            facts = Facts(problem, taken, dict(zip(pools, replicas, strict=True)))
            if all(line.holds for line in facts.lines()):
                yield facts
