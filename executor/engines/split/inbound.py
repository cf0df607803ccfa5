"""The receiving end of the link: a thread that takes each piece of a cache as it comes, so that little is left to do
when the last one is there."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Mapping
from dataclasses import dataclass
from threading import Thread
from typing import Any, Protocol

import msgspec
import numpy as np
from numpy.typing import NDArray

from ..workers.frames import LENGTHS, MOST_WORDS
from .conversions import Array, Plain, load, stored_type
from .forms import AXES, CacheForm, Unusable, check_convertible, form_of
from .shared import mapped

_WORDS = msgspec.msgpack.Decoder(dict[str, Any])


class Broken(Exception):
    """What came is none of our words."""


@dataclass(frozen=True, slots=True)
class Arrived:
    """A cache that is here as a whole, in the receiver's own form: `layers` f32 `[kv_heads, n, head_dim]`. Whoever has
    taken it over empties the list, which lets go of the memory."""

    number: int
    tokens: tuple[int, ...]
    layers: list[tuple[Plain, Plain]]
    logits: NDArray[np.float32]
    told: Mapping[str, Any]
    """What the sender says besides."""
    at: float
    """When it was here, on the machine's clock."""


class Hears(Protocol):
    """Who is told what becomes of caches. All are called in the link's thread."""

    def arrived(self, cache: Arrived) -> None: ...

    def dropped(self, number: int) -> None: ...

    def unusable(self, number: int, why: str) -> None: ...

    def cut(self, link: Inbound) -> None:
        """The other end is gone, and nothing more arrives."""
        ...


class _Arriving:
    def __init__(self, tokens: tuple[int, ...], form: CacheForm, shared: list[tuple[Array, Array]] | None) -> None:
        self.tokens = tokens
        self.form = form
        self.shared = shared
        self.missing = form.positions * form.layers
        plain = form.dtype == "float32" and not form.page and form.keys == form.values == AXES
        if shared is not None and plain:
            # It lies here already as it is wanted.
            self.layers: list[tuple[Plain, Plain]] = shared
            self.copies = False
        else:
            shape = (form.kv_heads, form.positions, form.head_dim)
            self.layers = [(np.empty(shape, np.float32), np.empty(shape, np.float32)) for _ in range(form.layers)]
            self.copies = True


class Inbound:
    """The link's end where caches go to. `own` is the form that is wanted, with as many positions as there can be."""

    def __init__(self, connection: socket.socket, own: CacheForm, hears: Hears) -> None:
        self._connection = connection
        self._own = own
        self._hears = hears
        self._arriving: dict[int, _Arriving] = {}
        connection.setblocking(True)
        Thread(target=self._read, daemon=True).start()

    def close(self) -> None:
        try:
            self._connection.shutdown(socket.SHUT_RDWR)
        except OSError:
            self._connection.close()

    def _read(self) -> None:
        try:
            while True:
                self._take(*self._frame())
        except (OSError, EOFError, Broken, LookupError, TypeError, ValueError):
            # The other end is gone, or says what is none of our words.
            pass
        finally:
            self._connection.close()
            self._arriving.clear()
            self._hears.cut(self)

    def _frame(self) -> tuple[Mapping[str, Any], bytearray, list[int]]:
        head = bytearray(LENGTHS.size)
        got, descriptors, _, _ = socket.recv_fds(self._connection, len(head), 4)
        if not got:
            raise EOFError
        head[: len(got)] = got
        self._exactly(memoryview(head)[len(got) :])
        words, size = LENGTHS.unpack(head)
        if words > MOST_WORDS or size > max(2 * self._own.part_bytes, 1 << 26):
            raise Broken
        written, data = bytearray(words), bytearray(size)
        self._exactly(memoryview(written))
        self._exactly(memoryview(data))
        try:
            return _WORDS.decode(written), data, descriptors
        except (msgspec.DecodeError, ValueError, RecursionError) as error:
            raise Broken from error

    def _exactly(self, view: memoryview) -> None:
        while view:
            count = self._connection.recv_into(view)
            if not count:
                raise EOFError
            view = view[count:]

    def _take(self, words: Mapping[str, Any], data: bytearray, descriptors: list[int]) -> None:
        number = int(words["cache"])
        match words["do"]:
            case "begin":
                self._begin(number, words, descriptors)
            case "piece":
                arriving = self._arriving.get(number)
                if arriving is not None:
                    self._piece(arriving, int(words["layer"]), int(words["start"]), int(words["count"]), data)
            case "whole":
                arriving = self._arriving.pop(number, None)
                if arriving is not None and arriving.missing:
                    self._hears.unusable(number, f"{arriving.missing} positions of it did not come")
                elif arriving is not None:
                    logits = np.frombuffer(data, np.float32)
                    now = time.monotonic()
                    self._hears.arrived(Arrived(number, arriving.tokens, arriving.layers, logits, words, now))
            case "drop":
                self._arriving.pop(number, None)
                self._hears.dropped(number)
            case _:
                raise Broken

    def _begin(self, number: int, words: Mapping[str, Any], descriptors: list[int]) -> None:
        try:
            form, tokens = form_of(words["form"]), tuple(words["tokens"])
            check_convertible(form, self._own)
            if len(tokens) != form.positions:
                raise Unusable(f"it is of {form.positions} positions, for {len(tokens)} tokens")
            shared = mapped(descriptors.pop(), form) if descriptors else None
        except Unusable as error:
            self._hears.unusable(number, str(error))
        else:
            self._arriving[number] = _Arriving(tokens, form, shared)
        finally:
            for descriptor in descriptors:
                os.close(descriptor)

    def _piece(self, arriving: _Arriving, layer: int, start: int, count: int, data: bytearray) -> None:
        form = arriving.form
        if not 0 <= layer < form.layers or start < 0 or count < 1 or start + count > form.positions:
            raise Broken
        arriving.missing -= count
        if not arriving.copies:
            return
        if arriving.shared is not None:
            given = arriving.shared[layer]
            part, at = form, start
        else:
            part, at = form.of(count), 0
            if len(data) != 2 * part.part_bytes:
                raise Broken
            given = _parted(data, part)
        for numbers, held, axes in zip(arriving.layers[layer], given, (form.keys, form.values), strict=True):
            numbers[:, start : start + count] = load(at, count, held, part, axes)


def _parted(data: bytearray, form: CacheForm) -> tuple[Array, Array]:
    kind = stored_type(form.dtype)
    count = form.part_bytes // kind.itemsize
    keys = np.frombuffer(data, kind, count).reshape(form.shape(form.keys))
    return keys, np.frombuffer(data, kind, count, form.part_bytes).reshape(form.shape(form.values))
