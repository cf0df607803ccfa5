"""Sound in and out of a command: a WAV file, or samples alone through a pipe.

In: a file or standard input, as it comes. Out: `--out FILE` writes a WAV file, and `--out -` the samples alone, as a
player reads them (`aplay -f S16_LE -r 16000`). A pipe that is full is waited for without holding the event loop, so
that a run hears its microphone while its reader is slow, and a newer input can interrupt what was not taken.
"""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import IO

from ..base.audio import Audio, NotSound, Reader, header
from ..base.problems import OutsideError
from . import problems as words

_CHUNK = 1 << 14
_WRITE = 1 << 12


async def sound_of(name: str, file: str) -> AsyncGenerator[object]:
    """The pieces of the stream parameter `name`, from `file` (`-` is standard input)."""
    import anyio
    import anyio.lowlevel

    number = sys.stdin.fileno() if file == "-" else os.open(Path(file), os.O_RDONLY)
    reader = Reader()
    try:
        waits = not stat.S_ISREG(os.fstat(number).st_mode)
        while True:
            if waits:
                await anyio.wait_readable(number)
            else:
                await anyio.lowlevel.checkpoint()
            chunk = os.read(number, _CHUNK)
            for piece in reader.feed(chunk) if chunk else reader.end():
                yield piece
            if not chunk:
                break
    except NotSound as error:
        where = "standard input" if file == "-" else file
        raise OutsideError(words.not_sound(name, where, str(error))) from None
    finally:
        if file != "-":
            os.close(number)


class SoundOut:
    """Where a run's sound goes. Use it as a context; `write` waits for a slow reader."""

    def __init__(self, name: str) -> None:
        """Raises `OSError` where the file cannot be written."""
        self._file: IO[bytes] = sys.stdout.buffer if name == "-" else Path(name).open("wb")  # noqa: SIM115
        self._plain = name == "-"
        self._rate = 0
        self._written = 0

    @property
    def seconds(self) -> float:
        return self._written / 2 / self._rate if self._rate else 0.0

    async def write(self, audio: Audio) -> None:
        """Raises `OSError` where it cannot be written, and `OutsideError` where the rate is another than before."""
        import anyio

        self._rate = self._rate or audio.rate
        if audio.rate != self._rate:
            raise OutsideError(words.sound_of_two_rates(self._rate, audio.rate))
        if not self._plain:
            if not self._written:
                self._file.write(header(self._rate, 0))  # Its length is told at the end.
            self._file.write(audio.pcm)
            self._written += len(audio.pcm)
            return
        number = self._file.fileno()
        for at in range(0, len(audio.pcm), _WRITE):
            part = audio.pcm[at : at + _WRITE]
            while part:
                if not stat.S_ISREG(os.fstat(number).st_mode):
                    await anyio.wait_writable(number)
                # A pipe that can be written to takes a page at once.
                taken = os.write(number, part)
                part = part[taken:]
                self._written += taken

    def close(self) -> None:
        """End the file: only now is it known how long it is."""
        if self._plain:
            return
        with self._file:
            self._file.seek(0)
            self._file.write(header(self._rate or 16_000, self._written))
