"""Token classifiers on ONNX Runtime: texts to the entities in them.

A model says of each token which label it has, and whether an entity begins there (`B-SURNAME`) or goes on
(`I-SURNAME`). Tokens are parts of words, so what it says of a word is the sum over its parts: a name is not cut in the
middle because the model is unsure of a syllable. Words that follow each other with the same label are one entity,
unless the second begins another.

Texts are read sentence by sentence. Where one is too long for that, windows overlap; of a word in two of them, the
window counts in which it stands further from the edge, for there the model sees more of what is around it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, runtime_checkable

import anyio.to_thread

from ..families import Entity, TextModelSource
from .session import Session

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Word:
    """A word of a text, `text[start:end]` in characters, and its tokens; whether a sentence or a line ends with it."""

    start: int
    end: int
    tokens: tuple[int, ...]
    last: bool = False


@runtime_checkable
class RecognisingSource(TextModelSource, Protocol):
    """A source whose file classifies tokens."""

    @property
    def classes(self) -> tuple[str, ...]:
        """What each output of the model stands for: `O`, `B-SURNAME`, `I-SURNAME`, …"""
        ...

    @property
    def markers(self) -> tuple[int, int]:
        """The tokens before and behind a window."""
        ...

    @property
    def longest(self) -> int:
        """The most tokens of a window, markers included; three times as many as the longest word has, at least."""
        ...

    def words(self, text: str) -> list[Word]: ...


class OnnxRecogniser:
    """A `RecognisingModel`. Opened when first used, or by `open`; thread-safe."""

    def __init__(self, name: str, source: RecognisingSource) -> None:
        self._source = source
        self._session = Session(name, source.files["weights"])
        self.labels = frozenset(each[2:] for each in source.classes if each[:2] in ("B-", "I-"))

    def open(self) -> None:
        self._session.open()

    async def recognise(self, texts: Sequence[str]) -> list[tuple[Entity, ...]]:
        return [await anyio.to_thread.run_sync(self.entities, text) for text in texts]

    async def close(self) -> None:
        self._session.close()

    def entities(self, text: str) -> tuple[Entity, ...]:
        """As `recognise`, of one text and in this thread."""
        words = self._source.words(text)
        shares: list[NDArray[np.float32] | None] = [None] * len(words)
        sizes = [(len(word.tokens), word.last) for word in words]
        for begin, keep, until, end in windows(sizes, self._source.longest - 2):
            shares[keep:until] = self._read(words[begin:end])[keep - begin : until - begin]
        return tuple(merged(words, [share for share in shares if share is not None], self._source.classes))

    def _read(self, words: Sequence[Word]) -> list[NDArray[np.float32]]:
        """For each word of a window, how likely each class is."""
        import numpy as np

        first, last = self._source.markers
        logits = self._session.run([[first, *(token for word in words for token in word.tokens), last]])[0]
        powers = np.exp(logits - logits.max(axis=-1, keepdims=True))
        likely = powers / powers.sum(axis=-1, keepdims=True)
        found: list[NDArray[np.float32]] = []
        at = 1
        for word in words:
            found.append(likely[at : at + len(word.tokens)].mean(axis=0))
            at += len(word.tokens)
        return found


def windows(words: Sequence[tuple[int, bool]], room: int) -> Iterator[tuple[int, int, int, int]]:
    """Windows over words of so many tokens, of which some end a sentence: `begin` and `end` of what is read, `keep` and
    `until` of the words that it decides.

    A window is a sentence, or a few where they are very short: models made for messages see more in each alone
    than in many together. Of a sentence that is too long for one window, a sixth of the room on each side is read for
    what stands beside what it decides.
    """
    begin = keep = 0
    while keep < len(words):
        end, held, sentence = begin, 0, 0
        while end < len(words) and held + words[end][0] <= room:
            held += words[end][0]
            end += 1
            if not sentence and words[end - 1][1] and held > room // 6 and end > keep:
                sentence = end
        if sentence or end == len(words):
            yield begin, keep, sentence or end, sentence or end
            begin = keep = sentence or end
            continue
        until = max(_back(words, end, keep + 1, room // 6), keep + 1)
        yield begin, keep, until, max(end, until)
        keep = until
        begin = _back(words, until, 0, room // 6)


def _back(words: Sequence[tuple[int, bool]], at: int, least: int, room: int) -> int:
    """Where words begin that end before `at` and have that room."""
    while at > least and words[at - 1][0] <= room:
        at -= 1
        room -= words[at][0]
    return at


def merged(words: Sequence[Word], shares: Sequence[NDArray[np.float32]], classes: Sequence[str]) -> Iterator[Entity]:
    """Words of one label, next to each other, as one entity."""
    import numpy as np

    names = [each[2:] if each[:2] in ("B-", "I-") else "" for each in classes]
    labels = sorted({name for name in names if name})
    sums = np.array([[name == label for name in names] for label in labels], np.float32)
    begins = np.array([each[:2] == "B-" for each in classes])
    open_entity: list[tuple[Word, float]] = []
    label = ""

    def closed() -> Iterator[Entity]:
        if open_entity:
            score = min(1.0, sum(share for _, share in open_entity) / len(open_entity))
            yield Entity(open_entity[0][0].start, open_entity[-1][0].end, label, score)
            open_entity.clear()

    for word, share in zip(words, shares, strict=True):
        of_labels = sums @ share
        best = int(of_labels.argmax())
        outside = 1.0 - float(of_labels.sum())
        found = "" if outside >= float(of_labels[best]) else labels[best]
        of_label = np.array([name == found for name in names])
        starts = float(share[of_label & begins].sum()) > float(share[of_label & ~begins].sum())
        if found != label or starts:
            yield from closed()
        label = found
        if found:
            open_entity.append((word, float(of_labels[best])))
    yield from closed()
