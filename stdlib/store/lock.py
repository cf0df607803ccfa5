"""One fetch of a model at a time, across processes.

An advisory lock on a file of its own: the kernel drops it when its holder dies, however that happens, so there is no
stale lock to clean up. The file itself stays (removing it would let two holders in). It is polled, not blocked on, so
that a wait can show progress and be cancelled.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path

_POLL_SECONDS = 0.05


@contextmanager
def locked(path: Path, waiting: Callable[[], None]) -> Generator[None]:
    """Hold the lock at `path` for the block. `waiting` is called at each look while somebody else holds it."""
    # POSIX alone; imported here so that reading the store works where there is no such module.
    import fcntl

    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                waiting()
                time.sleep(_POLL_SECONDS)
        # Closing the file releases the lock.
        yield
