"""Where pages go that make way for others: to ordinary memory (`host`), from there to the disk; and whether they are
worth bringing back.

A page is called by a digest of its tokens and all before them, so that what is on a disk can be found again, by another
process too. What was used longest ago goes first, from memory to the disk, from the disk for good. A copy in memory
stays there when its page comes back: where that has to make way again, nothing needs to be copied.

A page comes back where that takes less time than to compute it: its bytes at the speed at which they were seen to come,
beside its tokens at the speed of prompts. Whoever measures says so (`Priced`); until then it comes back.

What is private never goes to the disk.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Hashable

from .orders import Fetch, Forget, Order, Save, Spill

Name = str


def first_name(scope: str) -> Name:
    """What the pages of a scope are named behind."""
    return _digest(f"scope {scope!r}")


def name_behind(before: Name, key: Hashable) -> Name:
    """The name of a page with this key, behind the one of that name."""
    return _digest(f"{before} {key!r}")


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:40]


class Tiers:
    """`host` and `disk` are how many pages each holds; `tokens` are those of a page. Pages reach the disk by way of
    the host, and come back so."""

    def __init__(self, host: int, disk: int, tokens: int) -> None:
        self._host_room, self._disk_room, self._tokens = host, disk, tokens
        self._host: OrderedDict[Name, bool] = OrderedDict()
        """Those in memory, used longest ago first, and whether they are private."""
        self._disk: OrderedDict[Name, None] = OrderedDict()
        self._coming: dict[Name, None] = {}
        """Those that are being read from the disk."""
        self._prefill = self._save = self._load = self._read = 0.0

    @property
    def host(self) -> int:
        """Pages in memory."""
        return len(self._host)

    @property
    def disk(self) -> int:
        return len(self._disk)

    def priced(self, prefill: float, save: float, load: float, read: float) -> None:
        """Seconds: of a token of a prompt, and of a page that is put away, brought back from memory, read from disk."""
        self._prefill, self._save, self._load, self._read = prefill, save, load, read

    @property
    def pays(self) -> bool:
        """Whether a page comes back from memory sooner than it is computed."""
        return not self._prefill or self._load < self._tokens * self._prefill

    @property
    def disk_pays(self) -> bool:
        return not self._prefill or self._read + self._load < self._tokens * self._prefill

    def in_host(self, name: Name) -> bool:
        return name in self._host

    def private(self, name: Name) -> bool:
        return self._host[name]

    def use(self, name: Name) -> None:
        """It is used now."""
        if name in self._host:
            self._host.move_to_end(name)
        if name in self._disk:
            self._disk.move_to_end(name)

    def known(self, name: Name, orders: list[Order]) -> None:
        """It is on the disk since another time."""
        if self._disk_room:
            self._disk[name] = None
            self._trim(orders)

    def put_away(self, page: int, name: Name, private: bool, orders: list[Order]) -> None:
        """A page makes way. It is kept, where there is a place and it pays: to put it away takes time as well."""
        if name in self._host or (name in self._disk and not private):
            self.use(name)
            return
        if not self._host_room or (self._prefill and self._save + self._load >= self._tokens * self._prefill):
            return
        self._make_room(orders)
        self._host[name] = private
        orders.append(Save(page, name))

    def wanted(self, names: list[Name]) -> list[Name]:
        """Of the pages that follow on what is cached, in order: those that are worth reading from the disk, as far as
        all before them are there too and the memory holds them."""
        out: list[Name] = []
        if not (self._disk or self._coming) or not self.disk_pays:
            return out
        for name in names:
            if name in self._host:
                continue
            if (name not in self._disk and name not in self._coming) or len(out) >= max(1, self._host_room // 2):
                break
            out.append(name)
        return out

    def fetch(self, names: list[Name], orders: list[Order]) -> None:
        fresh = tuple(name for name in names if name not in self._coming)
        self._coming.update(dict.fromkeys(fresh))
        if fresh:
            orders.append(Fetch(fresh))

    def fetched(self, name: Name, found: bool, orders: list[Order]) -> None:
        """It was read, or is not to be had: then nobody looks for it again."""
        if name not in self._coming:
            raise ValueError(f"page {name} was not asked for")
        del self._coming[name]
        if not found:
            self._disk.pop(name, None)
        elif name in self._host:
            # Computed meanwhile, and put away: the copy that was read stands for that one.
            self.use(name)
        else:
            self._make_room(orders)
            self._host[name] = False
            self.use(name)

    def lost(self, name: Name) -> None:
        """It could not be written to the disk."""
        self._disk.pop(name, None)

    def _make_room(self, orders: list[Order]) -> None:
        while len(self._host) >= self._host_room:
            name, private = self._host.popitem(last=False)
            if private or not self._disk_room or name in self._disk:
                orders.append(Forget(name, disk=False))
            else:
                self._disk[name] = None
                orders.append(Spill(name))
                self._trim(orders)

    def _trim(self, orders: list[Order]) -> None:
        while len(self._disk) > self._disk_room:
            name, _ = self._disk.popitem(last=False)
            orders.append(Forget(name, disk=True))
