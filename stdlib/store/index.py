"""Fetching one wheel from the package index, with pip as a process.

pip already knows the user's index, proxy, certificates and password store; nothing of that is done again here. It is
told to take this version, with this SHA-256, as a wheel, without what it depends on: so nothing is built or installed,
and no code of the package runs.

pip prints no progress when nobody looks at its terminal, so the growing file is looked at instead. It is also held
open: pip removes a download that does not match, and the last size of the removed file tells a cut download from a
changed one.
"""

from __future__ import annotations

import errno
import os
import re
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO

from ..catalogue import IndexSource
from .steps import Reason, SourceFailed

_LOOK_SECONDS = 0.05
_PATIENCE_SECONDS = 5.0
_NO_ROOM = re.compile(r"No space left on device|Disk quota exceeded|File too large|Errno (28|27|122)\b")
_UNREACHABLE = re.compile(
    r"NewConnectionError|ConnectTimeout|ReadTimeout|ConnectionReset|Connection refused|RemoteDisconnected"
    r"|Name or service not known|name resolution|Network is unreachable|ProxyError|SSLError|Max retries exceeded"
    r"|connection attempts? failed|Could not fetch URL"
)
_CUT = re.compile(r"IncompleteRead|incomplete-download|Connection broken|Download failed|ended prematurely")


def download(source: IndexSource, work: Path, report: Callable[[int], None]) -> Path:
    """The wheel of `source`, inside `work`. `report` hears the bytes that are there so far.

    Raises `SourceFailed`, or `OSError` (ENOSPC) if the disk of `work` is full. An exception out of `report`, or an
    interrupt, stops pip first.
    """
    wheels, scratch, log = work / "wheel", work / "scratch", work / "pip.log"
    for folder in (wheels, scratch):
        folder.mkdir()
    wanted = work / "requirements.txt"
    wanted.write_text(f"{source.package}=={source.version} --hash=sha256:{source.sha256}\n", "utf-8")
    with log.open("wb") as out:
        try:
            process = subprocess.Popen(
                _command(wanted, wheels, source.wheel),
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                env=_environment(os.environ, scratch),
            )
        except (FileNotFoundError, PermissionError) as error:
            raise SourceFailed(Reason.NO_PIP, f"Python cannot be started ({error.strerror})") from error
        try:
            seen = _watch(process, work, report)
        finally:
            _end(process)
    found = list(wheels.glob("*.whl"))
    if process.returncode == 0 and len(found) == 1:
        report(source.size)
        return found[0]
    raise _failure(log.read_text("utf-8", "replace"), source, seen)


def _command(wanted: Path, wheels: Path, wheel: str = "") -> list[str]:
    options = ["--no-deps", "--only-binary=:all:", "--require-hashes", "--no-cache-dir", "--no-input", "--no-color"]
    # Its log is read for causes; which connection failed is told to those alone who ask twice.
    options += ["--progress-bar", "off", "--disable-pip-version-check", "-vv"]
    if wheel:
        python, interface, platform = wheel.split("-")
        options += ["--python-version", f"3.{python.removeprefix('cp3')}", "--implementation", "cp"]
        options += ["--abi", interface, "--platform", platform]
    # -P: a file called pip.py in the working folder is not pip.
    return [sys.executable, "-P", "-m", "pip", "download", *options, "-r", str(wanted), "--dest", str(wheels)]


def _environment(given: Mapping[str, str], scratch: Path) -> dict[str, str]:
    # The scratch folder is on the disk of the store, so that a small /tmp does not matter, and goes with `work`.
    # pip's own five tries keep an offline user waiting for half a minute.
    return {"PIP_RETRIES": "2", **given, "TMPDIR": str(scratch)}


def _watch(process: subprocess.Popen[bytes], work: Path, report: Callable[[int], None]) -> int:
    """Report the growing wheel until pip ends. Returns the largest size that the wheel had, 0 if none was seen."""
    held: dict[Path, IO[bytes]] = {}
    seen = 0
    try:
        while True:
            try:
                process.wait(_LOOK_SECONDS)
                ended = True
            except subprocess.TimeoutExpired:
                ended = False
            for path in _wheels(work):
                if path not in held:
                    try:
                        held[path] = path.open("rb")
                    except FileNotFoundError:
                        continue
            sizes = [os.fstat(file.fileno()).st_size for file in held.values()]
            seen = max([seen, *sizes])
            if ended:
                return seen
            report(seen)
    finally:
        for file in held.values():
            file.close()


def _wheels(work: Path) -> list[Path]:
    """What there is of wheels. pip takes its own folders away while they are looked through: then there is none yet."""
    try:
        return list(work.rglob("*.whl"))
    except FileNotFoundError:
        return []


def _end(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is not None:
        return
    process.terminate()
    try:
        process.wait(_PATIENCE_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _failure(log: str, source: IndexSource, seen: int) -> Exception:
    """What pip's words mean."""
    if "No module named pip" in log:
        return SourceFailed(Reason.NO_PIP, "this Python has no pip")
    if _NO_ROOM.search(log):
        return OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    if "DO NOT MATCH THE HASHES" in log and not 0 < seen < source.size:
        got = re.search(r"Got\s+([0-9a-f]{64})", log)
        return SourceFailed(Reason.WRONG_HASH, f"the wheel has SHA-256 {got[1]}" if got else "the wheel differs")
    if "DO NOT MATCH THE HASHES" in log or _CUT.search(log):
        return SourceFailed(Reason.FAILED, f"the download was cut after {seen:,} of {source.size:,} bytes")
    if _UNREACHABLE.search(log):
        return SourceFailed(Reason.FAILED, "the package index cannot be reached")
    if "No matching distribution" in log:
        return SourceFailed(Reason.FAILED, f"the package index has no wheel of {source.package} {source.version}")
    errors = [line for line in log.splitlines() if line.startswith("ERROR")] or log.splitlines()
    return SourceFailed(Reason.FAILED, errors[-1].removeprefix("ERROR: ") if errors else "pip ended without a word")
