"""Turns of a conversation, and how many of the newest fit a limit. Values only; nothing here knows files or clocks."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

Message = dict[str, object]
Count = Callable[[str], int]

_MARKUP = 4
"""Tokens that a message has beside its text: its role and the marks around it."""


@dataclass(frozen=True, slots=True)
class Turn:
    """What was asked and what was answered. `id` is unique; `at` is when it was kept, in seconds of the wall clock."""

    id: str
    at: float
    messages: tuple[Message, ...]


def newest(turns: Iterable[Turn], limit: float, count: Count) -> tuple[Turn, ...]:
    """The newest turns that fit `limit` tokens together, oldest first. A turn is kept whole or not at all, so that no
    answer stands without its question."""
    kept: list[Turn] = []
    room = limit
    for turn in reversed(tuple(turns)):
        room -= size(turn.messages, count)
        if room < 0:
            break
        kept.append(turn)
    return tuple(reversed(kept))


def size(messages: Sequence[Message], count: Count) -> int:
    """About how many tokens the messages have."""
    return sum(count(str(message["text"])) + _MARKUP for message in messages)


def spoken(turns: Iterable[Turn]) -> tuple[Message, ...]:
    """The messages of the turns, one after another."""
    return tuple(message for turn in turns for message in turn.messages)
