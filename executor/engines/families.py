"""What an engine may do beside chat, one protocol for each family; and what any loaded model may say of itself.

`protocol` is the seam for chat models, the family that is taken apart into stages. The others are calls that give a
value. An engine implements the families that it names in `operations`; whoever loads a model for one asks there first.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from .protocol import ChatModel, ChatModelSource, SequenceHandle, Tokens

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from .speech.sources import TranscribingSpec, VoiceSpec

    Vectors = NDArray[np.float32]


class Operation(Enum):
    """What an engine does with models of a family."""

    CHAT = "chat"
    EMBED = "embed"
    SCORE = "score"
    RECOGNISE = "recognise"
    TRANSCRIBE = "transcribe"
    SYNTHESISE = "synthesise"


@dataclass(frozen=True, slots=True)
class ModelStats:
    """What a loaded model did so far. A step is one run of the device, for one sequence or for many."""

    steps: int
    prefilled_tokens: int
    decoded_tokens: int
    """Tokens made, those that nobody has pulled yet among them."""
    open_sequences: int


@runtime_checkable
class Counted(Protocol):
    """A model that counts its work."""

    async def stats(self) -> ModelStats: ...


class FileSource(ChatModelSource, Protocol):
    """A source whose model lies in one file or folder, for engines that read it themselves."""

    @property
    def file(self) -> Path: ...


def file_of(source: ChatModelSource | None) -> Path | None:
    """The file or folder of a `FileSource`, None for any other. Asks for nothing else: the rest may cost minutes."""
    found = getattr(source, "file", None)
    return found if isinstance(found, Path) else None


@dataclass(frozen=True, slots=True)
class CacheState:
    """The cache of a prompt on its way to another engine of the same kind: `form` names what `data` is written in."""

    model: str
    form: str
    tokens: Tokens
    data: bytes


@runtime_checkable
class TransferableModel(ChatModel, Protocol):
    """A chat model whose caches can leave: prefill here, decode there."""

    async def export_cache(self, sequence: SequenceHandle) -> CacheState:
        """The cache of a sequence that has been prefilled and not decoded. The sequence stays as it is."""
        ...

    async def import_cache(self, state: CacheState) -> SequenceHandle:
        """A sequence that goes on where the exported one was; its reply is the one that it would have had there.

        Raises `base.problems.OutsideError` (cache-unusable) for a state that is none of this model.
        """
        ...


def operations(engine: object) -> frozenset[Operation]:
    """What an engine names in `operations`; one that names nothing runs chat models."""
    named = getattr(engine, "operations", None)
    return frozenset({Operation.CHAT}) if named is None else frozenset(named)


class TextModelSource(Protocol):
    """Where an engine gets a model from that reads texts and is no chat model. Methods may block.

    `key` names the weights and the way in which texts are read for them: it changes whenever an answer may.
    """

    @property
    def key(self) -> str: ...

    @property
    def files(self) -> Mapping[str, Path]:
        """The model's files by their role: `weights`, `tokenizer`."""
        ...


@dataclass(frozen=True, slots=True)
class TextModelSpec:
    """What to load. Without a source, the engine has the model itself."""

    name: str
    source: TextModelSource | None = None


class EmbeddingModel(Protocol):
    """Texts to vectors."""

    @property
    def key(self) -> str:
        """Names what the vectors are of: those of equal keys may be compared, and whoever keeps vectors keeps them by
        it."""
        ...

    @property
    def dimensions(self) -> int: ...

    async def embed(self, texts: Sequence[str]) -> Vectors:
        """A vector of length one for each text, in order: `[len(texts), dimensions]`, f32. Texts of any length, the
        empty one too; what a text's vector is does not depend on the others, up to the last digits."""
        ...

    async def close(self) -> None:
        """Free everything. No operation may follow; closing again does nothing."""
        ...


class ScoringModel(Protocol):
    """How well passages answer a question."""

    async def score(self, question: str, passages: Sequence[str]) -> Sequence[float]:
        """A figure for each passage, in order; higher is better. It does not depend on the other passages.

        Raises `base.problems.OutsideError` (question-too-long) where the question leaves no room for passages.
        """
        ...

    async def close(self) -> None:
        """As `EmbeddingModel.close`."""
        ...


@dataclass(frozen=True, slots=True)
class Entity:
    """A part of a text that a model recognises: `text[start:end]`, in characters, is a `label` (`SURNAME`), and the
    model is as sure of it as `score` says, from 0 to 1."""

    start: int
    end: int
    label: str
    score: float


class RecognisingModel(Protocol):
    """Texts to the entities in them, such as the names of people."""

    @property
    def labels(self) -> frozenset[str]: ...

    async def recognise(self, texts: Sequence[str]) -> Sequence[tuple[Entity, ...]]:
        """The entities of each text, from left to right; none overlaps another."""
        ...

    async def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Segment:
    """A stretch of speech and its words. Times in seconds from the start of the audio.

    The texts of all segments, joined, are what was said: where words stand apart, `text` begins with a space.
    """

    start: float
    end: float
    text: str


class TranscribingModel(Protocol):
    """Speech to text."""

    def transcribe(self, audio: AsyncIterator[bytes], rate: int) -> AsyncIterator[Segment]:
        """Segments as they are final. `audio` is 16-bit mono PCM in pieces of any size, `rate` in samples a second. How
        it is cut into pieces changes nothing; silence has no segments. Dropping the iterator stops the work."""
        ...

    async def close(self) -> None:
        """As `EmbeddingModel.close`."""
        ...


class SynthesisingModel(Protocol):
    """Text to speech."""

    @property
    def rate(self) -> int:
        """Samples a second of what it gives."""
        ...

    def synthesise(self, text: str) -> AsyncIterator[bytes]:
        """16-bit mono PCM in pieces of at most half a second, each as soon as it is there; a text without words has
        none. Dropping the iterator stops the work."""
        ...

    async def close(self) -> None:
        """As `EmbeddingModel.close`."""
        ...


class EmbeddingEngine(Protocol):
    """An engine that names `Operation.EMBED`."""

    async def load_embedding(self, spec: TextModelSpec) -> EmbeddingModel:
        """Raises `base.problems.OutsideError` (model-does-not-load)."""
        ...


class ScoringEngine(Protocol):
    """An engine that names `Operation.SCORE`."""

    async def load_scoring(self, spec: TextModelSpec) -> ScoringModel:
        """Raises as `load_embedding`."""
        ...


class RecognisingEngine(Protocol):
    """An engine that names `Operation.RECOGNISE`."""

    async def load_recognising(self, spec: TextModelSpec) -> RecognisingModel:
        """Raises as `load_embedding`."""
        ...


class TranscribingEngine(Protocol):
    """An engine that names `Operation.TRANSCRIBE`."""

    async def load_transcribing(self, spec: TranscribingSpec) -> TranscribingModel:
        """Raises as `load_embedding`."""
        ...


class SynthesisingEngine(Protocol):
    """An engine that names `Operation.SYNTHESISE`."""

    async def load_synthesising(self, spec: VoiceSpec) -> SynthesisingModel:
        """Raises as `load_embedding`, and voice-program-missing."""
        ...
