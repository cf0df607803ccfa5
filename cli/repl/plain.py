"""Inputs without a terminal: lines of a stream, gathered until an input is whole."""

from __future__ import annotations

from typing import TextIO

import anyio.to_thread

from .reading import is_whole


class Lines:
    """Reads inputs from a stream. None at its end."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    async def next(self) -> str | None:
        text = ""
        while True:
            line = await anyio.to_thread.run_sync(self._stream.readline)
            if not line:
                return text or None
            text += line
            if is_whole(text):
                return text
