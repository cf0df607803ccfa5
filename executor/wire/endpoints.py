"""Where links begin: who listens, and who connects and connects again.

Before it is known who speaks, a connection holds at most a handshake and a hello, gets no word about this program, and
is closed after `GREETING` seconds; only so many of them are open at once.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import secrets
import socket
import ssl
import stat
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

from . import frames
from .framing import Decoder, encode
from .link import Link
from .ports import Deaf, Port, TlsPort, UnixPort
from .problems import WireProblem
from .secure import Handshake, Key, same_user
from .session import Session
from .settings import Settings

GREETING = 2.0
"""Seconds from a connection to its hello."""
MOST_STRANGERS = 64
"""Connections of whom it is not known yet who they are."""
_SHORTEST, _LONGEST = 0.02, 1.0  # seconds between attempts to connect


@dataclass(frozen=True, slots=True)
class UnixAddress:
    """A socket file, and the key that both sides know."""

    path: Path
    key: Key


@dataclass(frozen=True, slots=True)
class TcpAddress:
    """A host and port, and a context that shows our certificate and demands theirs (`tls.py`). `name` is who must
    answer, as its certificate says it."""

    host: str
    port: int
    context: ssl.SSLContext
    name: str = ""


Address = UnixAddress | TcpAddress


class _Greeter:
    """Hears one hello and nothing else."""

    def __init__(self) -> None:
        self.hello: asyncio.Future[frames.Hello] = asyncio.get_running_loop().create_future()
        self._decoder = Decoder(frames.MOST_HELLO)

    def heard(self, data: bytes, descriptors: tuple[int, ...]) -> None:
        for descriptor in descriptors:
            os.close(descriptor)
        if self.hello.done() or descriptors:
            return self.cut()
        try:
            found = list(self._decoder.feed(data))
        except WireProblem:
            return self.cut()
        if found:
            frame = found[0][0]
            if len(found) > 1 or not isinstance(frame, frames.Hello) or self._decoder.held:
                return self.cut()
            self.hello.set_result(frame)
        return None

    def cut(self) -> None:
        if not self.hello.done():
            self.hello.set_exception(WireProblem("refused", "a stranger"))

    def writable(self) -> None: ...


class Listener:
    """Made by `listen`. `handler` gets each new link, in a task of its own; links of before go on by themselves."""

    def __init__(
        self, handler: Callable[[Link], Awaitable[None]], settings: Settings, name: str, about: bytes, strangers: int
    ) -> None:
        self._handler, self._settings, self._name, self._about = handler, settings, name, about
        self._links: dict[bytes, Link] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._strangers = 0
        self._draining = False
        self._most = strangers
        self._close: Callable[[], None] = lambda: None
        self.port = 0
        """Of TCP, as the system has chosen it."""

    @property
    def links(self) -> tuple[Link, ...]:
        return tuple(self._links.values())

    async def drain(self) -> None:
        """Take no new links, and let all come to their end; who is cut meanwhile may come back."""
        self._draining = True
        await asyncio.gather(*(link.drain() for link in self.links), return_exceptions=True)
        self._close()

    async def close(self) -> None:
        """End all at once."""
        self._close()
        for link in self.links:
            link.close("closed")
        tasks = [task for task in self._tasks if task is not asyncio.current_task()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _forget(self, session: bytes) -> None:
        self._links.pop(session, None)

    def _start(self, work: Awaitable[None]) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def on_unix(self, listening: socket.socket, key: Key) -> None:
        try:
            connection, _ = listening.accept()
        except OSError:
            return
        connection.setblocking(False)
        if self._strangers >= self._most or not same_user(connection):
            connection.close()
            return
        self._start(self._unix(connection, key))

    async def _unix(self, connection: socket.socket, key: Key) -> None:
        self._strangers += 1
        port: Port | None = None
        try:
            async with asyncio.timeout(GREETING):
                try:
                    await _shake(connection, Handshake(key, initiator=False))
                except BaseException:
                    connection.close()
                    raise
                greeter = _Greeter()
                port = UnixPort(connection, greeter)
                hello = await greeter.hello
        except (WireProblem, OSError, TimeoutError):
            if port is not None:
                port.close()
            return
        except BaseException:
            if port is not None:
                port.close()
            raise
        finally:
            self._strangers -= 1
        self._greeted(port, hello, None)

    def on_tls(self, port: TlsPort) -> None:
        if self._strangers >= self._most:
            port.close()
        else:
            # It may speak before a task runs.
            greeter = _Greeter()
            port.ear = greeter
            self._start(self._tls(port, greeter))

    async def _tls(self, port: TlsPort, greeter: _Greeter) -> None:
        self._strangers += 1
        try:
            async with asyncio.timeout(GREETING):
                hello = await greeter.hello
        except (WireProblem, TimeoutError):
            port.close()
            return
        finally:
            self._strangers -= 1
        self._greeted(port, hello, port.certificate)

    def _greeted(self, port: Port, hello: frames.Hello, identity: object) -> None:
        link = self._links.get(hello.session)
        if link is None and not hello.resumes and not self._draining:
            session = Session(
                hello.session, initiator=False, settings=self._settings, name=self._name, about=self._about
            )
            link = self._links[hello.session] = Link(session)
            link.identity = identity
            link.on_over.append(lambda: self._forget(hello.session))
            link.attach(port, session.connected(link.loop.time(), hello))
            self._start(self._handler(link))
        elif link is None or link.identity != identity or link.over:
            reason = "unresumable" if hello.resumes or link is not None else "draining"
            port.write([(encode(frames.Goodbye(reason)), ())])
            port.ear = Deaf()
            port.close()
        else:
            link.session.disconnected()
            link.attach(port, link.session.connected(link.loop.time(), hello))


async def listen(
    address: Address,
    handler: Callable[[Link], Awaitable[None]],
    *,
    settings: Settings | None = None,
    name: str = "",
    about: bytes = b"",
    strangers: int = MOST_STRANGERS,
) -> Listener:
    """Take connections until the listener is closed. OSError where the address cannot be used."""
    listener = Listener(handler, settings or Settings(), name, about, strangers)
    loop = asyncio.get_running_loop()
    if isinstance(address, UnixAddress):
        listening = _bound(address.path)
        loop.add_reader(listening.fileno(), listener.on_unix, listening, address.key)
        held = address.path.stat()

        def close() -> None:
            if listening.fileno() >= 0:
                loop.remove_reader(listening.fileno())
                listening.close()
                with contextlib.suppress(OSError):
                    # Another process may have taken the name meanwhile.
                    if address.path.stat().st_ino == held.st_ino:
                        address.path.unlink()

        listener._close = close  # pyright: ignore[reportPrivateUsage]
        return listener
    if address.context.verify_mode != ssl.CERT_REQUIRED:
        raise WireProblem("bad-key", "the context does not demand the other side's certificate")
    server = await loop.create_server(
        lambda: TlsPort(listener.on_tls),
        address.host,
        address.port,
        ssl=address.context,
        ssl_handshake_timeout=GREETING,
        ssl_shutdown_timeout=GREETING,
    )
    listener.port = server.sockets[0].getsockname()[1]
    listener._close = server.close  # pyright: ignore[reportPrivateUsage]
    return listener


def _bound(path: Path) -> socket.socket:
    """A listening socket that this user alone may connect to. One that nobody listens to any more is replaced."""
    with contextlib.suppress(FileNotFoundError):
        if not stat.S_ISSOCK(path.lstat().st_mode):
            raise FileExistsError(f"{path} is there, and no socket")
        with socket.socket(socket.AF_UNIX) as probe:
            try:
                probe.connect(str(path))
            except ConnectionRefusedError:
                path.unlink()
            else:
                raise FileExistsError(f"somebody listens on {path} already")
    listening = socket.socket(socket.AF_UNIX)
    try:
        mask = os.umask(0o177)
        try:
            listening.bind(str(path))
        finally:
            os.umask(mask)
        listening.listen(128)
        listening.setblocking(False)
    except BaseException:
        listening.close()
        raise
    return listening


async def connect(
    address: Address,
    *,
    settings: Settings | None = None,
    name: str = "",
    about: bytes = b"",
    timeout: float = 10.0,
) -> Link:
    """A link, which connects again whenever it is cut. WireProblem `unreachable` where nobody answers within the
    timeout, `refused` where somebody does and does not take us."""
    session = Session(secrets.token_bytes(16), initiator=True, settings=settings or Settings(), name=name, about=about)
    link = Link(session)
    failure: list[WireProblem] = []
    keeping = asyncio.ensure_future(_keep_connected(link, address, failure))
    link.on_over.append(lambda: _stop(keeping))
    try:
        async with asyncio.timeout(timeout):
            await link.connected()
    except TimeoutError:
        link.close()
        raise failure[-1] if failure else WireProblem("unreachable", "nobody answered") from None
    except BaseException:
        link.close()
        raise
    return link


def _stop(task: asyncio.Task[None]) -> None:
    task.cancel()


async def _keep_connected(link: Link, address: Address, failure: list[WireProblem]) -> None:
    pause = _SHORTEST
    while not link.over:
        await link.disconnected.wait()
        known = link.connections
        try:
            async with asyncio.timeout(max(GREETING, 2.0)):
                port = await _dialled(address)
        except WireProblem as problem:
            failure[:] = [problem]
        except (OSError, ssl.SSLError, TimeoutError):
            failure[:] = [WireProblem("unreachable", "nobody listens there, or does not answer")]
        else:
            if link.over:
                port.close()
                return
            link.attach(port, link.session.connected(link.loop.time()))
            await link.disconnected.wait()
            if link.connections > known:
                pause = _SHORTEST
                continue
            failure[:] = [WireProblem("refused", "the other side closed the connection before it said hello")]
        await asyncio.sleep(pause * (0.5 + random.random() / 2))
        pause = min(2 * pause, _LONGEST)


async def _dialled(address: Address) -> Port:
    loop = asyncio.get_running_loop()
    if isinstance(address, UnixAddress):
        connection = socket.socket(socket.AF_UNIX)
        try:
            connection.setblocking(False)
            await loop.sock_connect(connection, str(address.path))
            await _shake(connection, Handshake(address.key, initiator=True))
        except BaseException:
            connection.close()
            raise
        return UnixPort(connection, Deaf())
    _, port = await loop.create_connection(
        lambda: TlsPort(lambda _: None),
        address.host,
        address.port,
        ssl=address.context,
        server_hostname=address.name or address.host,
        ssl_handshake_timeout=GREETING,
        ssl_shutdown_timeout=GREETING,
    )
    return port


async def _shake(connection: socket.socket, handshake: Handshake) -> None:
    """Raises WireProblem `refused`, OSError. Reads not a byte more than the handshake has."""
    loop = asyncio.get_running_loop()
    said = handshake.start()
    if said:
        await loop.sock_sendall(connection, said)
    while not handshake.done:
        data = await loop.sock_recv(connection, handshake.wanted)
        if not data:
            raise WireProblem("refused", "the other side broke off the handshake: it may know another key")
        said = handshake.received(data)
        if said:
            await loop.sock_sendall(connection, said)
