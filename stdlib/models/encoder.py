"""Texts to embeddings: the sentence encoder that `embed.sentence` opens.

Texts are sorted by length and run in batches of a few static shapes, so that little is spent on padding; each shape is
compiled once on a machine and kept. A text longer than the model was trained on is not cut: it is read in windows, and
their embeddings are averaged by length.
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
    import numpy as np
    from numpy.typing import NDArray

    from ...executor.engines.packaged import PackagedModel
    from ...executor.engines.xla.kept import KeptPrograms
    from ...executor.engines.xla.native import NativeFunctions

    Embeddings = NDArray[np.float32]

# Tokens of a window, markers included: what sentence-transformers reads with all-MiniLM.
LONGEST = 256
LENGTHS = (16, 32, 64, 128, 192, LONGEST)
BATCHES = (1, 8)


class SentenceEncoder:
    """`embed(texts)` gives an embedding of length one for each text. Opened when first used; thread-safe.

    `key` changes whenever embeddings may: it names the weights and the way they are read.
    """

    def __init__(
        self,
        files: Mapping[str, Path],
        config: BertConfig,
        name: str,
        weights_hash: str,
        package: PackagedModel | None = None,
    ) -> None:
        self._files = files
        self._config = config
        self._name = name
        self._package = package
        self._tokenizer = WordPiece(files["tokenizer"], name)
        self.dimensions = config.d_model
        self.key = f"{weights_hash} {LONGEST} {_READING_VERSION}"

    def embed(self, texts: Sequence[str]) -> Embeddings:
        """`[len(texts), dimensions]`, f32, each row of length one. Raises `OutsideError` (model-does-not-load)."""
        import numpy as np

        rows: list[tuple[int, list[int]]] = []
        for number, ids in enumerate(self._tokenizer.encode(texts)):
            rows += [(number, window) for window in _windows(ids)]
        rows.sort(key=lambda row: len(row[1]))
        out = np.zeros((len(texts), self.dimensions), dtype=np.float32)
        for batch in _batches(rows):
            for (number, ids), embedding in zip(batch, self._run([ids for _, ids in batch]), strict=True):
                out[number] += embedding * len(ids)
        lengths = np.linalg.norm(out, axis=1, keepdims=True)
        return out / np.maximum(lengths, 1e-12)

    def count(self, text: str) -> int:
        """How many tokens a text has, without markers."""
        return self._tokenizer.count(text)

    def open(self) -> None:
        """Read the model, and what a short question needs, now instead of at the first text."""
        self._run([[]])

    @property
    def compiled(self) -> int:
        """How many programs were compiled here rather than loaded, for tests and reports."""
        return self._programs.compiled

    def _run(self, batch: Sequence[Sequence[int]]) -> Embeddings:
        """Embeddings of up to `BATCHES[-1]` windows (ids without markers)."""
        import numpy as np

        length = next(length for length in LENGTHS if max(len(ids) for ids in batch) + 2 <= length)
        size = next(size for size in BATCHES if len(batch) <= size)
        mask = np.zeros((size, length), dtype=np.float32)
        ids = np.full((size, length), self._markers[2], dtype=np.int64)
        for row, given in enumerate(batch):
            marked = [self._markers[0], *given, self._markers[1]]
            ids[row, : len(marked)] = marked
            mask[row, : len(marked)] = 1.0
        table, weights = self._loaded
        if self._native is not None:
            program = self._native.get(f"encode_{size}_{length}")
        else:
            program = self._programs.get(f"bert-{size}-{length}", lambda: self._function(size, length))
        return np.asarray(program(weights, table[ids], mask))[: len(batch)]

    def _function(self, size: int, length: int) -> tuple[Any, tuple[Any, ...]]:
        import jax
        import jax.numpy as jnp

        from . import bert

        tree = jax.tree.structure(bert.weight_shapes(self._config))

        def own(leaves: Any, words: Any, mask: Any) -> Any:
            # Flat leaves, since the trees of kept programs are of plain lists.
            return bert.encode(self._config, jax.tree.unflatten(tree, leaves), words, mask)

        encode = own
        if self._package is not None:
            from ...executor.engines.xla.load import callable_of

            call = callable_of(self._package.functions[f"encode_{size}_{length}"])

            def packaged(leaves: Any, words: Any, mask: Any) -> Any:
                return call(*leaves, words, mask)[0]

            encode = packaged
        shape = partial(jax.ShapeDtypeStruct, dtype=jnp.float32)
        leaves = jax.tree.leaves(bert.weight_shapes(self._config))
        return jax.jit(encode), (leaves, shape((size, length, self.dimensions)), shape((size, length)))

    @cached_property
    def _loaded(self) -> tuple[Any, list[Any]]:
        """The token table on the host, and the other weights on the device."""
        import jax

        found = read_weights(self._files["weights"], self._config, self._name)
        put: Callable[[Any], Any] = jax.device_put if self._native is None else self._native.put
        return found.table, [put(leaf) for leaf in jax.tree.leaves(found.weights)]

    @cached_property
    def _native(self) -> NativeFunctions | None:
        """The functions where they came as machine code."""
        if self._package is None or self._package.kind != "iree":
            return None
        from ...executor.engines.xla.native import NativeFunctions

        return NativeFunctions(self._name, self._package)

    @cached_property
    def _programs(self) -> KeptPrograms:
        from ...executor.engines.xla.kept import KeptPrograms, kept_programs
        from . import bert

        code = hashlib.sha256(Path(bert.__file__).read_bytes() + Path(__file__).read_bytes()).hexdigest()
        if self._package is not None:
            code = f"package {self._package.digest}"
        try:
            return KeptPrograms(f"{self._config} {code}", kept_programs())
        except OSError:
            # A home that cannot be written costs each start a compilation, and no answer.
            return KeptPrograms(f"{self._config} {code}", None)

    @cached_property
    def _markers(self) -> tuple[int, int, int]:
        """Ids of the start, the end and the padding of a text."""
        return self._tokenizer.token("[CLS]"), self._tokenizer.token("[SEP]"), self._tokenizer.token("[PAD]")


_READING_VERSION = 1


def _windows(ids: list[int]) -> Iterator[list[int]]:
    """Parts of about equal length that fit the model, markers left out; a text without tokens is one empty part."""
    room = LONGEST - 2
    parts = max(1, -(-len(ids) // room))
    for part in range(parts):
        yield ids[len(ids) * part // parts : len(ids) * (part + 1) // parts]


def _batches(rows: list[tuple[int, list[int]]]) -> Iterator[list[tuple[int, list[int]]]]:
    """Runs of rows of like length. The last few go one by one where a batch would be padding for the most part."""
    size = BATCHES[-1]
    for start in range(0, len(rows), size):
        batch = rows[start : start + size]
        if len(batch) > size // 4:
            yield batch
        else:
            yield from ([row] for row in batch)
