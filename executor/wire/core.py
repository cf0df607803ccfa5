"""What a session keeps over its connections: what is not acknowledged, who the other side is, when it was last heard.

`session.py` stands on it, and says what the whole is.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import TypeAlias

import msgspec

from . import events as ev
from . import frames
from .channels import Reading, Writing
from .framing import MOST_FRAME, Buffer, Decoder, encode
from .problems import MENDED, WireProblem
from .settings import Settings

Chunk: TypeAlias = tuple[tuple[Buffer, ...], tuple[int, ...]]
"""Buffers to write one after another, and the descriptors that go along with the first of them."""

_ACK_AFTER = 64
_ACK_SIZE = 1 << 18
_OVERHEAD = 64


_TIMED = (frames.Item, frames.Open)


class Core:
    """One side of a session, but for what its frames mean."""

    def __init__(
        self, token: bytes, *, initiator: bool, settings: Settings | None = None, name: str = "", about: bytes = b""
    ) -> None:
        self.token = token
        self.settings = settings or Settings()
        self.initiator = initiator
        self.over = False
        self.up = False
        """Both have said hello on the connection that there is."""
        self.draining = False
        """One of the two sides wants no new channels."""
        self._drains = False
        self._name, self._about = name, about
        self._resumes = False
        self._decoder: Decoder | None = None
        self._peer: frames.Hello | None = None
        self._sent: int = 0
        self._acked: int = 0
        self._received: int = 0
        self._told: int = 0  # of what was received, the other side knows so far
        self._unsaid = 0  # bytes that came and were not acknowledged
        self._kept: deque[tuple[int, Chunk, int]] = deque()
        self._timed: dict[int, tuple[frames.Open | frames.Item, float]] = {}  # frames with a deadline, and since when
        self._kept_size = 0
        self._full = False
        self._out: list[Chunk] = []
        self._next: int = 1 if initiator else 2
        self._opened: int = 0
        self._writing: dict[int, Writing] = {}
        self._reading: dict[int, Reading] = {}
        self._owed: dict[int, None] = {}
        self._owed_resets: dict[int, None] = {}
        self._heard = self._spoke = self._looked = 0.0
        self._events: list[ev.Event] = []
        self._stray: tuple[int, ...] = ()

    # --- connections ---

    def connected(self, now: float, hello: frames.Hello | None = None) -> list[ev.Event]:
        """A transport to the other side is there, and it is who it should be. The acceptor has read its `hello`."""
        if self.over:
            return []
        self._decoder = Decoder(MOST_FRAME if hello is not None else frames.MOST_HELLO)
        self._out = []
        self.up = False
        self._heard = self._spoke = self._looked = now
        if self.initiator:
            self._put(self._hello())
        elif hello is not None:
            return self._handle(hello, ())
        return self._taken()

    def disconnected(self) -> None:
        """The transport is gone."""
        self.up = False
        self._out = []
        if self._decoder is not None:
            self._close(tuple(self._decoder.descriptors))
            self._decoder = None

    def unclaimed(self) -> tuple[int, ...]:
        """Descriptors that came and that nobody gets: to be closed by whoever runs the session."""
        found, self._stray = self._stray, ()
        return found

    def _close(self, descriptors: tuple[int, ...]) -> None:
        self._stray += descriptors

    def received(self, data: Buffer, now: float, descriptors: Sequence[int] = ()) -> list[ev.Event]:
        """What these bytes tell, in order. After `Broken` or `Over` the transport is to be closed."""
        decoder = self._decoder
        if self.over or decoder is None:
            self._close(tuple(descriptors))
            return []
        self._heard = self._looked = now
        self._unsaid += len(data)
        try:
            for frame, given in decoder.feed(data, descriptors):
                try:
                    self._take(frame, given)
                except BaseException:
                    self._close(given)
                    raise
                if self._decoder is None:
                    break
        except WireProblem as problem:
            self._fault(problem)
        if self.up:
            self._settle()
        return self._taken()

    def _handle(self, frame: frames.Any, given: tuple[int, ...]) -> list[ev.Event]:
        try:
            self._take(frame, given)
        except WireProblem as problem:
            self._fault(problem)
        return self._taken()

    def _fault(self, problem: WireProblem) -> None:
        if problem.name in MENDED:
            self.disconnected()
            self._events.append(ev.Broken(problem))
        else:
            self._finish(problem)

    def _finish(self, problem: WireProblem | None) -> None:
        if not self.over:
            self.over = True
            if self.up and problem is not None:
                self._put(frames.Goodbye(problem.name))
            self.up = False
            if self._decoder is not None:
                self._close(tuple(self._decoder.descriptors))
                self._decoder = None
            self._kept.clear()
            self._events.append(ev.Over(problem))

    def lost(self, why: str = "the other side did not come back") -> list[ev.Event]:
        """Nobody will resume the session. After a drain there is nothing left to come back for."""
        self.disconnected()
        self._finish(None if self._drained else WireProblem("lost", why))
        return self._taken()

    @property
    def _drained(self) -> bool:
        return self.draining and not self._writing and not self._reading

    def goodbye(self, reason: str = "") -> list[ev.Event]:
        """End it at once, whatever is under way."""
        if not self.over and self.up:
            self._put(frames.Goodbye(reason))
        self._finish(None)
        return self._taken()

    def output(self) -> list[Chunk]:
        """What is to be written, once."""
        if not self._out:
            return []
        out, self._out = self._out, []
        return out

    # --- time ---

    def tick(self, now: float) -> list[ev.Event]:
        """To be called every `Settings.tick` while there is a connection."""
        if self.over or self._decoder is None:
            return []
        settings = self.settings
        if now - self._looked > settings.heartbeat + settings.tick:
            # This process stood still; what the other side said meanwhile may lie unread.
            self._heard = max(self._heard, now - settings.heartbeat)
        self._looked = now
        if now - self._heard > settings.silence:
            self._fault(WireProblem("silent", f"nothing was heard for {settings.silence:g} s"))
            return self._taken()
        if self.up:
            if now - self._heard >= settings.heartbeat and now - self._spoke >= settings.heartbeat / 2:
                self._spoke = now
                self._put(frames.Ping(self._sent))
            if self._received != self._told:
                self._acknowledge()
        return self._taken()

    @property
    def roomy(self) -> bool:
        """Whether a frame more can be kept until it is acknowledged."""
        if len(self._kept) < self.settings.kept_frames and self._kept_size < self.settings.kept_size:
            return True
        self._full = True
        return False

    # --- connections, inside ---

    def _hello(self) -> frames.Hello:
        own = self.settings
        return frames.Hello(
            self.token,
            self._resumes,
            self._received,
            own.items,
            own.size,
            own.channels,
            self._name,
            self._about,
        )

    def _greeted(self, hello: frames.Hello) -> None:
        if self.up or hello.session != self.token:
            raise WireProblem("out-of-order", "a hello came that answers none of ours")
        if self._peer is not None and (hello.items, hello.size) != (self._peer.items, self._peer.size):
            raise WireProblem("unresumable", "the other side came back with other bounds")
        if not self._acked <= hello.received <= self._sent:
            raise WireProblem("unresumable", "the other side has lost what it had heard, or is another one")
        assert self._decoder is not None
        self._decoder.most = MOST_FRAME
        self._peer = hello
        if not self.initiator:
            self._put(self._hello())
        self.up = True
        resumed, self._resumes = self._resumes, True
        self._told = self._received
        self._acknowledged(hello.received)
        for sequence, chunk, _ in self._kept:
            timed = self._timed.get(sequence)
            self._out.append(_later(*timed, self._heard, chunk) if timed else chunk)
        self._events.append(ev.Connected(hello.name, hello.about, resumed))
        self._settle()

    def _acknowledged(self, received: int) -> None:
        if received > self._sent:
            raise WireProblem("unexpected", "the other side heard what was never said")
        if received > self._acked:
            self._acked = received
            kept = self._kept
            while kept and kept[0][0] <= received:
                self._kept_size -= kept.popleft()[2]
            if self._timed:
                for sequence in [known for known in self._timed if known <= received]:
                    del self._timed[sequence]
            if self._full and self.roomy:
                self._full = False
                self._events.append(ev.Roomy())

    def _acknowledge(self) -> None:
        self._told = self._received
        self._unsaid = 0
        self._put(frames.Ack(self._received))

    def _settle(self) -> None:
        """What follows from what came: credit that is owed, acknowledgements, the end of a drain."""
        if self._owed or self._owed_resets:
            self._pay()
        behind = self._received - self._told
        if behind >= _ACK_AFTER or (behind and self._unsaid >= _ACK_SIZE):
            self._acknowledge()
        if self.draining and self.up and self._drained:
            if not self._drains:
                if self._received != self._told:
                    self._acknowledge()
            elif not self._kept:
                self._put(frames.Goodbye("drained"))
                self._finish(None)

    def _pay(self) -> None:
        while self._owed_resets and self.roomy:
            channel = next(iter(self._owed_resets))
            del self._owed_resets[channel]
            end = self._writing.get(channel) or self._reading.get(channel)
            if end is not None:
                self._keep(frames.Reset(self._sent + 1, self._received, channel, end.epoch))
        while self._owed and self.roomy:
            channel = next(iter(self._owed))
            del self._owed[channel]
            reading = self._reading.get(channel)
            if reading is not None and reading.wants_credit:
                items, size = reading.credit()
                self._keep(frames.Credit(self._sent + 1, self._received, channel, items, size))

    def _keep(self, frame: frames.Lasting, size: int = 0, descriptors: tuple[int, ...] = ()) -> None:
        self._sent += 1
        self._told = self._received
        self._unsaid = 0
        chunk = (encode(frame, len(descriptors)), descriptors)
        size += _OVERHEAD
        if isinstance(frame, _TIMED) and frame.deadline is not None:
            self._timed[self._sent] = frame, self._looked
        self._kept.append((self._sent, chunk, size))
        self._kept_size += size
        if self.up:
            self._out.append(chunk)

    def _put(self, frame: frames.Any) -> None:
        self._out.append((encode(frame), ()))

    def _taken(self) -> list[ev.Event]:
        found, self._events = self._events, []
        return found

    def _take(self, frame: frames.Any, given: tuple[int, ...]) -> None:
        """A frame of the other side. Raises `WireProblem`."""
        raise NotImplementedError


def _later(frame: frames.Open | frames.Item, since: float, now: float, chunk: Chunk) -> Chunk:
    """Sent again, it says what is left of its deadline."""
    left = max((frame.deadline or 0.0) - (now - since), 0.0)
    return encode(msgspec.structs.replace(frame, deadline=left), len(chunk[1])), chunk[1]
