"""Due times reach the engine: of two runs that want one model, the one that is due first is served first."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import anyio
import pytest
from graphs import Body

from agentlang.executor.backends.local import LocalBackend
from agentlang.executor.clock import VirtualEventLoop
from agentlang.executor.deployment import Deployment
from agentlang.executor.engines.null import NullEngine, NullTimings
from agentlang.executor.engines.protocol import ModelSpec
from agentlang.executor.frames import End, frame_json
from agentlang.executor.kinds import Kind, Opener
from agentlang.executor.promises import Line, Promise, Promises
from agentlang.executor.scheduler import Settings
from agentlang.executor.shell import open_shell
from agentlang.ir.graph import Graph, GraphPipeline
from agentlang.lang.types import TEXT
from agentlang.stdlib.kinds import llm


class OneModel:
    """The stages of a chat, on a model that computes 32 tokens of prompts in a step of a second."""

    def kind(self, entry: str) -> Kind:
        return getattr(llm, entry.removeprefix("llm:"))

    def opener(self, entry: str) -> Opener:
        del entry
        return self._open

    async def _open(self, name: str, arguments: Mapping[str, object]) -> object:
        del name, arguments
        settings = Settings(512, 16, 4, tokens=32, chunk=32)
        engine = NullEngine(NullTimings(prefill_per_token=1 / 32), answer=lambda *_: "yes", scheduling=settings)
        return await engine.load(ModelSpec("null"))


def chat(name: str) -> tuple[GraphPipeline, Body]:
    body = Body(name)
    prompt = body.input("prompt", TEXT)
    reply = body.llm(body.open("writer"), prompt, max_tokens=2)
    return body.pipeline(body.collect(reply)), body


def two() -> Graph:
    """Pipelines on one model."""
    (patient, body), (hasty, _) = chat("patient"), chat("hasty")
    return Graph("0" * 64, tuple(body.handles), (), (patient, hasty))


def promised(graph: Graph, name: str, limit: float, enforce: bool = False) -> Promises:
    operations = graph.pipeline(name).body.operations
    prefill = next(each.id for each in operations if each.name == "agent.prefill")
    return Promises(name, (Promise("finish", limit, {prefill: limit}, name="finish p95"),), enforce=enforce)


def over(graph: Graph, *promises: Promises) -> tuple[list[str], dict[str, End]]:
    """Both want the model at once, `patient` first; who was over first, and how."""
    order: list[str] = []
    ends: dict[str, End] = {}

    async def main() -> None:
        async with open_shell(Deployment(graph, promises=promises), LocalBackend(OneModel())) as shell:

            async def one(name: str) -> None:
                ends[name] = await shell.start(name, {"prompt": name[0] * 600}).result()
                order.append(name)

            async with anyio.create_task_group() as group:
                for name in ("patient", "hasty"):
                    group.start_soon(one, name)

    anyio.run(main, backend_options={"loop_factory": VirtualEventLoop})
    assert all(end.outcome.status == "done" for end in ends.values()), ends
    return order, ends


def test_the_run_with_less_time_left_goes_first() -> None:
    graph = two()
    assert over(graph)[0] == ["patient", "hasty"]
    assert over(graph, promised(graph, "patient", 500.0), promised(graph, "hasty", 30.0))[0] == ["hasty", "patient"]
    assert over(graph, promised(graph, "patient", 30.0), promised(graph, "hasty", 500.0))[0] == ["patient", "hasty"]


def test_a_promise_goes_before_none() -> None:
    graph = two()
    assert over(graph, promised(graph, "hasty", 25.0))[0] == ["hasty", "patient"]


def test_who_is_let_in_is_in_time_and_who_is_not_has_cost_nothing() -> None:
    graph = two()
    seconds, limit = 20.0, 110.0
    promises = promised(graph, "hasty", limit, enforce=True)
    (promise,), stages = promises.promises, frozenset(promises.promises[0].slices)
    promises = replace(
        promises,
        promises=(replace(promise, alone=seconds, needs=dict.fromkeys(stages, seconds)),),
        lines=(Line("model", 1, seconds, stages),),
    )
    ends: list[End] = []

    async def main() -> None:
        deployment = Deployment(graph, call_timeout=1000.0, promises=(promises,))
        async with open_shell(deployment, LocalBackend(OneModel())) as shell:

            async def one(number: int) -> None:
                ends.append(await shell.start("hasty", {"prompt": f"{number} " + "h" * 600}).result())

            async with anyio.create_task_group() as group:
                for number in range(40):
                    group.start_soon(one, number)

    anyio.run(main, backend_options={"loop_factory": VirtualEventLoop})
    done = [end for end in ends if end.outcome.status == "done"]
    refused = [end for end in ends if end.outcome.reason == "not_admitted"]
    assert (len(done), len(refused)) == (5, 35)  # the fifth waits 80 s, the sixth would end after 120
    assert all(end.timings.finish <= limit and not end.blame for end in done)
    assert all(not end.timings.stages and end.outcome.problem is not None for end in refused)


def test_time_in_line_for_the_model_is_blamed_on_the_line() -> None:
    graph = two()
    _, ends = over(graph, promised(graph, "patient", 25.0), promised(graph, "hasty", 1.0))
    (missed,) = ends["patient"].blame
    causes: dict[str, float] = {}
    for part in missed.parts:
        causes[part.cause] = causes.get(part.cause, 0.0) + part.seconds
    # The hasty one's prompt is computed before its own: it stood in line for as long as it then took itself.
    assert causes["in line"] == pytest.approx(causes["model"], rel=0.2)
    assert sum(part.seconds for part in missed.parts) == pytest.approx(missed.measured)
    assert missed.measured == pytest.approx(ends["patient"].timings.finish - ends["patient"].timings.opening)
    (told,) = frame_json(ends["patient"])["blame"]  # type: ignore[misc]
    assert told["promise"] == "finish p95" and told["parts"][0]["cause"] in ("in line", "model")
