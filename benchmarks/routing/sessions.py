"""Recorded sessions of agents, and prompts that name their blocks: read where they lie, never kept here."""

from __future__ import annotations

import os
from collections.abc import Hashable
from dataclasses import dataclass
from pathlib import Path

from agentlang.planner.traces import Reader, Request


@dataclass(frozen=True, slots=True)
class Step:
    """A call: tokens of its prompt with a key for each page of them, tokens of its reply, and the seconds from its end
    to the next call of its session, in which tools run."""

    prompt: int
    reply: int
    keys: tuple[Hashable, ...]
    tools: float


Session = tuple[Step, ...]


ROOT = Path(__file__).parents[2]


def traces() -> Path:
    return Path(os.environ.get("AGENTLANG_DATA") or ROOT.parent / "shared" / "data") / "traces"


def agents() -> tuple[int, list[Session]]:
    """Tokens of a page, and the sessions of `agent_shapes.csv`, in order of their beginning."""
    return _read("agent_shapes.csv")


def mooncake() -> tuple[int, list[Session]]:
    """Of `mooncake_synthetic.jsonl`: a trace without sessions, whose prompts share blocks. Each is one of a step."""
    return _read("mooncake_synthetic.jsonl")


def _read(name: str) -> tuple[int, list[Session]]:
    with (traces() / name).open("rb") as stream:
        reader = Reader(name, stream)
        found: dict[str, list[Request]] = {}
        for request in reader:
            found.setdefault(request.session or f"line {request.line}", []).append(request)
    return reader.page, [_session(requests) for requests in found.values()]


def _session(requests: list[Request]) -> Session:
    steps: list[Step] = []
    for request, then in zip(requests, [*requests[1:], None], strict=True):
        between = 0.0 if then is None else then.at - request.at - request.reply / RECORDED
        tools = min(max(between, 0.0), LONGEST)
        steps.append(Step(max(1, round(request.prompt)), max(1, round(request.reply)), request.keys, tools))
    return tuple(steps)


RECORDED = 50.0
"""Tokens a second of the model that the sessions were recorded with, about: what else lies between calls are tools."""
LONGEST = 10.0
"""Seconds: who answers later is a person."""
