"""What `std/text` does, in plain Python: joining, splitting, sentences of a stream, redaction.

No models, no state, no clock: every function gives the same for the same text.
"""

from __future__ import annotations

from collections.abc import Iterable

from .redaction import redact, redact_found
from .sentence import Sentences, sentences
from .splitting import split

__all__ = ["Sentences", "join", "redact", "redact_found", "sentences", "split"]


def join(texts: Iterable[str], separator: str = "") -> str:
    """The texts in one, with `separator` between them."""
    return separator.join(texts)
