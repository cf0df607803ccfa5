"""The worker's side: it is sent an island, opens it, and runs its parts of runs.

    await serve(joining, open_island)              # a process that a launcher started, or that joins from elsewhere
    await offer(address, secret, name, open_island)   # a process that waits at an address for who needs it

It does what its coordinator says and is gone when that is: nothing that it runs outlasts the session.
"""

from __future__ import annotations

import contextlib
import socket
from collections.abc import AsyncGenerator, Awaitable, Callable
from pathlib import Path

import anyio

from ...base.problems import OutsideError
from ...base.version import VERSION
from .. import wire
from . import problems
from .greeting import HOME, SETTINGS, OpenIsland, about, accepting, is_other
from .places import Joining, Secret, split
from .session import Session

_Handler = Callable[[wire.Link], Awaitable[None]]


class OtherVersion(OutsideError):
    """Coordinator and worker are not of one version."""


async def serve(joining: Joining, open_island: OpenIsland, *, peers: str | None = None) -> None:
    """Join, and serve until the coordinator is gone or lets this worker go. `peers` is where other workers may connect
    (`tcp://host:port`; port 0 is any). Raises WireProblem where it cannot be joined, `OtherVersion`."""
    link = await wire.connect(
        joining.wire(), settings=SETTINGS, name=joining.name, about=about(joining.name), timeout=30.0
    )
    version, other = is_other(link)
    if other:
        link.close("other version")
        raise OtherVersion(problems.worker_version(joining.name, VERSION, version))
    session = Session(link, joining.secret, open_island)
    async with _peers_at(joining, peers, session.peer) as session.address:
        await session.work()


async def offer(
    address: str, secret: Secret, name: str, open_island: OpenIsland, ready: Callable[[str], None] | None = None
) -> None:
    """Wait at the address for coordinators, and serve one after the other, until this is cancelled. `ready` is told
    where it listens. OSError where the address cannot be used."""
    busy: list[Session] = []
    shown = address

    async def handler(link: wire.Link) -> None:
        if link.name != HOME or is_other(link)[1]:
            if busy:
                await busy[0].peer(link)
            else:
                link.close("nobody is here")
            return
        if busy:
            link.close("busy")
            return
        session = Session(link, secret, open_island)
        session.address = shown
        busy.append(session)
        try:
            await session.work()
        finally:
            busy.remove(session)

    listener = await wire.listen(accepting(address, secret), handler, settings=SETTINGS, name=name, about=about(name))
    try:
        kind, host, _ = split(address)
        if kind == "tcp":
            shown = f"tcp://{host}:{listener.port}"
        if ready is not None:
            ready(shown)
        await anyio.sleep_forever()
    finally:
        with anyio.CancelScope(shield=True):
            await listener.close()


@contextlib.asynccontextmanager
async def _peers_at(
    joining: Joining, peers: str | None, handler: Callable[[wire.Link], Awaitable[None]]
) -> AsyncGenerator[str]:
    """Where other workers may connect: a socket of its own, or a port of this machine as the coordinator sees it."""

    kind, host, port = split(joining.address)
    if kind == "unix":
        # Beside that of the coordinator, whose folder it is: this process may end without tidying up.
        given = f"unix:{Path(host).with_name(joining.name.rpartition('.')[2])}"
    else:
        given = peers or f"tcp://{_seen_as(host, port)}:0"
    listener = await wire.listen(
        accepting(given, joining.secret), handler, settings=SETTINGS, name=joining.name, about=about()
    )
    try:
        yield given if kind == "unix" else f"tcp://{split(given)[1]}:{listener.port}"
    finally:
        with anyio.CancelScope(shield=True):
            await listener.close()


def _seen_as(host: str, port: int) -> str:
    """The address of this machine on its way to the host."""
    family, kind, _, _, where = socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM)[0]
    with socket.socket(family, kind) as probe:
        probe.connect(where)
        return str(probe.getsockname()[0])
