"""Traces that tests make: requests whose sizes and times are known."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

from agentlang.api import Compiled, check, compile, decode
from agentlang.planner.figures import Basis, Figure
from agentlang.planner.hardware import Machine
from agentlang.planner.traces import Load, Named, Reader, load_of
from agentlang.stdlib.library import Library

HEAD = "TIMESTAMP,ContextTokens,GeneratedTokens"
SIZES = Named("prompt.tokens", "chat.output")

CHAT = """use std/llm

model writer = llm.chat("llama-3-8b-instruct", dtype: "fp8")

pipeline chat(prompt: Text) -> stream Text {
  return writer.chat(prompt, max_tokens: 512)
}

goal chat {
  assume { prompt 600 tokens, chat output 40 tokens }
  first_token p95 <= 2 s
  token_gap   p95 <= 50 ms
  finish      p99 <= 60 s
}

fleet lab { tier gpu = catalog.h100 { count 0..8 } }
"""


def stamp(seconds: float) -> str:
    minutes, rest = divmod(seconds, 60.0)
    hours, minutes = divmod(int(minutes), 60)
    return f"2025-03-01 {hours:02d}:{minutes:02d}:{rest:09.6f}"


def azure(rows: list[tuple[float, int, int]]) -> bytes:
    """Requests as Azure records them: seconds, tokens of the prompt, tokens of the reply."""
    return "\n".join((HEAD, *(f"{stamp(at)},{prompt},{reply}" for at, prompt, reply in rows), "")).encode()


def two_minutes() -> bytes:
    """A request a second for a minute, then two; a tenth of the prompts is ten times as long as the others, and a tenth
    of the replies, of other requests, is five times as long."""
    times = [float(at) for at in range(60)] + [60.0 + at / 2.0 for at in range(120)]
    return azure([(at, 4000 if n % 10 == 3 else 400, 100 if n % 10 == 7 else 20) for n, at in enumerate(times)])


def reader(data: bytes, name: str = "requests.csv") -> Reader:
    return Reader(name, BytesIO(data))


def load(data: bytes, sizes: Named = SIZES, name: str = "requests.csv") -> Load:
    read = reader(data, name)
    found = load_of(read, sizes)
    assert found is not None, read.problems
    return found


def compiled(text: str = CHAT) -> Compiled:
    source, _ = decode("lab.agent", text.encode())
    assert source is not None
    checked = check(source)
    assert checked.program is not None, checked.problems
    made, found = compile(checked.program, Library(Path()))
    assert made is not None, found
    return made


def machine() -> Machine:
    def figure(amount: float, unit: str) -> Figure:
        return Figure(amount, unit, Basis.MEASURED, "test", "2025-01")

    return Machine(
        key="toy",
        processor="toy",
        cores=2,
        memory=figure(8e9, "B"),
        bandwidth=figure(10e9, "B/s"),
        compute=figure(100e9, "FLOP/s"),
        launch=figure(1e-5, "s"),
        disk=figure(1e9, "B/s"),
    )
