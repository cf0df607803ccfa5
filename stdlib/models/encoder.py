"""Sentence encoders as `embed.sentence` opens them: a BERT checkpoint for the engine that runs it.

A text longer than the model was trained on is not cut: it comes in windows of about equal length.
"""

# JAX's own annotations leave parts of its functions' types unknown.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .bert_config import BertConfig, read_weights
from .wordpiece import WordPiece

if TYPE_CHECKING:
    from .bert_config import Loaded

# Tokens of a window, markers included: what sentence-transformers reads with all-MiniLM.
LONGEST = 256
LENGTHS = (16, 32, 64, 128, 192, LONGEST)
BATCHES = (1, 8)
_READING_VERSION = 2


class BertSource:
    """An `EncoderSource` of the executor: `files` are a safetensors file (`weights`) and its `tokenizer`."""

    def __init__(self, files: Mapping[str, Path], config: BertConfig, name: str, weights_hash: str) -> None:
        self.files = files
        self.key = f"{weights_hash} {LONGEST} {_READING_VERSION}"
        self._functions = BertFunctions(files, config, name)

    def functions(self) -> BertFunctions:
        return self._functions


class BertFunctions:
    """The `EncoderFunctions` of a BERT checkpoint. Files are read when first needed; thread-safe."""

    def __init__(self, files: Mapping[str, Path], config: BertConfig, name: str) -> None:
        self._files = files
        self._config = config
        self._name = name
        self.tokenizer = WordPiece(files["tokenizer"], name)
        self.dimensions = config.d_model
        self.batches = BATCHES
        room = min(LONGEST, config.context)
        self.lengths = (*(length for length in LENGTHS if length < room), room)

    @property
    def key(self) -> str:
        return self._key

    @cached_property
    def _key(self) -> str:
        from . import bert

        code = hashlib.sha256(Path(bert.__file__).read_bytes() + Path(__file__).read_bytes()).hexdigest()
        return f"{self._config} {code}"

    def windows(self, texts: Sequence[str]) -> Iterator[tuple[int, list[int]]]:
        start, end, _ = self._markers
        for number, ids in enumerate(self.tokenizer.encode(texts)):
            for window in _windows(ids, self.lengths[-1] - 2):
                yield number, [start, *window, end]

    def inputs(self, windows: Sequence[Sequence[int]], size: int, length: int) -> tuple[Any, Any]:
        """The tokens' rows of the table, which stays on the host, and which of them are real."""
        import numpy as np

        mask = np.zeros((size, length), dtype=np.float32)
        ids = np.full((size, length), self._markers[2], dtype=np.int64)
        for row, tokens in enumerate(windows):
            ids[row, : len(tokens)] = tokens
            mask[row, : len(tokens)] = 1.0
        return self._loaded.table[ids], mask

    def weights(self) -> list[Any]:
        import jax

        return jax.tree.leaves(self._loaded.weights)

    def program(self, size: int, length: int) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        import jax
        import jax.numpy as jnp

        from . import bert

        shapes = bert.weight_shapes(self._config)
        tree = jax.tree.structure(shapes)

        def encode(leaves: Any, words: Any, mask: Any) -> Any:
            # Flat leaves, since the trees of kept programs are of plain lists.
            return bert.encode(self._config, jax.tree.unflatten(tree, leaves), words, mask)

        shape = partial(jax.ShapeDtypeStruct, dtype=jnp.float32)
        return encode, (jax.tree.leaves(shapes), shape((size, length, self.dimensions)), shape((size, length)))

    @cached_property
    def _loaded(self) -> Loaded:
        return read_weights(self._files["weights"], self._config, self._name)

    @cached_property
    def _markers(self) -> tuple[int, int, int]:
        """Ids of the start, the end and the padding of a text."""
        return self.tokenizer.token("[CLS]"), self.tokenizer.token("[SEP]"), self.tokenizer.token("[PAD]")


def _windows(ids: list[int], room: int) -> Iterator[list[int]]:
    """Parts of about equal length that fit the model, markers left out; a text without tokens is one empty part."""
    parts = max(1, -(-len(ids) // room))
    for part in range(parts):
        yield ids[len(ids) * part // parts : len(ids) * (part + 1) // parts]
