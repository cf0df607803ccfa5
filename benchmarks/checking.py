"""What checking a file of 2,000 lines costs, step by step, and that twice the file costs twice as much.

The file is made of the examples and `forms.agent`, again and again under other names, up to the wanted length. Each
figure is CPU time of this process, the best of several: other programs of the machine do not count. So that machines
can be compared, a floor stands beside it: the same work for all, splitting the text into its words twenty times.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from agentlang.base.source import Source
from agentlang.lang import program as typed
from agentlang.lang.analysis import analyse
from agentlang.lang.checker import check
from agentlang.lang.parser import parse
from agentlang.lang.scanner import scan
from agentlang.stdlib.interfaces import interface

_T = TypeVar("_T")
LINES = 2_000
MOST = 0.5
"""Seconds that parsing and checking a file of `LINES` may take on a core of today."""

ROOT = Path(__file__).parents[1]
PARTS = (Path(__file__).with_name("forms.agent"), *sorted((ROOT / "examples").glob("*/*.agent")))
_DECLARED = re.compile(r"^(?:model|resource|memory|server|tool|agent|type|enum|pipeline|fleet|let)[ \t]+(\w+)", re.M)
_CASES = re.compile(r"^enum\s+\w+\s*\{([^}]*)\}", re.M)
_PAYLOAD = re.compile(r"\([^)]*\)")
_WORD = re.compile(r"\w+")


def source(lines: int = LINES) -> Source:
    """A program of at least that many lines, without a problem."""
    texts = [part.read_text("utf-8") for part in PARTS]
    uses = sorted({line for text in texts for line in text.splitlines() if line.startswith("use ")})
    out = [*uses, ""]
    turn = 0
    while len(out) < lines:
        text = texts[turn % len(texts)]
        out += _renamed(text, f"_{turn}").splitlines()
        turn += 1
    return Source("large.agent", "\n".join(out) + "\n")


def _renamed(text: str, suffix: str) -> str:
    """The declarations of a text under other names, without its imports."""
    names = set(_DECLARED.findall(text))
    for cases in _CASES.findall(text):
        names |= set(_WORD.findall(_PAYLOAD.sub("", cases)))
    body = "\n".join(line for line in text.splitlines() if not line.startswith("use "))
    body = re.sub(r'^test "', f'test "{suffix} ', body, flags=re.M)
    # Neither a field or method (`.chat`) nor the name of an argument (`encoder:`), but the case of an enum anywhere.
    return re.sub(
        r"(\.?)\b(\w+)\b(?!:)",
        lambda word: word[0] + suffix if word[2] in names and (not word[1] or word[2][0].isupper()) else word[0],
        body,
    )


def best(what: Callable[[], _T], repeats: int) -> tuple[float, _T]:
    """The least CPU seconds of several runs, and what it gave."""
    times: list[float] = []
    while True:
        began = time.process_time()
        value = what()
        times.append(time.process_time() - began)
        if len(times) == repeats:
            return min(times), value


def steps(source: Source, repeats: int) -> dict[str, float]:
    """CPU seconds of each step. `check` includes `analyse`; `parse` includes `scan`."""
    floor, _ = best(lambda: [_WORD.findall(source.text) for _ in range(20)], repeats)
    scanned, _ = best(lambda: scan(source), repeats)
    parsed, (file, found) = best(lambda: parse(source), repeats)
    checked, (program, more) = best(lambda: check(file, source, interface), repeats)
    if program is None or found or more:
        raise SystemExit("\n".join(f"{p.span}: {p.title}" for p in (*found, *more)))
    whole: typed.Program = program
    analysed, _ = best(lambda: analyse(whole), repeats)
    return {"floor": floor, "scan": scanned, "parse": parsed, "check": checked, "analyse": analysed}


def main(repeats: int = 7) -> None:
    check(parse(Source("x.agent", ""))[0], Source("x.agent", ""), interface)  # tables and modules, once for a process
    before: dict[str, float] = {}
    for lines in (LINES, 2 * LINES):
        large = source(lines)
        took = steps(large, repeats)
        total = took["parse"] + took["check"]
        print(f"{large.text.count(chr(10)):,} lines, {len(large.text):,} characters")
        for step, seconds in took.items():
            growth = f", {seconds / before[step]:.2f} x half of it" if before else ""
            print(f"  {step:8} {seconds * 1e3:7.1f} ms{growth}")
        limit = f", at most {MOST} s" if lines == LINES else ""
        print(f"  parse and check {total:.3f} s{limit}; {total / took['floor']:.1f} x the floor")
        before = took


if __name__ == "__main__":
    main()
