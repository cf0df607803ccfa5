"""KV pages that make way, on XLA: replies are the same, prompts are not computed again, nothing private is written."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import anyio
import pytest

from agentlang.base import paths
from agentlang.executor.engines.protocol import ModelSpec, Sampling, Service
from agentlang.executor.engines.xla.engine import XlaEngine
from agentlang.executor.engines.xla.paged.away import PutAway
from agentlang.executor.engines.xla.paged.model import PagedModel
from agentlang.stdlib.models.tiny import CONFIG, TinyLlama

pytestmark = pytest.mark.slow
MODEL = TinyLlama(config=replace(CONFIG, context=512), seed=1)
SMALL = 2.0
"""Bytes of cache: as few pages as there can be, a quarter of the context and no more."""
PROMPTS = [tuple(5 + (place * own + 29 * own) % 200 for place in range(90)) for own in (1, 3, 7, 11)]
MANY = [tuple(5 + (place * own + 31 * own) % 199 for place in range(90)) for own in range(1, 15)]
"""More than there is memory for."""


@pytest.fixture(autouse=True)
def home(tmp_path_factory: pytest.TempPathFactory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Programs of one place for the module, so that each compiles once; pages of one for each test.
    shared = tmp_path_factory.getbasetemp() / "programs"
    (shared / "private" / "xla").mkdir(parents=True, exist_ok=True, mode=0o700)
    (tmp_path / "private").mkdir(mode=0o700)
    (tmp_path / "private" / "xla").symlink_to(shared / "private" / "xla")
    monkeypatch.setenv("AGENTLANG_HOME", str(tmp_path))
    # To compute a page of so small a model takes no longer than to copy it: without its speed, pages come back.
    monkeypatch.setattr(PutAway, "prefilled", lambda *_: None)


async def replies(
    model: PagedModel, prompts: list[tuple[int, ...]], private: bool = False
) -> list[tuple[list[int], int]]:
    out: list[tuple[list[int], int]] = []
    for prompt in prompts:
        sequence = await model.prefill(prompt, service=Service(private=private))
        tokens = [token async for token in model.decode(sequence, Sampling(max_tokens=6))]
        out.append((tokens, sequence.stats.cached_tokens))
        await model.release(sequence)
    return out


async def opened(**more: float) -> PagedModel:
    model = await XlaEngine(cache_bytes=SMALL, **more).load(ModelSpec("tiny", MODEL))
    assert isinstance(model, PagedModel)
    return model


def files() -> list[Path]:
    return sorted((paths.home() / "private" / "kv").rglob("*.kv"))


def test_replies_are_the_same_and_prompts_are_not_computed_again() -> None:
    async def main() -> None:
        plain = await opened()
        said = await replies(plain, PROMPTS * 2)
        # Each prompt has made way for the others when it comes again.
        assert [cached for _, cached in said] == [0] * 8
        await plain.close()
        kept = await opened(host_bytes=1e8)
        assert kept.away is not None
        found = await replies(kept, PROMPTS * 3)
        assert [tokens for tokens, _ in found] == [tokens for tokens, _ in said] + [tokens for tokens, _ in said[:4]]
        store = kept.away.store
        assert store.saved and store.loaded
        assert [cached for _, cached in found[4:]] == [64] * 8
        await kept.close()
        assert files() == []

    anyio.run(main)


def test_another_process_finds_them_on_the_disk_and_damaged_ones_not() -> None:
    async def main() -> None:
        plain = await opened()
        said = [tokens for tokens, _ in await replies(plain, MANY)]
        await plain.close()
        first = await opened(host_bytes=0.0, disk_bytes=1e8)
        assert [tokens for tokens, _ in await replies(first, MANY * 3)] == said * 3
        await first.close()
        there = files()
        assert there
        assert all(file.stat().st_mode & 0o077 == 0 and file.parent.stat().st_mode & 0o077 == 0 for file in there)
        other = await opened(disk_bytes=1e8)
        found = await replies(other, MANY)
        assert [tokens for tokens, _ in found] == said
        assert max(cached for _, cached in found) == 64
        await other.close()
        for file in files():
            data = bytearray(file.read_bytes())
            data[-7] ^= 1
            file.write_bytes(bytes(data))
        third = await opened(disk_bytes=1e8)
        assert await replies(third, MANY[:1]) == [(said[0], 0)]
        assert third.away is not None and third.away.store.damaged
        await third.close()

    anyio.run(main)


def test_nothing_private_is_written() -> None:
    async def main() -> None:
        model = await opened(host_bytes=0.0, disk_bytes=1e8)
        for _ in range(2):
            await replies(model, MANY, private=True)
        await model.close()
        assert files() == []

    anyio.run(main)
