"""The process that prefills: prompts come in, and their caches leave for the other process while they are computed."""

from __future__ import annotations

import socket
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Any

import anyio
import anyio.to_thread
import numpy as np

from ....base.problems import OutsideError
from ..protocol import Service
from ..workers.frames import Frame
from ..workers.inside import Connection
from ..workers.telling import problem_words
from ..xla.paged.model import PagedModel
from .conversions import Plain
from .forms import CacheForm
from .half import Half
from .outbound import LinkCut, Outbound, OutboundCache
from .settings import SplitSettings


class Prefilling(Half):
    """Answers `prefill` by `shipped`, `refused` or `cut`, or by nothing where it was ended before."""

    def __init__(self, model: PagedModel, connection: Connection, form: CacheForm, settings: SplitSettings) -> None:
        super().__init__(model, connection, form, settings)
        self._link: Outbound | None = None
        self._filling: dict[int, Filling] = {}

    def do(self, frame: Frame) -> None:
        words, number = frame.words, int(frame.words["sequence"])
        match words["do"]:
            case "link":
                self._join(socket.socket(fileno=frame.descriptors[0]))
            case "prefill":
                filling = self._filling[number] = Filling(self, number, tuple(words["tokens"]), self._link)
                self.begin(self._prefill, filling, words)
            case "end":
                filling = self._filling.get(number)
                if filling is not None:
                    filling.scope.cancel()
            case "stats":
                self.begin(self.counted, number)
            case _:
                raise AssertionError(words["do"])

    def _join(self, connection: socket.socket) -> None:
        if self._link is not None:
            self._link.close()
            self._was_cut(self._link)

        def cut() -> None:
            self.in_loop(self._was_cut, link)

        link = self._link = Outbound(connection, self.settings.transport == "memory", cut)

    def _was_cut(self, link: Outbound) -> None:
        for filling in self._filling.values():
            if filling.link is link:
                filling.cut()

    async def _prefill(self, filling: Filling, words: Mapping[str, Any]) -> None:
        number, left = filling.number, words["left"]
        deadline = None if left is None else anyio.current_time() + float(left)
        service = Service(deadline, str(words["tenant"]), str(words["scope"]))
        try:
            with filling.scope:
                self.say("shipped", number, await filling.run(service))
        except OutsideError as error:
            self.say("refused", number, problem_words(error))
        except LinkCut:
            filling.was_cut = True
        finally:
            del self._filling[number]
        if filling.was_cut:
            self.say("cut", number)


class Filling:
    """One prompt that is prefilled here, and its cache on its way."""

    def __init__(self, half: Prefilling, number: int, tokens: tuple[int, ...], link: Outbound | None) -> None:
        self.number = number
        self.link = link
        self.scope = anyio.CancelScope()
        self.was_cut = link is None
        self._half = half
        self._tokens = tokens
        settings = half.settings
        self._form = replace(half.form.of(len(tokens)), dtype=settings.dtype, page=settings.page)
        self._cache: OutboundCache | None = None
        self._kept: list[tuple[int, int, Plain, Plain]] = []
        self._copying = 0.0
        self._failed: OSError | None = None

    def cut(self) -> None:
        """The other process is gone: what is computed here is for nobody."""
        self.was_cut = True
        self.scope.cancel()

    async def run(self, service: Service) -> Mapping[str, Any]:
        """Prefill and ship; what to say of it. Raises `LinkCut`, `OutsideError`."""
        link, model = self.link, self._half.model
        if link is None:
            raise LinkCut
        whole = False
        try:
            handle = await model.prefill_told(self._tokens, self._told, service)
            try:
                ended = time.monotonic()
                if self._failed is not None:
                    raise self._failed
                cache = self._cache or link.begin(self.number, self._tokens, self._form)
                for piece in self._kept:
                    cache.piece(*piece)
                told = {"cached": handle.stats.cached_tokens, "ended": ended}
                cache.whole(np.asarray(handle.making.logits).reshape(-1), told)
                whole = True
                seconds = handle.stats.prefill_seconds
            finally:
                with anyio.CancelScope(shield=True):
                    await model.release(handle)
            await anyio.to_thread.run_sync(link.flush, abandon_on_cancel=True)
        except OSError as error:
            # There is no more memory to share.
            raise LinkCut from error
        finally:
            self._kept.clear()
            if self._cache is not None:
                self._cache.let_go()
            if not whole:
                with suppress(LinkCut):
                    link.drop(self.number)
        return {**told, "bytes": cache.bytes, "seconds": seconds, "copying": self._copying}

    def _told(self, layer: int, start: int, keys: Plain, values: Plain) -> None:
        """A layer's piece, in the device's thread, which must not fail."""
        began = time.monotonic()
        try:
            if not self._half.settings.overlap:
                self._kept.append((layer, start, keys.copy(), values.copy()))
            elif self.link is not None and self._failed is None:
                self._cache = self._cache or self.link.begin(self.number, self._tokens, self._form)
                self._cache.piece(layer, start, keys, values)
        except LinkCut:
            self._half.in_loop(self.cut)
        except OSError as error:
            self._failed = error
        self._copying += time.monotonic() - began
