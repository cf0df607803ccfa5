"""The link between the two processes of a split model: caches over shared memory and over sockets, whole, cut, and
wrong in every way that can be told."""

from __future__ import annotations

import os
import socket
import struct
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Thread
from typing import Any

import numpy as np
import pytest

from agentlang.executor.engines.split.conversions import Plain, narrowed, widened
from agentlang.executor.engines.split.engine import joined_by_memory, joined_by_tcp
from agentlang.executor.engines.split.forms import CacheForm, Unusable, words_of
from agentlang.executor.engines.split.inbound import Arrived, Inbound
from agentlang.executor.engines.split.outbound import LinkCut, Outbound
from agentlang.executor.engines.split.shared import mapped, unnamed
from agentlang.executor.engines.workers.frames import encode

OWN = CacheForm(3, 2, 8, 64)
TOKENS = tuple(range(5, 25))
Ends = tuple[socket.socket, socket.socket]


class Heard:
    """What a link told, in order."""

    def __init__(self) -> None:
        self.news: SimpleQueue[tuple[str, Any]] = SimpleQueue()

    def arrived(self, cache: Arrived) -> None:
        self.news.put(("arrived", cache))

    def dropped(self, number: int) -> None:
        self.news.put(("dropped", number))

    def unusable(self, number: int, why: str) -> None:
        self.news.put(("unusable", (number, why)))

    def cut(self, link: Inbound) -> None:
        self.news.put(("cut", link))

    def next(self) -> tuple[str, Any]:
        return self.news.get(timeout=10)


def layers(seed: int = 0, positions: int = len(TOKENS)) -> list[tuple[Plain, Plain]]:
    draw = np.random.default_rng(seed)
    shape = (OWN.kv_heads, positions, OWN.head_dim)
    return [
        (draw.standard_normal(shape).astype(np.float32), draw.standard_normal(shape).astype(np.float32))
        for _ in range(OWN.layers)
    ]


def ship(link: Outbound, number: int, form: CacheForm, cuts: Sequence[int], skip: int | None = None) -> None:
    """A cache in chunks that end at `cuts`; layer `skip` of the last one does not leave."""
    cache = link.begin(number, TOKENS, form)
    for start, stop in zip((0, *cuts), (*cuts, len(TOKENS)), strict=True):
        for layer, (keys, values) in enumerate(layers(number)):
            if layer != skip or stop != len(TOKENS):
                cache.piece(layer, start, keys[:, start:stop], values[:, start:stop])
    cache.whole(np.arange(10, dtype=np.float32), {"cached": 3})


def nothing() -> None: ...


def opened() -> int:
    return len(tuple(Path("/proc/self/fd").iterdir()))


def joined(ends: Ends, shared: bool, cut: Callable[[], None] = nothing) -> tuple[Outbound, Inbound, Heard]:
    heard = Heard()
    return Outbound(ends[0], shared, cut), Inbound(ends[1], OWN, heard), heard


