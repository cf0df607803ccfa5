"""Where workers are to be, and what starts them: processes of this machine, or actors of a cluster.

    launched = await launcher.launch(Place("gpu", 0), joining)
    ...
    why = await launched.ended()

Whoever starts a worker hands it its `Joining` by a way that nobody else can read (an inherited descriptor, a channel of
its own), and the worker calls `worker.serve(joining, …)`: it dials the address, says hello by its name, and is told
what to run over that connection.
"""

from __future__ import annotations

import contextlib
from collections.abc import Generator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Protocol

from ..wire import Address, Files, Key, TcpAddress, UnixAddress, WireProblem, connecting
from .messages import joining_heard, joining_said


@dataclass(frozen=True, slots=True)
class Place:
    """One worker to be: an instance of a tier. `cores` and `memory` (bytes) bound what it takes, where that is said;
    `environment` is added to it."""

    tier: str
    instance: int
    cores: float | None = None
    memory: int | None = None
    environment: Mapping[str, str] = field(default_factory=dict[str, str])

    @property
    def name(self) -> str:
        """What the worker calls itself: `gpu/0`."""
        return f"{self.tier}/{self.instance}"


@dataclass(frozen=True, slots=True)
class KeySecret:
    """The key of a Unix socket: 32 bytes."""

    key: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Papers:
    """What a host shows on TCP, as PEM texts: its certificate, the private key to it, and the authority of both."""

    certificate: bytes = field(repr=False)
    key: bytes = field(repr=False)
    authority: bytes = field(repr=False)

    @classmethod
    def of(cls, files: Files) -> Papers:
        """OSError where a file cannot be read."""
        return cls(files.certificate.read_bytes(), files.key.read_bytes(), files.authority.read_bytes())

    @contextlib.contextmanager
    def files(self) -> Generator[Files]:
        """As files in a folder of this user alone, for as long as it takes to read them."""
        with TemporaryDirectory(prefix="agentlang-papers-") as folder:
            files = Files(*(Path(folder, f"{name}.pem") for name in ("certificate", "key", "authority")))
            for path, text in zip(
                (files.certificate, files.key, files.authority),
                (self.certificate, self.key, self.authority),
                strict=True,
            ):
                path.touch(0o600)
                path.write_bytes(text)
            yield files


Secret = KeySecret | Papers


@dataclass(frozen=True, slots=True)
class Joining:
    """What a worker needs to join. `address` is that of the coordinator, `unix:/path` or `tcp://host:port`; `name` is
    what the worker is called (`Place.name`). The whole of it is secret: it goes by `document`, never in arguments, the
    environment or a log."""

    address: str
    name: str
    secret: Secret

    def document(self) -> bytes:
        secret = (self.secret.key,)
        if isinstance(self.secret, Papers):
            secret = (self.secret.certificate, self.secret.key, self.secret.authority)
        return joining_said(self.address, self.name, secret)

    @classmethod
    def read(cls, document: bytes) -> Joining:
        """ValueError for what is no such document."""
        try:
            address, name, secret = joining_heard(document)
        except WireProblem:
            raise ValueError("this is no joining") from None
        if len(secret) not in (1, 3):
            raise ValueError("this is no joining")
        return cls(address, name, KeySecret(*secret) if len(secret) == 1 else Papers(*secret))

    def wire(self) -> Address:
        """The address to dial. WireProblem `bad-key`; ValueError for an address of another form."""
        return dialled(self.address, self.secret)


def dialled(address: str, secret: Secret) -> Address:
    """`unix:/path` or `tcp://host:port`, to connect to. ValueError for another form, WireProblem `bad-key`."""
    kind, host, port = split(address)
    if kind == "unix":
        if not isinstance(secret, KeySecret):
            raise WireProblem("bad-key", "a Unix socket needs a key")
        return UnixAddress(Path(host), Key(secret.key))
    if not isinstance(secret, Papers):
        raise WireProblem("bad-key", "TCP needs a certificate, its key and the authority")
    with secret.files() as files:
        return TcpAddress(host, port, connecting(files))


def split(address: str) -> tuple[str, str, int]:
    """Its kind (`unix` or `tcp`), the path or host, and the port (0 for a path). ValueError for another form."""
    if address.startswith("unix:") and len(address) > len("unix:"):
        return "unix", address[len("unix:") :], 0
    if address.startswith("tcp://"):
        host, colon, port = address[len("tcp://") :].rpartition(":")
        host = host.removeprefix("[").removesuffix("]")
        if colon and host and port.isascii() and port.isdigit() and int(port) < 65536:
            return "tcp", host, int(port)
    raise ValueError(f"{address!r} is no address: unix:/path or tcp://host:port")


class Launched(Protocol):
    """A worker that was started."""

    async def ended(self) -> str:
        """Returns how it ended, when it is gone: `it was ended by SIGKILL`. May be awaited by several."""
        ...

    async def stop(self, grace: float) -> None:
        """Ask it to end, and kill it after `grace` seconds. When this returns, nothing of it is left."""
        ...


class Launcher(Protocol):
    async def launch(self, place: Place, joining: Joining) -> Launched:
        """Start a worker, which then joins by itself. Raises `base.problems.OutsideError` where it cannot be started
        at all."""
        ...
