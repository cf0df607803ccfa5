"""The bounds of a session. Both sides tell theirs in their hello."""

from __future__ import annotations

from dataclasses import dataclass

from .frames import MOST_BODY


@dataclass(frozen=True, slots=True)
class Settings:
    """What one side allows, and how long it waits. Times in seconds, sizes in bytes."""

    items: int = 16
    """Items of a channel that may be on their way or wait here."""
    size: int = 1 << 20
    """Bytes of a channel that may be on their way or wait here; the item that passes it may be larger."""
    channels: int = 4096
    """Channels that the other side may have open."""
    kept_frames: int = 4096
    """Frames kept until the other side has acknowledged them."""
    kept_size: int = 1 << 23
    """Bytes of them; the frame that passes it may be larger."""
    most_body: int = MOST_BODY
    """The largest item that is sent."""
    heartbeat: float = 2.0
    """Whoever has been silent so long says that it is there."""
    silence: float = 6.0
    """After so long without a word the connection is given up."""
    linger: float = 30.0
    """How long a session waits for its other side to come back."""
    tick: float = 0.25
    """How often time is looked at, and acknowledgements that no frame has carried are sent."""

    def __post_init__(self) -> None:
        if min(self.items, self.size, self.channels, self.kept_frames, self.kept_size) < 1:
            raise ValueError("every bound must be at least 1")
        if not 0 < self.tick <= self.heartbeat < self.silence or self.linger < 0:
            raise ValueError("a tick must be shorter than a heartbeat, and that shorter than the silence")
        if not 0 < self.most_body <= MOST_BODY:
            raise ValueError(f"an item has at most {MOST_BODY} bytes")