FORMS = {
    "as it is": OWN,
    "pages": replace(OWN, page=8),
    "other axes": replace(OWN, keys=("width", "heads", "positions"), values=("positions", "heads", "width")),
    "pages of bfloat16": replace(OWN, dtype="bfloat16", page=6),
    "float16": replace(OWN, dtype="float16"),
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("way", ["memory", "unix", "tcp"])
def test_caches_arrive_as_they_left(way: str, form: str) -> None:
    ends = joined_by_tcp() if way == "tcp" else joined_by_memory()
    link, other, heard = joined(ends, way == "memory")
    used = replace(FORMS[form], positions=len(TOKENS))
    for number, cuts in ((1, ()), (2, (8, 16)), (3, (1, 2, 19))):
        ship(link, number, used, cuts)
    link.flush()
    for number in (1, 2, 3):
        what, cache = heard.next()
        assert what == "arrived"
        assert (cache.number, cache.tokens, cache.told["cached"]) == (number, TOKENS, 3)
        assert cache.logits.tolist() == list(range(10))
        for found, sent in zip(cache.layers, layers(number), strict=True):
            for mine, theirs in zip(found, sent, strict=True):
                assert np.array_equal(mine, widened(narrowed(theirs, used.dtype), used.dtype))
    link.close()
    assert heard.next()[0] == "cut"
    other.close()


def test_nothing_stays_behind() -> None:
    before, names = opened(), set(Path("/dev/shm").iterdir())
    for _ in range(20):
        link, _, heard = joined(joined_by_memory(), True)
        ship(link, 1, OWN.of(len(TOKENS)), (8,))
        what, cache = heard.next()
        assert what == "arrived"
        del cache
        # One more that never becomes whole.
        link.begin(2, TOKENS, OWN.of(len(TOKENS)))
        link.flush()
        link.close()
        assert heard.next()[0] == "cut"
    assert opened() <= before + 2
    assert set(Path("/dev/shm").iterdir()) == names


@pytest.mark.parametrize("way", ["memory", "unix"])
def test_one_that_breaks_off_is_none(way: str) -> None:
    cut: SimpleQueue[bool] = SimpleQueue()
    link, other, heard = joined(joined_by_memory(), way == "memory", lambda: cut.put(True))
    cache = link.begin(1, TOKENS, OWN.of(len(TOKENS)))
    cache.piece(0, 0, *layers(1)[0])
    link.flush()
    other.close()
    assert heard.next()[0] == "cut"
    with pytest.raises(LinkCut):
        for _ in range(10_000):
            cache.piece(1, 0, *layers(1)[1])
            link.flush()
    assert cut.get(timeout=10)
    with pytest.raises(LinkCut):
        link.begin(2, TOKENS, OWN.of(len(TOKENS)))
    with pytest.raises(Empty):
        heard.news.get(timeout=0.05)


@pytest.mark.parametrize("way", ["memory", "unix"])
def test_a_cache_is_dropped_or_not_whole(way: str) -> None:
    link, _, heard = joined(joined_by_memory(), way == "memory")
    link.begin(1, TOKENS, OWN.of(len(TOKENS)))
    link.drop(1)
    assert heard.next() == ("dropped", 1)
    ship(link, 2, OWN.of(len(TOKENS)), (8,), skip=1)
    what, (number, why) = heard.next()
    assert (what, number) == ("unusable", 2)
    assert "12 positions of it did not come" in why
    ship(link, 3, OWN.of(len(TOKENS)), (8,))
    assert heard.next()[0] == "arrived"
    link.close()


@pytest.mark.parametrize(
    ("form", "why"),
    [
        (replace(OWN, layers=4, positions=20), "it has 4 layers, not 3"),
        (replace(OWN, kv_heads=1, positions=20), "it has 1 heads, not 2"),
        (replace(OWN, positions=65), "it has 65 positions, and there is room for 64"),
        (replace(OWN, positions=21), "it is of 21 positions, for 20 tokens"),
    ],
)
def test_a_form_that_does_not_fit_is_refused(form: CacheForm, why: str) -> None:
    for shared in (True, False):
        link, _, heard = joined(joined_by_memory(), shared)
        before = opened()
        link.begin(7, TOKENS, form).whole(np.zeros(1, np.float32), {})
        assert heard.next() == ("unusable", (7, why))
        # The link goes on.
        link.drop(8)
        assert heard.next() == ("dropped", 8)
        assert opened() <= before  # what an earlier link still closes only makes them fewer
        link.close()


@pytest.mark.parametrize(
    "data",
    [
        b"\xff" * 64,
        encode({"do": "dance", "cache": 1}),
        encode({"cache": 1}),
        encode({"do": "begin", "cache": "x"}),
        encode({"do": "begin", "cache": 1, "form": 1}),
        encode({"do": "begin", "cache": 1, "form": words_of(OWN.of(1)), "tokens": 7}),
        struct.pack("<IQ", 4, 1 << 60) + b"\x80\x80\x80\x80",
        encode({"do": "begin", "cache": 1, "form": words_of(OWN.of(1)), "tokens": [1]})
        + encode({"do": "piece", "cache": 1, "layer": 9, "start": 0, "count": 1}),
        encode({"do": "begin", "cache": 1, "form": words_of(OWN.of(1)), "tokens": [1]})
        + encode({"do": "piece", "cache": 1, "layer": 0, "start": 0, "count": 1}, b"1234"),
    ],
)
def test_garbage_ends_the_link_and_nothing_else(data: bytes) -> None:
    near, far = joined_by_memory()
    heard = Heard()
    Inbound(far, OWN, heard)
    near.sendall(data)
    news = [heard.next()]
    near.close()
    if news[0][0] == "unusable":
        news.append(heard.next())
    assert news[-1][0] == "cut"


def test_memory_is_as_large_as_its_form_says() -> None:
    with pytest.raises(Unusable, match="smaller than its form"):
        mapped(unnamed(OWN.all_bytes - 1), OWN)
    descriptor = unnamed(OWN.all_bytes)
    with pytest.raises(OSError):
        os.ftruncate(descriptor, 10)
    keys, values = mapped(os.dup(descriptor), OWN)[2]
    keys[1, 2, 3], values[1, 2, 3] = 7, 8
    again = mapped(descriptor, OWN)[2]
    assert (again[0][1, 2, 3], again[1][1, 2, 3]) == (7, 8)


def test_who_computes_waits_for_a_reader_that_is_far_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agentlang.executor.engines.split.outbound.MOST_WAITING", 1 << 16)
    near, far = joined_by_memory()
    link = Outbound(near, False, nothing)
    cache = link.begin(1, TOKENS, OWN.of(len(TOKENS)))
    done: SimpleQueue[int] = SimpleQueue()

    def compute() -> None:
        for turn in range(500):
            cache.piece(turn % 3, 0, *layers(1)[turn % 3])
        done.put(500)

    Thread(target=compute, daemon=True).start()
    with pytest.raises(Empty):
        done.get(timeout=0.3)

    def read() -> None:
        with far:
            while far.recv(1 << 20):
                pass

    reader = Thread(target=read, daemon=True)
    reader.start()
    assert done.get(timeout=10) == 500
    link.close()
    reader.join(10)
