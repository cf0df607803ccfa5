"""Sentence encoders: texts to vectors, one by one or many at once. Embedding computes, so it runs in threads; many
texts in runs of some, so that a call that is stopped ends after the runs at hand. How near two vectors are says
`list:cosine`."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TYPE_CHECKING, cast

import anyio.to_thread

from ...base.problems import OutsideError
from ...executor.kinds import Context, Kind, Opener
from ...ir.library import Batch
from .. import problems, store
from ..extras import need_models
from . import Environment

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from ...executor.engines.remote.encoder import RemoteEncoder
    from ..models.encoder import SentenceEncoder
    from ..retrieval import Encoder

# Texts that go to the encoder in one piece: two of its largest batches.
_AT_ONCE = 16
BATCHED = {"embed": Batch("embed:embed_all", "text", "texts")}


def stages(environment: Environment) -> Mapping[str, Kind]:
    del environment
    return {"embed": embed, "embed_all": embed_all}


def repeatable(name: str, arguments: Mapping[str, object]) -> bool:
    """A text's vector depends on the text and the model alone."""
    del name, arguments
    return True


def openers(environment: Environment) -> Mapping[str, Opener]:
    async def open_encoder(name: str, arguments: Mapping[str, object]) -> SentenceEncoder | RemoteEncoder:
        from ..models.opening import open_encoder

        del name
        wanted = cast(str, arguments["name"])
        if wanted in environment.endpoints:
            from ..served import open_served_encoder

            return await open_served_encoder(environment, wanted)
        need_models("an encoder")
        entry = store.entry(wanted)
        if entry.role != "embed":
            raise OutsideError(problems.wrong_role(wanted, entry.role, "embed"))
        files = await anyio.to_thread.run_sync(store.obtain, entry, environment.progress)
        encoder = open_encoder(entry, files, environment.packages.get(wanted))
        await anyio.to_thread.run_sync(encoder.open)
        return encoder

    return {"model": open_encoder}


async def embed(context: Context, arguments: Mapping[str, object]) -> tuple[float, ...]:
    """The vector of a text, of length one."""
    del context
    (vector,) = await vectors(cast("SentenceEncoder", arguments["self"]), (cast(str, arguments["text"]),))
    return vector


async def embed_all(context: Context, arguments: Mapping[str, object]) -> tuple[tuple[float, ...], ...]:
    """The vectors of texts, in their order."""
    del context
    return await vectors(cast("SentenceEncoder", arguments["self"]), cast("Sequence[str]", arguments["texts"]))


async def vectors(encoder: SentenceEncoder, texts: Sequence[str]) -> tuple[tuple[float, ...], ...]:
    """The vectors of texts, as numbers of the language."""
    return tuple(tuple(row.tolist()) for row in await rows(encoder, texts))


async def rows(encoder: Encoder, texts: Sequence[str]) -> list[NDArray[np.float32]]:
    """The vectors of texts. In runs of texts of like length, so that little is padding, and as many at once as there
    are cores, for a small model keeps one of them busy. Two texts are no batch worth its padding: each is a run. An
    encoder that is elsewhere is asked for all."""
    elsewhere = cast(
        "Callable[[Sequence[str]], Awaitable[list[NDArray[np.float32]]]] | None", getattr(encoder, "rows", None)
    )
    if elsewhere is not None:
        return await elsewhere(texts)
    order = sorted(range(len(texts)), key=lambda number: len(texts[number]))
    size = _AT_ONCE if len(texts) > 2 else 1
    runs = [order[start : start + size] for start in range(0, len(order), size)]
    found: dict[int, NDArray[np.float32]] = {}
    failures: list[Exception] = []
    cores = anyio.CapacityLimiter(os.cpu_count() or 1)

    async def embedded(run: list[int]) -> None:
        try:
            made = await anyio.to_thread.run_sync(encoder.embed, [texts[number] for number in run], limiter=cores)
            found.update(zip(run, made, strict=True))
        except Exception as failure:  # raised below, as it is: a group would hide what it is
            failures.append(failure)
            group.cancel_scope.cancel()

    async with anyio.create_task_group() as group:
        for run in runs:
            group.start_soon(embedded, run)
    if failures:
        raise failures[0]
    return [found[number] for number in range(len(texts))]
