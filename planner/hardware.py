"""What this machine can do, measured: memory bandwidth, multiplication rate, disk, and the cost of a launch.

Measured once (under five seconds) and kept in `hardware.json`; the key names processor, cores and the version of this
measurement, so that a home folder shared by machines, or an upgrade, measures again. Other work on the machine only
ever makes a repeat slower, so a figure is the second best of its repeats (the best may be a clock's slip), what the
machine can do; its error is how far the median falls short of that. What a program really reaches is fitted from its
runs.

The rate of an engine (compiled code of its own, not NumPy's) is measured by a callable that the caller hands over, as
the planner knows no engine.
"""

from __future__ import annotations

import os
import platform
import re
import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from ..base.paths import home
from ..base.store import write_atomic
from .codec import DecodeError, decode, encode
from .figures import Basis, Figure

VERSION = 1
_MIB = 1 << 20
Progress = Callable[[str], None]
Clock = Callable[[], float]


@dataclass(frozen=True, slots=True)
class EngineRates:
    """What an engine reaches on this machine: float32 operations a second in large products, bytes a second when it
    reads weights once, seconds that one launch costs beside its work."""

    engine: str
    compute: Figure
    bandwidth: Figure
    launch: Figure


Probe = Callable[[], EngineRates]


@dataclass(frozen=True, slots=True)
class Machine:
    """One machine. `memory` in bytes, `bandwidth` and `disk` in bytes a second with all cores reading, `compute` in
    float32 operations a second with all cores, `launch` in seconds."""

    key: str
    processor: str
    cores: int
    memory: Figure
    bandwidth: Figure
    compute: Figure
    launch: Figure
    disk: Figure
    engines: tuple[EngineRates, ...] = ()

    def engine(self, name: str) -> EngineRates | None:
        return next((rates for rates in self.engines if rates.engine == name), None)


def machine_key() -> str:
    """Names this machine for caches: processor, cores, version of the measurement."""
    return f"{processor()}|{cores()}|{VERSION}"


def default_path() -> Path:
    return home() / "hardware.json"


def load(path: Path | None = None) -> Machine | None:
    """The kept measurement, or None if there is none of this machine and version (or the file is damaged)."""
    try:
        machine = decode((path or default_path()).read_bytes(), Machine)
    except (OSError, DecodeError):
        return None
    return machine if machine.key == machine_key() else None


def save(machine: Machine, path: Path | None = None) -> None:
    write_atomic(path or default_path(), encode(machine, indent=2) + b"\n")


def load_or_measure(progress: Progress | None = None, probes: Iterable[Probe] = ()) -> Machine:
    """The kept measurement, or a new one, which is kept. A home that cannot be written costs a measurement each
    time."""
    machine = load()
    if machine is None:
        machine = measure(progress, probes)
        with suppress(OSError):
            save(machine)
    return machine


def measure(
    progress: Progress | None = None,
    probes: Iterable[Probe] = (),
    *,
    clock: Clock = time.perf_counter,
    scratch: Path | None = None,
) -> Machine:
    """Measure this machine. `scratch` is the folder whose disk is read (default: the home of caches).

    Takes about three seconds and 512 MiB of memory (less where there is less); nothing is kept.
    """
    say: Progress = progress or _silent
    today = date.today().isoformat()

    def figure(samples: list[float], unit: str, source: str, higher: bool = True) -> Figure:
        value, error = robust(samples, higher)
        return Figure(value, unit, Basis.MEASURED, source, today, error)

    threads, capacity = cores(), memory()
    say("memory bandwidth")
    bandwidth = figure(read_rates(threads, capacity, clock), "B/s", f"dot product of float32, {threads} threads")
    say("multiplication rate")
    compute = figure(gemm_rates(clock), "FLOP/s", "NumPy float32 product of 1536 x 1536")
    say("launch overhead")
    launch = figure(launch_times(clock), "s", "a call through a worker thread", higher=False)
    say("disk")
    disk_samples, how = disk_rates(scratch or home(), clock)
    disk = figure(disk_samples, "B/s", how)
    engines: list[EngineRates] = []
    for probe in probes:
        say("engine")
        engines.append(probe())
    return Machine(
        key=machine_key(),
        processor=processor(),
        cores=threads,
        memory=Figure(float(capacity), "B", Basis.MEASURED, "operating system", today),
        bandwidth=bandwidth,
        compute=compute,
        launch=launch,
        disk=disk,
        engines=tuple(engines),
    )


# --- facts -----------------------------------------------------------------------------------------------------------


