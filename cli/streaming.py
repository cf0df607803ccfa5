"""A stream from outside: lines of a file or of standard input, as they come.

JSON Lines with `--input`; with `name=@file` the lines of a `stream Text` are the texts themselves. What cannot be read
breaks the stream off, and the run fails as `bad_input` with the line.
"""

from __future__ import annotations

import json
import os
import stat
import sys
from collections.abc import AsyncIterator
from pathlib import Path

from ..base.problems import OutsideError
from ..executor.values import Shapes, from_json
from ..lang.types import TEXT, Type
from . import problems as words

LONGEST_LINE = 1 << 20
_CHUNK = 1 << 16


def stream_of(name: str, type: Type, shapes: Shapes, file: str, *, plain: bool) -> AsyncIterator[object]:
    """The items of the stream parameter `name`, from `file` (`-` is standard input). `plain`: the lines of a stream of
    texts are the texts."""
    return _items(name, type, shapes, file, plain and type == TEXT)


async def _items(name: str, type: Type, shapes: Shapes, file: str, plain: bool) -> AsyncIterator[object]:
    number = 0
    async for line in _lines(file):
        number += 1
        where = f"{'standard input' if file == '-' else file}, line {number}"
        if len(line) > LONGEST_LINE:
            raise OutsideError(words.stream_line(name, where, "is longer than 1 MiB"))
        try:
            text = line.decode("utf-8")
        except UnicodeDecodeError as error:
            raise OutsideError(words.stream_line(name, where, f"byte {error.start} is not UTF-8")) from None
        if plain:
            yield text
            continue
        if not text.strip():
            continue
        try:
            data: object = json.loads(text)
        except (ValueError, RecursionError) as error:
            reason = f"is not JSON: {getattr(error, 'msg', 'nested too deeply')}"
            raise OutsideError(words.stream_line(name, where, reason)) from None
        value, found = from_json(data, type, shapes, name)
        if found:
            raise OutsideError(words.stream_line(name, where, f"does not fit: {found[0].title}"))
        yield value


async def _lines(file: str) -> AsyncIterator[bytes]:
    """Lines as they arrive, without their ends. A line beyond the limit comes as far as it was read."""
    import anyio

    number = sys.stdin.fileno() if file == "-" else os.open(Path(file), os.O_RDONLY)
    try:
        waits = not stat.S_ISREG(os.fstat(number).st_mode)
        rest = b""
        while True:
            if waits:
                await anyio.wait_readable(number)
            else:
                await anyio.lowlevel.checkpoint()
            chunk = os.read(number, _CHUNK)
            rest += chunk
            *whole, rest = rest.split(b"\n")
            for line in whole:
                yield line.removesuffix(b"\r")
            if not chunk or len(rest) > LONGEST_LINE:
                break
        if rest:
            yield rest
    finally:
        if file != "-":
            os.close(number)
