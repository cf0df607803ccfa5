"""The planners on the same problems, as a part of the page."""

from __future__ import annotations

from math import isfinite

from agentlang.planner.search import search
from agentlang.planner.space.problem import Choice, Problem

from ..paper.example import example
from ..paper.ours import as_problem
from ..paper.sides import Request
from .exhaustive import exhaustive
from .linear import linear
from .melange import melange, packed
from .service import service
from .shared import Answer
from .splitwise import splitwise

SECONDS = 60.0
"""For this project's own search: enough to end by itself."""
DEVICES = ("a100", "gaudi3", "h100", "mi300x")


def problems() -> dict[str, Problem]:
    """By what they are of."""
    small = Request("8B", "FP16", 1024, 256, promised=True)
    large = Request("70B", "FP8", 2048, 512, promised=True)
    return {
        "The worked example": as_problem(example()),
        "8B in FP16, 1,024→256 tokens, 40 requests a second": service(small, DEVICES, 40.0),
        "70B in FP8, 2,048→512 tokens, 8 requests a second": service(large, DEVICES, 8.0),
        "70B in FP8, 2,048→512 tokens, 60 requests a second": service(large, DEVICES, 60.0),
        "The same at 8 a second on two kinds, behind a guard of 8B that reads every prompt": service(
            large, DEVICES[1::2], 8.0, guard=Request("8B", "FP16", 2048, 1, promised=True)
        ),
    }


def answers(problem: Problem) -> list[Answer]:
    found = [agentlang(problem), exhaustive(problem), linear(problem), linear(problem, whole=True)]
    return [*found, splitwise(problem, homogeneous=True), splitwise(problem), melange(problem)]


def agentlang(problem: Problem) -> Answer:
    """This project's own search."""
    found = search(problem, seconds=SECONDS)
    if not found.choices:
        return Answer("agentlang", None, said=found.status)
    return Answer("agentlang", found.outcomes[0].dollars, found.choices[0], found.outcomes[0], found.status)


def page() -> str:
    return "\n\n".join([*(compared(title, problem) for title, problem in problems().items()), _sizes()])


def compared(title: str, problem: Problem) -> str:
    """One problem, and what each planner makes of it."""
    lines = [
        f"**{title}.**",
        "",
        "| planner | its cost of 1,000 runs | choice | comes to | promises |",
        "| --- | --- | --- | --- | --- |",
    ]
    return "\n".join([*lines, *(_row(problem, answer) for answer in answers(problem))])


def _row(problem: Problem, answer: Answer) -> str:
    counted = f"${1000 * answer.dollars:.4g}" if answer.dollars is not None else "—"
    cells = [answer.planner, counted, answer.said or "—", "—", "—"]
    if answer.choice and answer.outcome:
        outcome = answer.outcome
        shown = [f"${1000 * outcome.dollars:.4g}"]
        for promise in problem.promises:
            if promise.kind != "rate":
                shown.append(f"{promise.name} {_seconds(outcome.reached[promise.name])}")
        missed = ", ".join(each.requirement for each in outcome.broken)
        chosen = _choice(problem, answer.choice)
        cells[2:] = [
            f"{answer.said}: {chosen}" if answer.said else chosen,
            ", ".join(shown),
            f"missed: {missed}" if missed else "kept",
        ]
    return f"| {' | '.join(cells)} |"


def _choice(problem: Problem, choice: Choice) -> str:
    """Each stage with its pool, and how many replicas that has."""
    shown: list[str] = []
    counts = dict(zip((pool.name for pool in problem.pools), choice.replicas, strict=True))
    for stage, place in zip(problem.stages, choice.options, strict=True):
        name = stage.options[place].pool
        many = f"{counts[name]} of " if problem.pool(name).slots else ""
        shown.append(f"{stage.name.rpartition('.')[2]} on {many}{name}")
    return "; ".join(shown)


def _seconds(seconds: float) -> str:
    return f"{1e3 * seconds:.0f} ms" if isfinite(seconds) else "without bound"


def _sizes() -> str:
    """Two sizes of request, which is what the bin packing is for."""
    short, long = (Request("8B", "FP16", prompt, reply, promised=True) for prompt, reply in ((256, 128), (4096, 512)))
    sizes = [("short", service(short, DEVICES, 60.0)), ("long", service(long, DEVICES, 6.0))]
    mix = packed(sizes)
    assert mix is not None
    apart = [exhaustive(problem) for _, problem in sizes]
    hourly = [
        3600.0 * (answer.dollars or 0.0) * (problem.rate or 0.0)
        for answer, (_, problem) in zip(apart, sizes, strict=True)
    ]
    bought = ", ".join(f"{count} {tier}" for tier, count in mix.devices.items())
    sliced = ", ".join(f"{count} of 8 slices of {size} to {tier}" for (size, tier), count in mix.slices.items())
    return (
        f"Of two sizes at once (8B in FP16; 60 requests a second of 256→128 tokens, 6 of 4,096→512) the bin packing "
        f"buys {bought} for ${mix.dollars:.2f} an hour ({sliced}), and lets nobody wait. Each size by itself, with its "
        f"promises kept under load, costs ${hourly[0]:.2f} and ${hourly[1]:.2f}."
    )
