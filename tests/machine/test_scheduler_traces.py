"""Recorded requests through the scheduler: what they share is found, as far as the memory goes."""

from __future__ import annotations

import csv
import json
import os
from collections import Counter
from itertools import count
from pathlib import Path

import pytest

from agentlang.executor.scheduler import Admitted, Arrived, Released, Scheduler, Settings, Step, StepDone, StepWanted

TRACES = Path(os.environ.get("AGENTLANG_DATA", Path(__file__).parents[3] / "shared" / "data")) / "traces"
CHARACTERS = 4
"""To a token, about."""

pytestmark = pytest.mark.skipif(not TRACES.is_dir(), reason="the measured serving data is not here (AGENTLANG_DATA)")


def served(scheduler: Scheduler, arrived: Arrived) -> int:
    """Run one request by itself, and release it. Returns how much of it was cached."""
    scheduler.handle(arrived)
    cached = 0
    while True:
        orders = scheduler.handle(StepWanted(arrived.at))
        cached += sum(order.cached for order in orders if isinstance(order, Admitted))
        if not orders or not isinstance(orders[-1], Step):
            break
        scheduler.handle(StepDone(arrived.at, orders[-1].number))
    scheduler.handle(Released(arrived.at, arrived.sequence))
    return cached


def test_steps_of_agents_compute_what_is_new() -> None:
    """1,619 steps of 69 agent sessions, all at the same time, in the memory of 64,000 tokens."""
    with (TRACES / "agent_shapes.csv").open() as lines:
        rows = sorted(csv.DictReader(lines), key=lambda row: int(row["timestamp_us"]))
    scheduler = Scheduler(Settings(pages=4000, page=16, rows=16, tokens=2048, chunk=2048))
    fresh = count(10)
    before: dict[str, list[int]] = {}
    total, shared, cached = Counter[str](), Counter[str](), Counter[str]()
    for number, row in enumerate(rows):
        agent, session = row["agent"], f"{row['agent']} {row['session']}"
        length = max(2, int(row["input_chars"]) // CHARACTERS)
        begins = before.get(session, [])[: int(row["prefix_shared_with_prev_input_chars"]) // CHARACTERS][:length]
        tokens = [*begins, *(next(fresh) for _ in range(length - len(begins)))]
        total[agent] += length
        shared[agent] += min(len(begins), length - 1)
        cached[agent] += served(scheduler, Arrived(float(number), number, tuple(tokens)))
        before[session] = tokens
    assert min(shared[agent] / total[agent] for agent in total) > 0.35
    assert max(shared[agent] / total[agent] for agent in total) > 0.85
    for agent in total:
        assert 0.99 * shared[agent] <= cached[agent] <= shared[agent]
    assert scheduler.free_pages + scheduler.cached_pages == 4000


def test_pages_told_by_name_are_found() -> None:
    """A trace that names its blocks of 512 tokens: with memory for all of them, each is computed once."""
    rows = [json.loads(line) for line in (TRACES / "mooncake_synthetic.jsonl").read_text().splitlines()[:1000]]
    scheduler = Scheduler(Settings(pages=40_000, page=512, rows=32, tokens=8192, chunk=8192))
    seen: set[int] = set()
    for number, row in enumerate(rows):
        length = row["input_length"]
        keys = tuple(row["hash_ids"][: length // 512])
        known = 0
        while known < (length - 1) // 512 and keys[known] in seen:
            known += 1
        seen.update(keys)
        assert served(scheduler, Arrived(float(number), number, length=length, keys=keys)) == known * 512
