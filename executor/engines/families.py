"""What an engine may do beside chat, one protocol for each family; and what any loaded model may say of itself.

`protocol` is the seam for chat models, the family that is taken apart into stages. The others are calls that give a
value. An engine implements the families that it names in `operations`; whoever loads a model for one asks there first.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Protocol, runtime_checkable

from .protocol import ChatModel, ChatModelSource, ModelSpec, SequenceHandle, Tokens


class Operation(Enum):
    """What an engine does with models of a family."""

    CHAT = "chat"
    EMBED = "embed"
    SCORE = "score"
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


class EmbeddingModel(Protocol):
    """Texts to vectors."""

    @property
    def dimensions(self) -> int: ...

    async def embed(self, texts: Sequence[str]) -> Sequence[Sequence[float]]:
        """A vector of length one for each text, in order."""
        ...

    async def close(self) -> None: ...


class ScoringModel(Protocol):
    """How well passages answer a question."""

    async def score(self, question: str, passages: Sequence[str]) -> Sequence[float]:
        """A figure for each passage, in order; higher is better."""
        ...

    async def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Segment:
    """A stretch of speech and its words. Times in seconds from the start of the audio."""

    start: float
    end: float
    text: str


class TranscribingModel(Protocol):
    """Speech to text."""

    def transcribe(self, audio: AsyncIterator[bytes], rate: int) -> AsyncIterator[Segment]:
        """Segments as they are final. `audio` is 16-bit mono PCM in pieces of any size, `rate` in samples a second."""
        ...

    async def close(self) -> None: ...


class SynthesisingModel(Protocol):
    """Text to speech."""

    @property
    def rate(self) -> int:
        """Samples a second of what it gives."""
        ...

    def synthesise(self, text: str) -> AsyncIterator[bytes]:
        """16-bit mono PCM in pieces, each as soon as it is there. Dropping the iterator stops the work."""
        ...

    async def close(self) -> None: ...


class EmbeddingEngine(Protocol):
    """An engine that names `Operation.EMBED`."""

    async def load_embedding(self, spec: ModelSpec) -> EmbeddingModel: ...


class ScoringEngine(Protocol):
    """An engine that names `Operation.SCORE`."""

    async def load_scoring(self, spec: ModelSpec) -> ScoringModel: ...


class TranscribingEngine(Protocol):
    """An engine that names `Operation.TRANSCRIBE`."""

    async def load_transcribing(self, spec: ModelSpec) -> TranscribingModel: ...


class SynthesisingEngine(Protocol):
    """An engine that names `Operation.SYNTHESISE`."""

    async def load_synthesising(self, spec: ModelSpec) -> SynthesisingModel: ...
