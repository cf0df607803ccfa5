"""An index of 10,000 to 50,000 passages: exact search beside search by a graph. How much of what is nearest the graph
finds (recall), how much faster it is, and what the graph costs: to build, to open, on disk.

Vectors are those of sentences of our own documents, by the sentence encoder, and copies of them moved by noise until
there are enough (cosines to their sentence of about 0.8); questions are sentences that are not in the index, moved too.
Where the encoder's weights are not here, sentences are drawn: as many random directions.
"""

from __future__ import annotations

import os
import re
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from agentlang.base.problems import OutsideError
from agentlang.stdlib import store
from agentlang.stdlib.retrieval.graph import open_graph
from agentlang.stdlib.retrieval.index import GRAPH_FROM, Index, Passage

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Vectors = NDArray[np.float32]

SIZES = (10_000, 20_000, 50_000)
QUESTIONS, TURNS, TOP = 200, 3, 10
SENTENCES = 1_500
NAME = "all-minilm-l6-v2"


def sentences() -> tuple[Vectors, float | None]:
    """Vectors of sentences, and the seconds that a question's takes; None where the encoder is not here."""
    from agentlang.executor.engines.xla.encoder import XlaEncoder
    from agentlang.stdlib.models.opening import open_encoder

    docs = Path(__file__).parents[1] / "docs"
    text = " ".join(page.read_text() for page in sorted(docs.glob("**/*.md")))
    found = list(dict.fromkeys(re.findall(r"[A-Z][^.`|#\n]{30,200}\.", text)))[:SENTENCES]
    try:
        entry = store.entry(NAME)
        source = open_encoder(entry, store.obtain(entry))
    except OutsideError:
        random = np.random.default_rng(5).standard_normal((len(found), 384)).astype(np.float32)
        return unit(random), None
    encoder = XlaEncoder(NAME, source.key, source.functions())
    vectors = encoder.vectors(found)
    return vectors, clocked(lambda: [encoder.vectors([each]) for each in found[:20]]) / 20


def unit(rows: Any) -> Vectors:
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def moved(rows: Vectors, count: int, seed: int) -> Vectors:
    """`count` vectors, each near one of the rows."""
    random = np.random.default_rng(seed)
    noise = random.standard_normal((count, rows.shape[1]), np.float32) * (0.75 / rows.shape[1] ** 0.5)
    return unit(rows[random.integers(0, len(rows), count)] + noise)


def clocked(work: Callable[[], object]) -> float:
    """The least seconds of some turns."""
    times: list[float] = []
    for _ in range(TURNS):
        began = time.perf_counter()
        work()
        times.append(time.perf_counter() - began)
    return min(times)


def measured(known: Vectors, asked: Vectors, size: int, folder: Path) -> tuple[float, ...]:
    rows = moved(known, size, seed=size)
    passages = tuple(Passage("", number, "", 0.0) for number in range(size))
    file = folder / f"{size}.graph"
    began = time.perf_counter()
    open_graph(file, rows, str(size))
    built = time.perf_counter() - began
    opened = clocked(lambda: open_graph(file, rows, str(size)))
    exact = Index(passages, rows, None)  # pyright: ignore[reportArgumentType]
    near = Index(passages, rows, None, graph=open_graph(file, rows, str(size)))  # pyright: ignore[reportArgumentType]
    found: dict[bool, list[set[int]]] = {True: [], False: []}

    def search(index: Index) -> None:
        found[index.exact] = [{each.line for each in index.nearest(vector, TOP)} for vector in asked]

    times: dict[bool, list[float]] = {True: [], False: []}
    for _ in range(TURNS):
        for index in (exact, near):
            began = time.perf_counter()
            search(index)
            times[index.exact].append((time.perf_counter() - began) / len(asked))
    recall = statistics.mean(len(a & b) / TOP for a, b in zip(found[True], found[False], strict=True))
    return recall, min(times[True]), min(times[False]), built, opened, file.stat().st_size


def main() -> int:
    vectors, question = sentences()
    held = len(vectors) // 5
    asked = moved(vectors[:held], QUESTIONS, seed=1)
    print(f"{len(vectors)} sentences, {vectors.shape[1]} numbers each, {os.cpu_count()} cores")
    if question is not None:
        print(f"the vector of a question takes {question * 1e3:.1f} ms")
    print(f"passages   recall@{TOP}   exact      graph      ratio   built     opened    file")
    missed = False
    with tempfile.TemporaryDirectory() as folder:
        for size in SIZES:
            recall, exact, near, built, opened, bytes_ = measured(vectors[held:], asked, size, Path(folder))
            line = f"{size:>8,}   {recall:8.3f}   {exact * 1e3:6.2f} ms  {near * 1e3:6.2f} ms  {exact / near:5.1f} x"
            print(f"{line}  {built:6.1f} s  {opened * 1e3:6.0f} ms  {bytes_ / 2**20:5.0f} MiB", flush=True)
            missed |= recall < 0.95
    print(f"graphs are used from {GRAPH_FROM:,} passages on; they must find 95 % of what is nearest")
    return int(missed)


if __name__ == "__main__":
    sys.exit(main())
