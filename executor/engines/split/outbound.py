"""The sending end of the link between the two processes: a cache leaves layer by layer, as it is computed.

Who computes only copies: into shared memory, or to a queue. A thread writes to the socket, so that the device waits for
the other process only where that is far behind.
"""

from __future__ import annotations

import os
import socket
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from threading import Condition, Thread
from typing import Any, TypeAlias

import numpy as np

from ..workers.frames import encode
from .conversions import Array, Plain, empty, store
from .forms import CacheForm, words_of
from .shared import mapped, unnamed

MOST_WAITING = 1 << 28
"""Bytes that may wait to be written before who computes has to wait."""

_Piece: TypeAlias = "tuple[list[Any], list[int], int]"


class LinkCut(Exception):
    """The other end is gone."""


class Outbound:
    """The link's end where caches come from. `shared` has their numbers lie in shared memory, and the socket carry the
    words alone. `cut` is called once, in the link's thread, where the other end is gone."""

    def __init__(self, connection: socket.socket, shared: bool, cut: Callable[[], None]) -> None:
        self._connection = connection
        self._cut = cut
        self._queue: deque[_Piece] = deque()
        self._waiting = 0
        self._changed = Condition()
        self._over = False
        self.shared = shared
        connection.setblocking(True)
        Thread(target=self._write, daemon=True).start()

    def begin(self, number: int, tokens: Sequence[int], form: CacheForm) -> OutboundCache:
        """A cache sets out. Raises `LinkCut`, OSError where there is no memory."""
        return OutboundCache(self, number, tokens, form)

    def drop(self, number: int) -> None:
        """Nothing (more) comes of this cache."""
        self.put({"do": "drop", "cache": number})

    def put(self, words: Mapping[str, Any], data: Sequence[Any] = (), descriptors: Sequence[int] = ()) -> None:
        """Words, and arrays that nobody changes any more; descriptors are closed here. Raises `LinkCut`."""
        size = sum(part.nbytes for part in data)
        head = encode(words, descriptors=len(descriptors), follows=size)
        with self._changed:
            while self._waiting > MOST_WAITING and not self._over:
                self._changed.wait()
            if self._over:
                for descriptor in descriptors:
                    os.close(descriptor)
                raise LinkCut
            self._queue.append(([head, *data], list(descriptors), size))
            self._waiting += size
            self._changed.notify_all()

    def flush(self) -> None:
        """Wait until all is written. Raises `LinkCut`."""
        with self._changed:
            while self._queue and not self._over:
                self._changed.wait()
            if self._over:
                raise LinkCut

    def close(self) -> None:
        with self._changed:
            self._over = True
            self._changed.notify_all()
        _shut(self._connection)

    def _write(self) -> None:
        try:
            while True:
                with self._changed:
                    while not self._queue and not self._over:
                        self._changed.wait()
                    if self._over:
                        return
                    parts, descriptors, size = self._queue[0]
                for part in parts:
                    view = memoryview(part).cast("B")
                    if descriptors:
                        view = view[socket.send_fds(self._connection, [view], descriptors) :]
                        while descriptors:
                            os.close(descriptors.pop())
                    self._connection.sendall(view)
                with self._changed:
                    self._queue.popleft()
                    self._waiting -= size
                    self._changed.notify_all()
        except OSError:
            pass
        finally:
            with self._changed:
                was_over, self._over = self._over, True
                for _, descriptors, _ in self._queue:
                    for descriptor in descriptors:
                        os.close(descriptor)
                self._queue.clear()
                self._changed.notify_all()
            self._connection.close()
            if not was_over:
                self._cut()


class OutboundCache:
    """One cache on its way. Used by one thread at a time."""

    def __init__(self, link: Outbound, number: int, tokens: Sequence[int], form: CacheForm) -> None:
        self._link = link
        self._number = number
        self._form = form
        self._layers: list[tuple[Array, Array]] | None = None
        self.bytes = 0
        """Of keys and values, told so far."""
        descriptors: list[int] = []
        if link.shared:
            descriptors.append(unnamed(form.all_bytes))
            self._layers = mapped(os.dup(descriptors[0]), form)
        words = {"do": "begin", "cache": number, "tokens": list(tokens), "form": words_of(form)}
        link.put(words, descriptors=descriptors)

    def piece(self, layer: int, start: int, keys: Plain, values: Plain) -> None:
        """Positions `start…` of a layer, `[kv_heads, n, head_dim]`: copied before this returns. Raises `LinkCut`."""
        form, count = self._form, keys.shape[1]
        words = {"do": "piece", "cache": self._number, "layer": layer, "start": start, "count": count}
        if self._layers is not None:
            for numbers, held, axes in zip((keys, values), self._layers[layer], (form.keys, form.values), strict=True):
                store(numbers, start, held, form, axes)
            self.bytes += 2 * form.part_bytes * count // form.positions
            self._link.put(words)
            return
        part = form.of(count)
        data = empty(part, part.keys), empty(part, part.values)
        store(keys, 0, data[0], part, part.keys)
        store(values, 0, data[1], part, part.values)
        self.bytes += 2 * part.part_bytes
        self._link.put(words, data)

    def whole(self, logits: Any, told: Mapping[str, Any]) -> None:
        """All positions of all layers are on their way; `logits` are those behind the last. Raises `LinkCut`."""
        self.let_go()
        data = [np.ascontiguousarray(logits, np.float32)]
        self._link.put({"do": "whole", "cache": self._number, **told}, data)

    def let_go(self) -> None:
        """Nothing more is written: the memory is the other process's alone."""
        self._layers = None


def _shut(connection: socket.socket) -> None:
    try:
        connection.shutdown(socket.SHUT_RDWR)
    except OSError:
        connection.close()
