"""Static word vectors as `embed.sentence` opens them: a table with a row for each token, and a text is the mean of its
tokens' rows. No layers, so a text takes microseconds, and the order of its words does not count.
"""

# safetensors' functions have partly unknown types.
# pyright: reportUnknownVariableType=false

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...base.problems import OutsideError
from ...executor.engines.problems import model_does_not_load
from .wordpiece import WordPiece

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_TENSOR = "embedding.weight"
_UNKNOWN = 0  # the row that stands for a text without tokens
_READING_VERSION = 1


class WordTableSource:
    """A `TableSource` of the executor: `files` are a safetensors file with one table (`weights`) and its `tokenizer`.
    Thread-safe once it was opened. Raises `OutsideError` (model-does-not-load) where files are damaged."""

    def __init__(self, files: Mapping[str, Path], name: str, weights_hash: str) -> None:
        self.files = files
        self.key = f"{weights_hash} table {_READING_VERSION}"
        self._name = name
        self._tokenizer = WordPiece(files["tokenizer"], name)

    @property
    def table(self) -> NDArray[np.float32]:
        return self._table

    def tokens(self, texts: Sequence[str]) -> list[list[int]]:
        rows = len(self._table)
        return [[min(token, rows - 1) for token in found] or [_UNKNOWN] for found in self._tokenizer.encode(texts)]

    @cached_property
    def _table(self) -> NDArray[np.float32]:
        import numpy as np
        from safetensors import SafetensorError
        from safetensors.numpy import load_file

        file = self.files["weights"]
        try:
            table: NDArray[Any] | None = load_file(file).get(_TENSOR)
        except (SafetensorError, OSError, ValueError) as error:
            raise OutsideError(model_does_not_load(self._name, f"{file.name}: {error}")) from error
        if table is None or table.ndim != 2 or not table.size:
            raise OutsideError(model_does_not_load(self._name, f"{file.name} has no table of word vectors"))
        return np.ascontiguousarray(table, np.float32)
