"""Keeps one command: sets its limits, passes on what it prints, and ends it with everything that it has started.

Run as a script by a bare interpreter (`python -I -S keeper.py N`), so it imports nothing of ours. It is a process of
its own for two reasons: a tool that hangs in C code cannot watch over itself, and only a parent can be sure to find the
processes that a tool leaves behind (on Linux they are handed to the keeper, wherever they try to go).

N is a socket: it brings the command, takes how it ended, and its end means: stop. So a program of ours that is killed
takes its tools along.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import resource
import select
import signal
import socket
import sys
import time
from pathlib import Path
from types import FrameType
from typing import Any

_SET_DEATH_SIGNAL, _SET_SUBREAPER, _SET_NO_NEW_PRIVILEGES, _SET_SECCOMP = 1, 36, 38, 22
_SECCOMP_FILTER = 2
_LINUX = sys.platform.startswith("linux")
_PATIENCE = 2.0  # seconds for killed processes to be gone


def main() -> None:
    link = socket.socket(fileno=int(sys.argv[1]))
    link.set_inheritable(False)  # the command has no word in what is told of it
    config = _received(link)
    if _LINUX:
        _prctl(_SET_SUBREAPER, 1)
    # Signals become bytes in a pipe, so that one `select` waits for everything.
    heard, wake = os.pipe()
    os.set_blocking(heard, False)
    os.set_blocking(wake, False)
    signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, _heard)
    said, say = os.pipe()
    failed, fail = os.pipe()
    command = os.fork()
    if command == 0:
        _become(config, say, fail)
    for descriptor in (say, fail):
        os.close(descriptor)
    nothing = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1):  # the command's, so that it alone decides when they end
        os.dup2(nothing, descriptor)
    os.set_blocking(said, False)
    status = _watch(command, link, heard, said, int(config["said_bytes"]))
    _sweep(command)
    _pass_on(said, int(config["said_bytes"]))
    with os.fdopen(failed, "rb") as reasons:
        status["failed"] = reasons.read().decode("utf-8", "replace") or None
    with contextlib.suppress(OSError):
        link.sendall(json.dumps(status).encode())
    os._exit(0)


def _heard(number: int, frame: FrameType | None) -> None:
    """A handler must be there for the wake-up pipe to be written."""


def _received(link: socket.socket) -> dict[str, Any]:
    with link.makefile("rb") as incoming:
        return json.loads(incoming.readline())


def _become(config: dict[str, Any], say: int, fail: int) -> None:
    """In the child: take on the limits and become the command. Never returns."""
    try:
        os.setpgid(0, 0)
        os.dup2(say, 2)
        signal.set_wakeup_fd(-1)
        for number in (signal.SIGCHLD, signal.SIGPIPE, signal.SIGINT):
            signal.signal(number, signal.SIG_DFL)
        os.chdir(config["folder"])
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        _limit(resource.RLIMIT_DATA if _LINUX else resource.RLIMIT_AS, config["memory"])
        _limit(resource.RLIMIT_CPU, config["cpu"])
        if _LINUX:
            _prctl(_SET_DEATH_SIGNAL, signal.SIGKILL)
            if os.getppid() == 1:
                os._exit(1)  # the keeper went before it could be watched
        if config["filter"]:
            _close_network(bytes.fromhex(config["filter"]))
        os.execvpe(config["command"][0], config["command"], config["environment"])
    except OSError as error:
        os.write(fail, f"{error.strerror}".encode())
    except BaseException as error:  # whatever it is, this is still the child
        os.write(fail, repr(error).encode())
    os._exit(127)


def _limit(what: int, amount: int | None) -> None:
    if amount is not None:
        _, most = resource.getrlimit(what)
        amount = amount if most == resource.RLIM_INFINITY else min(amount, most)
        with contextlib.suppress(ValueError, OSError):  # macOS refuses some
            resource.setrlimit(what, (amount, most))


def _prctl(option: int, *values: object) -> int:
    words = [ctypes.c_ulong(v) if isinstance(v, int) else v for v in (*values, *[0] * (4 - len(values)))]
    return ctypes.CDLL(None, use_errno=True).prctl(option, *words)


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("instructions", ctypes.c_void_p))


def _close_network(filter: bytes) -> None:
    """From here on, and in all descendants, the system calls that the filter names are refused."""
    code = ctypes.create_string_buffer(filter, len(filter))
    program = _Program(len(filter) // 8, ctypes.cast(code, ctypes.c_void_p))
    if _prctl(_SET_NO_NEW_PRIVILEGES, 1) or _prctl(_SET_SECCOMP, _SECCOMP_FILTER, ctypes.byref(program)):
        raise OSError(ctypes.get_errno(), "the network could not be closed")


def _watch(command: int, link: socket.socket, heard: int, said: int, room: int) -> dict[str, object]:
    """Wait for the command's end or the word to stop; meanwhile pass on what it prints."""
    sources = select.poll()
    for source in (heard, said, link.fileno()):
        sources.register(source, select.POLLIN)
    while True:
        ready = [descriptor for descriptor, _ in sources.poll()]
        if said in ready and not _pass_on(said, room):
            sources.unregister(said)
        if heard in ready:
            os.read(heard, 4096)
            # Orphans among its descendants die here too; only the command's own death counts.
            died = -1
            while died:
                died, how = os.waitpid(-1, os.WNOHANG)
                if died == command:
                    return {"signal": os.WTERMSIG(how)} if os.WIFSIGNALED(how) else {"exit": os.WEXITSTATUS(how)}
        if link.fileno() in ready:
            return {"stopped": True}


def _pass_on(said: int, room: int) -> bool:
    """What there is to read goes to our own standard error, a file, as far as there is room; the rest is dropped, so
    that printing can neither block a tool nor fill a disk. False at the end."""
    while True:
        try:
            data = os.read(said, 1 << 16)
        except BlockingIOError:
            return True
        except OSError:
            return False
        if not data:
            return False
        with contextlib.suppress(OSError):
            size = os.fstat(2).st_size
            if size < room:
                os.pwrite(2, data[: room - size], size)


def _sweep(command: int) -> None:
    """Kill the command's group, then whatever of its descendants is left, until nothing is."""
    with contextlib.suppress(OSError):
        os.killpg(command, signal.SIGKILL)
    until = time.monotonic() + _PATIENCE
    while time.monotonic() < until:
        try:
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        except ChildProcessError:
            return
        for child in _children():
            with contextlib.suppress(OSError):
                os.kill(child, signal.SIGKILL)
        time.sleep(0.001)


def _children() -> list[int]:
    found: list[int] = []
    own = str(os.getpid())
    with contextlib.suppress(OSError):
        for process in Path("/proc").iterdir():
            if process.name.isdigit():
                with contextlib.suppress(OSError, IndexError):
                    # The name in brackets may hold anything; the parent is the second word after it.
                    if (process / "stat").read_bytes().rpartition(b")")[2].split()[1].decode() == own:
                        found.append(int(process.name))
    return found


if __name__ == "__main__":
    main()
