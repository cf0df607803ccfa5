"""What both sides of a worker's link say first, and what an island is on its way."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ...base.version import VERSION
from ...ir.graph import Graph
from .. import wire
from ..backends import Backend
from . import messages as m
from .places import KeySecret, Secret, dialled, split

HOME = "home"
"""What the coordinator is called among its workers."""
SETTINGS = wire.Settings(heartbeat=0.5, silence=3.0, linger=3.0, tick=0.1, items=64)


@dataclass(frozen=True, slots=True)
class Island:
    """An island that is fit to run."""

    graph: Graph
    backend: Backend


@dataclass(frozen=True, slots=True)
class Arrived:
    """What came: the shipment, its bytes and who stands for them, the module's text, the folder of the program, and
    whether whoever sent it is this user on this machine."""

    contents: m.Shipment
    shipment: bytes
    signature: bytes
    module: bytes
    folder: Path
    same_user: bool


OpenIsland = Callable[[Arrived], Island]
"""Runs in a thread. Raises `OutsideError` for what it will not or cannot run."""


def about(name: str = "") -> bytes:
    """What both sides say of themselves in their hello."""
    return m.hello_said(VERSION, name)


def is_other(link: wire.Link) -> tuple[str, bool]:
    """The version of the other side, and whether it is another."""
    try:
        protocol, version = m.hello_heard(link.about)
    except wire.WireProblem:
        return "another version", True
    return version[:40], (protocol, version) != (m.PROTOCOL, VERSION)


def accepting(address: str, secret: Secret) -> wire.Address:
    """The address, to listen at. ValueError, WireProblem `bad-key`."""
    kind, host, port = split(address)
    if kind == "unix":
        return dialled(address, secret)
    if isinstance(secret, KeySecret):
        raise wire.WireProblem("bad-key", "TCP needs a certificate, its key and the authority")
    with secret.files() as files:
        return wire.TcpAddress(host, port, wire.accepting(files))
