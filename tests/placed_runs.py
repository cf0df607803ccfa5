"""A program on three tiers with Python tools, for tests that run it in processes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from agentlang import api
from agentlang.executor.frames import End, Item
from agentlang.executor.workers.coordinator import Coordinator
from agentlang.placed import Placing, coordinated, place
from agentlang.stdlib.library import Library

PROGRAM = """
use std/text

tool count(n: Int, pause: Int) -> stream Text = python("tools:count") effects []
tool slow(text: Text) -> Text = python("tools:slow") effects []
tool shout(text: Text) -> Text = python("tools:shout") effects []
tool pay(text: Text) -> Text = python("tools:pay") effects [writes "ledger"]

pipeline clean(texts: [Text]) -> [Text] {
  return for part in texts {
    once = text.redact(part) with place on far
    again = text.redact("{once} or me@home.org") with place on beyond
    "{again}!"
  }
}

pipeline counted(n: Int, pause: Int) -> stream Text {
  return count(n, pause) with place on far
}

pipeline passed(n: Int, pause: Int) -> stream Text {
  numbers = count(n, pause) with place on far
  return for number in numbers {
    shout(number) with place on beyond
  }
}

pipeline sure(n: Int, pause: Int) -> Text {
  return slow("a") with place on far
}

pipeline fallen(word: Text) -> Text {
  paid = pay(word)
  answer = slow(paid) with place on far
  return "{paid}: {answer}"
}

pipeline caught(word: Text) -> Text {
  paid = pay(word)
  return (slow(paid) with place on far) otherwise on unreachable "nobody answers {paid}"
}

pipeline paid_there(word: Text) -> Text {
  return pay(word) with place on far
}

fleet desk {
  tier near = catalog.laptop { count 1 }
  tier far = catalog.laptop { count 0..2 }
  tier beyond = catalog.laptop { count 0..2 }
  link * <-> * 10 Gbit/s, 50 us
}
"""
TOOLS = """
import time
from pathlib import Path


def count(n: int, pause: int):
    for number in range(n):
        time.sleep(pause / 1000)
        yield str(number)


def slow(text: str) -> str:
    with (Path(__file__).parent / "log").open("a") as log:
        log.write("slow\\n")
    time.sleep(0.5)
    return text


def shout(text: str) -> str:
    return text.upper() + "!"


def pay(text: str) -> str:
    with (Path(__file__).parent / "log").open("a") as log:
        log.write("paid\\n")
    time.sleep(0.3)
    return f"paid {text}"
"""


def placing(folder: Path, pipeline: str, program: str = PROGRAM) -> Placing:
    (folder / "tools.py").write_text(TOOLS)
    (folder / "log").touch()
    path = folder / "placed.agent"
    path.write_text(program)
    source, problems = api.read(str(path))
    assert source is not None, problems
    checked = api.check(source)
    assert checked.program is not None, checked.problems
    compiled, problems = api.compile(checked.program, Library(folder))
    assert compiled is not None, problems
    made, problems = place(compiled, pipeline)
    assert made is not None, problems
    return made


@asynccontextmanager
async def ready(made: Placing, limit: float = 60.0, **options: Any) -> AsyncIterator[Coordinator]:
    async with asyncio.timeout(limit), coordinated(made, **options) as coordinator:
        await coordinator.ready()
        yield coordinator


async def heard(frames: Any) -> tuple[str, object, str | None, list[object]]:
    items: list[object] = []
    async for frame in frames:
        if isinstance(frame, Item):
            items.append(frame.output)
        elif isinstance(frame, End):
            return frame.outcome.status, frame.outcome.value, frame.outcome.reason, items
    raise AssertionError("a run has no end")
