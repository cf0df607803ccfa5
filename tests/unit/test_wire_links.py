"""Links of one process: who is let in, what comes over, and what strangers get, which is nothing."""

from __future__ import annotations

import asyncio
import gc
import hashlib
import os
import socket
import ssl
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from wire_peers import echo, served, until

from agentlang.executor import wire
from agentlang.executor.wire import endpoints, frames
from agentlang.executor.wire.framing import encode
from agentlang.executor.wire.secure import Handshake
from agentlang.executor.wire.tensors import INLINE, SHARED

QUICK = wire.Settings(heartbeat=0.2, silence=0.6, tick=0.05, linger=2.0)


@pytest.fixture
def key() -> wire.Key:
    return wire.Key.fresh()


@pytest.fixture
def address(tmp_path: Path, key: wire.Key) -> wire.UnixAddress:
    return wire.UnixAddress(tmp_path / "socket", key)


def open_files() -> int:
    gc.collect()
    return len(list(Path("/proc/self/fd").iterdir()))


def run(work: Callable[[], Awaitable[None]], seconds: float = 20.0) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(seconds):
            await work()

    asyncio.run(bounded())


async def asked(link: wire.Link, *bodies: bytes) -> list[bytes]:
    out = await link.open("x")
    back = None
    for body in bodies:
        await out.send(body)
    out.end()
    back = await link.accept()
    assert back is not None
    return [bytes(item.body) async for item in back]


def test_items_go_there_and_back(address: wire.UnixAddress) -> None:
    async def work() -> None:
        async with served(echo, address.path, address.key, name="echo", about=b"version 1"):
            link = await wire.connect(address)
            assert (link.name, link.about) == ("echo", b"version 1")
            assert await asked(link, b"a", b"", b"b" * 100_000) == [b"a", b"", b"b" * 100_000]
            await link.drain()
            assert await link.closed() is None

    run(work)


def test_a_slow_reader_holds_its_writer_back(address: wire.UnixAddress) -> None:
    async def work() -> None:
        taken: list[wire.Incoming] = []

        async def wait(link: wire.Link) -> None:
            channel = await link.accept()
            assert channel is not None
            taken.append(channel)

        async with served(wait, address.path, address.key):
            link = await wire.connect(address)
            out = await link.open("x")
            sent = 0
            with suppress(TimeoutError):
                async with asyncio.timeout(0.2):
                    while True:
                        await out.send(b"x")
                        sent += 1
            assert sent == wire.Settings().items
            for _ in range(8):
                await taken[0].get()
            async with asyncio.timeout(1.0):
                for _ in range(8):
                    await out.send(b"x")
            link.close()

    run(work)


@pytest.mark.parametrize("way", ["reader leaves", "reader resets", "writer fails"])
def test_ends_of_a_channel_hear_of_each_other(address: wire.UnixAddress, way: str) -> None:
    async def work() -> None:
        heard: list[object] = []

        async def handler(link: wire.Link) -> None:
            channel = await link.accept()
            assert channel is not None
            heard.append(bytes((await channel.get() or pytest.fail()).body))
            if way == "reader leaves":
                channel.leave("enough")
            elif way == "reader resets":
                channel.reset()
                heard.append(bytes((await channel.get() or pytest.fail()).body))
            else:
                with pytest.raises(wire.WireProblem, match="timeout"):
                    while True:
                        await channel.get()
                heard.append("failed")

        async with served(handler, address.path, address.key):
            link = await wire.connect(address)
            out = await link.open("x")
            resets: list[int] = []

            def was_reset(epoch: int) -> None:
                resets.append(epoch)
                out.try_send(b"new")

            out.on_reset = was_reset
            for body in (b"1", b"2", b"3"):
                await out.send(body)
            if way == "reader leaves":
                assert await out.left() == "enough"
                with pytest.raises(wire.WireProblem):
                    await out.send(b"4")
            elif way == "reader resets":
                await until(lambda: len(heard) == 2)
                assert (heard, resets) == ([b"1", b"new"], [1])
            else:
                await until(lambda: heard)
                await out.send(b"4")
                out.reset()
                out.fail("timeout")
                await until(lambda: "failed" in heard)
            link.close()

    run(work)


