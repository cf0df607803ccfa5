"""Who may speak, on TCP: both sides show a certificate of one authority, with TLS 1.3 and nothing older.

`Files` names what is given: a certificate, its private key, and the authority that both trust. `authority.py` makes
them for a run.
"""

from __future__ import annotations

import os
import ssl
import stat
from dataclasses import dataclass
from pathlib import Path

from .problems import WireProblem


@dataclass(frozen=True, slots=True)
class Files:
    """PEM files. The key must be its owner's alone."""

    certificate: Path
    key: Path
    authority: Path


def accepting(files: Files) -> ssl.SSLContext:
    """For who listens: whoever connects must show a certificate of the authority."""
    context = _context(ssl.PROTOCOL_TLS_SERVER, files)
    context.verify_mode = ssl.CERT_REQUIRED
    # A ticket would let somebody in later without a certificate being looked at again.
    context.num_tickets = 0
    return context


def connecting(files: Files) -> ssl.SSLContext:
    """For who connects: who answers must show a certificate of the authority for the name that was meant."""
    context = _context(ssl.PROTOCOL_TLS_CLIENT, files)
    context.check_hostname = True
    context.verify_mode = ssl.CERT_REQUIRED
    return context


def _context(protocol: int, files: Files) -> ssl.SSLContext:
    try:
        known = files.key.stat()
        if not stat.S_ISREG(known.st_mode) or known.st_uid != os.geteuid() or known.st_mode & 0o077:
            raise WireProblem("bad-key", "the private key must be yours, and readable by you alone (chmod 600)")
        context = ssl.SSLContext(protocol)
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        context.load_cert_chain(files.certificate, files.key, password=lambda: b"")
        context.load_verify_locations(files.authority)
    except (OSError, ValueError):
        # What the library says names files and quotes them.
        raise WireProblem("bad-key", "a certificate, its key or the authority cannot be read, or do not fit") from None
    return context
