"""What the executor adds to a program: microseconds for each streamed item and for each stage.

Printed beside floors of the same run: a bare `await`, an anyio memory stream, an anyio task. The aim is that a token
stream of 100 items/s through the five stages of a chat call is noise: under 10 us for each item and hop, under 100 us
for each stage that waits. A stage that never waits costs 8 us in a chain of 50, and 25 us as the branch of a `for` a
thousand wide; those two are measured on an open shell that has run the program before, as a server would. So are whole
runs of a chain of 50 as it is and fused: fusing is to leave at most a tenth of what the executor adds.

    python -m benchmarks.executor.costs [--items N] [--stages N] [--repeat N] [--trio]
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any

import anyio
from anyio.lowlevel import checkpoint

from agentlang.executor.backends.local import LocalBackend
from agentlang.executor.deployment import Deployment
from agentlang.executor.kinds import Context, Kind, Opener, Usage
from agentlang.executor.machine import Machine, events, orders
from agentlang.executor.shell import open_shell
from agentlang.ir.compile import Module, run_passes
from agentlang.ir.emit import emit_module
from agentlang.ir.graph import Graph, GraphPipeline, Input, Operation, Region, Value
from agentlang.ir.library import NoLibrary
from agentlang.lang.types import INT, ListType, StreamType

Arguments = Mapping[str, Any]
STREAM, LIST = StreamType(INT), ListType(INT)


# --- programs ---


def graph(operations: list[Operation], result: Value) -> Graph:
    last = Operation("p.return", "agent.return", (result,), (), {})
    assert not isinstance(result.type, type(None))
    pipeline = GraphPipeline("p", (), result.type, Region((), (*operations, last)))  # type: ignore[arg-type]
    return Graph("", (), (), (pipeline,))


def stage(number: int, entry: str, result: Any, operand: Value | None) -> Operation:
    operands = () if operand is None else (operand,)
    attributes = {"entry": entry, "parameters": ("of",)[: len(operands)]}
    return Operation(f"p.{number}", "agent.stage", operands, (Value(number, result),), attributes)


def streaming(hops: int, entry: str = "x:pass") -> Graph:
    """A source, and `hops` stages that pass each item on."""
    made = [stage(1, "x:source", STREAM, None)]
    for number in range(2, hops + 2):
        made.append(stage(number, entry, STREAM, made[-1].results[0]))
    return graph(made, made[-1].results[0])


def chain(stages: int, entry: str = "x:next") -> Graph:
    made = [stage(1, "x:one", INT, None)]
    for number in range(2, stages + 1):
        made.append(stage(number, entry, INT, made[-1].results[0]))
    return graph(made, made[-1].results[0])


def wide(branches: int, entry: str = "x:next") -> Graph:
    """`for x in xs, at most N at once { next(x) }`"""
    over, item, made, result = (Value(n, t) for n, t in enumerate((LIST, INT, INT, LIST), 1))
    leaf = Operation("p.f", "agent.stage", (item,), (made,), {"entry": entry, "parameters": ("of",)})
    last = Operation("p.yield", "agent.yield", (made,), (), {})
    attributes = {"variable": "item", "at_most": branches}
    loop = Operation("p.map", "agent.map", (over,), (result,), attributes, (Region((item,), (leaf, last)),))
    end = Operation("p.return", "agent.return", (result,), (), {})
    pipeline = GraphPipeline("p", (Input("xs", LIST, True),), LIST, Region((over,), (loop, end)))
    return Graph("", (), (), (pipeline,))


def arithmetic(operations: int) -> Graph:
    """`1 + 1 + 1 …`, which the machine computes itself."""
    made = [Operation("p.0", "agent.constant", (), (Value(0, INT),), {"value": 1})]
    for number in range(1, operations + 1):
        operands = (made[-1].results[0], made[0].results[0])
        made.append(Operation(f"p.{number}", "agent.binary", operands, (Value(number, INT),), {"operator": "+"}))
    return graph(made, made[-1].results[0])


class Harmless(NoLibrary):
    """Says of the stages here that they only compute."""

    def harmless(self, entry: str) -> bool:
        return entry in ("x:one", "x:next")


def fused(program: Graph) -> Graph:
    """The program after `fuse_stages`: one operation, and the end."""
    module, problems = run_passes(Module(emit_module(program), {}, ()), Harmless(), passes=["fuse_stages"])
    assert module is not None, problems
    made = module.graph()
    assert [each.name for each in made.pipelines[0].body.operations] == ["agent.fused", "agent.return"]
    return made


class Library:
    def __init__(self, items: int) -> None:
        self.items = items

    def kind(self, entry: str) -> Kind:
        kinds: dict[str, Any] = {"x:pass": passing, "x:one": one, "x:next": following, "x:wait": waiting}
        return kinds.get(entry) or self.source

    def opener(self, entry: str) -> Opener:
        raise KeyError(entry)

    async def source(self, _: Context, __: Arguments) -> AsyncIterator[int]:
        for number in range(self.items):
            yield number


async def passing(_: Context, arguments: Arguments) -> AsyncIterator[int]:
    async for item in arguments["of"]:
        yield item


async def one(_: Context, __: Arguments) -> int:
    return 1


async def following(_: Context, arguments: Arguments) -> int:
    return arguments["of"] + 1


async def waiting(_: Context, arguments: Arguments) -> int:
    await checkpoint()
    return arguments["of"] + 1


# --- floors ---


async def bare_await(count: int) -> None:
    async def nothing() -> int:
        return 1

    for _ in range(count):
        await nothing()


async def memory_stream(count: int) -> None:
    send, receive = anyio.create_memory_object_stream[int](64)

    async def produce() -> None:
        async with send:
            for number in range(count):
                await send.send(number)

    async with anyio.create_task_group() as group:
        group.start_soon(produce)
        async with receive:
            async for _ in receive:
                pass


async def tasks_one_by_one(count: int) -> None:
    async def work(done: anyio.Event) -> None:
        done.set()

    async with anyio.create_task_group() as group:
        for _ in range(count):
            done = anyio.Event()
            group.start_soon(work, done)
            await done.wait()


async def the_stages_alone(count: int) -> None:
    """What the stages of a chain do, without anybody who runs them."""
    context = Context("p", Usage())
    value = await one(context, {})
    for _ in range(count - 1):
        value = await following(context, {"of": value})


# --- measurements ---


async def run(program: Graph, library: Library) -> None:
    async with open_shell(Deployment(program), LocalBackend(library)) as shell:
        end = await shell.start("p", {}).result()
    assert end.outcome.status == "done", end.outcome


async def machine_items(count: int) -> None:
    """The decisions alone: source, one hop, the caller; every item is made, taken, made again and taken again."""
    machine = Machine(Deployment(streaming(1)))
    made = machine.handle(events.RunRequested(0.0, 1, "p", {}))
    source, passer = (order for order in made if isinstance(order, orders.StartStage))
    reader = passer.arguments["of"]
    assert isinstance(reader, orders.StreamInput)
    for number in range(count):
        machine.handle(events.StageItem(0.0, source.stage, number))
        machine.handle(events.Taken(0.0, reader.reader))
        for order in machine.handle(events.StageItem(0.0, passer.stage, number)):
            if isinstance(order, orders.EmitItem):
                machine.handle(events.Taken(0.0, order.reader))


async def machine_stages(count: int) -> None:
    machine = Machine(Deployment(chain(count)))
    made = machine.handle(events.RunRequested(0.0, 1, "p", {}))
    while not isinstance(made[0], orders.FinishRun):
        (start,) = (order for order in made if isinstance(order, orders.StartStage))
        made = machine.handle(events.StageEnded(1.0, start.stage, 1))


async def again(program: Graph, library: Library, repeat: int, **inputs: object) -> float:
    """Seconds of processor time of a run of a program that has run before, the best of many."""
    times: list[float] = []
    async with open_shell(Deployment(program), LocalBackend(library)) as shell:
        for _ in range(10 * repeat):
            start = time.process_time()
            end = await shell.start("p", inputs).result()
            times.append(time.process_time() - start)
            assert end.outcome.status == "done", end.outcome
    return min(times)


async def best(work: Callable[[], Awaitable[None]], repeat: int) -> float:
    """Seconds of processor time, of the best of `repeat` runs: nothing here waits, and others may be busy too."""
    times: list[float] = []
    for _ in range(repeat):
        start = time.process_time()
        await work()
        times.append(time.process_time() - start)
    return min(times)


async def in_process(work: Callable[[], Awaitable[None]], repeat: int) -> float:
    """As `again`: the best of many."""
    return await best(work, 10 * repeat)


async def fusing(repeat: int) -> dict[str, float]:
    """Microseconds of whole runs, one after the other: the same chain of 50 as it is and fused, beside what the stages
    do by themselves, and a run of nothing."""
    library, count = Library(0), 50
    nothing = graph([Operation("p.1", "agent.constant", (), (Value(1, INT),), {"value": 1})], Value(1, INT))
    return {
        name: seconds * 1e6
        for name, seconds in {
            "a run of nothing": await again(nothing, library, repeat),
            "50 stages by themselves": await in_process(lambda: the_stages_alone(count), repeat),
            "a chain of 50 stages": await again(chain(count), library, repeat),
            "the same, fused": await again(fused(chain(count)), library, repeat),
            "a chain of 50 sums": await again(arithmetic(count), library, repeat),
            "the same sums, fused": await again(fused(arithmetic(count)), library, repeat),
        }.items()
    }


def told(runs: Mapping[str, float]) -> str:
    """How much of what the executor adds to a chain is left when it is fused."""
    alone, empty = runs["50 stages by themselves"], runs["a run of nothing"]
    before, after = runs["a chain of 50 stages"] - alone, runs["the same, fused"] - alone
    sums, fewer = runs["a chain of 50 sums"], runs["the same sums, fused"]
    return (
        f"overhead of 50 stages, fused: 1/{before / after:.1f} of that of the chain"
        f" (1/{(before - empty) / max(after - empty, 1e-9):.1f} without what any run costs);"
        f" of 50 sums: 1/{sums / fewer:.1f} (1/{(sums - empty) / max(fewer - empty, 1e-9):.1f})"
    )


async def measure(items: int, stages: int, repeat: int) -> dict[str, float]:
    library = Library(items)
    await run(streaming(1), library)  # imports and caches

    def per(count: int, seconds: float) -> float:
        return seconds / count * 1e6

    one_hop = await best(lambda: run(streaming(1), library), repeat)
    five_hops = await best(lambda: run(streaming(5), library), repeat)
    return {
        "floor: bare await": per(items, await best(lambda: bare_await(items), repeat)),
        "floor: anyio memory stream, an item": per(items, await best(lambda: memory_stream(items), repeat)),
        "floor: anyio task, started and done": per(stages, await best(lambda: tasks_one_by_one(stages), repeat)),
        "machine alone: an item, source to caller by one hop": per(
            items, await best(lambda: machine_items(items), repeat)
        ),
        "machine alone: a stage": per(stages, await best(lambda: machine_stages(stages), repeat)),
        "item, source to caller by one hop": per(items, one_hop),
        "item, each further hop": per(items, (five_hops - one_hop) / 4),
        "stage of a chain of 50 that never waits": per(50, await again(chain(50), library, repeat * 3)),
        "branch of a for, 1000 wide, that never waits": per(
            1000, await again(wide(1000), library, repeat, xs=tuple(range(1000)))
        ),
        "stage of a chain of 50 that waits": per(50, await again(chain(50, "x:wait"), library, repeat * 3)),
        "branch of a for, 1000 wide, that waits": per(
            1000, await again(wide(1000, "x:wait"), library, repeat, xs=tuple(range(1000)))
        ),
        "stage of a chain, prepared and run once": per(stages, await best(lambda: run(chain(stages), library), repeat)),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--items", type=int, default=5000)
    parser.add_argument("--stages", type=int, default=1000)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--trio", action="store_true", help="on trio instead of asyncio")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    backend = "trio" if arguments.trio else "asyncio"
    found = anyio.run(measure, arguments.items, arguments.stages, arguments.repeat, backend=backend)
    runs = anyio.run(fusing, 3 * arguments.repeat, backend=backend)
    if arguments.json:
        print(json.dumps({"loop": backend, "microseconds": found, "runs": runs}, indent=2))
        return
    stream, task = found["floor: anyio memory stream, an item"], found["floor: anyio task, started and done"]
    print(f"on {backend}; microseconds, best of {arguments.repeat}")
    for name, value in found.items():
        floor = None if "floor" in name else stream if "item" in name else task
        print(f"{value:9.2f}  {name}" + ("" if floor is None else f"  ({value / floor:.1f} x the floor)"))
    for name, value in runs.items():
        print(f"{value:9.2f}  {name}")
    print(told(runs))


if __name__ == "__main__":
    main()
