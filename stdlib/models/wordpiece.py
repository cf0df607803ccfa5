"""Texts to the token ids of BERT models, through the `tokenizers` library.

A tokenizer file says how its makers cut and padded for training (all-MiniLM: 128 tokens). Both are turned off: what is
too long is not cut behind anybody's back, and padding is for those who know the shapes.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

from ...base.problems import OutsideError
from ...executor.engines.problems import model_does_not_load


class Encoded(NamedTuple):
    """Token ids and, for each, to which of two texts it belongs (0 or 1)."""

    ids: list[int]
    types: list[int]


class Place(NamedTuple):
    """A token of a text, the number of the word that it is a part of, and where it stands, in characters."""

    token: int
    word: int
    start: int
    end: int


class WordPiece:
    """A tokenizer that is read when first needed. Thread-safe after that."""

    def __init__(self, path: Path, model: str) -> None:
        self._path = path
        self._model = model

    @cached_property
    def _library(self) -> Any:
        from tokenizers import Tokenizer

        try:
            tokenizer = Tokenizer.from_file(str(self._path))
        except Exception as error:  # the library raises a bare Exception
            raise OutsideError(model_does_not_load(self._model, f"{self._path.name}: {error}")) from error
        tokenizer.no_truncation()
        tokenizer.no_padding()
        return tokenizer

    def encode(self, texts: Sequence[str]) -> list[list[int]]:
        """The ids of each text, without the markers that models put around it."""
        return [found.ids for found in self._library.encode_batch(list(texts), add_special_tokens=False)]

    def pairs(self, first: str, seconds: Sequence[str]) -> list[Encoded]:
        """The ids of `first` with each of `seconds`, as a cross-encoder reads them: [CLS] first [SEP] second [SEP]."""
        found = self._library.encode_batch([(first, second) for second in seconds])
        return [Encoded(each.ids, each.type_ids) for each in found]

    def places(self, text: str) -> list[Place]:
        """The tokens of a text and where each stands; those that stand for no character are left out."""
        found = self._library.encode(text, add_special_tokens=False)
        places = zip(found.ids, found.word_ids, found.offsets, strict=True)
        return [Place(token, word, start, end) for token, word, (start, end) in places if end > start]

    def count(self, text: str) -> int:
        """How many tokens a text has."""
        return len(self._library.encode(text, add_special_tokens=False).ids)

    def token(self, text: str) -> int:
        """The id of a marker such as `[CLS]`. Raises `OutsideError` (model-does-not-load) if there is none."""
        found = self._library.token_to_id(text)
        if found is None:
            raise OutsideError(model_does_not_load(self._model, f"{self._path.name} has no token {text}"))
        return int(found)
