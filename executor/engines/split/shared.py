"""Memory that two processes share and that has no name: it is gone with the last of them, however they end."""

from __future__ import annotations

import mmap
import os
import tempfile
from contextlib import suppress
from typing import Any

import numpy as np

from .conversions import Array, stored_type
from .forms import CacheForm, Unusable


def unnamed(size: int) -> int:
    """A descriptor of `size` bytes of memory; the other process gets it over a socket. OSError where there is none."""
    if not hasattr(os, "memfd_create"):
        # A file without a name, where the system has no memory without one.
        with tempfile.TemporaryFile() as file:
            file.truncate(size)
            return os.dup(file.fileno())
    descriptor = os.memfd_create("agentlang-cache", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    try:
        os.ftruncate(descriptor, size)
        _seal(descriptor)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def mapped(descriptor: int, form: CacheForm) -> list[tuple[Array, Array]]:
    """The keys and values of each layer, as they lie in shared memory. Takes the descriptor over. The memory is let go
    of with the last of the arrays. Raises `Unusable` where it is not as large as the form says."""
    size = form.all_bytes
    try:
        if os.fstat(descriptor).st_size < size:
            raise Unusable("the memory that came is smaller than its form says")
        memory: Any = mmap.mmap(descriptor, size)
    finally:
        os.close(descriptor)
    kind, part = stored_type(form.dtype), form.part_bytes
    count = part // kind.itemsize
    layers: list[tuple[Array, Array]] = []
    for layer in range(form.layers):
        keys = np.frombuffer(memory, kind, count, 2 * layer * part)
        values = np.frombuffer(memory, kind, count, (2 * layer + 1) * part)
        layers.append((keys.reshape(form.shape(form.keys)), values.reshape(form.shape(form.values))))
    return layers


def _seal(descriptor: int) -> None:
    # Nobody can shorten what the other one reads, which would end that process.
    import fcntl

    with suppress(OSError, AttributeError):
        fcntl.fcntl(descriptor, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW)