def test_a_cut_connection_is_made_again_and_nothing_is_lost(address: wire.UnixAddress) -> None:
    async def work() -> None:
        async with served(echo, address.path, address.key) as listener:
            link = await wire.connect(address)
            out = await link.open("x")
            bodies = [b"%d" % number for number in range(400)]

            async def send() -> None:
                for number, body in enumerate(bodies):
                    await out.send(body)
                    if number % 40 == 20:
                        # Either side may lose it, at any moment.
                        end = (link, *listener.links)[number // 40 % 2]
                        if end.port is not None:
                            end.port.close()
                            end.cut()
                        await asyncio.sleep(0)
                out.end()

            sending = asyncio.ensure_future(send())
            back = await link.accept()
            assert back is not None
            assert [bytes(item.body) async for item in back] == bodies
            await sending
            assert link.connections > 5
            await link.drain()

    run(work)


def test_a_listener_that_drains_takes_back_who_was_cut_and_nobody_new(address: wire.UnixAddress) -> None:
    async def work() -> None:
        async with served(echo, address.path, address.key) as listener:
            link = await wire.connect(address)
            out = await link.open("x")
            back = await link.accept()
            assert back is not None
            await out.send(b"1")
            draining = asyncio.ensure_future(listener.drain())
            await until(lambda: link.session.draining)
            with pytest.raises(wire.WireProblem) as raised:
                await wire.connect(address, timeout=1.0)
            assert raised.value.name == "draining"
            assert link.port is not None
            link.port.close()
            link.cut()
            await out.send(b"2")
            out.end()
            assert [bytes(item.body) async for item in back] == [b"1", b"2"]
            await draining
            assert await link.closed() is None
            assert link.connections == 2

    run(work)


def test_a_deadline_is_told_as_what_is_left(address: wire.UnixAddress) -> None:
    async def work() -> None:
        heard: list[float | None] = []

        async def handler(link: wire.Link) -> None:
            channel = await link.accept()
            assert channel is not None
            async for item in channel:
                assert item.trace == bytes(25)
                heard.extend((channel.deadline, item.deadline))

        async with served(handler, address.path, address.key):
            link = await wire.connect(address)
            out = await link.open("x", deadline=5.0)
            now = link.loop.time()
            await out.send(b"x", deadline=1.5, trace=bytes(25))
            await until(lambda: heard)
            assert heard == [pytest.approx(now + 5.0, abs=0.5), pytest.approx(now + 1.5, abs=0.5)]
            link.close()

    run(work)


# --- arrays ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shared", [True, False])
def test_arrays_come_as_they_were(address: wire.UnixAddress, shared: bool) -> None:
    arrays = [
        np.arange(12, dtype=np.float32).reshape(3, 4),
        np.asfortranarray(np.arange(1 << 17, dtype=np.int64).reshape(2, -1)),
        np.zeros((0, 5), np.float16),
        np.array(7, np.uint8),
        np.arange(200_000, dtype=np.complex64)[::2],
        np.ones(100_000, np.bool_),
    ]

    async def work() -> None:
        heard: list[Any] = []
        forms: list[int] = []

        async def handler(link: wire.Link) -> None:
            tensors = wire.Tensors(link)
            channel = await link.accept()
            assert channel is not None
            async for item in channel:
                heard.append(tensors.opened(item).numpy())
                forms.append(item.form)

        async with served(handler, address.path, address.key):
            link = await wire.connect(address)
            link.passes_descriptors &= shared
            tensors = wire.Tensors(link)
            out = await link.open("x")
            for array in arrays:
                await tensors.send(out, wire.Tensor.of(array))
            await until(lambda: len(heard) == len(arrays))
            for array, came in zip(arrays, heard, strict=True):
                assert came.dtype == array.dtype
                np.testing.assert_array_equal(came, array)
                assert not came.flags.writeable
            large = SHARED if shared else INLINE
            assert forms == [INLINE, large, INLINE, INLINE, large, large]
            link.close()

    run(work)


def test_shared_memory_is_used_again_once_its_reader_has_let_go(address: wire.UnixAddress) -> None:
    async def work() -> None:
        held: list[Any] = []

        async def handler(link: wire.Link) -> None:
            tensors = wire.Tensors(link)
            channel = await link.accept()
            assert channel is not None
            async for item in channel:
                held.append(tensors.opened(item).numpy())
                if channel.about == b"drops":
                    held.clear()

        async with served(handler, address.path, address.key):
            for about, most in ((b"drops", 3), (b"keeps", 10)):
                link = await wire.connect(address)
                tensors = wire.Tensors(link)
                out = await link.open("x", about=about)
                for number in range(10):
                    await tensors.send(out, wire.Tensor.of(np.full(1 << 16, number, np.float32)))
                    await asyncio.sleep(0.02)
                assert tensors.shared <= most * (1 << 18)
                if about == b"keeps":
                    # What is held stays as it was.
                    assert [float(array[0]) for array in held] == list(range(10))
                held.clear()
                link.close()

    run(work)


def test_arrays_that_nobody_takes_give_their_memory_back(address: wire.UnixAddress) -> None:
    async def work() -> None:
        async def handler(link: wire.Link) -> None:
            wire.Tensors(link)
            channel = await link.accept()
            assert channel is not None
            for _ in range(20):
                await asyncio.sleep(0.01)
                channel.reset()

        async with served(handler, address.path, address.key):
            link = await wire.connect(address)
            tensors = wire.Tensors(link)
            out = await link.open("x")
            for _ in range(60):
                await tensors.send(out, wire.Tensor.of(np.zeros(1 << 16, np.float32)))
            assert tensors.shared <= 36 << 18, "two windows: credit may come before the memory is told to be free"
            link.close()

    before = open_files()
    run(work)
    assert open_files() <= before


@pytest.mark.parametrize(
    ("dtype", "shape", "data"),
    [("f32", (3,), bytes(11)), ("f31", (1,), bytes(4)), ("f32", (-1, -3), bytes(12)), ("u8", (1,) * 17, b"x")],
)
def test_an_array_that_is_none_is_refused(dtype: str, shape: tuple[int, ...], data: bytes) -> None:
    with pytest.raises(wire.WireProblem) as raised:
        wire.Tensor(dtype, shape, data)
    assert raised.value.name == "bad-tensor"


@pytest.mark.parametrize("what", ["unsealed", "short", "no memory", "no head", "twice"])
def test_shared_memory_that_could_end_this_process_is_refused(address: wire.UnixAddress, what: str) -> None:
    import msgpack

    async def work() -> None:
        heard: list[str] = []

        async def handler(link: wire.Link) -> None:
            tensors = wire.Tensors(link)
            channel = await link.accept()
            assert channel is not None
            async for item in channel:
                try:
                    heard.append(str(tensors.opened(item).nbytes))
                except wire.WireProblem as problem:
                    heard.append(problem.name)

        async with served(handler, address.path, address.key):
            link = await wire.connect(address)
            out = await link.open("x")
            head = b"nonsense" if what == "no head" else msgpack.packb(["u8", [1 << 16], "C", 1])
            given: tuple[int, ...] = ()
            if what != "no memory":
                given = (os.memfd_create("x", os.MFD_ALLOW_SEALING),)
                os.ftruncate(given[0], 1 << 15 if what == "short" else 1 << 16)
                if what != "unsealed":
                    import fcntl

                    fcntl.fcntl(given[0], fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK)
            for _ in range(2 if what == "twice" else 1):
                await out.send(b"", form=SHARED, head=head, descriptors=given)
            await until(lambda: len(heard) == (2 if what == "twice" else 1))
            assert heard[-1] == "bad-tensor"
            link.close()
            for descriptor in given:
                os.close(descriptor)

    before = open_files()
    run(work)
    assert open_files() <= before


# --- strangers -------------------------------------------------------------------------------------------------------


def first_message(key: wire.Key) -> bytes:
    return Handshake(key, initiator=True).start()


async def told(path: Path, *pieces: bytes, pause: float = 0.0) -> tuple[bytes, float]:
    """What a stranger who says this is told until the connection is closed, and how long that took."""
    reader, writer = await asyncio.open_unix_connection(str(path))
    began = time.monotonic()
    for piece in pieces:
        with suppress(OSError):
            writer.write(piece)
            await writer.drain()
        await asyncio.sleep(pause)
    got = b""
    with suppress(OSError):
        got = await reader.read()
    writer.close()
    return got, time.monotonic() - began


def test_strangers_are_told_nothing_and_closed(address: wire.UnixAddress, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(endpoints, "GREETING", 0.3)

    async def work() -> None:
        async with served(echo, address.path, address.key) as listener:
            hello = b"".join(map(bytes, encode(frames.Hello(bytes(16), False, 0, 1, 1, 1, "", b""))))
            for pieces in (
                (b"GET / HTTP/1.1\r\n\r\n" * 5,),
                (os.urandom(64),),
                (os.urandom(1 << 20),),
                (hello, hello),
                (first_message(wire.Key.fresh()),),
            ):
                got, took = await told(address.path, *pieces)
                assert got == b""
                assert took < 1.0
            # Half open, and a byte at a time.
            got, took = await told(address.path)
            assert (got, round(took, 0)) == (b"", 0.0)
            got, took = await told(address.path, *(bytes([byte]) for byte in bytes(40)), pause=0.02)
            assert got == b""
            assert listener.links == ()
            link = await wire.connect(address)  # and whoever knows the key still gets in
            assert await asked(link, b"x") == [b"x"]
            link.close()

    run(work)


def test_a_handshake_that_was_recorded_opens_nothing(address: wire.UnixAddress) -> None:
    async def work() -> None:
        async with served(echo, address.path, address.key) as listener:
            # Who sits between two that know the key, and writes down what they say.
            said: list[bytes] = []
            loop = asyncio.get_running_loop()
            with socket.socket(socket.AF_UNIX) as connection:
                connection.setblocking(False)
                await loop.sock_connect(connection, str(address.path))
                own = Handshake(address.key, initiator=True)
                said.append(own.start())
                await loop.sock_sendall(connection, said[0])
                answer = b""
                while not own.done:
                    answer = await loop.sock_recv(connection, own.wanted)
                    said.append(own.received(answer))
            got, _ = await told(address.path, said[0], said[-1])
            assert len(got) == 64, "a fresh nonce, to which the old answer is none"
            assert got != answer
            assert listener.links == ()

    run(work)


def test_one_side_is_not_answered_with_its_own_words() -> None:
    key = wire.Key.fresh()
    one, mirror = Handshake(key, initiator=True), Handshake(key, initiator=False)
    first = one.start()
    answer = mirror.received(first)
    with pytest.raises(wire.WireProblem) as raised:
        Handshake(key, initiator=True).received(first)
    assert raised.value.name == "refused"
    with pytest.raises(wire.WireProblem):
        mirror.received(answer[32:])
    assert not mirror.done


def test_only_so_many_strangers_at_once(address: wire.UnixAddress, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(endpoints, "GREETING", 0.5)

    async def work() -> None:
        async with served(echo, address.path, address.key, strangers=3):
            held = [await asyncio.open_unix_connection(str(address.path)) for _ in range(3)]
            await asyncio.sleep(0.05)
            got, took = await told(address.path)
            assert got == b""
            assert took < 0.2, "closed at once"
            await asyncio.sleep(0.6)
            link = await wire.connect(address)
            link.close()
            for _, writer in held:
                writer.close()

    run(work)


def test_who_has_another_key_is_told_that_it_was_refused(address: wire.UnixAddress) -> None:
    async def work() -> None:
        async with served(echo, address.path, address.key):
            with pytest.raises(wire.WireProblem) as raised:
                await wire.connect(replace(address, key=wire.Key.fresh()), timeout=0.3)
            assert raised.value.name == "refused"
        with pytest.raises(wire.WireProblem) as raised:
            await wire.connect(address, timeout=0.1)
        assert raised.value.name == "unreachable"

    run(work)


def test_keys_are_files_of_their_owner_alone(tmp_path: Path) -> None:
    key, path = wire.Key.fresh(), tmp_path / "key"
    key.to_file(path)
    assert path.stat().st_mode & 0o777 == 0o600
    again = wire.Key.from_file(path)
    assert again.proof(b"x") == key.proof(b"x") == wire.Key.from_descriptor(key.to_descriptor()).proof(b"x")
    assert repr(key) == "Key(…)"
    for spoil in (lambda: path.chmod(0o640), lambda: (path.chmod(0o600), path.write_bytes(b"short")), path.unlink):
        spoil()
        with pytest.raises(wire.WireProblem) as raised:
            wire.Key.from_file(path)
        assert raised.value.name == "bad-key"


def test_a_socket_that_somebody_listens_on_is_left_alone(address: wire.UnixAddress) -> None:
    async def work() -> None:
        async with served(echo, address.path, address.key):
            assert address.path.stat().st_mode & 0o777 == 0o600
            with pytest.raises(FileExistsError):
                await wire.listen(address, echo)
        assert not address.path.exists()
        with socket.socket(socket.AF_UNIX) as dead:
            dead.bind(str(address.path))
        async with served(echo, address.path, address.key):
            link = await wire.connect(address)
            link.close()

    run(work)


# --- TCP -------------------------------------------------------------------------------------------------------------


def test_tcp_takes_whom_its_authority_has_signed_and_nobody_else(tmp_path: Path) -> None:
    authority, other = wire.Authority(), wire.Authority("another")
    ours = authority.issue(tmp_path / "a", "worker.example", "127.0.0.1")
    theirs = authority.issue(tmp_path / "b", "home.example")
    stranger = other.issue(tmp_path / "c", "home.example")

    async def work() -> None:
        listener = await wire.listen(wire.TcpAddress("127.0.0.1", 0, wire.accepting(ours)), echo)
        there = wire.TcpAddress("127.0.0.1", listener.port, wire.connecting(theirs), "worker.example")
        link = await wire.connect(there)
        bodies = [b"x" * size for size in (0, 64, 300_000)]
        assert await asked(link, *bodies) == bodies
        assert link.port is not None
        link.port.close()
        link.cut()
        assert await asked(link, b"again") == [b"again"]
        assert link.connections == 2
        tensors = wire.Tensors(link)
        out = await link.open("array")
        await tensors.send(out, wire.Tensor.of(np.ones(1 << 17, np.float32)))
        back = await link.accept()
        assert back is not None
        item = await back.get()
        assert item is not None
        assert item.body == b"131072.0"
        assert tensors.shared == 0
        plain = ssl.create_default_context(cafile=str(theirs.authority))
        for wrong in (
            replace(there, context=wire.connecting(stranger)),
            replace(there, name="elsewhere.example"),
            replace(there, context=plain),
        ):
            with pytest.raises(wire.WireProblem) as raised:
                await wire.connect(wrong, timeout=0.4)
            assert raised.value.name in ("unreachable", "refused")
        reader, writer = await asyncio.open_connection("127.0.0.1", listener.port)
        writer.write(b"GET / HTTP/1.1\r\n\r\n")
        # What TLS itself says to who does not speak it; nothing of ours.
        assert len(await reader.read()) <= 7
        writer.close()
        assert len(listener.links) == 1
        link.close()
        await listener.close()

    run(work)


def test_certificates_that_do_not_fit_are_named(tmp_path: Path) -> None:
    authority = wire.Authority()
    files = authority.issue(tmp_path / "a", "a.example")
    assert files.key.stat().st_mode & 0o777 == 0o600
    others = authority.issue(tmp_path / "b", "b.example")
    for wrong in (
        replace(files, key=others.key),
        replace(files, certificate=tmp_path / "missing.pem"),
        replace(files, authority=files.key),
    ):
        with pytest.raises(wire.WireProblem) as raised:
            wire.accepting(wrong)
        assert raised.value.name == "bad-key"
    files.key.chmod(0o644)
    with pytest.raises(wire.WireProblem, match="chmod 600"):
        wire.connecting(files)


def test_tls_without_the_other_sides_certificate_is_not_listened_on(tmp_path: Path) -> None:
    files = wire.Authority().issue(tmp_path, "a.example")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(files.certificate, files.key)

    async def work() -> None:
        with pytest.raises(wire.WireProblem):
            await wire.listen(wire.TcpAddress("127.0.0.1", 0, context), echo)

    run(work)


def test_nothing_is_said_of_the_key() -> None:
    key = wire.Key(hashlib.sha256(b"x").digest())
    assert "x" not in repr(key)
    with pytest.raises(TypeError):
        import pickle

        pickle.dumps(key)
