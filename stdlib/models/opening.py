"""From a catalogue entry and its files to the source that an engine loads a model from. Reads nothing yet, imports
nothing heavy."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from ..catalogue import Entry

if TYPE_CHECKING:
    from ...executor.engines.families import TextModelSource
    from .encoder import BertSource
    from .recogniser import RecogniserSource
    from .reranker import RerankerSource
    from .whisper_source import WhisperFile
    from .word_table import WordTableSource


def open_text_model(entry: Entry, files: Mapping[str, Path]) -> TextModelSource:
    """The source of an entry whose role is `embed`, `rerank` or `recognise`."""
    opened = {
        "embed": open_encoder if entry.shape else open_word_table,
        "rerank": open_reranker,
        "recognise": open_recogniser,
    }
    return opened[entry.role](entry, files)


def open_encoder(entry: Entry, files: Mapping[str, Path]) -> BertSource:
    """The sentence encoder of an entry whose role is `embed`."""
    from .bert_config import BertConfig
    from .encoder import BertSource

    return BertSource(files, BertConfig.of(entry.transformer), entry.name, _weights(entry))


def open_word_table(entry: Entry, files: Mapping[str, Path]) -> WordTableSource:
    """The word vectors of an entry whose role is `embed`, and which is no transformer."""
    from .word_table import WordTableSource

    return WordTableSource(files, entry.name, _weights(entry))


def open_reranker(entry: Entry, files: Mapping[str, Path]) -> RerankerSource:
    """The reranker of an entry whose role is `rerank`."""
    from .reranker import RerankerSource

    return RerankerSource(files, entry.name, _weights(entry))


def open_recogniser(entry: Entry, files: Mapping[str, Path]) -> RecogniserSource:
    """The recogniser of an entry whose role is `recognise`."""
    from .recogniser import RecogniserSource

    return RecogniserSource(files, entry.name, _weights(entry))


def open_transcriber(entry: Entry, files: Mapping[str, Path]) -> WhisperFile:
    """The recogniser of speech of an entry whose role is `transcribe`."""
    from .whisper_source import WhisperFile

    return WhisperFile(files, entry.name)


def _weights(entry: Entry) -> str:
    return next(file.sha256 for file in entry.files if file.role == "weights")
