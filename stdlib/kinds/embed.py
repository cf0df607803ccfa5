"""Sentence encoders: texts to vectors, one by one or many at once, by the engine that runs the model. How near two
vectors are says `list:cosine`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, cast

from ...executor.kinds import Context, Kind, Opener
from ...ir.library import Batch
from ..text_models import load_embedding
from . import Environment

if TYPE_CHECKING:
    from ...executor.engines.families import EmbeddingModel

BATCHED = {"embed": Batch("embed:embed_all", "text", "texts")}


def stages(environment: Environment) -> Mapping[str, Kind]:
    del environment
    return {"embed": embed, "embed_all": embed_all}


def repeatable(name: str, arguments: Mapping[str, object]) -> bool:
    """A text's vector depends on the text and the model alone."""
    del name, arguments
    return True


def openers(environment: Environment) -> Mapping[str, Opener]:
    async def open_encoder(name: str, arguments: Mapping[str, object]) -> EmbeddingModel:
        del name
        wanted = cast(str, arguments["name"])
        if wanted in environment.endpoints:
            from ..served import open_served_encoder

            return await open_served_encoder(environment, wanted)
        return await load_embedding(environment, wanted, cast(str, arguments.get("engine", "")))

    return {"model": open_encoder}


async def embed(context: Context, arguments: Mapping[str, object]) -> tuple[float, ...]:
    """The vector of a text, of length one."""
    del context
    (vector,) = await _vectors(arguments, (cast(str, arguments["text"]),))
    return vector


async def embed_all(context: Context, arguments: Mapping[str, object]) -> tuple[tuple[float, ...], ...]:
    """The vectors of texts, in their order."""
    del context
    return await _vectors(arguments, cast("Sequence[str]", arguments["texts"]))


async def _vectors(arguments: Mapping[str, object], texts: Sequence[str]) -> tuple[tuple[float, ...], ...]:
    """The vectors of texts, as numbers of the language."""
    rows = await cast("EmbeddingModel", arguments["self"]).embed(texts)
    return tuple(tuple(row) for row in rows.tolist())
