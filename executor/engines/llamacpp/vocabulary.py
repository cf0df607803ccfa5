"""llama.cpp's own vocabulary as far as masks need a tokenizer: bytes of tokens, ends, and text to ids."""

from __future__ import annotations

from collections.abc import Sequence

from ..protocol import Detokenizer, Message, Tokens
from .native import NativeModel


class Vocabulary:
    """A `ChatTokenizer` without a chat template."""

    def __init__(self, model: NativeModel, ends: frozenset[int]) -> None:
        self._model = model
        self._ends = ends

    @property
    def end_tokens(self) -> frozenset[int]:
        return self._ends

    def encode(self, text: str, special: bool = False) -> Tokens:
        return self._model.tokens(text, special)

    def token_bytes(self, token: int) -> bytes:
        return self._model.piece(token)

    def decode(self, tokens: Sequence[int]) -> str:
        return b"".join(map(self._model.piece, tokens)).decode("utf-8", "replace")

    def chat(self, messages: Sequence[Message]) -> Tokens:
        raise NotImplementedError("prompts are written where the template is known")

    def detokenizer(self) -> Detokenizer:
        raise NotImplementedError("texts are written where the template is known")
