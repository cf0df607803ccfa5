"""What the pairs come to, as parts of the page: the claims counted, a table for each mode, and what follows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace

from .pairs import BASELINE, CONVENTIONS, Pair
from .results import LEFT_OUT, ORDERED, Cell, cell, cells, claims, compared, let, one_device, requests, title
from .sides import DEVICES, GROUPS, ONE_DENSE, PRECISIONS, TIMES, TITLES, Request

MODES = {True: "250 ms to the first token, 20 ms between tokens", False: "throughput"}
SHOWN = ("annuity", "capex", "paper")


def workload(request: Request) -> str:
    return f"{request.model} {request.precision} {request.prompt}→{request.reply}"


def claims_page() -> str:
    """How often each of the paper's orderings holds."""
    lines = [
        "| mode | times, rates | cost | B200::Gaudi3 best of the paper's four | H100::Gaudi3 about B200::B200 "
        "| both above H100::H100 | B200::Gaudi3 best of all 36 | best of all 36 |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for promised in MODES:
        for times_of in (TIMES[0], ONE_DENSE, *TIMES[1:]):
            for convention in CONVENTIONS:
                asked = [cell(request, times_of, convention) for request in requests(promised)]
                held = [found for found in map(claims, asked) if found is not None]
                counts = (
                    sum(getattr(found, name) for found in held)
                    for name in ("best_of_four", "alike", "above", "best_of_all")
                )
                best = Counter(title(c.best) for c in asked if c.best).most_common()
                shown = [f"{count} of {len(held)}" for count in counts]
                shown.append(", ".join(f"{name} {count}" for name, count in best))
                mode = "promise" if promised else "throughput"
                lines.append(f"| {mode} | {times_of} | {convention} | {' | '.join(shown)} |")
    return "\n".join([*lines, "", *_calibrated()])


def _calibrated() -> list[str]:
    """How much of the order of pairs is left where times are fitted."""
    lines: list[str] = []
    for promised, mode in ((True, "promise"), (False, "throughput")):
        four = best = served = alike = compared_pairs = 0
        for request in requests(promised):
            for convention in CONVENTIONS:
                plain, fitted = (cell(request, times_of, convention) for times_of in TIMES if "dense" in times_of)
                both = [one for one in plain.pairs if one in fitted.pairs]
                if not {BASELINE, *ORDERED} <= set(both):
                    continue
                served += 1
                ranked = [
                    sorted((BASELINE, *ORDERED), key=lambda one, of=of: of.pairs[one].worth) for of in (plain, fitted)
                ]
                four += ranked[0] == ranked[1]
                best += plain.best == fitted.best
                for number, one in enumerate(both):
                    for other in both[:number]:
                        ratio = plain.pairs[one].worth / plain.pairs[other].worth
                        if max(ratio, 1 / ratio) > 1.05:
                            compared_pairs += 1
                            alike += (ratio > 1) == (fitted.pairs[one].worth > fitted.pairs[other].worth)
        lines.append(
            f"- From roofline to fitted times, {mode}: the paper's four pairs stand in the same order in {four} of "
            f"{served} cells, the same pair is the best of all in {best}; of two pairs that differ by more than 5 %, "
            f"{alike / compared_pairs:.0%} stay in order."
        )
    limited = sum(
        "network" in (made.prefill.limit, made.decode.limit)
        for promised in MODES
        for of in cells(promised)
        for made in of.pairs.values()
    )
    many = sum(len(of.pairs) for promised in MODES for of in cells(promised))
    lines.append(f"- 400 Gbit/s a device holds up {limited:,} of the {many:,} pairs, all cells together.")
    return lines


def mode_page(promised: bool) -> str:
    """Each workload under each convention: pairs beside H100::H100, for each model of times."""
    names = [title(one) for one in (*ORDERED, *LEFT_OUT)]
    lines = [
        f"| workload | cost | {' | '.join(names)} | best of all 36 |",
        "| --- | --- |" + " --- |" * (len(names) + 1),
    ]
    for request in requests(promised):
        for convention in CONVENTIONS:
            of = [cell(request, times_of, convention) for times_of in TIMES]
            shown = [" / ".join(_number(each, one) for each in of) for one in (*ORDERED, *LEFT_OUT)]
            shown.append(" / ".join(f"{title(c.best)} {_number(c, c.best)}" if c.best else "—" for c in of))
            lines.append(f"| {workload(request)} | {convention} | {' | '.join(shown)} |")
    return "\n".join(lines)


def _number(of: Cell, one: tuple[str, str]) -> str:
    worth = of.worth(one)
    if worth is None:
        return "—"
    return f"{worth:.2f}" + ("" if of.base == BASELINE else "*")


def groups_page() -> str:
    """The groups behind the paper's three pairs and its baseline."""
    lines = [
        "| workload | mode | pair | prefill: devices x prompts at once | decode: devices x replies at once | groups "
        "| what ends the batches |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for promised in MODES:
        for request in requests(promised):
            if request.precision != PRECISIONS[-1]:
                continue
            found = cell(request, "roofline, dense", "annuity")
            for one in (BASELINE, *ORDERED):
                lines.append(_group_row(request, one, found.pairs.get(one)))
    return "\n".join(lines)


def _group_row(request: Request, one: tuple[str, str], made: Pair | None) -> str:
    mode = "promise" if request.promised else "throughput"
    if made is None:
        return f"| {workload(request)} | {mode} | {title(one)} | none | none | — | — |"
    first, second = made.prefill, made.decode
    return (
        f"| {workload(request)} | {mode} | {title(one)} | {first.tensor} x {first.batch}, {first.seconds * 1e3:.0f} ms "
        f"| {second.tensor} x {second.batch:,}, {second.seconds * 1e3:.1f} ms | {made.groups[0]} to {made.groups[1]} | "
        f"{first.limit}, {second.limit} |"
    )


def sizes_page() -> str:
    """How much of the ratio is the size of the groups."""
    names = [title(one) for one in (*ORDERED, LEFT_OUT[0])]
    lines = [f"| workload | devices of a group | H100 decodes at once | {' | '.join(names)} |"]
    lines.append("| --- | --- | --- |" + " --- |" * len(names))
    for request in requests(False):
        if (request.model, request.precision) != ("70B", "FP8"):
            continue
        for most in GROUPS:
            found = cell(replace(request, most=most), "roofline, dense", "capex")
            shown = [_number(found, one) for one in (*ORDERED, LEFT_OUT[0])]
            base = found.pairs.get(BASELINE)
            many = f"{base.decode.batch:,} on {base.decode.tensor}" if base else "—"
            lines.append(f"| {workload(request)} | up to {most} | {many} | {' | '.join(shown)} |")
    return "\n".join(lines)


def devices_page() -> str:
    """What one device does of what an H100 does, without a price in it."""
    lines = [
        "| workload | " + " | ".join(f"{TITLES[device]}" for device in DEVICES) + " |",
        "| --- |" + " --- |" * len(DEVICES),
    ]
    for request in requests(False):
        shown: list[str] = []
        for device in DEVICES:
            found = one_device(request, device, "roofline, dense")
            shown.append(", ".join("—" if value is None else f"{value:.2f}" for value in found))
        lines.append(f"| {workload(request)} | {' | '.join(shown)} |")
    return "\n".join(lines)


def rent_page(given: Mapping[str, float] | None = None) -> str:
    """Pairs of the devices that have a rent: of the catalogue, or as given. They are compared with the paper's baseline
    where it is among them, else with the first that serves with itself."""
    rents = dict(given or let())
    listed = (f"{title((name,))} ${dollars:.2f} an hour" for name, dollars in rents.items())
    lines = [
        "; ".join(listed) + ".",
        "",
        "| workload | beside | best pairs, roofline | best pairs, fitted |",
        "| --- | --- | --- | --- |",
    ]
    for request in requests(False):
        bases = [(name, name) for name in sorted(rents, key=lambda name: name != BASELINE[0])]
        found = [compared(request, times_of, "rent", rents, bases) for times_of in TIMES if "dense" in times_of]
        shown: list[str] = []
        for of in found:
            ranked = sorted(of.pairs, key=lambda one: -of.pairs[one].worth)[:3]
            shown.append(", ".join(f"{title(one)} {of.worth(one) or 0.0:.2f}" for one in ranked) or "—")
        beside = title(found[0].base) if found[0].base else "—"
        lines.append(f"| {workload(request)} | {beside} | {' | '.join(shown)} |")
    return "\n".join(lines)
