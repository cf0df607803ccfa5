"""One engine in this process, asked by lines of JSON: by the protocol of engines and nothing else.

python -m benchmarks.engines.worker xla FILE
python -m benchmarks.engines.worker reading          # no engine: how fast the memory is read
"""

from __future__ import annotations

import gc
import json
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any

import anyio
import anyio.to_thread

from agentlang.executor.engines import engine
from agentlang.executor.engines.protocol import ChatModel, ChatModelSource, Engine, ModelSpec, Sampling, SequenceHandle
from agentlang.stdlib.models import open_chat

NAME = "smollm2-135m-instruct"
CONTEXT = 2048
AT_ONCE = 16
_READS = 25


class Worker:
    def __init__(self, engine: Engine, model: ChatModel, source: ChatModelSource, loaded: float) -> None:
        self.engine, self.model, self.source, self.loaded = engine, model, source, loaded

    async def about(self) -> dict[str, Any]:
        facts = self.model.facts
        return {
            "load": self.loaded,
            "memory": sum(map(_peak, _processes())),
            "weights": facts.weight_bytes,
            "cache": facts.cache_bytes_per_position,
        }

    async def first(self, prompt: list[int]) -> dict[str, Any]:
        """Seconds to fill a prompt, and to the first token."""
        began = time.perf_counter()
        sequence = await self.model.prefill(prompt)
        filled = time.perf_counter()
        async for _ in self.model.decode(sequence, Sampling(max_tokens=1)):
            pass
        first = time.perf_counter()
        await self.model.release(sequence)
        return {"fill": filled - began, "first": first - began}

    async def serve(self, prompts: list[list[int]], tokens: int, schema: str | None = None) -> dict[str, Any]:
        """Fill prompts at once, then reply to them at once: seconds of each, and tokens made behind the first."""
        began = time.perf_counter()
        sequences = await self._filled(prompts)
        filled = time.perf_counter()
        times: list[list[float]] = [[] for _ in prompts]

        async def one(number: int) -> None:
            sampling = Sampling(max_tokens=tokens, schema=schema)
            decoding = self.model.decode(sequences[number], sampling)
            times[number] += [time.perf_counter() async for _ in decoding]

        async with anyio.create_task_group() as group:
            for number in range(len(prompts)):
                group.start_soon(one, number)
        for sequence in sequences:
            await self.model.release(sequence)
        # The first token of each comes without a step of its own.
        first, last = max(mine[0] for mine in times), max(mine[-1] for mine in times)
        made = sum(each > first for mine in times for each in mine)
        return {"fill": filled - began, "decode": last - first, "made": made}

    async def _filled(self, prompts: list[list[int]]) -> list[SequenceHandle]:
        found: dict[int, SequenceHandle] = {}

        async def one(number: int) -> None:
            found[number] = await self.model.prefill(prompts[number])

        async with anyio.create_task_group() as group:
            for number in range(len(prompts)):
                group.start_soon(one, number)
        return [found[number] for number in range(len(prompts))]

    async def reply(self, prompt: list[int], tokens: int) -> dict[str, Any]:
        sequence = await self.model.prefill(prompt)
        made = [token async for token in self.model.decode(sequence, Sampling(max_tokens=tokens))]
        await self.model.release(sequence)
        return {"tokens": made}

    async def steps(self, before: list[int], then: list[int], alone: list[int]) -> dict[str, Any]:
        """Two steps of an agent, whose second prompt begins as the first one: seconds of the second prefill, and of one
        as long that begins like nothing. The first is answered, and over, before the second comes; an engine that does
        not look by itself has it held, and is told where it is."""
        first = await self.model.prefill(before)
        async for _ in self.model.decode(first, Sampling(max_tokens=8)):
            pass
        near = None if self.engine.capabilities.finds_prefixes else first
        if near is None:
            await self.model.release(first)
        began = time.perf_counter()
        second = await self.model.prefill(then, near)
        reused = time.perf_counter() - began
        cached = second.stats.cached_tokens
        await self.model.release(first)
        await self.model.release(second)
        began = time.perf_counter()
        whole = await self.model.prefill(alone)
        took = time.perf_counter() - began
        await self.model.release(whole)
        return {"reused": reused, "whole": took, "cached": cached, "finds": near is None}

    async def masks(self, schema: str) -> dict[str, Any]:
        """Seconds of a mask and the state behind it, on the host, for a token of a text."""
        from agentlang.executor.engines.constraint.masks import Masks

        source = self.source
        constraint = Masks(source.tokenizer(), source.facts().vocabulary).constraint(schema)
        text = source.tokenizer().encode('"' + "What a mask costs is the time between two tokens. " * 20)
        times: list[float] = []
        for token in text:
            began = time.perf_counter()
            constraint.mask()
            constraint.take(token)
            constraint.forced()
            times.append(time.perf_counter() - began)
        return {"seconds": median(times)}

    async def temporaries(self) -> dict[str, Any]:
        """Bytes of the largest temporary of each program that decodes, as XLA says."""
        from agentlang.executor.engines.xla.kept import KeptPrograms

        found: dict[str, int] = {}
        for kept in gc.get_objects():
            if isinstance(kept, KeptPrograms):
                programs: dict[str, Any] = kept._loaded  # pyright: ignore[reportPrivateUsage] - by their names
                for name, program in programs.items():
                    if "prefill" not in name and "chunk" not in name:
                        found[name] = int(program.memory_analysis().temp_size_in_bytes)
        return {"programs": found}


def _processes() -> Sequence[int]:
    """This process and those that it started."""
    found = [os.getpid()]
    for task in Path("/proc/self/task").iterdir():
        found += map(int, (task / "children").read_text().split())
    return found


def _peak(process: int) -> int:
    """The most memory that a process had, in bytes. (What `getrusage` says may be of whoever started it.)"""
    lines = Path(f"/proc/{process}/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))


def _engine(name: str) -> Engine:
    if name != "llamacpp":
        return engine(name)
    from agentlang.executor.engines.llamacpp.engine import LlamaCppEngine

    # Its room is one sequence's by default; here as many are open as there are slots.
    return LlamaCppEngine(AT_ONCE, positions=AT_ONCE * 1152)


async def main(name: str, file: Path, weights: str = "f32") -> None:
    source = open_chat(file, NAME, weights)
    source.tokenizer()  # read from a GGUF file once and then kept: no part of loading
    chosen = _engine(name)
    began = time.perf_counter()
    model = await chosen.load(ModelSpec(NAME, source, context=CONTEXT))
    worker = Worker(chosen, model, source, time.perf_counter() - began)
    print(json.dumps(await worker.about()), flush=True)
    while line := await anyio.to_thread.run_sync(sys.stdin.readline):
        asked = json.loads(line)
        print(json.dumps(await getattr(worker, asked.pop("do"))(**asked)), flush=True)
    await model.close()


def reading() -> None:
    from ..rates import ReadRate

    rate = ReadRate()
    print("{}", flush=True)
    for _ in sys.stdin:
        # Over about as long as a reply takes: a single read is now and then twice as fast as memory ever goes on.
        print(json.dumps({"rate": median(rate() for _ in range(_READS))}), flush=True)


if __name__ == "__main__":
    if sys.argv[1] == "reading":
        reading()
    else:
        anyio.run(main, sys.argv[1], Path(sys.argv[2]), *sys.argv[3:])
