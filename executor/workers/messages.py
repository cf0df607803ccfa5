"""What a coordinator and a worker say to each other, on a channel for each direction of their link.

MessagePack arrays that begin with the message's number, read into these and nothing else. Hashes are SHA-256 in hex.
A run is known by its number at the coordinator; a worker by its name there, which is used once.
"""

from __future__ import annotations

from typing import Any, cast

import msgspec

from ...base.problems import Problem
from ..frames import End
from ..machine.faults import Failure
from ..machine.orders import Outcome, StageTiming, Timings
from ..wire import WireProblem
from ..wire.pipes import decoded, encoded

PROTOCOL = 1
"""Counts what a worker of another version would misunderstand."""
CONTROL = "control"
"""The channel's name."""
MESSAGE = 16
"""The form of its items."""
PIECE = 1 << 20
"""Bytes of a file that go in one message."""


class Message(msgspec.Struct, frozen=True, array_like=True):
    """One of those below."""


class File(msgspec.Struct, frozen=True, array_like=True):
    """A file of the program's folder: its path there (`/` between parts), what it is for (`code`, `documents`, …), and
    its hash."""

    path: str
    purpose: str
    hash: str


class Shipment(msgspec.Struct, frozen=True, array_like=True):
    """What an island is made of. `module` is the hash of its text. `folder` is that of the program, where the worker is
    a process of this machine; elsewhere the `files` are laid out. `profile` is of its settings."""

    tier: str
    digest: str
    module: str
    folder: str | None
    files: tuple[File, ...]
    profile: str | None


# --- what the coordinator says ---


class Take(Message, frozen=True, array_like=True, tag=1):
    """You are called `name`; run this island. `signature` is of the shipment's bytes, where somebody stands for it."""

    name: str
    shipment: bytes
    signature: bytes


class Piece(Message, frozen=True, array_like=True, tag=2):
    """Part of a file that the worker lacks."""

    hash: str
    data: bytes
    last: bool


class Meet(Message, frozen=True, array_like=True, tag=3):
    """Connect to a worker that listens there."""

    name: str
    address: str


class Lost(Message, frozen=True, array_like=True, tag=4):
    """A worker, or home, is gone: nothing comes from it any more."""

    name: str


class Start(Message, frozen=True, array_like=True, tag=5):
    """Begin a run's part. `mates` are the workers that have the other tiers' parts, by tier."""

    run: int
    pipeline: str
    session: str | None
    observed: bool
    mates: dict[str, str]


class Cancel(Message, frozen=True, array_like=True, tag=6):
    run: int


class Over(Message, frozen=True, array_like=True, tag=7):
    """All parts of the run are through."""

    run: int


class May(Message, frozen=True, array_like=True, tag=8):
    """The answer to `Acts`."""

    run: int
    call: int
    granted: bool


class Leave(Message, frozen=True, array_like=True, tag=9):
    """End, when the runs that there are have ended."""


# --- what a worker says ---


class Lacks(Message, frozen=True, array_like=True, tag=32):
    """Of what the shipment names these are not in its cache."""

    hashes: tuple[str, ...]


class Ready(Message, frozen=True, array_like=True, tag=33):
    """The island is open. Others may connect at `address`."""

    address: str


class Refuses(Message, frozen=True, array_like=True, tag=34):
    """It will not run this; `failure` says why."""

    failure: bytes


class Met(Message, frozen=True, array_like=True, tag=35):
    """Connected to that worker, or not: `failed` says why."""

    name: str
    failed: str | None


class Ended(Message, frozen=True, array_like=True, tag=36):
    """A run's part is through."""

    run: int
    end: bytes


class Acts(Message, frozen=True, array_like=True, tag=37):
    """A call is about to act on the world, so that a second time would be another time. It waits for `May`."""

    run: int
    call: int


class Saw(Message, frozen=True, array_like=True, tag=38):
    """What happened: a kind, how many seconds before this was sent, and its fields (`telling`)."""

    events: tuple[tuple[Any, ...], ...]


FROM_COORDINATOR = Take | Piece | Meet | Lost | Start | Cancel | Over | May | Leave
FROM_WORKER = Lacks | Ready | Refuses | Met | Ended | Acts | Saw

_encoder = msgspec.msgpack.Encoder()
_to_worker = msgspec.msgpack.Decoder(FROM_COORDINATOR)
_to_coordinator = msgspec.msgpack.Decoder(FROM_WORKER)
_shipment = msgspec.msgpack.Decoder(Shipment)
_hello = msgspec.msgpack.Decoder(tuple[int, str, str])
_joining = msgspec.msgpack.Decoder(tuple[str, str, tuple[bytes, ...]])
_Stage = tuple[str, int, float, float | None, float, int, float]
_end = msgspec.msgpack.Decoder(tuple[str, bytes | None, dict[str, float], float, float, tuple[_Stage, ...]])


def hello_said(version: str, name: str) -> bytes:
    """What either side says of itself before anything else."""
    return _encoder.encode((PROTOCOL, version, name))


def hello_heard(body: bytes) -> tuple[int, str]:
    """The protocol and version of the other side. WireProblem `malformed`."""
    protocol, version, _ = _read(_hello, body)
    return protocol, version


def joining_said(address: str, name: str, secret: tuple[bytes, ...]) -> bytes:
    return _encoder.encode((address, name, secret))


def joining_heard(body: bytes) -> tuple[str, str, tuple[bytes, ...]]:
    """WireProblem `malformed`."""
    return _read(_joining, body)


def said(message: Message | Shipment) -> bytes:
    return _encoder.encode(message)


def heard_by_worker(body: bytes | memoryview) -> FROM_COORDINATOR:
    """WireProblem `malformed`."""
    return _read(_to_worker, body)


def heard_by_coordinator(body: bytes | memoryview) -> FROM_WORKER:
    """WireProblem `malformed`."""
    return _read(_to_coordinator, body)


def shipment(body: bytes) -> Shipment:
    """WireProblem `malformed`."""
    return _read(_shipment, body)


def _read(decoder: Any, body: bytes | memoryview) -> Any:
    try:
        return decoder.decode(body)
    except (msgspec.DecodeError, ValueError, RecursionError):
        raise WireProblem("malformed", "what came is no message of a worker or coordinator") from None


def failure(reason: str, problem: Problem, stage: str | None = None) -> bytes:
    return encoded(Failure(reason, problem, stage))


def failed(body: bytes) -> Failure:
    """WireProblem `malformed`."""
    found = decoded(body)
    if not isinstance(found, Failure):
        raise WireProblem("malformed", "what came is no failure")
    return found


def end_said(end: End) -> bytes:
    """The end of a part that is not home's: it has no value and no items."""
    outcome, timings = end.outcome, end.timings
    why = None
    if outcome.problem is not None:
        why = failure(outcome.reason or "crashed", outcome.problem, outcome.stage)
    stages = tuple((s.stage, s.count, s.start, s.first_item, s.end, s.items, s.seconds) for s in timings.stages)
    return _encoder.encode((outcome.status, why, dict(end.usage), timings.finish, timings.opening, stages))


def end_heard(body: bytes) -> End:
    """WireProblem `malformed`."""
    status, why, usage, finish, opening, stages = cast("tuple[Any, ...]", _read(_end, body))
    if status not in ("done", "failed", "cancelled", "interrupted"):
        raise WireProblem("malformed", "a part has another end than a part can have")
    known = None if why is None else failed(why)
    outcome = Outcome(status) if known is None else Outcome(status, None, known.reason, known.problem, known.stage)
    return End(outcome, usage, Timings(finish, opening=opening, stages=tuple(StageTiming(*each) for each in stages)))
