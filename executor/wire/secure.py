"""Who may speak, on a Unix socket: both sides show that they know a key, and neither sends it.

    initiator                                              acceptor
    Ni (32 random bytes), HMAC(key, "first"    Ni)      →
                                                        ←  Na (32), HMAC(key, "acceptor"  Ni Na)
    HMAC(key, "initiator" Ni Na)                        →

HMAC-SHA-256; every message has one length, so that nothing is parsed and 96 bytes are all that is ever held for who is
not known. The acceptor says nothing, not even random bytes, to who does not know the key. A recorded first message gets
a fresh `Na`, to which the recorded last one is no answer; a message of one side is none of the other's, for each names
its part.

The key is 32 bytes, in a file that its owner alone can read, or from an open file that was inherited; never in
arguments, the environment or a log.
"""

from __future__ import annotations

import hmac
import os
import secrets
import socket
import stat
import struct
from pathlib import Path

from .problems import WireProblem

NONCE = 32
_MAC = 32
_PURPOSE = b"agentlang-wire-1 "


class Key:
    """A shared secret. It is shown nowhere."""

    __slots__ = ("_secret",)

    def __init__(self, secret: bytes) -> None:
        if len(secret) != 32:
            raise WireProblem("bad-key", "a key is 32 bytes")
        self._secret = secret

    def __repr__(self) -> str:
        return "Key(…)"

    def __reduce__(self) -> str:
        raise TypeError("a key is not pickled")

    @classmethod
    def fresh(cls) -> Key:
        return cls(secrets.token_bytes(32))

    @classmethod
    def from_file(cls, path: Path) -> Key:
        """WireProblem `bad-key` for a file that others may read, that is not ours, or that is no key."""
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
        except OSError as error:
            raise WireProblem("bad-key", f"the key file cannot be read: {error.strerror}") from None
        try:
            known = os.fstat(descriptor)
            if not stat.S_ISREG(known.st_mode) or known.st_uid != os.geteuid() or known.st_mode & 0o077:
                raise WireProblem("bad-key", "the key file must be yours, and readable by you alone (chmod 600)")
            return cls(os.read(descriptor, 33))
        finally:
            os.close(descriptor)

    @classmethod
    def from_descriptor(cls, descriptor: int) -> Key:
        """From a pipe or file that was inherited, which is closed. Reads 32 bytes."""
        with os.fdopen(descriptor, "rb") as file:
            return cls(file.read(32))

    def to_file(self, path: Path) -> None:
        """A new file with mode 600. FileExistsError where there is one."""
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(self._secret)

    def to_descriptor(self) -> int:
        """The reading end of a pipe that holds the key, for a process that is started with it (`pass_fds`)."""
        reading, writing = os.pipe()
        os.write(writing, self._secret)
        os.close(writing)
        return reading

    def proof(self, part: bytes, *nonces: bytes) -> bytes:
        return hmac.digest(self._secret, _PURPOSE + part + b"\0" + b"".join(nonces), "sha256")


class Handshake:
    """One side of it. `received` gives what is to be sent; `done` tells that the other side knows the key."""

    def __init__(self, key: Key, *, initiator: bool, nonce: bytes | None = None) -> None:
        self.done = False
        self.rest = b""
        """What came behind the handshake: frames."""
        self._key = key
        self._initiator = initiator
        self._own = nonce or secrets.token_bytes(NONCE)
        self._other = b""
        self._held = b""

    @property
    def wanted(self) -> int:
        """How many bytes more this side waits for: more is not to be read."""
        if self.done:
            return 0
        return (_MAC if self._other and not self._initiator else NONCE + _MAC) - len(self._held)

    def start(self) -> bytes:
        """The first message; empty for the acceptor."""
        return self._own + self._key.proof(b"first", self._own) if self._initiator else b""

    def received(self, data: bytes) -> bytes:
        """Raises WireProblem `refused`, after which nothing is to be sent."""
        wanted = self.wanted
        self._held += data[:wanted]
        if len(data) > wanted:
            self.rest += data[wanted:]
        if self.wanted:
            return b""
        held, self._held = self._held, b""
        if self._initiator:
            nonce, proof = held[:NONCE], held[NONCE:]
            self._check(proof, self._key.proof(b"acceptor", self._own, nonce))
            self.done = True
            return self._key.proof(b"initiator", self._own, nonce)
        if not self._other:
            nonce, proof = held[:NONCE], held[NONCE:]
            self._check(proof, self._key.proof(b"first", nonce))
            self._other = nonce
            rest, self.rest = self.rest, b""
            if rest:
                # Nobody can answer what was not yet asked.
                raise WireProblem("refused", "the other side did not show that it knows the key")
            return self._own + self._key.proof(b"acceptor", nonce, self._own)
        self._check(held, self._key.proof(b"initiator", self._other, self._own))
        self.done = True
        return b""

    def _check(self, given: bytes, right: bytes) -> None:
        if not hmac.compare_digest(given, right):
            raise WireProblem("refused", "the other side did not show that it knows the key")


def same_user(connection: socket.socket) -> bool:
    """Whether the process at the other end runs as this user (or the system does not say)."""
    option = getattr(socket, "SO_PEERCRED", None)
    if option is None:
        return True
    _, user, _ = struct.unpack("3i", connection.getsockopt(socket.SOL_SOCKET, option, struct.calcsize("3i")))
    return user in (os.geteuid(), 0)
