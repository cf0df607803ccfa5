"""Workers as processes of this machine.

A worker's joining goes through a pipe that it inherits. It ends with this process: the kernel kills it (Linux), and
elsewhere it notices that a second pipe, which only this process holds, is closed.
"""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import tempfile
from contextlib import suppress
from typing import IO

from ...base.problems import OutsideError
from . import problems
from .places import Joining, Place

_SAID = 2000  # characters of what a dying process wrote
_LOOK = 0.02  # seconds between looks where the system cannot tell that a process has ended


class ProcessLauncher:
    """Starts `python -m agentlang worker`, with our environment and what a place adds to it. `trust` has it run
    whatever code it is sent by another machine: for who could start any process here anyway."""

    def __init__(self, *, trust: bool = False) -> None:
        self._trust = trust

    async def launch(self, place: Place, joining: Joining) -> LaunchedProcess:
        document, told = os.pipe()
        leash, held = os.pipe()
        os.write(told, joining.document())
        os.close(told)
        command = [sys.executable, "-P", "-m", "agentlang", "worker", "--tier", place.tier]
        command += ["--joining", f"{document},{leash}"]
        if self._trust:
            command.append("--trust")
        if place.cores is not None:
            command += ["--cores", f"{place.cores:g}"]
        if place.memory is not None:
            command += ["--memory", str(place.memory)]
        errors = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the worker
        try:
            process = subprocess.Popen(
                command,
                env={**os.environ, **place.environment, "AGENTLANG_PARENT": str(os.getpid())},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=errors,
                pass_fds=(document, leash),
                start_new_session=True,  # Ctrl-C in a terminal is for us
            )
        except OSError as error:
            os.close(held)
            errors.close()
            raise OutsideError(problems.no_worker(place.tier, (error.strerror or str(error)).lower())) from error
        finally:
            os.close(document)
            os.close(leash)
        return LaunchedProcess(process, held, errors)


class LaunchedProcess:
    """See `places.Launched`."""

    def __init__(self, process: subprocess.Popen[bytes], leash: int, errors: IO[bytes]) -> None:
        self.process = process.pid
        self._process = process
        self._leash: int | None = leash
        self._errors = errors
        self._over: asyncio.Task[str] = asyncio.ensure_future(self._wait())

    async def ended(self) -> str:
        return await asyncio.shield(self._over)

    async def stop(self, grace: float) -> None:
        if not self._over.done():
            # SIGTERM lets go of what it holds; a process that is stopped does not hear it.
            with suppress(ProcessLookupError):
                self._process.terminate()
            await asyncio.wait((self._over,), timeout=grace)
        if not self._over.done():
            with suppress(ProcessLookupError):
                self._process.kill()
        await self.ended()

    async def _wait(self) -> str:
        try:
            pidfd = os.pidfd_open(self._process.pid)
        except (AttributeError, OSError):
            while self._process.poll() is None:
                await asyncio.sleep(_LOOK)
        else:
            loop = asyncio.get_running_loop()
            gone = loop.create_future()
            loop.add_reader(pidfd, lambda: gone.done() or gone.set_result(None))
            try:
                await gone
            finally:
                loop.remove_reader(pidfd)
                os.close(pidfd)
            self._process.wait()
        if self._leash is not None:
            os.close(self._leash)
            self._leash = None
        return self._how()

    def _how(self) -> str:
        code = self._process.returncode
        how = f"it ended with exit code {code}"
        if code is not None and code < 0:
            with suppress(ValueError):
                how = f"it was ended by {signal.Signals(-code).name}"
        with self._errors:
            size = self._errors.seek(0, os.SEEK_END)
            self._errors.seek(max(0, size - _SAID))
            said = self._errors.read().decode("utf-8", "replace").strip()
        return f"{how}\n{said}" if said else how


def bound_to_parent(leash: int) -> None:
    """For the worker: end when whoever started this process does."""
    import ctypes
    from threading import Thread

    parent = int(os.environ.pop("AGENTLANG_PARENT", "0"))
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None, use_errno=True).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG
        if parent and os.getppid() != parent:
            os._exit(0)  # it was gone before this was asked for

    def watch() -> None:
        with suppress(OSError):
            os.read(leash, 1)
        os._exit(0)

    Thread(target=watch, daemon=True, name="leash").start()


def bounded(cores: float | None, memory: int | None) -> None:
    """For the worker: take no more than these. What a system cannot bound is not bounded."""
    import resource

    if cores is not None:
        count = max(1, round(cores))
        os.environ["OMP_NUM_THREADS"] = os.environ["OPENBLAS_NUM_THREADS"] = str(count)
        with suppress(AttributeError, OSError):
            mine = sorted(os.sched_getaffinity(0))
            # Workers of one machine begin at different cores.
            first = os.getpid() % len(mine)
            os.sched_setaffinity(0, {mine[(first + at) % len(mine)] for at in range(min(count, len(mine)))})
    if memory is not None:
        with suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_DATA, (memory, memory))


def read_joining(descriptor: int) -> Joining:
    """For the worker: what it inherited. ValueError."""
    with os.fdopen(descriptor, "rb") as file:
        return Joining.read(file.read())
