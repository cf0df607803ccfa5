"""agentlang: the whole executor, with kinds that add 1."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

from agentlang.executor.backends.local import LocalBackend
from agentlang.executor.deployment import Deployment
from agentlang.executor.kinds import Context, Kind, Opener
from agentlang.executor.shell import open_shell
from agentlang.ir.graph import Graph, GraphPipeline, Input, Operation, Region, Value
from agentlang.lang.types import INT, ListType

Run = Callable[[], Awaitable[object]]
INTS = ListType(INT)


class Library:
    def kind(self, entry: str) -> Kind:
        del entry
        return add

    def opener(self, entry: str) -> Opener:
        raise KeyError(entry)


async def add(_: Context, arguments: Any) -> int:
    return arguments["of"] + 1


def stage(name: str, of: Value, number: int) -> Operation:
    return Operation(name, "agent.stage", (of,), (Value(number, INT),), {"entry": "x:add", "parameters": ("of",)})


def pipeline(name: str, given: Value, operations: list[Operation], result: Value) -> GraphPipeline:
    last = Operation(f"{name}.return", "agent.return", (result,), (), {})
    inputs = (Input("given", given.type, True),)  # type: ignore[arg-type]
    return GraphPipeline(name, inputs, result.type, Region((given,), (*operations, last)))  # type: ignore[arg-type]


def chain(stages: int) -> GraphPipeline:
    values = [Value(number, INT) for number in range(stages + 1)]
    made = [stage(f"chain.{n}", values[n], n + 1) for n in range(stages)]
    return pipeline("chain", values[0], made, values[-1])


def fan(branches: int) -> GraphPipeline:
    given, item, result = Value(0, INTS), Value(1, INT), Value(3, INTS)
    work = stage("fan.item.add", item, 2)
    leave = Operation("fan.item.yield", "agent.yield", work.results, (), {})
    loop = Operation(
        "fan.loop",
        "agent.map",
        (given,),
        (result,),
        {"variable": "item", "at_most": branches},
        (Region((item,), (work, leave)), Region((), ())),
    )
    return pipeline("fan", given, [loop], result)


@asynccontextmanager
async def opened(stages: int, branches: int) -> AsyncGenerator[tuple[Run, Run]]:
    """A shell that stays open, as a server's does; each call is one run."""
    graph = Graph("", (), (), (chain(stages), fan(branches)))
    items = tuple(range(branches))
    async with open_shell(Deployment(graph), LocalBackend(Library())) as shell:

        async def run_chain() -> object:
            end = await shell.start("chain", {"given": 0}).result()
            return end.outcome.value

        async def run_fan() -> object:
            end = await shell.start("fan", {"given": items}).result()
            return list(end.outcome.value)  # type: ignore[call-overload]

        yield run_chain, run_fan
