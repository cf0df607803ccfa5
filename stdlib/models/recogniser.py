"""Token classifiers as `text.recognizer` opens them: models that find names, addresses and numbers of papers in a text.

The model was made for short texts and sees less in long ones, although it has positions for 512 tokens: of 232 parts
that it finds in sentences alone it missed 34 where windows of 98 tokens held several, and 82 in windows of 258.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from functools import cached_property
from itertools import groupby
from pathlib import Path
from typing import Any, cast

from ...base.problems import OutsideError
from ...executor.engines.onnx.recognising import Word
from ...executor.engines.problems import model_does_not_load
from .wordpiece import WordPiece

LONGEST = 50
_LARGEST_WORD = 16
_READING_VERSION = 1


class RecogniserSource:
    """A `RecognisingSource` of the executor: `files` are an ONNX file (`weights`), its `tokenizer` and its `config`,
    which names the classes. Thread-safe. Raises `OutsideError` (model-does-not-load) where files are damaged."""

    def __init__(self, files: Mapping[str, Path], name: str, weights_hash: str) -> None:
        self.files = files
        self.key = f"{weights_hash} {LONGEST} {_READING_VERSION}"
        self.longest = LONGEST
        self._name = name
        self._tokenizer = WordPiece(files["tokenizer"], name)

    @property
    def classes(self) -> tuple[str, ...]:
        return self._classes

    @property
    def markers(self) -> tuple[int, int]:
        return self._markers

    @cached_property
    def _classes(self) -> tuple[str, ...]:
        file = self.files["config"]
        try:
            named = cast("dict[str, Any]", json.loads(file.read_text("utf-8")))["id2label"]
            found = tuple(str(named[str(number)]) for number in range(len(named)))
        except (OSError, ValueError, KeyError, TypeError) as error:
            why = f"{file.name} does not name the model's classes ({error!r})"
            raise OutsideError(model_does_not_load(self._name, why)) from error
        if not any(each.startswith("B-") for each in found):
            raise OutsideError(model_does_not_load(self._name, f"{file.name} names no class that begins an entity"))
        return found

    @cached_property
    def _markers(self) -> tuple[int, int]:
        return self._tokenizer.token("[CLS]"), self._tokenizer.token("[SEP]")

    def words(self, text: str) -> list[Word]:
        """The words of a text. What has very many tokens for a word is cut into several, so that each fits a window."""
        found: list[Word] = []
        for _, each in groupby(self._tokenizer.places(text), key=lambda place: place.word):
            tokens = list(each)
            for start in range(0, len(tokens), _LARGEST_WORD):
                part = tokens[start : start + _LARGEST_WORD]
                beginning, end = part[0].start, part[-1].end
                last = _END.match(text, end - 1) is not None
                found.append(Word(beginning, end, tuple(place.token for place in part), last))
        return found


# A stop before white space, or the end of a line.
_END = re.compile(r"[.!?…](?=\s)|[。！？]|.(?=[^\S\n]*\n)", re.DOTALL)
