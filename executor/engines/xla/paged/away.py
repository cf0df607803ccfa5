"""Pages that make way: what the scheduler orders, carried out between the pool of pages and the store."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from time import monotonic, perf_counter

import jax

from ....scheduler import Event, Fetch, Fetched, Forget, Kept, Load, Priced, Save, Spill, Spoilt
from .pool import Pool
from .store import PageStore, Shape

_ENOUGH = 16
"""Tokens of a step that say how fast prompts are."""


@dataclass(frozen=True, slots=True)
class Places:
    """Of so many pages of this `shape` in memory and on the disk, in `folder`, which holds `disk_bytes` at most."""

    shape: Shape
    host: int
    disk: int
    folder: Path | None
    disk_bytes: float


class PutAway:
    """Used in the device's thread; `soon` has a function run there."""

    def __init__(self, places: Places, pool: Pool, soon: Callable[[Callable[[], None]], None]) -> None:
        self._places = places
        self._pool = pool
        self._soon = soon
        self._tell: Callable[[Event], object] = lambda _: None
        self._turn = 0
        self._used = False
        self._prefill = 0.0
        self._told = (0.0, 0.0, 0.0, 0.0)
        self.store = self._open()

    def _open(self) -> PageStore:
        self._turn += 1
        turn, places = self._turn, self._places

        def fetched(name: str, found: bool) -> None:
            self._soon(partial(self._fetched, turn, name, found))

        def spoilt(name: str) -> None:
            self._soon(partial(self._spoilt, turn, name))

        return PageStore(places.shape, places.folder, places.disk_bytes, fetched, spoilt)

    def use(self, tell: Callable[[Event], object]) -> None:
        """A scheduler begins, with nothing but what is on the disk. Where there was another one, its pages are gone."""
        if self._used:
            self.store.close()
            self.store = self._open()
        self._used, self._tell = True, tell
        if self._places.disk:
            tell(Kept(monotonic(), self.store.kept(self._places.disk)))

    def do(self, order: Save | Load | Spill | Fetch | Forget) -> None:
        store, pool, size = self.store, self._pool, self._places.shape[3]
        match order:
            case Save():
                store.save(order.name, pool.read((order.page,), 0, size))
            case Load():
                began, compiled = perf_counter(), pool.compiled
                pool.hold(order.page)
                pool.write((order.page,), 0, store.load(order.name))
                jax.block_until_ready(pool.layers[-1])  # pyright: ignore[reportUnknownMemberType]
                if compiled == pool.compiled:
                    store.took(perf_counter() - began)
            case Spill():
                store.spill(order.name)
            case Fetch():
                store.fetch(order.names)
            case Forget():
                store.forget(order.name, order.disk)

    def prefilled(self, tokens: int, seconds: float) -> None:
        """A step of prompts alone took so long. Tell what was measured, where it changed by a tenth."""
        if tokens < _ENOUGH:
            return
        each = seconds / tokens
        # Whatever else kept the machine busy made it longer, and never shorter.
        late = 0.5 if each < self._prefill else 0.05
        self._prefill = each if not self._prefill else self._prefill + late * (each - self._prefill)
        self.store.fade()
        now = (self._prefill, self.store.save_seconds, self.store.load_seconds, self.store.read_seconds)
        if any(abs(new - old) > 0.1 * old for new, old in zip(now, self._told, strict=True)):
            self._told = now
            self._tell(Priced(monotonic(), *now))

    @property
    def measured(self) -> tuple[float, float, float, float]:
        """Seconds of a token of a prompt, and of a page that is put away, brought back, read from the disk."""
        return self._prefill, self.store.save_seconds, self.store.load_seconds, self.store.read_seconds

    def close(self) -> None:
        # What is still heard of the disk is of no use.
        self._turn += 1
        self.store.close()

    def _fetched(self, turn: int, name: str, found: bool) -> None:
        if turn == self._turn:
            if found:
                self.store.arrived(name)
            self._tell(Fetched(monotonic(), name, found))

    def _spoilt(self, turn: int, name: str) -> None:
        if turn == self._turn:
            self._tell(Spoilt(monotonic(), name))
