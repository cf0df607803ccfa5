"""A program with a pass and without it: what its runs ask of the models, and how long they take.

On the real model the two take turns, and the medians are compared; what compiles does so before. On the null engine the
model's tokenizer is real, and the time is that of an imitated device, which a virtual clock lets pass at once. That
device runs 16 sequences a step, and finds by itself what prompts have in common with those that it has computed.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import anyio

from agentlang.api import check, read
from agentlang.base import paths
from agentlang.executor.backends.local import LocalBackend
from agentlang.executor.clock import VirtualEventLoop
from agentlang.executor.deployment import Deployment
from agentlang.executor.engines.null import NullEngine, NullTimings
from agentlang.executor.engines.protocol import SERVICE, ChatModel, Engine, ModelSpec, SequenceHandle, Service
from agentlang.executor.engines.xla.engine import XlaEngine
from agentlang.executor.frames import End
from agentlang.executor.kinds import Kind, Opener
from agentlang.executor.shell import open_shell
from agentlang.ir import compile as irc
from agentlang.ir.graph import Graph
from agentlang.ir.passes import PASSES
from agentlang.stdlib.library import Library
from agentlang.stdlib.models import open_chat

NULL = NullTimings(prefill_fixed=0.02, prefill_per_token=0.001, gap=0.02)
"""About what the small model takes on two cores, in seconds."""


@dataclass
class Asked:
    """What a run asked of its models."""

    calls: int = 0
    prefills: int = 0
    tokens: int = 0
    """Tokens that were computed in prefills."""
    seconds: float = 0.0
    value: object = None


@dataclass
class Kinds:
    """The library, with models on an engine of this benchmark's choice that count what they are asked."""

    library: Library
    engine: Engine
    source: Callable[[str], Any]
    asked: Asked = field(default_factory=Asked)
    models: dict[str, ChatModel] = field(default_factory=dict[str, ChatModel])

    def kind(self, entry: str) -> Kind:
        return self.library.kind(entry)

    def opener(self, entry: str) -> Opener:
        return self._open if entry == "llm:model" else self.library.opener(entry)

    async def _open(self, name: str, arguments: Mapping[str, object]) -> object:
        del name
        model = cast(str, arguments["name"])
        if model not in self.models:
            self.models[model] = await self.engine.load(ModelSpec(model, self.source(model)))
        return Counted(self.models[model], self)


class Counted:
    """A model that counts. Closing it keeps the model open for the next run."""

    def __init__(self, model: ChatModel, kinds: Kinds) -> None:
        self._model = model
        self._kinds = kinds

    def __getattr__(self, name: str) -> Any:
        return getattr(self._model, name)

    async def prefill(
        self, tokens: Sequence[int], prefix: SequenceHandle | None = None, service: Service = SERVICE
    ) -> SequenceHandle:
        sequence = await self._model.prefill(tokens, prefix, service)
        self._kinds.asked.prefills += 1
        self._kinds.asked.tokens += len(tokens) - sequence.stats.cached_tokens
        return sequence

    def decode(self, *arguments: Any) -> Any:
        self._kinds.asked.calls += 1
        return self._model.decode(*arguments)

    async def close(self) -> None:
        pass


def graphs(path: Path, without: str) -> tuple[Graph, Graph]:
    """The program after all passes, and after all but one."""
    source, problems = read(path)
    assert source is not None, problems
    program = check(source).program
    assert program is not None
    module, problems = irc.lower(program)
    assert module is not None, problems
    found: list[Graph] = []
    for left_out in ("", without):
        made, problems = irc.run_passes(module, Library(path.parent), passes=[p for p in PASSES if p != left_out])
        assert made is not None, problems
        found.append(made.graph())
    return found[0], found[1]


async def asked(graph: Graph, kinds: Kinds, pipeline: str, inputs: Mapping[str, object]) -> Asked:
    """One run of the pipeline."""
    kinds.asked = Asked()
    began, wall = anyio.current_time(), time.perf_counter()
    async with open_shell(Deployment(graph), LocalBackend(kinds)) as shell:
        async for frame in shell.run(pipeline, inputs):
            if isinstance(frame, End):
                assert frame.outcome.status == "done", frame.outcome
                kinds.asked.value = frame.outcome.value
    virtual = isinstance(kinds.engine, NullEngine)
    kinds.asked.seconds = anyio.current_time() - began if virtual else time.perf_counter() - wall
    return kinds.asked


def compare(name: str, path: Path, pipeline: str, inputs: Mapping[str, object], turns: int = 3) -> None:
    """Print what the pass `name` gains."""
    file = next(iter((paths.models_home() / "smollm2-135m-instruct").glob("*.gguf")), None)
    if file is None:
        print("left out: smollm2-135m-instruct is not here; `agentlang models pull smollm2-135m-instruct` fetches it")
        return
    both = graphs(path, name)

    async def measure(engine: Engine, turns: int) -> None:
        kinds = Kinds(Library(path.parent), engine, lambda model: open_chat(file, model))
        runs: tuple[list[Asked], list[Asked]] = ([], [])
        for turn in range(turns + 1):
            for graph, found in zip(both, runs, strict=True):
                if not turns:
                    # What the one computed is nothing that the other may find.
                    kinds.models.clear()
                ran = await asked(graph, kinds, pipeline, inputs)
                if turn or not turns:
                    found.append(ran)
        for words, found in zip((f"with {name}", "without it"), runs, strict=True):
            seconds = statistics.median(run.seconds for run in found)
            last = found[-1]
            print(
                f"{engine.name:5} {words:24} {last.calls:3} calls  {last.prefills:3} prefills  "
                f"{last.tokens:6} tokens prefilled  {seconds:7.2f} s"
            )
        ratio = statistics.median(a.seconds for a in runs[0]) / statistics.median(b.seconds for b in runs[1])
        equal = runs[0][-1].value == runs[1][-1].value
        print(f"{engine.name:5} {ratio:.2f} x the time; the answers are {'equal' if equal else 'NOT equal'}")
        for model in kinds.models.values():
            await model.close()

    main: Callable[..., Awaitable[None]] = measure
    anyio.run(main, XlaEngine(), turns)
    anyio.run(main, NullEngine(NULL), 0, backend_options={"loop_factory": VirtualEventLoop})
