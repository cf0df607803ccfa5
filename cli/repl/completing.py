"""What may stand at the cursor of the loop."""

from __future__ import annotations

from collections.abc import Iterator

from .commands import HELP
from .session import Session


def completions(session: Session, text: str, at: int) -> Iterator[tuple[str, int, str]]:
    """Words for the place `at`, each with how many characters before it they replace, and what they are."""
    del session
    word = text[:at].split(" ")[-1] if text.startswith(":") and " " not in text[:at] else ""
    for name, (_, meaning) in HELP.items():
        if word and name.startswith(word):
            yield name, len(word), meaning
