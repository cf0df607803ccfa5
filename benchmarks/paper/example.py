"""The paper's worked example: a prompt of 1,000 tokens and a reply of 500, on high-performance (HP) and cost-optimised
(CO) hardware, 120 ms promised. Its numbers are hypothetical; what is tested by it is the arithmetic."""

from __future__ import annotations

from collections.abc import Mapping
from math import inf

from . import ours
from .formulation import Formulation, Solved, enumerated, placed, solved

PROMPT, REPLY = 1000, 500
PROMISE = 0.120
EDGE = ("prefill", "decode")
PLACEMENTS: Mapping[str, Mapping[str, str]] = {
    "A": {"prefill": "HP", "decode": "HP"},
    "B": {"prefill": "HP", "decode": "CO"},
    "C": {"prefill": "CO", "decode": "CO"},
}
PRINTED = {"A": 0.110, "B": 0.095, "C": 0.07}
"""Dollars that the paper prints."""


def example(promise: float = PROMISE, price: float = inf, each: bool = False) -> Formulation:
    """The example, with another promise (seconds), or a price of a second too many (dollars). What a transfer back to
    HP would take is not stated; it is taken as that to CO."""
    move = (0.010, 0.000005 * PROMPT)
    return Formulation(
        tasks=("prefill", "decode"),
        classes=("HP", "CO"),
        seconds={("prefill", "HP"): 0.080, ("prefill", "CO"): 0.130, ("decode", "HP"): 0.025, ("decode", "CO"): 0.030},
        dollars={
            ("prefill", "HP"): 0.00008 * PROMPT,
            ("prefill", "CO"): 0.00005 * PROMPT,
            ("decode", "HP"): 0.00006 * REPLY,
            ("decode", "CO"): 0.00002 * REPLY,
        },
        edges=(EDGE,),
        moves={(EDGE, "HP", "CO"): move, (EDGE, "CO", "HP"): move},
        promise=promise,
        price=price,
        each=each,
    )


def name(found: Solved | None) -> str:
    """The paper's letter of a placement, or the shares of its tasks."""
    if found is None:
        return "none"
    if found.whole:
        where = dict(list(found.shares))
        letter = next((letter for letter, placement in PLACEMENTS.items() if placement == where), None)
        return letter or " and ".join(f"{task} on {on}" for task, on in where.items())
    return ", ".join(f"{share:.0%} of {task} on {on}" for (task, on), share in found.shares.items() if share < 1 - 1e-6)


def break_even(each: bool = False) -> float:
    """The price of a second too many, in dollars, below which C is cheaper than B."""
    b, c = (placed(example(each=each), PLACEMENTS[letter]) for letter in ("B", "C"))
    return (b.dollars - c.dollars) / (c.slack - b.slack)


def page() -> str:
    """The example as a part of the page."""
    given = example()
    lines = ["| placement | time | cost | the paper prints | 120 ms |", "| --- | --- | --- | --- | --- |"]
    words = {"A": "both on HP", "B": "prefill on HP, decode on CO", "C": "both on CO"}
    for letter, placement in PLACEMENTS.items():
        found = placed(given, placement)
        kept = "kept" if found.slack < 1e-9 else f"missed by {found.slack * 1e3:.0f} ms"
        lines.append(
            f"| {letter}: {words[letter]} | {found.seconds * 1e3:.0f} ms | ${found.dollars:.3f} | "
            f"${PRINTED[letter]:.3f} | {kept} |"
        )
    best, checked = solved(given), enumerated(given)
    assert best is not None and checked is not None and name(best) == name(checked)
    lines += [
        "",
        f"- Chosen at 120 ms: {name(best)}, ${best.dollars:.3f}; the same by the solver and by trying all four.",
        f"- A miss is worth it below ${break_even():.3f} a second of it ($0.035 saved, 40 ms late): then C is chosen. "
        f"With $0.50: {name(solved(example(price=0.5)))}; with $2: {name(solved(example(price=2.0)))}.",
        f"- With the promise held by each task, as the formula has it, it chooses "
        f"{name(solved(example(each=True)))} too; C pays "
        f"below ${break_even(True):.2f} a second, since it is its prefill alone that is late, by 10 ms.",
        f"- As a problem of agentlang's planner, solved by its search and evaluated like every plan: {_ours()}.",
        "",
        "| promise | whole tasks | cost | time | shares of tasks (the linear programme) | cost | average time |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for promise in (0.100, 0.110, 0.120, 0.130, 0.160):
        row = [f"{promise * 1e3:.0f} ms"]
        for found in (solved(example(promise)), solved(example(promise), whole=False)):
            row.append(name(found))
            row += [f"${found.dollars:.4f}", f"{found.seconds * 1e3:.0f} ms"] if found else ["—", "—"]
        lines.append(f"| {' | '.join(row)} |")
    return "\n".join(lines)


def _ours() -> str:
    problem = ours.as_problem(example())
    comes = (f"{letter} ${ours.outcome(problem, where).dollars:.3f}" for letter, where in PLACEMENTS.items())
    cheap = ours.as_problem(example(price=0.5))
    found = [_letter(ours.chosen(each)) for each in (problem, cheap)]
    return f"{', '.join(comes)}; {found[0]} is chosen, and {found[1]} with misses at $0.50 a second"


def _letter(where: Mapping[str, str] | None) -> str:
    return next((letter for letter, placement in PLACEMENTS.items() if placement == where), "another")
