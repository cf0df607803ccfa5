"""Every requirement of a problem as an inequality with its numbers: what a plan stands on.

None is left out: what is not used has a line that says so, so that a reader sees that it was asked.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from ..figures import Basis, Prediction, show_value
from ..goals import inequality, summands, weakest
from ..plan import GoalPlan, Inequality, LinkPlan, PoolPlan
from .chosen import Chosen
from .evaluate import FULLEST, SLACK, STEPS, step_of
from .problem import Requirement


def certificate(
    chosen: Chosen, goals: Iterable[GoalPlan], pools: tuple[PoolPlan, ...], links: tuple[LinkPlan, ...]
) -> tuple[Inequality, ...]:
    lines = [*_memory(chosen, pools), *_counts(chosen), *_links(chosen, links), *_labels(chosen)]
    lines += _loads(chosen, pools)
    lines += [inequality(goal) for goal in goals]
    said = {line.requirement for line in lines}
    lines += [_unused(chosen, each) for each in chosen.problem.requirements if each.name not in said]
    return tuple(lines)


def _line(
    chosen: Chosen,
    name: str,
    kind: str,
    requirement: str,
    left: float,
    right: float,
    unit: str,
    terms: Iterable[str] = (),
    *,
    basis: Basis = Basis.GIVEN,
    error: float = 0.0,
    holds: bool | None = None,
) -> Inequality:
    known = next((each for each in chosen.problem.requirements if each.name == requirement), None)
    return Inequality(
        name=name,
        kind=kind,
        requirement=requirement,
        left=float(left),
        right=float(right),
        unit=unit,
        holds=left <= right * (1 + SLACK) if holds is None else holds,
        soft=False,
        basis=basis,
        error=error,
        terms=tuple(terms),
        place=known.place if known else "",
    )


def _memory(chosen: Chosen, pools: tuple[PoolPlan, ...]) -> Iterator[Inequality]:
    for pool in pools:
        tier = chosen.problem.tier(pool.tier)
        if tier.endpoint:
            continue
        shown = f"memory of {pool.name}"
        found, error = pool.memory, _error(pool.memory)
        yield _line(
            chosen,
            shown,
            "memory",
            tier.held,
            found.value,
            pool.capacity.value,
            "B",
            summands(found.terms),
            basis=weakest((Basis.DERIVED, pool.capacity.basis)),
            error=error,
        )


def _error(found: Prediction) -> float:
    return (found.high - found.value) / found.value if found.value else 0.0


def _counts(chosen: Chosen) -> Iterator[Inequality]:
    for tier in chosen.problem.tiers:
        if tier.endpoint:
            continue
        terms = [
            f"{chosen.replicas[pool.name]} x {pool.devices} for {pool.name}{' (hosts)' if pool.host else ''}"
            for pool in chosen.pools
            if pool.tier == tier.name
        ]
        used, paid = chosen.used(tier.name), chosen.outcome.devices[tier.name]
        yield _line(chosen, f"devices of {tier.name}", "count", tier.counted, used, tier.high, "", terms)
        if tier.low:
            yield _line(chosen, f"devices of {tier.name}, at least", "count", tier.counted, tier.low, paid, "")


def _links(chosen: Chosen, links: tuple[LinkPlan, ...]) -> Iterator[Inequality]:
    problem, rate = chosen.problem, chosen.problem.rate
    for link in links:
        known = problem.link(link.left, link.right)
        asked = (rate or 0.0) * link.bytes_per_run
        terms = [f"{show_value(link.bytes_per_run, 'B')} a run x {rate or 0.0:.4g} per s", f"{link.pairs} pairs"]
        yield _line(
            chosen,
            f"link {link.left} -> {link.right}",
            "link",
            known.carries if known else "",
            asked,
            link.bandwidth.value * link.pairs,
            "B/s",
            terms,
            basis=Basis.DERIVED,
        )
    used = {frozenset((link.left, link.right)) for link in links}
    for link in problem.links:
        if frozenset((link.left, link.right)) not in used:
            shown = f"link {link.left} <-> {link.right}"
            yield _line(chosen, shown, "link", link.carries, 0.0, link.bandwidth, "B/s", ("nothing passes",))


def _labels(chosen: Chosen) -> Iterator[Inequality]:
    """Labels that are kept somewhere, and values that would have to pass where there is no link."""
    for requirement in chosen.problem.requirements:
        if requirement.kind == "keep":
            wrong = [name for name, option in chosen.taken.items() if requirement.name in option.barred]
            kept = [
                f"{stage.name} on {chosen.places[stage.name]}"
                for stage in chosen.problem.stages
                if any(requirement.name in option.barred for option in stage.options)
            ]
            yield _line(chosen, requirement.text, "keep", requirement.name, len(wrong), 0, "stages", kept)
        elif requirement.kind == "links":
            lost = [f"{e.source} to {e.target}" for e, link in chosen.crossing.values() if link is None]
            yield _line(chosen, "values without a link", "links", requirement.name, len(lost), 0, "", lost)


def _loads(chosen: Chosen, pools: tuple[PoolPlan, ...]) -> Iterator[Inequality]:
    rate = chosen.problem.rate
    if rate is None:
        return
    for pool in pools:
        if not pool.slots:
            continue
        times = [chosen.taken[stage.name].time for stage in chosen.stages_of(pool.name)]
        terms = [
            f"{rate:.4g} per s x {show_value(pool.service, 's')} / ({pool.replicas} x {pool.slots})",
            f"counted as {step_of(pool.load) / STEPS:.0%}",
        ]
        yield _line(
            chosen,
            f"load of {pool.name}",
            "load",
            next((each.name for each in chosen.problem.promises if each.kind == "rate"), ""),
            pool.load,
            FULLEST / STEPS,
            "",
            terms,
            basis=weakest(term.basis for time in times for term in time.terms),
            error=max((_error(time) for time in times), default=0.0),
            holds=step_of(pool.load) <= FULLEST,
        )


def _unused(chosen: Chosen, requirement: Requirement) -> Inequality:
    """A requirement that nothing of the choice touches: of memory or devices that are not in use."""
    broken = [each for each in chosen.outcome.broken if each.requirement == requirement.name]
    shown = requirement.text or requirement.name
    return _line(chosen, shown, requirement.kind, requirement.name, len(broken), 0, "", ("not in use",))
