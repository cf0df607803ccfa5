"""From the sizes that formulas name to numbers: what the goal assumes, else what follows from the program, else the
defaults. Pure arithmetic; no MLIR.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from ..base.units import COUNT, TOKENS
from ..lang.program import Goal
from .graph import Size

GOAL = "goal"
_REPEAT = re.compile(r"_\d+$")


@dataclass(frozen=True, slots=True)
class Resolved:
    """A size with its number. `bound` is the greatest value the program allows, or None; `basis` is `goal`, `program`
    or `assumed`."""

    name: str
    value: float
    bound: float | None
    basis: str


def given(goal: Goal) -> dict[str, float]:
    """What an `assume` block states, by the names that formulas use: `best 3 items` is `best.items`, `reply output 120
    tokens` is `reply.output`, `intent.Refund 10 %` is `intent.Refund`."""
    return {_key(a.name, a.case, a.output, str(a.quantity.dimension)): a.quantity.value for a in goal.assumptions}


def given_data(assume: Iterable[Mapping[str, object]]) -> dict[str, float]:
    """The same from the `assume` list of a graph's goal."""
    out: dict[str, float] = {}
    for entry in assume:
        case = entry.get("case")
        key = _key(
            str(entry["name"]), None if case is None else str(case), bool(entry.get("output")), str(entry["unit"])
        )
        out[key] = float(str(entry["value"]))
    return out


def _key(name: str, case: str | None, output: bool, unit: str) -> str:
    if case is not None:
        return f"{name}.{case}"
    if output:
        return f"{name}.output"
    return f"{name}.{'items' if unit == str(COUNT) else 'tokens' if unit == str(TOKENS) else unit}"


def resolve(sizes: Iterable[Size], assumed: Mapping[str, float]) -> tuple[tuple[Resolved, ...], tuple[str, ...]]:
    """The numbers of a pipeline's sizes (`GraphPipeline.sizes`, in that order), and the assumptions that fit none.

    An assumption fits the size of its name; else those whose last parts are its name, as in pipelines that are called
    (`hits.items` fits `find.hits.items`); else, for tokens, a reply or the items of a list of that name; for a number,
    the turns of a `repeat` of that state. A size has the names in its `also` too. Of a group of shares, what is not
    stated shares what is left.
    """
    table = tuple(sizes)
    chosen: dict[str, float] = {}
    unused: list[str] = []
    for key, value in assumed.items():
        fitting = _fitting(key, table)
        if not fitting:
            unused.append(key)
        chosen.update(dict.fromkeys(fitting, value))
    left = _left(table, chosen)
    values: dict[str, float] = {}
    bounds: dict[str, float] = {}
    out: list[Resolved] = []
    for size in table:
        basis = GOAL if size.name in chosen else size.basis
        if size.name in chosen:
            values[size.name] = chosen[size.name]
        elif size.group is not None:
            values[size.name] = left[size.group]
        else:
            values[size.name] = size.default.value(values)
        bound = None
        if size.bound is not None and size.bound.variables <= bounds.keys():
            bound = bounds[size.name] = size.bound.value(bounds)
        out.append(Resolved(size.name, values[size.name], bound, basis))
    return tuple(out), tuple(unused)


def _left(table: tuple[Size, ...], chosen: Mapping[str, float]) -> dict[str, float]:
    """For each group the share of a size that nothing is stated of. A group that is stated whole has none."""
    groups: dict[str, list[str]] = {}
    for size in table:
        if size.group is not None:
            groups.setdefault(size.group, []).append(size.name)
    shares: dict[str, float] = {}
    for group, names in groups.items():
        stated = [chosen[name] for name in names if name in chosen]
        if len(stated) < len(names):
            shares[group] = max(0.0, 1.0 - sum(stated)) / (len(names) - len(stated))
    return shares


def _fitting(key: str, table: tuple[Size, ...]) -> list[str]:
    names = {name: size.name for size in table for name in size.also} | {size.name: size.name for size in table}
    wanted = [key]
    if key.endswith(".tokens"):
        stem = key.removesuffix("tokens")
        wanted += [f"{stem}output", f"{stem}item.tokens"]
    if key.endswith(".items"):
        wanted.append(f"{key.removesuffix('items')}turns")
    for candidate in wanted:
        if candidate in names:
            return [names[candidate]]
        found = [size for name, size in names.items() if f".{_plain(name)}".endswith(f".{candidate}")]
        if found:
            return list(dict.fromkeys(found))
    return []


def _plain(name: str) -> str:
    """A size's name without the numbers of repeated calls: `find_2.hits.items` is `find.hits.items`."""
    return ".".join(_REPEAT.sub("", part) for part in name.split("."))
