"""What a hop between two processes on one machine costs: the wire beside a bare socket, its floor, and beside ZeroMQ.

    python -m benchmarks.wire [--rounds N] [--json]

All of it in one run, taking turns, with two processes: `echo` gives back 64 bytes, `tensor` is 1 MiB there and 64 bytes
back, `items` is how many items of 64 bytes a second go one way. uvloop is used where it is installed, ZeroMQ is
measured where it is (the environment of `make bench-peers` has both). The aims are 30 us for an echo and 120 us for a
tensor, at the median.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import signal
import socket
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Coroutine
from pathlib import Path
from typing import Any

from agentlang.executor import wire

AIMS = {"echo p50": 30.0, "tensor p50": 120.0}
SMALL, LARGE = b"x" * 64, 1 << 20
BATCH = 200
PAIR = 0  # ZeroMQ's number of its simplest kind of socket
Round = Callable[[int], Awaitable[list[float]]]


def loop_runner() -> tuple[str, Callable[[Coroutine[Any, Any, Any]], Any]]:
    try:
        import uvloop  # pyright: ignore[reportMissingImports, reportUnknownVariableType]
    except ImportError:
        return "asyncio", asyncio.run
    run: Any = uvloop.run  # pyright: ignore[reportUnknownVariableType, reportUnknownMemberType]
    return "uvloop", run


class Bare(asyncio.Protocol):
    """The floor: a protocol that gives bytes to a function."""

    def __init__(self, took: Callable[[Bare, bytes], None]) -> None:
        self._took = took
        self.transport: Any = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self._took(self, data)


# --- the other process ---


async def serve(folder: Path, key: wire.Key) -> None:
    loop = asyncio.get_running_loop()

    def give_back(bare: Bare, data: bytes) -> None:
        bare.transport.write(data)

    left = LARGE

    def count(bare: Bare, data: bytes) -> None:
        nonlocal left
        left -= len(data)
        if left <= 0:
            left += LARGE
            bare.transport.write(SMALL)

    counted = 0

    def sink(bare: Bare, data: bytes) -> None:
        nonlocal counted
        counted += len(data)
        while counted >= BATCH * len(SMALL):
            counted -= BATCH * len(SMALL)
            bare.transport.write(SMALL)

    listening: list[Any] = []
    for name, took in (("echo", give_back), ("tensor", count), ("items", sink)):
        made = await loop.create_unix_server(lambda took=took: Bare(took), str(folder / f"bare-{name}"))
        listening.append(made)

    async def answer(link: wire.Link) -> None:
        tensors = wire.Tensors(link)
        while (channel := await link.accept()) is not None:
            out = await link.open(channel.name)
            came = 0

            def took(item: wire.Came, out: wire.Outgoing = out, name: str = channel.name) -> None:
                nonlocal came
                came += 1
                if name == "tensor":
                    assert tensors.opened(item).nbytes == LARGE
                if name != "items" or came % BATCH == 0:
                    out.try_send(SMALL)

            channel.listen(took)

    listening.append(await wire.listen(wire.UnixAddress(folder / "wire", key), answer))
    await _serve_zmq(folder)
    (folder / "ready").touch()
    await asyncio.sleep(3600)


async def _serve_zmq(folder: Path) -> None:
    try:
        import zmq.asyncio as zmq  # pyright: ignore[reportMissingImports]
    except ImportError:
        return
    z: Any = zmq  # pyright: ignore[reportUnknownVariableType]
    context = z.Context()

    async def answer(name: str) -> None:
        sock = context.socket(PAIR)
        sock.bind(f"ipc://{folder}/zmq-{name}")
        came = 0
        while True:
            await sock.recv(copy=name != "tensor")
            came += 1
            if name != "items" or came % BATCH == 0:
                await sock.send(SMALL)

    serving.update(asyncio.ensure_future(answer(name)) for name in ("echo", "tensor", "items"))


serving: set[asyncio.Future[None]] = set()


# --- this process ---


async def bare_rounds(folder: Path) -> dict[str, Round]:
    loop = asyncio.get_running_loop()
    rounds: dict[str, Round] = {}
    for name, said, back in (("echo", SMALL, 64), ("tensor", bytes(LARGE), 64), ("items", SMALL, 64)):
        waiting: list[asyncio.Future[None]] = []
        missing = [0]

        def took(_: Bare, data: bytes, waiting: Any = waiting, missing: Any = missing, back: int = back) -> None:
            missing[0] += len(data)
            if missing[0] >= back:
                missing[0] -= back
                waiting.pop().set_result(None)

        _, bare = await loop.create_unix_connection(lambda took=took: Bare(took), str(folder / f"bare-{name}"))

        async def one(count: int, name: str = name, said: bytes = said, bare: Any = bare, w: Any = waiting) -> Any:
            times: list[float] = []
            for _ in range(count):
                began = time.perf_counter()
                done = loop.create_future()
                w.append(done)
                for _ in range(BATCH if name == "items" else 1):
                    bare.transport.write(said)
                await done
                times.append(time.perf_counter() - began)
            return times

        rounds[name] = one
    return rounds


async def wire_rounds(folder: Path, key: wire.Key) -> dict[str, Round]:
    link = await wire.connect(wire.UnixAddress(folder / "wire", key))
    tensors = wire.Tensors(link)
    tensor = wire.Tensor("u8", (LARGE,), bytes(LARGE))
    rounds: dict[str, Round] = {}
    for name in ("echo", "tensor", "items"):
        out = await link.open(name)
        back = await link.accept()
        assert back is not None

        async def one(count: int, name: str = name, out: wire.Outgoing = out, back: Any = back) -> list[float]:
            times: list[float] = []
            for _ in range(count):
                began = time.perf_counter()
                if name == "tensor":
                    await tensors.send(out, tensor)
                else:
                    for _ in range(BATCH if name == "items" else 1):
                        await out.send(SMALL)
                await back.get()
                times.append(time.perf_counter() - began)
            return times

        rounds[name] = one
    return rounds


async def zmq_rounds(folder: Path) -> dict[str, Round]:
    try:
        import zmq.asyncio as zmq  # pyright: ignore[reportMissingImports]
    except ImportError:
        return {}
    z: Any = zmq  # pyright: ignore[reportUnknownVariableType]
    context = z.Context()
    rounds: dict[str, Round] = {}
    for name, said in (("echo", SMALL), ("tensor", bytes(LARGE)), ("items", SMALL)):
        sock = context.socket(PAIR)
        sock.connect(f"ipc://{folder}/zmq-{name}")

        async def one(count: int, name: str = name, said: bytes = said, sock: Any = sock) -> list[float]:
            times: list[float] = []
            for _ in range(count):
                began = time.perf_counter()
                for _ in range(BATCH if name == "items" else 1):
                    await sock.send(said, copy=name != "tensor")
                await sock.recv()
                times.append(time.perf_counter() - began)
            return times

        rounds[name] = one
    return rounds


async def measure(folder: Path, key: wire.Key, rounds: int) -> dict[str, dict[str, float]]:
    systems = {
        "bare socket": await bare_rounds(folder),
        "agentlang": await wire_rounds(folder, key),
        "pyzmq": await zmq_rounds(folder),
    }
    times: dict[tuple[str, str], list[float]] = {}
    for turn in range(rounds + 1):
        for system, known in systems.items():
            for name, one in known.items():
                found = await one({"echo": 300, "tensor": 40, "items": 5}[name])
                if turn:  # the first warms up
                    times.setdefault((system, name), []).extend(found)
    made: dict[str, dict[str, float]] = {}
    for (system, name), found in times.items():
        row = made.setdefault(system, {})
        median = statistics.median(found)
        if name == "items":
            row["items/s"] = BATCH / median
            continue
        row[f"{name} p50"] = median * 1e6
        row[f"{name} p99"] = sorted(found)[len(found) * 99 // 100] * 1e6
    return made


def run(rounds: int) -> tuple[str, dict[str, dict[str, float]]]:
    name, runner = loop_runner()
    key = wire.Key.fresh()
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        process = os.fork()
        if not process:
            try:
                runner(serve(folder, key))
            finally:
                os._exit(1)
        try:
            while not (folder / "ready").exists():
                time.sleep(0.01)
            return name, runner(measure(folder, key, rounds))
        finally:
            os.kill(process, signal.SIGKILL)
            os.waitpid(process, 0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    if not hasattr(socket, "AF_UNIX") or not hasattr(os, "fork"):
        sys.exit("this measures Unix sockets")
    loop, found = run(arguments.rounds)
    if arguments.json:
        print(json.dumps({"loop": loop, "figures": found}, indent=2))
        return
    floor = found["bare socket"]
    print(f"two processes, {loop}; microseconds, and times the bare socket")
    for what in floor:
        aim = f"   aim {AIMS[what]:g}" if what in AIMS else ""
        print(f"{what}{aim}")
        for system, row in found.items():
            print(f"{row[what]:12,.1f}  {system:12} {row[what] / floor[what]:5.1f} x")


if __name__ == "__main__":
    main()
