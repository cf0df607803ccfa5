"""Plans beside each other: what each costs, reaches and takes, and where its stages are."""

from __future__ import annotations

from collections.abc import Sequence

from ..figures import show_value
from ..goals import term_text
from ..plan import Plan
from ..tables import table


def beside_text(plans: Sequence[Plan]) -> str:
    """A column for each plan; of stages, only those that are not in one place in all of them."""
    rows = [("", *(str(number) for number in range(1, len(plans) + 1)))]
    rows.append(("per 1000 runs", *(show_value(plan.cost.per_1000_runs, "$") for plan in plans)))
    rows.append(("energy a run", *(show_value(plan.energy.value, "J") for plan in plans)))
    for place, term in enumerate(plans[0].goals):
        reached = [plan.goals[place].predicted for plan in plans]
        rows.append((term_text(term), *(show_value(each.value, each.unit) if each else "no bound" for each in reached)))
    for tier in dict.fromkeys(tier.name for plan in plans for tier in plan.tiers):
        counts = [sum(each.devices for each in plan.tiers if each.name == tier and not each.endpoint) for plan in plans]
        if any(counts):
            rows.append((f"devices of {tier}", *map(str, counts)))
    for stage in plans[0].stages:
        pools = [plan.stage(stage.id).pool for plan in plans]
        if len(set(pools)) > 1:
            rows.append((stage.id, *pools))
    lines = table(rows)
    lines.append("")
    lines.append(f"1 is {plans[0].search.status}" if len(plans) > 1 else f"the only plan: {plans[0].search.status}")
    return "\n".join(lines)
