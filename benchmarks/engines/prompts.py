"""What the engines are asked: texts whose likeliest replies go on, and the steps of agents.

Each prompt begins with a token that no other one begins with, so that no engine finds it instead of computing it.
"""

from __future__ import annotations

import csv
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path

ROOT = Path(__file__).parents[2]
CHARACTERS = 4
"""To a token, about: a trace counts characters."""
ROOM = 2000
"""Tokens of a prompt at most, of the context that the engines are loaded with."""


class Prompts:
    """Prompts of any length, each another one. They count upwards, which a model goes on with for long."""

    def __init__(self, encode: Callable[[str], tuple[int, ...]]) -> None:
        self._encode = encode
        self._numbers = count(1)

    def one(self, length: int) -> list[int]:
        return self.several(1, length)[0]

    def several(self, number: int, length: int) -> list[list[int]]:
        return [self._made(next(self._numbers), length) for _ in range(number)]

    def _made(self, number: int, length: int) -> list[int]:
        start = 100 + number * 1009 % 8000
        # A number takes two tokens at least: its digits and the space.
        text = " ".join(map(str, range(start, start + length)))
        return [1000 + number, *self._encode(text)][:length]


@dataclass(frozen=True, slots=True)
class Step:
    """The second step of an agent's session, in tokens: its prompt, and what of it the first step's began with."""

    session: str
    before: int
    then: int
    shared: int


def agent_steps() -> tuple[str, list[Step]]:
    """Where they are from; and steps at the quarters of how much is shared, the most first.

    From the trace `agent_shapes.csv` of mini-SWE-agent's sessions where it is there (`AGENTLANG_DATA`), whose prompts
    grow by what happened; else one made up with the shares that such sessions have.
    """
    home = Path(os.environ.get("AGENTLANG_DATA") or ROOT.parent / "shared" / "data")
    file = home / "traces" / "agent_shapes.csv"
    if not file.is_file():
        made = [Step(f"made up, {share:.0%} shared", 1300, 1400, int(1400 * share)) for share in (0.92, 0.85, 0.75)]
        return "steps made up (no trace here)", made
    steps = sorted(_second_steps(file), key=lambda step: -step.shared / step.then)
    return f"second steps of {len(steps)} sessions of mini-SWE-agent", [steps[len(steps) * i // 4] for i in (1, 2, 3)]


def _second_steps(file: Path) -> Iterator[Step]:
    sessions: dict[str, list[dict[str, str]]] = {}
    with file.open(newline="") as lines:
        for row in csv.DictReader(lines):
            if row["agent"] == "miniswe":
                sessions.setdefault(row["session"], []).append(row)
    for name, rows in sessions.items():
        if len(rows) > 1:
            before, then = (int(row["input_chars"]) // CHARACTERS for row in rows[:2])
            shared = int(rows[1]["prefix_shared_with_prev_input_chars"]) // CHARACTERS
            if shared > 0 and max(before, then) <= ROOM:
                yield Step(name[:8], before, then, min(shared, before))
