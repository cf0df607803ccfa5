"""Who may reach the network: a filter of system calls for tools whose effects do not name `network`.

The filter (seccomp, Linux) refuses sockets of every family but the local one, and io_uring, which would get around it.
It needs no privilege, works inside containers, holds for all descendants of a tool and cannot be taken off. It knows
nothing of addresses: a process has the network or does not. Elsewhere nothing is enforced, and `doctor` says so.
"""

from __future__ import annotations

import ctypes
import errno
import platform
import struct
import sys
from functools import cache

# (AUDIT_ARCH, number of socket(2)); io_uring_setup has the same number everywhere.
_MACHINES = {"x86_64": (0xC000003E, 41), "aarch64": (0xC00000B7, 198)}
_IO_URING_SETUP = 425
_X32 = 0x40000000
_LOCAL_FAMILY = 1

_LOAD, _EQUAL, _AT_LEAST, _RETURN = 0x20, 0x15, 0x35, 0x06
_ALLOW, _REFUSE = 0x7FFF0000, 0x00050000
_NUMBER, _ARCHITECTURE, _FIRST_ARGUMENT = 0, 4, 16  # offsets in `struct seccomp_data`
_SET_SECCOMP, _FILTER = 22, 2


@cache
def no_network() -> bytes | None:
    """The filter as a classic BPF program, or None where this system cannot enforce it."""
    known = _MACHINES.get(platform.machine())
    if known is None or not sys.platform.startswith("linux") or sys.maxsize < 2**32 or not _kernel_filters():
        return None
    return _filter(*known)


def _filter(architecture: int, socket: int) -> bytes:
    # Jumps count instructions from the next one.
    program = (
        (_LOAD, 0, 0, _ARCHITECTURE),
        (_EQUAL, 0, 7, architecture),  # a 32-bit program: refused
        (_LOAD, 0, 0, _NUMBER),
        (_AT_LEAST, 5, 0, _X32),
        (_EQUAL, 4, 0, _IO_URING_SETUP),
        (_EQUAL, 0, 2, socket),
        (_LOAD, 0, 0, _FIRST_ARGUMENT),
        (_EQUAL, 0, 1, _LOCAL_FAMILY),
        (_RETURN, 0, 0, _ALLOW),
        (_RETURN, 0, 0, _REFUSE | errno.EACCES),
    )
    return b"".join(struct.pack("=HBBI", *one) for one in program)


def _kernel_filters() -> bool:
    """Whether the kernel takes filters: one without an address is then a bad address, not an unknown request."""
    try:
        library = ctypes.CDLL(None, use_errno=True)
        return library.prctl(_SET_SECCOMP, _FILTER, None, 0, 0) == -1 and ctypes.get_errno() == errno.EFAULT
    except (OSError, AttributeError):
        return False
