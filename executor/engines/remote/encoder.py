"""An encoder behind an endpoint: texts to vectors of length one, by `/embeddings`."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from .client import Client

_AT_ONCE = 64  # texts of a request


class RemoteEncoder:
    """An `EmbeddingModel`. Opened by `open`, which asks how many numbers a vector has."""

    def __init__(self, client: Client, model: str) -> None:
        self._client = client
        self._model = model
        self._dimensions = 0

    @property
    def key(self) -> str:
        """Names what the vectors are of. An endpoint may change its model behind the same name, and nobody would know:
        whoever keeps vectors keeps them by this."""
        return f"endpoint {self._model} {self._dimensions}"

    @property
    def dimensions(self) -> int:
        return self._dimensions

    async def open(self) -> None:
        """Raises `EndpointError`."""
        self._dimensions = len((await self._asked(["how long is a vector?"]))[0])

    async def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """`[len(texts), dimensions]`, f32, in the order of the texts. Raises `EndpointError`."""
        rows: list[NDArray[np.float32]] = []
        for start in range(0, len(texts), _AT_ONCE):
            rows += await self._asked(list(texts[start : start + _AT_ONCE]))
        return np.stack(rows) if rows else np.zeros((0, self._dimensions), np.float32)

    async def close(self) -> None:
        await self._client.aclose()

    async def _asked(self, texts: list[str]) -> list[NDArray[np.float32]]:
        answer = await self._client.post("/embeddings", {"model": self._model, "input": texts})
        found = answer.get("data")
        vectors: dict[int, NDArray[np.float32]] = {}
        for entry in cast("list[Any]", found) if isinstance(found, list) else []:
            number, vector = self._vector(entry)
            vectors[number] = vector
        if sorted(vectors) != list(range(len(texts))):
            raise self._client.garbled(f"it gives no vector for each of {len(texts)} texts")
        return [vectors[number] for number in range(len(texts))]

    def _vector(self, entry: object) -> tuple[int, NDArray[np.float32]]:
        said = cast("dict[str, Any]", entry) if isinstance(entry, dict) else {}
        number, given = said.get("index"), said.get("embedding")
        if not isinstance(number, int) or not isinstance(given, list) or not given:
            raise self._client.garbled("what it says of a text is no vector")
        numbers = cast("list[Any]", given)
        if not all(isinstance(each, int | float) and math.isfinite(each) for each in numbers):
            raise self._client.garbled("a vector holds what is no number")
        vector = np.asarray(numbers, np.float64)
        length = float(np.linalg.norm(vector))
        if not length or self._dimensions not in (0, len(vector)):
            raise self._client.garbled("its vectors are of different lengths, or of none")
        return number, (vector / length).astype(np.float32)
