"""What can go wrong on the wire, by name. Nothing of the codec, of `ssl` or of a socket gets out under another name."""

from __future__ import annotations

from typing import Literal, TypeAlias

Name: TypeAlias = Literal[
    # Bytes that are no frames: the connection is cut, and resumed where there is somebody to resume it.
    "not-frames",
    "other-version",
    "oversized",
    "checksum",
    "malformed",
    "out-of-order",
    # Frames that no peer of this version sends: the session is over.
    "unexpected",
    "beyond-credit",
    "unknown-channel",
    "too-many-channels",
    "unresumable",
    # What becomes of a connection, a session, a channel.
    "refused",
    "unreachable",
    "silent",
    "cut",
    "lost",
    "draining",
    "closed",
    "cancelled",
    "failed",
    # What this side was given.
    "no-room",
    "too-deep",
    "too-large",
    "bad-value",
    "bad-tensor",
    "no-memory",
    "bad-key",
]

MENDED: frozenset[Name] = frozenset(
    ("not-frames", "other-version", "oversized", "checksum", "malformed", "out-of-order", "silent", "cut")
)
"""After one of these a fresh connection may go on where the last one broke off."""


class WireProblem(Exception):
    """`name` is what programs look at; the text is for people and holds nothing that a peer has sent."""

    def __init__(self, name: Name, text: str) -> None:
        super().__init__(text)
        self.name: Name = name

    def __repr__(self) -> str:
        return f"WireProblem({self.name!r}, {str(self)!r})"
