"""An index of passages: which of them are nearest in meaning to a question.

Search in a small index is exact: one product of all vectors with that of the question, which takes less time than the
question's vector does, needs no tuning and misses nothing. From `GRAPH_FROM` passages on a graph says which vectors to
compare (see `graph`); what it finds is then compared exactly, so that scores are what they are without it.

An index is kept as a file (see `kept`). What a document hashes to says whether its passages and vectors in that file
still hold, so that a change of one document embeds that one again; another encoder, or another size of passages, is
another file.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from ...base import paths
from ...base.problems import OutsideError, Problem
from ...base.source import Span
from ...base.store import sha256_bytes
from .. import problems
from ..store.steps import Phase, Progress, Step, silent
from . import graph as graphs
from .documents import read
from .kept import Kept, keep, load
from .passages import VERSION, Cut, cut

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Embeddings = NDArray[np.float32]

# Measured by `python -m benchmarks.search`: from here on an exact search takes longer than the question's vector.
GRAPH_FROM = 50_000
# Rows that a graph is asked for, for each passage wanted, and at least.
_MORE, _LEAST = 4, 64

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
    """Passages and their vectors, a row for each; `rows` says which, where it is not the passage's number. Does not
    change; thread-safe. With a graph, a passage that is nearest may be missed now and then."""

    def __init__(
        self,
        passages: tuple[Passage, ...],
        vectors: Embeddings,
        encoder: Encoder,
        rows: NDArray[np.int64] | None = None,
        graph: graphs.Graph | None = None,
    ) -> None:
        self.passages = passages
        self._vectors = vectors
        self.encoder = encoder
        self._rows = rows
        self._graph = graph

    @property
    def exact(self) -> bool:
        """Whether a search compares all passages."""
        return self._graph is None

    def search(self, question: str, top: int = 8) -> list[Passage]:
        """The `top` passages nearest to the question, best first. Fewer if the index holds fewer."""
        return self.nearest(self.encoder.embed([question])[0], top)

    def nearest(self, vector: NDArray[np.float32], top: int = 8) -> list[Passage]:
        """The `top` passages nearest to a vector of the index's encoder; equal ones in the order of the documents."""
        import numpy as np

        top = min(max(top, 0), len(self.passages))
        wanted = max(_LEAST, _MORE * top)
        if self._graph is None or wanted * 4 > len(self.passages):
            scores = self._vectors @ vector
            if self._rows is not None:
                scores = scores[self._rows]
            numbers = np.arange(len(scores))
        else:
            near = np.sort(self._graph.near(vector, wanted))
            numbers, of = (near, near) if self._rows is None else _of_rows(self._rows, near)
            scores = self._vectors[of] @ vector
        best = _best(scores, numbers, top)
        return [
            Passage(passage.path, passage.line, passage.text, float(scores[at]))
            for at in best
            for passage in (self.passages[int(numbers[at])],)
        ]


def _best(scores: NDArray[np.float32], numbers: NDArray[np.int64], top: int) -> NDArray[np.int64]:
    """Where the `top` highest scores are, highest first, equal ones by their numbers."""
    import numpy as np

    places = np.arange(len(scores))
    if 0 < top < len(scores) // 8:
        # Sorting takes longer than the product: only what can be among the best is sorted.
        places = np.flatnonzero(scores >= np.partition(scores, len(scores) - top)[len(scores) - top])
    return places[np.lexsort((numbers[places], -scores[places]))][:top]


def _of_rows(rows: NDArray[np.int64], wanted: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The passages that have these rows, and their rows: a document that is there twice has its rows once."""
    import numpy as np

    numbers = np.flatnonzero(np.isin(rows, wanted))
    return numbers, rows[numbers]


def build(
    folder: Path,
    pattern: str,
    encoder: Encoder,
    words: int = 120,
    progress: Progress = silent,
    span: Span | None = None,
    graph_from: int = GRAPH_FROM,
) -> tuple[Index, tuple[Problem, ...]]:
    """The index of the documents that `pattern` matches below `folder`, in passages of about `words` words.

    The problems are warnings, one for each document left out. Raises `OutsideError` (no-documents). Blocks while it
    embeds what is new; a disk that cannot keep the index costs the next build its time and nothing else.
    """
    documents, skipped = read(folder, pattern, span)
    file = _file(folder, pattern, encoder, words)
    kept = load(file, encoder.dimensions)
    known: Mapping[str, tuple[Cut, ...]] = kept.cuts if kept is not None else {}
    cuts = {
        document.sha256: known.get(document.sha256) or cut(document.text, words)
        for document in {document.sha256: document for document in documents}.values()
    }
    if not any(cuts.values()):
        raise OutsideError(problems.no_documents(pattern, str(folder), "the files that match hold no text", span))
    if kept is None or set(known) != set(cuts):
        kept = keep(file, cuts, _gathered(cuts, kept, encoder, pattern, progress))
    passages = tuple(
        Passage(document.path, part.line, part.text, 0.0) for document in documents for part in cuts[document.sha256]
    )
    rows = _rows(kept, [document.sha256 for document in documents])
    graph = None
    if len(kept.vectors) >= graph_from and graphs.available():
        total = len(kept.vectors)
        graph = graphs.open_graph(
            file.with_suffix(".graph"),
            kept.vectors,
            kept.digest,
            lambda done: progress(Step(pattern, Phase.INDEX, done, total)),
        )
    return Index(passages, kept.vectors, encoder, rows, graph), skipped


def _gathered(
    cuts: Mapping[str, tuple[Cut, ...]], kept: Kept | None, encoder: Encoder, pattern: str, progress: Progress
) -> Embeddings:
    """The vectors of all documents in their order: those that are known, and those of new ones."""
    import numpy as np

    starts = kept.starts() if kept is not None else {}
    new = _embedded({name: parts for name, parts in cuts.items() if name not in starts}, encoder, pattern, progress)
    return np.concatenate(
        [
            kept.vectors[starts[name] : starts[name] + len(parts)] if kept is not None and name in starts else new[name]
            for name, parts in cuts.items()
        ]
    )


def _rows(kept: Kept, documents: Sequence[str]) -> NDArray[np.int64] | None:
    """The row of each passage of the documents; None where passages and rows are in the same order."""
    import numpy as np

    if list(kept.cuts) == list(documents):
        return None
    starts = kept.starts()
    return np.concatenate([np.arange(starts[name], starts[name] + len(kept.cuts[name])) for name in documents])


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
        rows.append(np.asarray(encoder.embed(run), np.float32))
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
    return paths.home() / "indexes" / f"{sha256_bytes(key.encode())[:32]}.index"
