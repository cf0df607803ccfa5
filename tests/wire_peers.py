"""Processes at the other end of the wire: `python -P -m wire_peers WHAT SOCKET KEY [MORE]`, with tests/ on the path.

The key comes by an inherited descriptor."""

from __future__ import annotations

import asyncio
import contextlib
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from agentlang.executor import wire


async def echo(link: wire.Link) -> None:
    """Gives back each item of each channel on a channel of the same name: arrays by their sum."""
    tensors = wire.Tensors(link)
    async with asyncio.TaskGroup() as group:
        while (channel := await link.accept()) is not None:
            group.create_task(_echo(link, tensors, channel))


async def _echo(link: wire.Link, tensors: wire.Tensors, channel: wire.Incoming) -> None:
    with contextlib.suppress(wire.WireProblem):
        out = await link.open(channel.name)
        async for item in channel:
            body = item.body
            if item.form:
                body = str(float(tensors.opened(item).numpy().sum())).encode()
            await out.send(body)
        out.end()


async def hold(link: wire.Link) -> None:
    """Takes arrays and keeps them."""
    tensors = wire.Tensors(link)
    channel = await link.accept()
    assert channel is not None
    held = [tensors.opened(item) async for item in channel]
    print(len(held), flush=True)


async def serve(what: str, path: Path, key: wire.Key) -> None:
    handler = {"echo": echo, "hold": hold}[what]
    listener = await wire.listen(wire.UnixAddress(path, key), handler, name=what)
    print("ready", flush=True)
    # Whoever started this process is at the other end of standard input.
    await asyncio.to_thread(sys.stdin.read)
    await listener.close()


async def flood(path: Path, key: wire.Key) -> None:
    """Sends large arrays for ever."""
    import numpy as np

    link = await wire.connect(wire.UnixAddress(path, key))
    tensors = wire.Tensors(link)
    out = await link.open("flood")
    print("ready", flush=True)
    for number in range(1 << 30):
        await tensors.send(out, wire.Tensor.of(np.full(1 << 18, number, np.float32)))


def start(what: str, path: Path, key: wire.Key) -> subprocess.Popen[str]:
    """The process, once it listens."""
    descriptor = key.to_descriptor()
    try:
        process = subprocess.Popen(
            [sys.executable, "-m", "wire_peers", what, str(path), str(descriptor)],
            cwd=Path(__file__).parent,
            env={**os.environ, "PYTHONPATH": str(Path(__file__).parent)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            pass_fds=(descriptor,),
            text=True,
        )
    finally:
        os.close(descriptor)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


def stop(process: subprocess.Popen[str]) -> None:
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            pipe.close()
    try:
        process.wait(5)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def segments(*processes: int) -> list[str]:
    """Shared memory of the wire that these processes have open or mapped."""
    found: list[str] = []
    for process in processes:
        with contextlib.suppress(OSError):
            maps = Path(f"/proc/{process}/maps").read_text("utf-8")
            found += [line for line in maps.splitlines() if "memfd:agentlang-wire" in line]
    return found


@contextlib.asynccontextmanager
async def served(handler: Any, path: Path, key: wire.Key, **options: Any) -> AsyncIterator[wire.Listener]:
    listener = await wire.listen(wire.UnixAddress(path, key), handler, **options)
    try:
        yield listener
    finally:
        await listener.close()


async def until(what: Any, seconds: float = 5.0) -> None:
    """Wait for something that another task or process brings about."""
    end = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < end, "it did not come about"
        await asyncio.sleep(0.01)


def main() -> None:
    what, path, descriptor = sys.argv[1:]
    key = wire.Key.from_descriptor(int(descriptor))
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(flood(Path(path), key) if what == "flood" else serve(what, Path(path), key))


if __name__ == "__main__":
    main()
