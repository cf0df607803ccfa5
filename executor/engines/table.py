"""The table engine: encoders without layers. A text's vector is the mean of its tokens' rows in a table, so there is
nothing to compile and nothing to batch.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NoReturn, Protocol, runtime_checkable

import anyio.to_thread

from ...base.problems import OutsideError
from .families import Operation, TextModelSource, TextModelSpec
from .problems import model_does_not_load
from .protocol import Capabilities, ModelSpec

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from .families import Vectors

_AT_ONCE = 256  # texts between two looks at whether the caller has gone


@runtime_checkable
class TableSource(TextModelSource, Protocol):
    """A source of word vectors."""

    @property
    def table(self) -> NDArray[np.float32]:
        """A row for each token."""
        ...

    def tokens(self, texts: Sequence[str]) -> list[list[int]]:
        """The tokens of each text, one at least, each with a row."""
        ...


class TableEncoder:
    """An `EmbeddingModel`. Thread-safe."""

    def __init__(self, source: TableSource) -> None:
        self._source = source
        self.key = source.key
        self.dimensions = int(source.table.shape[1])

    async def embed(self, texts: Sequence[str]) -> Vectors:
        import numpy as np

        out = np.zeros((len(texts), self.dimensions), np.float32)
        for start in range(0, len(texts), _AT_ONCE):
            part = texts[start : start + _AT_ONCE]
            out[start : start + len(part)] = await anyio.to_thread.run_sync(self.vectors, part)
        return out

    async def close(self) -> None:
        await anyio.sleep(0)

    def vectors(self, texts: Sequence[str]) -> Vectors:
        """As `embed`, in this thread."""
        import numpy as np

        table = self._source.table
        out = np.zeros((len(texts), self.dimensions), np.float32)
        for number, tokens in enumerate(self._source.tokens(texts)):
            mean = table[tokens].mean(axis=0, dtype=np.float64)
            length = float(np.linalg.norm(mean))
            # Rows that cancel out have no direction: any will do, the same each time.
            out[number] = mean / length if length > 1e-12 else np.eye(1, self.dimensions)[0]
        return out


class TableEngine:
    """An `Engine` that names EMBED."""

    @property
    def name(self) -> str:
        return "table"

    @property
    def operations(self) -> frozenset[Operation]:
        return frozenset({Operation.EMBED})

    @property
    def capabilities(self) -> Capabilities:
        return Capabilities(sequences_per_step=0)

    async def load(self, spec: ModelSpec) -> NoReturn:
        raise OutsideError(model_does_not_load(spec.name, "the engine 'table' runs no chat models"))

    async def load_embedding(self, spec: TextModelSpec) -> TableEncoder:
        source = spec.source
        if source is None or not hasattr(source, "tokens"):  # asking for the table would read it here
            raise OutsideError(model_does_not_load(spec.name, "the engine 'table' needs a table of word vectors"))
        return await anyio.to_thread.run_sync(_opened, source)


def _opened(source: TextModelSource) -> TableEncoder:
    assert isinstance(source, TableSource)
    return TableEncoder(source)
