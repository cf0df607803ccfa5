"""How much memory there is; and that a worker takes no more: what a file asks beyond it is refused to that process."""

from __future__ import annotations

import os


def memory() -> int:
    """The machine's memory in bytes."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def bound_memory() -> None:
    """From now on this process is refused what is more than the machine has. Mapped files do not count."""
    import resource

    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    most = memory() if hard == resource.RLIM_INFINITY else min(memory(), hard)
    resource.setrlimit(resource.RLIMIT_DATA, (most, hard))
