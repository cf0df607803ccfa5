"""From a catalogue entry and its files to a model that can be used. Reads nothing yet, imports nothing heavy."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from ..catalogue import Entry

if TYPE_CHECKING:
    from ...executor.engines.packaged import PackagedModel
    from .encoder import SentenceEncoder
    from .reranker import Reranker


def open_encoder(entry: Entry, files: Mapping[str, Path], package: PackagedModel | None = None) -> SentenceEncoder:
    """The sentence encoder of an entry whose role is `embed`; with `package`, by the functions that came with it."""
    from .bert_config import BertConfig
    from .encoder import SentenceEncoder

    weights = next(file.sha256 for file in entry.files if file.role == "weights")
    return SentenceEncoder(files, BertConfig.of(entry.shape), entry.name, weights, package)


def open_reranker(entry: Entry, files: Mapping[str, Path]) -> Reranker:
    """The reranker of an entry whose role is `rerank`."""
    from .reranker import Reranker

    return Reranker(files, entry.name)
