"""Texts as token ids, for an engine that sees no tokens: the number is the text's UTF-8 bytes behind a 1.

Nothing is remembered, so ids mean the same in every process and for ever. Those of longer texts have more than 64 bits.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import cast

from ..protocol import Message, Tokens

_PIECE = 4  # bytes of a prompt's token: what a token of most models stands for


def number(text: bytes) -> int:
    return int.from_bytes(b"\x01" + text, "big")


def text(token: int) -> bytes:
    """ValueError for a number that stands for no text."""
    if token < 1:
        raise ValueError(f"{token} is no text")
    raw = token.to_bytes((token.bit_length() + 7) // 8, "big")
    if raw[0] != 1:
        raise ValueError(f"{token} is no text")
    return raw[1:]


def prompt(messages: Sequence[Message]) -> Tokens:
    """A conversation as tokens, about as many as a model would see."""
    raw = json.dumps([[message.role, message.text] for message in messages], ensure_ascii=False).encode(
        "utf-8", "replace"
    )
    return tuple(number(raw[at : at + _PIECE]) for at in range(0, len(raw), _PIECE))


def messages(tokens: Sequence[int]) -> tuple[Message, ...]:
    """The conversation that `prompt` made. ValueError for other tokens."""
    found = json.loads(b"".join(map(text, tokens)))
    turns = cast("list[list[str]]", found)
    return tuple(Message(role, words) for role, words in turns)


class Pieces:
    """A `Detokenizer`: each token is whole characters."""

    def push(self, token: int) -> str:
        return text(token).decode("utf-8", "replace")

    def finish(self) -> str:
        return ""
