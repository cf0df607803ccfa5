"""What a loaded chat model is besides its device or endpoint: figures, the sequences it holds, and a tokenizer where it
is here."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Generic, TypeVar

import anyio.to_thread

from .protocol import ChatTokenizer, Message, ModelFacts, Tokens
from .sequences import RunningSequence
from .stopping import StopDetokenizer

_S = TypeVar("_S", bound=RunningSequence)


class OpenModel(Generic[_S]):
    """The part of a `ChatModel` that all engines have alike."""

    def __init__(self, facts: ModelFacts) -> None:
        self._facts = facts
        self._open: set[_S] = set()
        """Sequences whose cache is held."""

    @property
    def facts(self) -> ModelFacts:
        return self._facts

    @property
    def compiled(self) -> int:
        """An engine that compiles programs says here how many."""
        return 0

    @property
    def open_sequences(self) -> int:
        return len(self._open)


class LoadedModel(OpenModel[_S]):
    """One whose tokenizer is here."""

    def __init__(self, facts: ModelFacts, tokenizer: ChatTokenizer) -> None:
        super().__init__(facts)
        self._tokenizer = tokenizer

    async def tokenize(self, messages: Sequence[Message]) -> Tokens:
        return await anyio.to_thread.run_sync(self._tokenizer.chat, messages)

    def detokenizer(self, stop: tuple[str, ...] = ()) -> StopDetokenizer:
        return StopDetokenizer(self._tokenizer.detokenizer(), stop)
