"""An index of passages: which of them are nearest in meaning to a question.

Search is exact: one product of all embeddings with that of the question. A library for approximate search (usearch,
FAISS) pays from some hundred thousand passages on; below, the product takes less time than the question's embedding
(10,000 passages of 384 numbers: 15 MB, about a millisecond), needs no tuning, and misses nothing.

An index is kept as one file. What a document hashes to says whether its passages and embeddings in that file still
hold, so that a change of one document embeds that one again. The file appears by a rename: it is whole or the old one.
"""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, cast

from ...base import paths
from ...base.problems import OutsideError, Problem
from ...base.source import Span
from ...base.store import sha256_bytes, write_atomic
from .. import problems
from ..store.steps import Phase, Progress, Step, silent
from .documents import read
from .passages import VERSION, Cut, cut

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Embeddings = NDArray[np.float32]

# Passages embedded between two reports of progress.
_AT_ONCE = 64


class Encoder(Protocol):
    """What turns texts into embeddings of length one. `key` changes whenever an embedding may."""

    @property
    def key(self) -> str: ...

    @property
    def dimensions(self) -> int: ...

    def embed(self, texts: Sequence[str]) -> Embeddings:
        """`[len(texts), dimensions]`, f32."""
        ...


@dataclass(frozen=True, slots=True)
class Passage:
    """A part of a document: `path` as the pattern writes it, `line` where it starts (from 1); the higher the `score`,
    the better. Scores of a search are cosines, from -1 to 1."""

    path: str
    line: int
    text: str
    score: float


class Index:
    """Passages and their embeddings. Does not change; thread-safe."""

    def __init__(self, passages: tuple[Passage, ...], embeddings: Embeddings, encoder: Encoder) -> None:
        self.passages = passages
        self._embeddings = embeddings
        self.encoder = encoder

    def search(self, question: str, top: int = 8) -> list[Passage]:
        """The `top` passages nearest to the question, best first. Fewer if the index holds fewer."""
        return self.nearest(self.encoder.embed([question])[0], top)

    def nearest(self, vector: NDArray[np.float32], top: int = 8) -> list[Passage]:
        """The `top` passages nearest to a vector of the index's encoder."""
        import numpy as np

        scores = self._embeddings @ vector
        best = np.argsort(-scores, kind="stable")[: max(top, 0)]
        found = [self.passages[int(number)] for number in best]
        return [
            Passage(passage.path, passage.line, passage.text, float(scores[number]))
            for passage, number in zip(found, best, strict=True)
        ]


def build(
    folder: Path,
    pattern: str,
    encoder: Encoder,
    words: int = 120,
    progress: Progress = silent,
    span: Span | None = None,
) -> tuple[Index, tuple[Problem, ...]]:
    """The index of the documents that `pattern` matches below `folder`, in passages of about `words` words.

    The problems are warnings, one for each document left out. Raises `OutsideError` (no-documents). Blocks while it
    embeds what is new; a disk that cannot keep the index costs the next build its time and nothing else.
    """
    import numpy as np

    documents, skipped = read(folder, pattern, span)
    file = _file(folder, pattern, encoder, words)
    kept = _load(file, encoder.dimensions)
    cuts: dict[str, tuple[Cut, ...]] = {}
    for document in documents:
        known = kept.get(document.sha256)
        cuts[document.sha256] = known[0] if known else cut(document.text, words)
    new = {digest: found for digest, found in cuts.items() if digest not in kept}
    embeddings = {digest: kept[digest][1] for digest in cuts if digest in kept}
    embeddings |= _embedded(new, encoder, pattern, progress)
    if set(kept) != set(cuts):
        _keep(file, cuts, embeddings)
    passages = tuple(
        Passage(document.path, part.line, part.text, 0.0) for document in documents for part in cuts[document.sha256]
    )
    if not passages:
        raise OutsideError(problems.no_documents(pattern, str(folder), "the files that match hold no text", span))
    rows = np.concatenate([embeddings[document.sha256] for document in documents])
    return Index(passages, rows, encoder), skipped


def _embedded(
    new: Mapping[str, tuple[Cut, ...]], encoder: Encoder, pattern: str, progress: Progress
) -> dict[str, Embeddings]:
    """The embeddings of new documents. Passages of all of them go to the encoder together, in large runs."""
    import numpy as np

    texts = [part.text for parts in new.values() for part in parts]
    if not texts:
        return {digest: np.zeros((0, encoder.dimensions), np.float32) for digest in new}
    total = sum(map(len, texts))
    done = 0
    rows: list[Embeddings] = []
    for start in range(0, len(texts), _AT_ONCE):
        progress(Step(pattern, Phase.INDEX, done, total))
        run = texts[start : start + _AT_ONCE]
        rows.append(encoder.embed(run))
        done += sum(map(len, run))
    progress(Step(pattern, Phase.INDEX, total, total))
    every, at = np.concatenate(rows), 0
    out: dict[str, Embeddings] = {}
    for digest, parts in new.items():
        out[digest] = every[at : at + len(parts)]
        at += len(parts)
    return out


def _file(folder: Path, pattern: str, encoder: Encoder, words: int) -> Path:
    key = json.dumps([str(folder.absolute()), pattern, encoder.key, words, VERSION])
    return paths.home() / "indexes" / f"{sha256_bytes(key.encode())[:32]}.npz"


def _keep(file: Path, cuts: Mapping[str, tuple[Cut, ...]], embeddings: Mapping[str, Embeddings]) -> None:
    import numpy as np

    table = {digest: [[part.line, part.headings, part.body] for part in parts] for digest, parts in cuts.items()}
    data = io.BytesIO()
    np.savez(
        data,
        table=np.frombuffer(json.dumps(table).encode(), np.uint8),
        embeddings=np.concatenate([embeddings[digest] for digest in cuts]),
    )
    with suppress(OSError):
        write_atomic(file, data.getvalue(), 0o600)


def _load(file: Path, dimensions: int) -> dict[str, tuple[tuple[Cut, ...], Embeddings]]:
    """Passages and embeddings by what their document hashes to; empty if there is no file that can be read."""
    import numpy as np

    try:
        with np.load(io.BytesIO(file.read_bytes()), allow_pickle=False) as arrays:
            table = cast("dict[str, list[list[Any]]]", json.loads(arrays["table"].tobytes()))
            every = cast("Embeddings", arrays["embeddings"])
        if every.shape != (sum(map(len, table.values())), dimensions) or every.dtype != np.float32:
            return {}
        out: dict[str, tuple[tuple[Cut, ...], Embeddings]] = {}
        at = 0
        for digest, parts in table.items():
            cuts = tuple(Cut(int(line), str(headings), str(body)) for line, headings, body in parts)
            out[digest] = (cuts, every[at : at + len(cuts)])
            at += len(cuts)
        return out
    except (OSError, ValueError, KeyError, TypeError, AttributeError, EOFError, zipfile.BadZipFile):
        return {}
