"""Pages in files: whole, private, bounded; and what is damaged is not there."""

from __future__ import annotations

import stat
from pathlib import Path
from threading import Event

import numpy as np
import pytest

from agentlang.base import paths
from agentlang.executor.engines.xla.paged.store import PageStore, folder_of

SHAPE = (2, 2, 1, 4, 3)
SIZE = 4 * 48


class Store(PageStore):
    def __init__(self, folder: Path | None, most: float = 1e6) -> None:
        self.heard: list[tuple[str, bool]] = []
        self.event = Event()

        def fetched(name: str, found: bool) -> None:
            self.heard.append((name, found))
            self.event.set()

        def spoilt(name: str) -> None:
            self.heard.append((f"spoilt {name}", False))
            self.event.set()

        super().__init__(SHAPE, folder, most, fetched, spoilt)

    def put(self, name: str, seed: int) -> None:
        draw = np.random.default_rng(seed)
        self.save(name, [(draw.random((1, 4, 3), np.float32), draw.random((1, 4, 3), np.float32)) for _ in range(2)])

    def get(self, name: str) -> bool:
        self.event.clear()
        self.fetch([name])
        assert self.event.wait(5)
        found = self.heard[-1][1]
        if found:
            self.arrived(name)
        return found


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("AGENTLANG_HOME", str(tmp_path))
    return folder_of("a model", "f32", SHAPE)


def test_a_page_comes_back_as_it_went(folder: Path) -> None:
    store = Store(folder)
    store.put("one", 1)
    before = store.load("one")
    store.spill("one")
    assert store.host == 0
    # It is asked for before it is written, perhaps.
    assert store.get("one")
    for ours, theirs in zip(store.load("one"), before, strict=True):
        assert np.array_equal(ours[0], theirs[0]) and np.array_equal(ours[1], theirs[1])
    store.close()
    file = folder / "one.kv"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert paths.home() in folder.parents
    other = Store(folder)
    assert other.kept(10) == ("one",) and other.get("one")
    other.close()
    assert folder_of("a model", "bf16", SHAPE) != folder != folder_of("another", "f32", SHAPE)


@pytest.mark.parametrize("damage", ["flipped", "cut", "longer", "another", "gone"])
def test_what_is_damaged_is_not_there(folder: Path, damage: str) -> None:
    store = Store(folder)
    for seed, name in enumerate(("one", "two")):
        store.put(name, seed)
        store.spill(name)
    assert store.get("two")
    store.forget("two", disk=False)
    file = folder / "one.kv"
    data = file.read_bytes()
    match damage:
        case "flipped":
            file.write_bytes(data[:-5] + bytes([data[-5] ^ 1]) + data[-4:])
        case "cut":
            file.write_bytes(data[:-1])
        case "longer":
            file.write_bytes(data + b"x")
        case "another":
            file.write_bytes((folder / "two.kv").read_bytes())
        case _:
            file.unlink()
    assert not store.get("one")
    assert not file.exists()
    assert store.get("two")
    store.close()


def test_the_disk_is_bounded_for_all_who_write(folder: Path) -> None:
    one, other = Store(folder, 5 * (SIZE + 80)), Store(folder, 5 * (SIZE + 80))
    for number in range(8):
        store = (one, other)[number % 2]
        store.put(f"p{number}", number)
        store.spill(f"p{number}")
        assert store.get(f"p{number}")
    one.close()
    other.close()
    assert 1 < len(list(folder.iterdir())) <= 5


def test_what_cannot_be_written_is_said(folder: Path) -> None:
    store = Store(folder)
    store.put("one", 1)
    (folder / "one.kv").mkdir()
    store.spill("one")
    assert store.event.wait(5)
    assert store.heard == [("spoilt one", False)]
    store.close()
