"""One side of a session, without I/O, clock or luck: bytes, time and wishes in; events and bytes out.

    session = Session(token, initiator=True)
    session.connected(now)                       # a transport is there
    for event in session.received(data, now): …  # what came over it
    session.send(channel, b"…")                  # what is to go
    transport.write(session.output())            # after any of these
    session.tick(now)                            # now and then

A session outlives its connections. What lasts is numbered and kept until the other side has acknowledged it; after a
new connection each side says in its hello what it has heard, and the other goes on behind that. Anything wrong with the
bytes cuts the connection (`Broken`), and the next one mends it; a frame that no peer of this version sends ends the
session (`Over`), for it would come again.

Memory is bounded on both sides: what is not acknowledged by `Settings.kept_…`, what waits to be read by the credit of
each channel and the number of channels. Credit and resets, which would have to be sent while there is no room, are owed
and told as one later.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from . import events as ev
from . import frames
from .channels import Reading, Writing
from .core import Core
from .framing import Buffer
from .problems import WireProblem

_COPIED = 1 << 12
"""Smaller bodies are taken out of what was read, which they would keep in memory."""


class Session(Core):
    """See above. `token` (16 bytes) names the session; the initiator makes one that nobody can guess. Methods that send
    raise `WireProblem` where that cannot be now; none is ever raised for what the other side did."""

    # --- what this side wants ---

    @property
    def may_open(self) -> bool:
        peer = self._peer
        return peer is not None and not self.over and len(self._writing) < peer.channels and self.roomy

    def may_send(self, channel: int) -> bool:
        """Whether there is credit and room; where not, `Writable` or `Roomy` tells when to look again."""
        writing = self._writing.get(channel)
        if writing is None or writing.ended:
            raise WireProblem("cancelled", "nobody reads this channel, or it has ended")
        if writing.sent_items < writing.granted_items and writing.sent_size < writing.granted_size:
            own = self.settings
            if len(self._kept) < own.kept_frames and self._kept_size < own.kept_size:
                return True
            return self.roomy
        writing.starved = True
        return False

    def epoch(self, channel: int) -> int:
        """Of either end. KeyError for a channel that is closed."""
        end = self._writing.get(channel)
        return end.epoch if end is not None else self._reading[channel].epoch

    def open(
        self,
        name: str,
        *,
        items: int = 0,
        about: bytes = b"",
        deadline: float | None = None,
        trace: bytes | None = None,
    ) -> int:
        """A channel on which this side writes; `items` has fewer of them be under way than the other side allows."""
        if self.over:
            raise WireProblem("closed", "the session is over")
        if self.draining:
            raise WireProblem("draining", "the session is being closed, and opens no channels")
        peer = self._peer
        if peer is None or not self.may_open:
            raise WireProblem("no-room", "the other side takes no more channels now")
        if len(name) > 512 or len(about) > frames.MOST_ABOUT or (trace is not None and len(trace) != 25):
            raise WireProblem("too-large", "a channel says too much about itself")
        channel = self._next
        self._next += 2
        self._writing[channel] = Writing(_fewer(items, peer.items), peer.size)
        self._keep(
            frames.Open(self._sent + 1, self._received, channel, name, max(items, 0), _left(deadline), trace, about)
        )
        return channel

    def send(
        self,
        channel: int,
        body: Buffer,
        form: int = 0,
        deadline: float | None = None,
        trace: bytes | None = None,
        descriptors: tuple[int, ...] = (),
        head: bytes = b"",
    ) -> bool:
        """An item; False without credit or room (see `may_send`). `body` is not to change until it is acknowledged.
        WireProblem `cancelled` where nobody reads, `too-large`."""
        size = len(body)
        if size > self.settings.most_body or len(head) > frames.MOST_HEAD:
            raise WireProblem("too-large", f"an item of {size} bytes, where {self.settings.most_body} may be sent")
        if not self.may_send(channel):
            return False
        writing = self._writing[channel]
        writing.sent_items += 1
        writing.sent_size += size
        if deadline is not None:
            deadline = _left(deadline)
        view: Any = body if size <= _COPIED else memoryview(body)
        sequence = self._sent + 1
        frame = frames.Item(sequence, self._received, channel, writing.epoch, form, deadline, trace, head, view)
        self._keep(frame, size, descriptors)
        return True

    def end(self, channel: int) -> None:
        """No more items. Does nothing for a channel that has ended."""
        writing = self._writing.get(channel)
        if writing is not None and not writing.ended and not self.over:
            writing.ended = True
            self._keep(frames.End(self._sent + 1, self._received, channel))

    def fail(self, channel: int, reason: str, about: bytes = b"") -> None:
        """No more items, for a reason."""
        writing = self._writing.get(channel)
        if writing is not None and not writing.ended and not self.over:
            writing.ended = True
            frame = frames.Fail(self._sent + 1, self._received, channel, reason[:512], about[: frames.MOST_ABOUT])
            self._keep(frame, len(about))

    def consumed(self, channel: int, items: int, size: int) -> None:
        """So much of a channel that is read here was used, or dropped. ValueError for more than came."""
        reading = self._reading.get(channel)
        if reading is not None and not self.over:
            if reading.take(items, size):
                self._owed[channel] = None
            if reading.ended:
                self._leave_ended(channel, reading)
            if self.up and self._owed:
                self._pay()

    def reset(self, channel: int) -> int:
        """Drop what the channel carries and has not been used, at both ends; the new epoch. What waits here is for the
        caller to drop, and to call `consumed` for. Resets at both ends that cross are one."""
        end = self._writing.get(channel) or self._reading.get(channel)
        if end is None or self.over:
            raise WireProblem("closed", "the channel is closed")
        end.epoch += 1
        self._owed_resets[channel] = None
        self._pay()
        return end.epoch

    def leave(self, channel: int, reason: str = "") -> None:
        """Read no further. Does nothing for a channel that is closed."""
        reading = self._reading.get(channel)
        if reading is not None and not reading.left and not self.over:
            reading.left = True
            self._owed.pop(channel, None)
            self._keep(frames.Leave(self._sent + 1, self._received, channel, reason[:512]))
            if reading.ended:
                del self._reading[channel]

    def free(self, segments: Sequence[int]) -> None:
        """Tell the other side that memory of its may be written again."""
        if not self.over:
            for start in range(0, len(segments), 4096):
                self._keep(frames.Free(self._sent + 1, self._received, tuple(segments[start : start + 4096])))

    def drain(self) -> None:
        """Open no more channels, let those that are open come to their end, then say goodbye (`Over(None)`)."""
        if not self.over and not self._drains:
            self._drains = self.draining = True
            self._keep(frames.Drain(self._sent + 1, self._received))
            self._settle()

    # --- frames that come ---

    def _take(self, frame: frames.Any, given: tuple[int, ...]) -> None:
        if type(frame) is frames.Item and self.up:
            return self._lasting(frame, given)
        if given:
            raise WireProblem("malformed", "open files came with a frame that has none")
        match frame:
            case frames.Hello():
                self._greeted(frame)
            case frames.Goodbye():
                self.up = False
                self._finish(self._why(frame.reason))
            case _ if not self.up:
                raise WireProblem("out-of-order", "a frame came before its sender's hello")
            case frames.Ack():
                self._acknowledged(frame.ack)
            case frames.Ping():
                self._put(frames.Pong(frame.number))
            case frames.Pong():
                pass
            case _:
                self._lasting(frame, given)
        return None

    def _why(self, reason: str) -> WireProblem | None:
        if self._drained or reason in ("", "drained"):
            return None
        if reason == "unresumable":
            return WireProblem("unresumable", "the other side does not know the session any more")
        if reason == "draining":
            return WireProblem("draining", "the other side is being closed, and takes no new sessions")
        return WireProblem("lost", "the other side ended the session, for it found something wrong with it")

    def _lasting(self, frame: frames.Lasting, given: tuple[int, ...]) -> None:
        if frame.sequence != self._received + 1:
            # On one connection each comes once and in order; the next connection says where to go on.
            raise WireProblem("out-of-order", "a frame came twice, or one is missing before it")
        if frame.ack > self._acked:
            self._acknowledged(frame.ack)
        self._received += 1
        if type(frame) is frames.Item:
            return self._item(frame, given)
        match frame:
            case frames.Credit():
                writing = self._known(self._writing, frame.channel)
                if writing is not None and writing.grant(frame):
                    self._events.append(ev.Writable(frame.channel))
            case frames.Open():
                self._open(frame)
            case frames.End():
                self._end(frame.channel, None, b"")
            case frames.Fail():
                self._end(frame.channel, frame.reason, frame.about)
            case frames.Leave():
                writing = self._known(self._writing, frame.channel)
                if writing is not None:
                    self.end(frame.channel)
                    del self._writing[frame.channel]
                    self._events.append(ev.Left(frame.channel, frame.reason))
            case frames.Reset():
                self._was_reset(frame)
            case frames.Free():
                self._events.append(ev.Freed(frame.segments))
            case frames.Drain():
                self.draining = True
                self._events.append(ev.Draining())
            case _:
                raise AssertionError(frame)
        return None

    def _item(self, frame: frames.Item, given: tuple[int, ...]) -> None:
        reading = self._reading.get(frame.channel)
        if reading is None or reading.ended:
            raise WireProblem("unknown-channel", "an item came on a channel that is not open")
        body = frame.body
        size = len(body)
        reading.came(size)
        if frame.epoch > reading.epoch:
            raise WireProblem("unexpected", "an item came of an epoch that was not told")
        kept = bytes(body) if size <= _COPIED else body
        item = ev.Came(frame.channel, frame.form, frame.head, kept, frame.deadline, frame.trace, given)
        if not reading.left and frame.epoch == reading.epoch:
            self._events.append(item)
            return
        self._events.append(ev.Dropped(item))
        if not reading.left and reading.take(1, size):
            self._owed[frame.channel] = None

    def _open(self, frame: frames.Open) -> None:
        if frame.channel % 2 == self._next % 2 or frame.channel <= self._opened:
            raise WireProblem("unknown-channel", "a channel was opened under a number that is taken")
        if len(self._reading) >= self.settings.channels:
            raise WireProblem("too-many-channels", f"more than {self.settings.channels} channels are open")
        self._opened = frame.channel
        self._reading[frame.channel] = Reading(_fewer(frame.items, self.settings.items), self.settings.size)
        self._events.append(ev.Opened(frame.channel, frame.name, frame.deadline, frame.trace, frame.about))

    def _end(self, channel: int, reason: str | None, about: bytes) -> None:
        reading = self._reading.get(channel)
        if reading is None or reading.ended:
            raise WireProblem("unknown-channel", "a channel ended that is not open")
        reading.ended = True
        if reading.left:
            del self._reading[channel]
        else:
            self._owed.pop(channel, None)
            self._events.append(ev.Ended(channel, reason, about))
            self._leave_ended(channel, reading)

    def _leave_ended(self, channel: int, reading: Reading) -> None:
        if reading.taken_items == reading.came_items:
            self.leave(channel)

    def _was_reset(self, frame: frames.Reset) -> None:
        ours = frame.channel % 2 == self._next % 2
        end = self._known(self._writing, frame.channel) if ours else self._reading.get(frame.channel)
        if end is not None and frame.epoch > end.epoch:
            end.epoch = frame.epoch
            self._events.append(ev.WasReset(frame.channel, frame.epoch))

    def _known(self, ends: dict[int, Writing], channel: int) -> Writing | None:
        """Of a channel of ours; None where it is closed."""
        end = ends.get(channel)
        if end is None and (channel % 2 != self._next % 2 or channel >= self._next):
            raise WireProblem("unknown-channel", "a frame came for a channel that was never opened")
        return end


def _fewer(items: int, most: int) -> int:
    return min(items, most) if items > 0 else most


def _left(deadline: float | None) -> float | None:
    return None if deadline is None else min(max(deadline, 0.0), 1e9)
