"""Retrieval: an index of documents, search in it, and a reranker. Models run on their engines; what an index computes
itself runs in threads."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from functools import partial
from typing import TYPE_CHECKING, cast

import anyio.from_thread
import anyio.to_thread

from ...executor.kinds import Context, Kind, Opener
from ...ir.library import Batch
from ..text_models import load_scoring
from . import Environment

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

    from ...executor.engines.families import EmbeddingModel, ScoringModel
    from ..retrieval.index import Index, Passage


def stages(environment: Environment) -> Mapping[str, Kind]:
    del environment
    return {
        "search": search,
        "search_all": search_all,
        "lookup": lookup,
        "lookup_all": lookup_all,
        "rerank": rerank,
    }


# Not `rerank`: its model rounds what it computes anew for all that it is given together, so that pairs which are scored
# together change each other's scores (`models.reranker`).
BATCHED = {"search": Batch("search:search_all", "question", "questions")}


def repeatable(name: str, arguments: Mapping[str, object]) -> bool:
    """An index does not change while it is open, and a reranker scores the same passages alike."""
    del name, arguments
    return True


def openers(environment: Environment) -> Mapping[str, Opener]:
    async def open_index(name: str, arguments: Mapping[str, object]) -> Index:
        from ..retrieval.index import build

        del name
        work = partial(
            build,
            environment.folder,
            cast(str, arguments["pattern"]),
            _FromThread(cast("EmbeddingModel", arguments["encoder"])),
            cast(int, arguments["passage"]),
            environment.progress,
        )
        index, skipped = await anyio.to_thread.run_sync(work)
        for problem in skipped:
            environment.warn(problem)
        return index

    async def open_reranker(name: str, arguments: Mapping[str, object]) -> ScoringModel:
        del name
        return await load_scoring(environment, cast(str, arguments["name"]), cast(str, arguments.get("engine", "")))

    return {"index": open_index, "reranker": open_reranker}


class _FromThread:
    """An encoder for an index, which is built in a worker thread."""

    def __init__(self, model: EmbeddingModel) -> None:
        self.model = model
        self.key = model.key
        self.dimensions = model.dimensions

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        # Whoever opens an index and goes away waits for the passages at hand, not for all.
        anyio.from_thread.check_cancelled()
        return anyio.from_thread.run(self.model.embed, texts)


async def search(context: Context, arguments: Mapping[str, object]) -> tuple[dict[str, object], ...]:
    """The passages nearest to the question, as records."""
    (found,) = await search_all(context, {**arguments, "questions": (arguments["question"],)})
    return found


async def search_all(context: Context, arguments: Mapping[str, object]) -> tuple[tuple[dict[str, object], ...], ...]:
    """What `search` finds for each of several questions, which are embedded together."""
    index, questions = cast("Index", arguments["self"]), cast("tuple[str, ...]", arguments["questions"])
    encoder = cast(_FromThread, index.encoder).model
    return await lookup_all(context, {**arguments, "vectors": await encoder.embed(questions)})


async def lookup(context: Context, arguments: Mapping[str, object]) -> tuple[dict[str, object], ...]:
    """What `search` finds, by the vector of the question."""
    (found,) = await lookup_all(context, {**arguments, "vectors": (arguments["vector"],)})
    return found


async def lookup_all(context: Context, arguments: Mapping[str, object]) -> tuple[tuple[dict[str, object], ...], ...]:
    """What `search` finds for each of several questions, by their vectors."""
    import numpy as np

    del context
    index, top = cast("Index", arguments["self"]), cast(int, arguments["top"])
    # The encoder's own numbers again: what came of f32 becomes it exactly.
    vectors = [np.asarray(vector, np.float32) for vector in cast("tuple[tuple[float, ...], ...]", arguments["vectors"])]
    found = await anyio.to_thread.run_sync(lambda: [index.nearest(vector, top) for vector in vectors])
    return tuple(map(_records, found))


async def rerank(context: Context, arguments: Mapping[str, object]) -> tuple[dict[str, object], ...]:
    """The passages that answer the question best, as records with new scores."""
    from ..retrieval.index import Passage
    from ..retrieval.ranking import best

    del context
    judge = cast("ScoringModel", arguments["self"])
    question, keep = cast(str, arguments["question"]), cast(int, arguments["keep"])
    passages = [Passage(**p) for p in cast("tuple[dict[str, object], ...]", arguments["passages"])]  # pyright: ignore[reportArgumentType]
    scores = await judge.score(question, [passage.text for passage in passages])
    return _records(best(scores, passages, keep))


def _records(passages: list[Passage]) -> tuple[dict[str, object], ...]:
    return tuple(asdict(passage) for passage in passages)
