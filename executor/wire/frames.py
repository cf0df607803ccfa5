"""The frames: what two peers say to each other, each a MessagePack array whose first element says which one it is.

A frame with a `sequence` is delivered once and in order, over as many connections as that takes, and tells by `ack` up
to which sequence its sender has heard the other side. The others (hello, ping, pong, ack, goodbye) belong to one
connection. `channel` is a number that the opener chose: odd ones are the initiator's. `epoch` counts the resets of a
channel. `deadline` is the time left in seconds when the frame was made, for clocks differ; `trace` is a W3C trace
context in its 25 bytes (trace id, span id, flags).

Every field has a type and a bound that hold on the way in. Fields are known by their place, and one more or one less is
another version: a change here changes `VERSION`.
"""

from __future__ import annotations

from typing import Annotated, TypeAlias

from msgspec import Meta, Struct

VERSION = 1

MOST_BODY = 1 << 26
"""Bytes of one item. What is larger goes through shared memory, or in pieces."""
MOST_ABOUT = 1 << 16
"""Bytes that a hello or an open says about itself."""
MOST_HEAD = 4096
"""Bytes that an item says about its body."""
MOST_HELLO = 1 << 17
"""Bytes of the first frame, before it is known who speaks."""

Count: TypeAlias = Annotated[int, Meta(ge=0, le=(1 << 62))]
Channel: TypeAlias = Annotated[int, Meta(ge=1, le=(1 << 62))]
Sequence: TypeAlias = Annotated[int, Meta(ge=1, le=(1 << 62))]
Seconds: TypeAlias = Annotated[float, Meta(ge=0, le=1e9)]
Trace: TypeAlias = Annotated[bytes, Meta(min_length=25, max_length=25)]
Word: TypeAlias = Annotated[str, Meta(max_length=512)]
About: TypeAlias = Annotated[bytes, Meta(max_length=MOST_ABOUT)]
Token: TypeAlias = Annotated[bytes, Meta(min_length=16, max_length=16)]


class Frame(Struct, frozen=True, array_like=True, forbid_unknown_fields=True, gc=False, kw_only=False):
    """Base of all frames."""


class Hello(Frame, frozen=True, tag=1):
    """The first frame of each side, the initiator's first. `session` is a token that the initiator made; `received` is
    the last sequence that this side has heard in it. `items` and `size` (bytes) are what may be sent on each channel
    before credit comes, `channels` how many the other side may have open. `about` is the application's: a program's
    digest, what a worker has installed."""

    session: Token
    resumes: bool
    received: Count
    items: Count
    size: Count
    channels: Count
    name: Word
    about: About


class Open(Frame, frozen=True, tag=2):
    """A channel from the sender of this to the other side. `items` is how many may be on their way or wait, where that
    is to be fewer than the reader's hello says; else 0."""

    sequence: Sequence
    ack: Count
    channel: Channel
    name: Word
    items: Count
    deadline: Seconds | None
    trace: Trace | None
    about: About


class Item(Frame, frozen=True, tag=3):
    """`form` says what `head` and `body` are. 0 is bytes, 1 and 2 are arrays (`tensors.py`), those from 16 on the
    application's."""

    sequence: Sequence
    ack: Count
    channel: Channel
    epoch: Count
    form: Annotated[int, Meta(ge=0, le=127)]
    deadline: Seconds | None
    trace: Trace | None
    head: Annotated[bytes, Meta(max_length=MOST_HEAD)]
    body: Annotated[memoryview, Meta(max_length=MOST_BODY)]


class End(Frame, frozen=True, tag=4):
    """No more items on this channel."""

    sequence: Sequence
    ack: Count
    channel: Channel


class Fail(Frame, frozen=True, tag=5):
    """No more items, for a reason."""

    sequence: Sequence
    ack: Count
    channel: Channel
    reason: Word
    about: About


class Credit(Frame, frozen=True, tag=6):
    """From the reader: so many items and bytes may have been sent on the channel in all, since it was opened."""

    sequence: Sequence
    ack: Count
    channel: Channel
    items: Count
    size: Count


class Reset(Frame, frozen=True, tag=7):
    """From either end: what the channel carries of an older epoch is dropped, wherever it is."""

    sequence: Sequence
    ack: Count
    channel: Channel
    epoch: Count


class Leave(Frame, frozen=True, tag=8):
    """From the reader: nobody reads any more, for all was read, or for the `reason`. A channel is closed when its
    writer has ended it and its reader has left."""

    sequence: Sequence
    ack: Count
    channel: Channel
    reason: Word


class Free(Frame, frozen=True, tag=9):
    """From who was given shared memory: these segments may be written again."""

    sequence: Sequence
    ack: Count
    segments: Annotated[tuple[Count, ...], Meta(max_length=4096)]


class Drain(Frame, frozen=True, tag=10):
    """Nobody opens channels any more; when those that are open are through, its sender says goodbye."""

    sequence: Sequence
    ack: Count


class Ping(Frame, frozen=True, tag=11):
    number: Count


class Pong(Frame, frozen=True, tag=12):
    number: Count


class Ack(Frame, frozen=True, tag=13):
    """All frames up to this sequence were heard."""

    ack: Count


class Goodbye(Frame, frozen=True, tag=14):
    """The session is over, on purpose."""

    reason: Word


Any: TypeAlias = Hello | Open | Item | End | Fail | Credit | Reset | Leave | Free | Drain | Ping | Pong | Ack | Goodbye
Lasting: TypeAlias = Open | Item | End | Fail | Credit | Reset | Leave | Free | Drain
"""Frames with a sequence."""
