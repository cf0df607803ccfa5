"""A simulation for people, and as data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import isfinite

from ...planner.figures import show_value
from ...planner.tables import table
from .aftermath import data, lines
from .result import PERCENTILES, Kept, Simulation, Spread

MOST_BLAMED = 6
"""Stages that are shown of a moment."""

COST, ENERGY, RATE = "cost", "energy", "rate"


def report(simulation: Simulation, pipeline: str, where: str) -> str:
    """What came, what was reached, how full pools were, and which stages the slow runs waited for."""
    s = simulation
    left = f", the first {s.runs - s.counted} not counted" if s.counted < s.runs else ""
    ends = ", ".join(f"{count} {how}" for how, count in s.ended.items())
    head = [
        f"{pipeline} on {where}, simulated: {s.runs} runs in {_seconds(s.seconds)}, {s.rate:.4g} per s{left}",
        f"ended: {ends}; a run costs {show_value(s.dollars, '$')}; seed {s.seed}",
    ]
    struck = lines(s.aftermath) if s.aftermath is not None else []
    blocks = [head, _moments(s), _promises(s), *struck, _pools(s), *_blame(s), _errors(s)]
    blocks.append([f"note: {note}" for note in s.notes])
    return "\n\n".join("\n".join(block) for block in blocks if block)


def _seconds(value: float | None) -> str:
    return "none" if value is None else show_value(value, "s") if isfinite(value) else "no bound"


def _moments(s: Simulation) -> list[str]:
    if not s.moments:
        return []
    rows: list[tuple[str, ...]] = [("", *(f"p{each:g}" for each in PERCENTILES), "mean", "largest", "of")]
    for spread in s.moments:
        cells = [show_value(value, "s") for value in (*spread.percentiles, spread.mean, spread.largest)]
        rows.append((spread.kind, *cells, str(spread.count)))
    return table(rows)


def _promises(s: Simulation) -> list[str]:
    if not s.promises:
        return []
    rows = [("promised", "reached", "the plan said", "above it", "")]
    rows += [
        (
            kept.name,
            _amount(kept, kept.reached),
            _amount(kept, kept.predicted),
            f"{kept.above:.2%}" if kept.kind not in (COST, ENERGY, RATE) else "",
            "holds" if kept.holds else "does not hold",
        )
        for kept in s.promises
    ]
    return table(rows)


def _amount(kept: Kept, value: float | None) -> str:
    if value is None:
        return "none"
    if not isfinite(value):
        return "no bound"
    match kept.kind:
        case "cost":
            return show_value(value, "$")
        case "energy":
            return show_value(value, "J")
        case "rate":
            return f"{value:.4g} per s"
        case _:
            return show_value(value, "s")


def _pools(s: Simulation) -> list[str]:
    rows = [("pool", "replicas", "slots", "busy", "planned", "executions", "rows a step", "longest line")]
    for pool in s.pools:
        rows.append(
            (
                pool.pool,
                str(pool.replicas),
                str(pool.slots) if pool.slots else "any",
                "" if pool.utilisation is None else f"{pool.utilisation:.1%}",
                f"{pool.predicted:.1%}" if pool.slots else "",
                str(pool.served),
                "" if pool.rows is None else f"{pool.rows:.1f}",
                str(pool.longest),
            )
        )
    found = table(rows)
    found += [
        f"{pool.pool}: {pool.cached:.1%} of its prompts' tokens were there already" for pool in s.pools if pool.cached
    ]
    return found


def _blame(s: Simulation) -> list[list[str]]:
    blocks: list[list[str]] = []
    for kind in dict.fromkeys(blame.kind for blame in s.blame):
        limited = any(kept.kind == kind and kept.above > 0.0 for kept in s.promises)
        slow = "of the runs above the limit" if limited else "of the slowest 5 %"
        rows = [(f"{kind}, by stage", "service", "in line", "transfer", slow)]
        rows += [
            (
                blame.stage,
                show_value(blame.service, "s"),
                show_value(blame.line, "s"),
                show_value(blame.transfer, "s"),
                f"{blame.share:.1%}",
            )
            for blame in [each for each in s.blame if each.kind == kind][:MOST_BLAMED]
        ]
        blocks.append(table(rows))
    return blocks


def _errors(s: Simulation) -> list[str]:
    off = {stage: factor for stage, factor in s.errors.items() if abs(factor - 1.0) > 5e-4}
    if not off:
        return []
    told = ", ".join(f"{stage} x {factor:.3f}" for stage, factor in off.items())
    return [f"predictions taken as wrong, by their own error: {told}"]


def as_data(simulation: Simulation, pipeline: str, where: str) -> Mapping[str, object]:
    """For JSON: what is infinite or missing is null."""
    s = simulation
    return {
        "pipeline": pipeline,
        "fleet": where,
        "seed": s.seed,
        "runs": s.runs,
        "counted": s.counted,
        "ended": dict(s.ended),
        "seconds": s.seconds,
        "rate": s.rate,
        "dollars_per_run": s.dollars,
        "holds": s.holds,
        "moments": _spreads(s.moments),
        "promises": [
            {
                "name": kept.name,
                "kind": kept.kind,
                "percentile": kept.percentile,
                "limit": kept.limit,
                "reached": kept.reached,
                "planned": kept.predicted if isfinite(kept.predicted) else None,
                "above": kept.above,
                "holds": kept.holds,
            }
            for kept in s.promises
        ],
        "pools": [
            {
                "pool": pool.pool,
                "tier": pool.tier,
                "replicas": pool.replicas,
                "slots": pool.slots,
                "utilisation": pool.utilisation,
                "planned": pool.predicted,
                "executions": pool.served,
                "longest_line": pool.longest,
                "rows_a_step": pool.rows,
                "cached": pool.cached,
            }
            for pool in s.pools
        ],
        "blame": [
            {
                "moment": blame.kind,
                "stage": blame.stage,
                "pool": blame.pool,
                "service": blame.service,
                "line": blame.line,
                "transfer": blame.transfer,
                "share": blame.share,
            }
            for blame in s.blame
        ],
        "errors": dict(s.errors),
        "notes": list(s.notes),
        **(
            {"grown": [{"pool": g.pool, "mean": g.mean, "most": g.most, "changes": g.changes} for g in s.grown]}
            if s.grown
            else {}
        ),
        **({} if s.aftermath is None else {"faults": data(s.aftermath, _spreads)}),
    }


def _spreads(spreads: Sequence[Spread]) -> dict[str, object]:
    return {
        spread.kind: {
            "count": spread.count,
            "mean": spread.mean,
            "largest": spread.largest,
            **{f"p{at:g}": value for at, value in zip(PERCENTILES, spread.percentiles, strict=True)},
        }
        for spread in spreads
    }


def beside_static(static: Simulation, followed: Simulation) -> str:
    """What instances that follow the load save, and which promises are kept, beside a plan that stays as it is."""
    rows: list[tuple[str, ...]] = [("", "as planned", "following the load")]
    rows.append(("a run costs", show_value(static.dollars, "$"), show_value(followed.dollars, "$")))
    for one, other in zip(static.promises, followed.promises, strict=True):
        if one.kind not in (COST, ENERGY, RATE):
            cells = [f"{_amount(k, k.reached)}, {'holds' if k.holds else 'does not hold'}" for k in (one, other)]
            rows.append((one.name, *cells))
    replicas = {pool.pool: pool.replicas for pool in static.pools}
    for grown in followed.grown:
        said = f"{grown.mean:.2f} (at most {grown.most}, {grown.changes} changes)"
        rows.append((f"instances of {grown.pool}", str(replicas[grown.pool]), said))
    saved = 1.0 - followed.dollars / static.dollars if static.dollars > 0.0 else 0.0
    return "\n".join([*table(rows), f"following the load costs {abs(saved):.1%} {'less' if saved >= 0.0 else 'more'}"])