def processor() -> str:
    """The processor's model name."""
    with suppress(OSError):
        match = re.search(r"^(?:model name|Model)\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text("utf-8"), re.MULTILINE)
        if match:
            return match[1].strip()
    return platform.processor() or platform.machine() or "unknown"


def cores() -> int:
    """Cores that this process may use: its affinity, cut by the quota of its control group."""
    count = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else (os.cpu_count() or 1)
    with suppress(OSError, ValueError):
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text("utf-8").split()
        if quota != "max":
            count = min(count, max(1, round(int(quota) / int(period))))
    return count


def memory() -> int:
    """Bytes of memory that this process may use: the machine's, cut by the limit of its control group."""
    total = 8 << 30
    with suppress(ValueError, OSError, AttributeError):
        total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    with suppress(OSError, ValueError):
        limit = Path("/sys/fs/cgroup/memory.max").read_text("utf-8").strip()
        if limit != "max":
            total = min(total, int(limit))
    return total


def robust(samples: list[float], higher: bool) -> tuple[float, float]:
    """The second best of the samples (the highest are best for rates, the lowest for times), and the distance of their
    median from it, relative to it."""
    ordered = sorted(samples, reverse=higher)
    value = ordered[min(1, len(ordered) - 1)]
    return value, abs(statistics.median(samples) - value) / value


# --- probes ----------------------------------------------------------------------------------------------------------


def read_rates(threads: int, capacity: int, clock: Clock, repeats: int = 12) -> list[float]:
    """Bytes a second that `threads` threads read together, each over memory of its own.

    A dot product of a block with itself reads each byte once and needs two operations for four bytes, far from the
    limit of any core. The blocks together are eight times a large cache, or a quarter of a small memory.
    """
    np: Any = _numpy()
    size = max(_MIB, min(512 * _MIB, capacity // 4) // threads)
    # Rows of 4 MiB: long enough that Python's share is nothing, short enough to stop soon.
    blocks = [np.ones((max(1, size // (4 * _MIB)), _MIB), np.float32) for _ in range(threads)]

    def read(block: Any) -> None:
        dot = np.dot
        for row in block:
            dot(row, row)

    return [threads * blocks[0].nbytes / _together(read, blocks, clock) for _ in range(repeats + 1)][1:]


def _together(work: Callable[[Any], None], arguments: list[Any], clock: Clock) -> float:
    """Seconds until all calls, each on its own thread, are done; they start together."""
    gate = threading.Barrier(len(arguments) + 1)

    def run(argument: Any) -> None:
        gate.wait()
        work(argument)

    workers = [threading.Thread(target=run, args=(argument,)) for argument in arguments]
    for worker in workers:
        worker.start()
    gate.wait()
    start = clock()
    for worker in workers:
        worker.join()
    return clock() - start


def gemm_rates(clock: Clock, width: int = 1536, repeats: int = 16) -> list[float]:
    """Float32 operations a second of a square product, with the threads that NumPy's library takes."""
    np: Any = _numpy()
    left = np.ones((width, width), np.float32)
    right, out = np.ones_like(left), np.empty_like(left)
    samples: list[float] = []
    for _ in range(repeats + 1):
        start = clock()
        np.matmul(left, right, out=out)
        samples.append(2.0 * width**3 / (clock() - start))
    return samples[1:]


def launch_times(clock: Clock, repeats: int = 200) -> list[float]:
    """Seconds that handing an empty call to a worker thread and waiting for it takes."""
    samples: list[float] = []
    with ThreadPoolExecutor(1) as pool:
        pool.submit(int).result()
        for _ in range(repeats):
            start = clock()
            pool.submit(int).result()
            samples.append(clock() - start)
    return samples


def disk_rates(folder: Path, clock: Clock, size: int = 64 * _MIB, repeats: int = 3) -> tuple[list[float], str]:
    """Bytes a second of reading a fresh file, and how it was read: past the page cache where the system allows that.

    Falls back to the system's temporary folder where `folder` cannot be written.
    """
    with suppress(OSError):
        folder.mkdir(parents=True, exist_ok=True)
    place = folder if folder.is_dir() and os.access(folder, os.W_OK) else None
    evict = getattr(os, "posix_fadvise", None)
    with tempfile.TemporaryFile(dir=place, buffering=0) as file:
        block = os.urandom(_MIB)  # random, so that no file system stores it compressed
        for _ in range(size // _MIB):
            file.write(block)
        os.fsync(file.fileno())
        samples: list[float] = []
        for _ in range(repeats):
            if evict is not None:
                evict(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
            file.seek(0)
            start = clock()
            while file.read(4 * _MIB):
                pass
            samples.append(size / (clock() - start))
    return samples, "read of 64 MiB" + ("" if evict else ", perhaps from the page cache")


def _silent(text: str) -> None:
    del text


def _numpy() -> Any:
    import numpy

    return numpy
