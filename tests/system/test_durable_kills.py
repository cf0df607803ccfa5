"""Fifty kills of real durable runs at random moments, two runs at a time: while they start, act, stream, and end."""

from __future__ import annotations

import json
import random
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from cli_runs import fresh_home
from test_durable_command import IDS, PROGRAM, SERVED, SHOP, begun, frames, journals, kill

pytestmark = pytest.mark.slow
KILLS = 50
EACH = 5
"""Kills of one run: of who began it, and of those who resumed it."""


def lives(folder: Path, seed: int) -> int:
    """One run, killed up to `EACH` times and resumed until it is over; how often it was killed before its end."""
    moments = random.Random(seed)
    folder.mkdir()
    (folder / "shop.py").write_text(SHOP)
    (folder / "shop.agent").write_text(PROGRAM)
    fresh_home(folder / "home")
    process = begun(folder, "shop.agent:serve", f"ids={IDS}", "--durable", "--quiet")
    assert process.stdout is not None
    run = json.loads(process.stdout.readline())["resume"]
    seen, kills = dict[int, str](), 0
    for life in range(EACH + 1):
        if life < EACH:
            time.sleep(moments.uniform(0.0, 0.6) if life == 0 else moments.uniform(0.1, 1.6))
            out, err = kill(process)
        else:
            out, err = process.communicate(timeout=60)
        assert "Traceback" not in err, err
        told = frames(out)
        for frame in told:
            if frame["type"] == "item":
                assert seen.setdefault(frame["seq"], frame["output"]) == frame["output"]
        if any(frame["type"] == "end" for frame in told):
            break
        kills += 1
        process = begun(folder, "--resume", run, "--quiet")
    outputs = [seen[number] for number in sorted(seen)]
    perhaps = {f"perhaps paid {id}": f"paid {id}" for id in IDS}
    assert [perhaps.get(output, output) for output in outputs] == SERVED
    paid = (folder / "paid.txt").read_text().split()
    assert len(paid) == len(set(paid)), "something was paid twice"
    # What the program was told was paid was, and what it was told may be paid was paid at most once.
    assert {f"paid {id}" for id in paid} >= {output for output in outputs if output.startswith("paid")}
    assert {path.name for path in folder.glob("sent-*")} == {f"sent-{id}" for id in IDS}
    assert len(journals(folder)) <= 1
    return kills


def test_fifty_kills_lose_nothing_and_do_nothing_twice(tmp_path: Path) -> None:
    done, number = 0, 0
    with ThreadPoolExecutor(2) as pool:
        while done < KILLS:
            most = -(-(KILLS - done) // EACH)
            seeds = range(number, number + max(2, most))
            number += len(seeds)
            done += sum(pool.map(lambda seed: lives(tmp_path / str(seed), seed), seeds))
    assert done >= KILLS
