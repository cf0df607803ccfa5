"""Two real processes on the wire, and what is left when one of them is killed or stopped."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from wire_peers import segments, start, stop, until

from agentlang.executor import wire
from agentlang.executor.wire.tensors import SHARED

pytestmark = pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="looks at processes through /proc")

QUICK = wire.Settings(heartbeat=0.2, silence=0.6, tick=0.05, linger=1.0)


@pytest.fixture
def address(tmp_path: Path) -> Iterator[wire.UnixAddress]:
    yield wire.UnixAddress(tmp_path / "socket", wire.Key.fresh())
    # Nothing of ours has ever a name there.
    assert not list(Path("/dev/shm").glob("*agentlang-wire*"))


async def echoed(link: wire.Link, out: wire.Outgoing, back: wire.Incoming, body: bytes) -> bytes:
    await out.send(body)
    item = await back.get()
    assert item is not None
    return bytes(item.body)


def test_a_process_answers_and_goes_when_it_is_drained(address: wire.UnixAddress) -> None:
    process = start("echo", address.path, address.key)

    async def work() -> None:
        link = await wire.connect(address)
        tensors = wire.Tensors(link)
        out = await link.open("x")
        back = await link.accept()
        assert back is not None
        for number in range(50):
            assert await echoed(link, out, back, b"%d" % number) == b"%d" % number
        await tensors.send(out, wire.Tensor.of(np.ones(1 << 18, np.float32)))
        item = await back.get()
        assert item is not None
        assert bytes(item.body) == b"262144.0"
        out.end()
        assert await back.get() is None
        await link.drain()

    try:
        asyncio.run(work())
    finally:
        stop(process)
    assert process.returncode == 0
    assert not address.path.exists()


def test_the_key_is_in_no_argument_and_no_environment(address: wire.UnixAddress) -> None:
    secret = address.key._secret  # pyright: ignore[reportPrivateUsage]
    process = start("echo", address.path, address.key)
    try:
        for name in ("cmdline", "environ"):
            seen = Path(f"/proc/{process.pid}/{name}").read_bytes()
            assert secret not in seen
            assert secret.hex().encode() not in seen
    finally:
        stop(process)


@pytest.mark.slow
@pytest.mark.parametrize("killed", ["sender", "receiver"])
def test_kill_9_of_either_side_leaves_no_memory_and_no_process(address: wire.UnixAddress, killed: str) -> None:
    """The other side notices, and is left with what it holds itself."""

    async def work() -> None:
        if killed == "receiver":
            process = start("hold", address.path, address.key)
            link = await wire.connect(address, settings=QUICK)
            tensors = wire.Tensors(link)
            out = await link.open("x")
            for number in range(12):
                await tensors.send(out, wire.Tensor.of(np.full(1 << 18, number, np.float32)))
            assert segments(os.getpid(), process.pid)
            process.kill()
            problem = await link.closed()
            assert problem is not None
            assert problem.name == "lost"
            with pytest.raises(wire.WireProblem):
                await tensors.send(out, wire.Tensor.of(np.zeros(1 << 18, np.float32)))
            del link, tensors, out
        else:
            held: list[wire.Tensor] = []
            links: list[wire.Link] = []

            async def hold(link: wire.Link) -> None:
                links.append(link)
                tensors = wire.Tensors(link)
                channel = await link.accept()
                assert channel is not None
                with suppress(wire.WireProblem):
                    async for item in channel:
                        assert item.form == SHARED
                        if len(held) < 5:
                            held.append(tensors.opened(item))

            listener = await wire.listen(address, hold, settings=QUICK)
            process = await asyncio.to_thread(start_flood, address)
            await until(lambda: len(held) == 5)
            process.kill()
            problem = await links[0].closed()
            assert problem is not None
            assert problem.name == "lost"
            # What is held is whole, though its sender is gone.
            assert [float(tensor.numpy()[-1]) for tensor in held] == [0.0, 1.0, 2.0, 3.0, 4.0]
            assert len(segments(os.getpid())) <= 5 + wire.Settings().items
            held.clear()
            await listener.close()
            links.clear()
        stop(process)
        assert not Path(f"/proc/{process.pid}").exists()

    asyncio.run(work())
    import gc

    gc.collect()
    assert segments(os.getpid()) == []


def start_flood(address: wire.UnixAddress) -> object:
    return start("flood", address.path, address.key)


@pytest.mark.slow
def test_a_peer_that_is_stopped_is_waited_for_and_goes_on(address: wire.UnixAddress) -> None:
    process = start("echo", address.path, address.key)

    async def work() -> None:
        link = await wire.connect(address, settings=wire.Settings(heartbeat=0.2, silence=0.6, tick=0.05, linger=20.0))
        out = await link.open("x")
        back = await link.accept()
        assert back is not None
        assert await echoed(link, out, back, b"before") == b"before"
        os.kill(process.pid, signal.SIGSTOP)
        await out.send(b"meanwhile")
        await until(lambda: link.port is None, 3.0)
        os.kill(process.pid, signal.SIGCONT)
        item = await back.get()
        assert item is not None
        assert bytes(item.body) == b"meanwhile"
        assert await echoed(link, out, back, b"after") == b"after"
        assert link.connections > 1
        link.close()

    try:
        asyncio.run(work())
    finally:
        os.kill(process.pid, signal.SIGCONT)
        stop(process)


@pytest.mark.slow
def test_a_worker_that_starts_again_is_another_session(address: wire.UnixAddress) -> None:
    async def work() -> None:
        first = start("echo", address.path, address.key)
        link = await wire.connect(address, settings=QUICK)
        out = await link.open("x")
        await out.send(b"x")
        first.kill()
        second = await asyncio.to_thread(start, "echo", address.path, address.key)
        problem = await link.closed()
        assert problem is not None
        assert problem.name in ("unresumable", "lost")
        fresh = await wire.connect(address)
        fresh.close()
        stop(first)
        stop(second)

    asyncio.run(work())


def test_a_process_whose_starter_is_killed_ends_too(address: wire.UnixAddress) -> None:
    process = start("echo", address.path, address.key)
    assert process.stdin is not None
    process.stdin.close()  # as the system does it for who is killed
    began = time.monotonic()
    process.wait(5)
    assert time.monotonic() - began < 5
    stop(process)
