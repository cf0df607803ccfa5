"""What a tool's process may use, and what of our environment it sees."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass

MEBIBYTE = 1 << 20

# Where programs and certificates are found, and how text is written. All else may be a secret.
_PASSED = (
    *("HOME", "LANG", "LANGUAGE", "LOGNAME", "PATH", "SHELL", "SSL_CERT_DIR", "SSL_CERT_FILE"),
    *("TERM", "TMPDIR", "TZ", "USER", "VIRTUAL_ENV"),
)
_PASSED_PREFIX = "LC_"


@dataclass(frozen=True, slots=True)
class Limits:
    """`memory` in bytes of data that a process may hold beyond what an empty interpreter does, `cpu` in seconds of a
    process (None for a worker, which lives long; its calls end at their deadlines), `result` in bytes of one result,
    `said` in bytes of what it prints that are kept."""

    memory: int = 1024 * MEBIBYTE
    cpu: int | None = None
    result: int = 64 * MEBIBYTE
    said: int = MEBIBYTE


BASELINE = 64 * MEBIBYTE
"""Bytes of data that an interpreter and its libraries hold before a tool does anything."""


def environment(added: Mapping[str, str]) -> dict[str, str]:
    """The environment of a tool: the few variables of ours that programs need, and those in `added`."""
    found = {n: v for n, v in os.environ.items() if n in _PASSED or n.startswith(_PASSED_PREFIX)}
    return {**found, "PYTHONDONTWRITEBYTECODE": "1", "PYTHONUNBUFFERED": "1", **added}
