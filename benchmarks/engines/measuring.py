"""The measurements: each goes round all engines, turn by turn, and the best of the turns counts."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from .prompts import Prompts, Step, agent_steps
from .workers import Child

PROMPT = 512
TOKENS = 32
"""Of a reply."""
TEXT = json.dumps({"type": "string", "minLength": 2000})
"""A schema under which each token is chosen with a mask, and none is forced."""
PAIRS = 4
"""Of replies with and without a schema, in each turn."""
REPLY = 48
"""Tokens of the replies that are compared."""


@dataclass
class Measured:
    """Rates in tokens a second, times in seconds, memory in bytes, by what was measured and by engine.

    `best` is the best of the turns; `shared` holds what is said once for a run.
    """

    engines: tuple[str, ...]
    turns: int
    best: dict[str, dict[str, float]] = field(default_factory=dict[str, dict[str, float]])
    about: dict[str, dict[str, Any]] = field(default_factory=dict[str, dict[str, Any]])
    masked: dict[str, list[float]] = field(default_factory=dict[str, list[float]])
    """The time of a step under a schema, of one without, pair by pair."""
    mask: float = 0.0
    """Seconds that a mask and the state behind it take on the host, for a token."""
    read: float = 0.0
    """Bytes a second."""
    beside: dict[int, dict[str, list[float]]] = field(default_factory=dict[int, dict[str, list[float]]])
    """Tokens a second of one reply, of the bytes a second read right before and after it: by positions and engine."""
    load: tuple[float, float] = (0.0, 0.0)
    """Of the machine, before and after."""
    temporaries: Mapping[str, int] = field(default_factory=dict[str, int])
    agents: str = ""
    steps: list[tuple[Step, str, float, float, bool]] = field(
        default_factory=list[tuple[Step, str, float, float, bool]]
    )
    """Of an agent's second step: by engine, its prefill's share of one without reuse, and of tokens that were found."""
    alike: dict[str, int] = field(default_factory=dict[str, int])
    """How many tokens of a reply are those of the first engine."""
    began: float = field(default_factory=time.time)
    seconds: float = 0.0

    def note(self, what: str, engine: str, value: float, least: bool = False) -> None:
        row = self.best.setdefault(what, {})
        row[engine] = (min if least else max)(row.get(engine, value), value)

    def note_beside(self, positions: int, engine: str, share: float) -> None:
        self.beside.setdefault(positions, {}).setdefault(engine, []).append(share)


def decode_row(count: int, positions: int) -> str:
    return f"decode {count} at {positions}"


def prefill_row(count: int, positions: int) -> str:
    return f"prefill {count} at {positions}"


def measure(children: Mapping[str, Child], reading: Child, prompts: Prompts, turns: int, long: bool) -> Measured:
    found = Measured(tuple(children), turns, load=(os.getloadavg()[0], 0.0))
    ours = {name: child for name, child in children.items() if "weights" in child.about}

    def read() -> float:
        return float(reading.ask("read")["rate"])

    spent: dict[str, float] = {}
    for turn in range(-1, turns):
        # The turn before the first one warms, and compiles most of what has to be.
        into = found if turn >= 0 else Measured(found.engines, 0)

        def each(
            step: Callable[[str, Child], None],
            among: Mapping[str, Child] = children,
            into: Measured = into,
        ) -> None:
            into.read = max(into.read, read())
            for name, child in among.items():
                began = time.monotonic()
                step(name, child)
                spent[name] = spent.get(name, 0.0) + time.monotonic() - began

        prompt = prompts.one(PROMPT)
        each(lambda name, child, into=into, prompt=prompt: _first(into, name, child, prompt))
        for count in (1, 4, 16) if turn >= 0 else (16,):
            asked = prompts.several(count, 256 - TOKENS)
            each(lambda name, child, into=into, asked=asked: _serve(into, name, child, asked, 256, read))
        if turn < 0:
            continue
        asked = prompts.several(2 * PAIRS, 256 - TOKENS)
        each(lambda name, child, into=into, asked=asked: _masked(into, name, child, asked, read), ours)
        asked = prompts.several(1, 1024 - TOKENS)
        each(lambda name, child, into=into, asked=asked: _serve(into, name, child, asked, 1024, read))
        if long and not turn:
            asked = prompts.several(16, 1024 - TOKENS)
            each(lambda name, child, into=into, asked=asked: _serve(into, name, child, asked, 1024, read))
        told = ", ".join(f"{name} {seconds:.0f} s" for name, seconds in spent.items())
        print(f"turn {turn + 1} of {turns}, load {os.getloadavg()[0]:.1f}; {told}", file=sys.stderr, flush=True)
    found.about = {name: dict(child.about) for name, child in children.items()}
    for name, child in children.items():
        found.about[name]["memory"] = child.ask("about")["memory"]
    _agents(found, ours, prompts)
    _replies(found, children, prompts.one(PROMPT))
    if "XLA, f32" in children:
        found.mask = children["XLA, f32"].ask("masks", schema=TEXT)["seconds"]
        found.temporaries = children["XLA, f32"].ask("temporaries")["programs"]
    found.load = (found.load[0], os.getloadavg()[0])
    found.seconds = time.time() - found.began
    return found


def _first(into: Measured, name: str, child: Child, prompt: list[int]) -> None:
    took = child.ask("first", prompt=prompt)
    into.note("prefill", name, len(prompt) / took["fill"])
    into.note("first", name, took["first"], least=True)


def _serve(
    into: Measured, name: str, child: Child, asked: list[list[int]], positions: int, read: Callable[[], float]
) -> None:
    count = len(asked)
    before = read() if count == 1 else 0.0
    took = child.ask("serve", prompts=asked, tokens=TOKENS)
    if took["made"] < 0.9 * count * (TOKENS - 1):
        print(f"{name}: {took['made']} tokens of {count * (TOKENS - 1)}", file=sys.stderr)
    into.note(decode_row(count, positions), name, took["made"] / took["decode"])
    if count == 1:
        into.note_beside(positions, name, took["made"] / took["decode"] / ((before + read()) / 2))
    into.note(prefill_row(count, positions), name, sum(map(len, asked)) / took["fill"])


def _masked(into: Measured, name: str, child: Child, asked: list[list[int]], read: Callable[[], float]) -> None:
    """Without a schema and with it, one right behind the other, either one first in turn."""
    for pair, both in enumerate(zip(asked[::2], asked[1::2], strict=True)):
        rates: dict[str | None, float] = {}
        for prompt, schema in zip(both, (None, TEXT) if pair % 2 else (TEXT, None), strict=True):
            before = read()
            took = child.ask("serve", prompts=[prompt], tokens=TOKENS, schema=schema)
            rates[schema] = took["made"] / took["decode"]
            if schema is None:
                into.note_beside(256, name, rates[None] / ((before + read()) / 2))
        into.note(decode_row(1, 256), name, rates[None])
        into.note("masked", name, rates[TEXT])
        into.masked.setdefault(name, []).append(rates[None] / rates[TEXT])


def _agents(found: Measured, ours: Mapping[str, Child], prompts: Prompts) -> None:
    """The steps as the trace has them, by XLA; the middle one by all. Each twice, and the better counts."""
    found.agents, steps = agent_steps()
    for step in steps:
        for name, child in ours.items():
            if step != steps[len(steps) // 2] and not name.startswith("XLA"):
                continue
            reused: list[float] = []
            whole: list[float] = []
            told: dict[str, Any] = {}
            for _ in range(2):
                before = prompts.one(step.before)
                then = before[: step.shared] + prompts.one(step.then - step.shared)
                told = child.ask("steps", before=before, then=then, alone=prompts.one(step.then))
                reused.append(told["reused"])
                whole.append(told["whole"])
            share = min(reused) / min(whole)
            found.steps.append((step, name, share, told["cached"] / step.then, bool(told["finds"])))


def _replies(found: Measured, children: Mapping[str, Child], prompt: list[int]) -> None:
    replies = {name: child.ask("reply", prompt=prompt, tokens=REPLY)["tokens"] for name, child in children.items()}
    base = replies[found.engines[0]]
    for name, tokens in replies.items():
        same = [a == b for a, b in zip(base, tokens, strict=False)]
        found.alike[name] = same.index(False) if False in same else len(same)
