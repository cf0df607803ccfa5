"""What was measured as a part of a page: a table of ratios, and what it says of the project's own aims."""

from __future__ import annotations

import os
import re
import time
from pathlib import Path
from statistics import median

from .measuring import PROMPT, REPLY, TOKENS, Measured, decode_row, prefill_row

BEGIN, END = "<!-- engines: begin -->", "<!-- engines: end -->"


def page(found: Measured) -> str:
    return "\n".join([*_said(found), "", *_table(found), "", *_aims(found)])


def write_into(page: Path, text: str) -> None:
    """Put the text between the markers of the page. Raises `ValueError` where they are not there."""
    old = page.read_text("utf-8")
    pattern = re.compile(f"{re.escape(BEGIN)}.*?{re.escape(END)}", re.S)
    if not pattern.search(old):
        raise ValueError(f"{page} has no markers {BEGIN} and {END}")
    page.write_text(pattern.sub(lambda _: f"{BEGIN}\n\n{text}\n\n{END}", old), "utf-8")


def _said(found: Measured) -> list[str]:
    day = time.strftime("%Y-%m-%d", time.gmtime(found.began))
    peers = {about["with"] for about in found.about.values() if "with" in about}
    return [
        f"Measured on {day}: {os.cpu_count()} cores ({_processor()}), load {found.load[0]:.1f} before and "
        f"{found.load[1]:.1f} after, best of {found.turns} turn{'s' * (found.turns > 1)}; both cores read memory at "
        f"{found.read / 1e9:.1f} GB/s.{''.join(f' {peer}.' for peer in sorted(peers))}",
        f"In brackets: of {found.engines[0]}.",
    ]


def _processor() -> str:
    try:
        text = Path("/proc/cpuinfo").read_text()
    except OSError:
        return "unknown"
    found = re.search(r"^model name\s*: (.*)$", text, re.M)
    return found[1].strip() if found else "unknown"


def _table(found: Measured) -> list[str]:
    names = found.engines
    lines = ["| SmolLM2-135M | " + " | ".join(names) + " |", "| --- |" + " --- |" * len(names)]

    def row(title: str, values: dict[str, float], form: str, unit: str, scale: float = 1.0, ratio: bool = True) -> None:
        cells: list[str] = []
        base = values.get(names[0])
        for place, name in enumerate(names):
            value = values.get(name)
            if value is None:
                cells.append("—")
                continue
            of = f" ({value / base:.2f} x)" if ratio and place and base else ""
            cells.append(f"{value * scale:{form}} {unit}{of}")
        lines.append(f"| {title} | " + " | ".join(cells) + " |")

    best = found.best
    row(f"prefill, {PROMPT} tokens", best["prefill"], ".0f", "tok/s")
    row(f"prefill, 16 prompts of {256 - TOKENS} at once", best[prefill_row(16, 256)], ".0f", "tok/s")
    row(f"first token behind {PROMPT}", best["first"], ".0f", "ms", 1e3)
    for positions in (256, 1024):
        for count in (1, 4, 16):
            if decode_row(count, positions) in best:
                title = f"decode, {count} at once, up to {positions:,} positions"
                row(title, best[decode_row(count, positions)], ".0f", "tok/s")
    row("decode under a JSON Schema, 1 at once", best["masked"], ".0f", "tok/s")
    row("peak memory, all of the above", {n: a["memory"] for n, a in found.about.items()}, ".2f", "GiB", 1 / (1 << 30))
    row("load", {n: a["load"] for n, a in found.about.items()}, ".1f", "s")
    alike = {name: float(count) for name, count in found.alike.items() if name != names[0]}
    row(f"greedy reply, tokens of {REPLY} before it parts from {names[0]}'s", alike, ".0f", "", ratio=False)
    return lines


def _aims(found: Measured) -> list[str]:
    """What is derived from the table, engine by engine."""
    lines: list[str] = []
    base = found.engines[0]
    sizes = {name: about for name, about in found.about.items() if "weights" in about}
    if base in sizes:
        for positions in (256, 1024):
            parts: list[str] = []
            for name in found.engines:
                about = sizes.get(name, sizes[base])
                if "f32" in name:
                    moved = about["weights"] + (positions - TOKENS / 2) * about["cache"]
                    share = median(found.beside[positions][name]) * moved
                    parts.append(f"{name} {share:.0%}")
            count = len(found.beside[positions][base])
            lines.append(
                f"- Batch 1 at {positions:,} positions, bytes of weights and cache moved, of what the cores read "
                f"right before and after, the middle one of {count} replies: {'; '.join(parts)}."
            )
    for positions in (256, 1024):
        one, many = (found.best.get(decode_row(count, positions), {}) for count in (1, 16))
        if many:
            parts = [
                f"{n} {16 * one[n] / many[n]:.2f} x ({many[n] / one[n]:.1f} x the tokens/s)" for n in found.engines
            ]
            lines.append(f"- A step of 16, of a step of 1, at {positions:,} positions: {'; '.join(parts)}.")
    parts = [f"{name} {median(ratios) - 1:+.1%}" for name, ratios in found.masked.items()]
    if found.mask and base in found.best[decode_row(1, 256)]:
        fastest = max(found.best[decode_row(1, 256)][name] for name in found.masked)
        took = f"{found.mask * 1e6:.0f} us on the host, {found.mask * fastest:.2%} of the fastest step"
        parts[-1] += f". A mask and its state take {took}"
    lines.append(f"- A step under a JSON Schema, of one without, one behind the other: {'; '.join(parts)}.")
    if found.temporaries:
        name = max(found.temporaries, key=lambda program: found.temporaries[program])
        size = found.temporaries[name] / 2**20
        lines.append(f"- The largest temporary of XLA's programs that decode: {size:.2f} MiB (`{name}`).")
    for step in dict.fromkeys(step for step, *_ in found.steps):
        parts = [
            f"{name} {share:.2f} x ({cached:.0%} {'found by itself' if finds else 'told where'})"
            for other, name, share, cached, finds in found.steps
            if other == step
        ]
        lines.append(
            f"- Prefill of an agent's second step, of one that begins like nothing ({step.then:,} tokens, "
            f"{step.shared / step.then:.0%} shared): {'; '.join(parts)}."
        )
    if found.steps:
        lines.append(f"  The steps: quarters of the {found.agents}, by how much is shared.")
    return lines
