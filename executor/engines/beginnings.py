"""How far two prompts begin alike.

Every engine that reuses a cache asks it of tokens, never of texts: where a text ends inside of a token of the longer
one, the two have other tokens there, and the cache counts only up to them.
"""

from __future__ import annotations

from collections.abc import Sequence


def common_beginning(tokens: Sequence[int], other: Sequence[int]) -> int:
    """How many tokens both have at their beginning."""
    for count, (mine, theirs) in enumerate(zip(tokens, other, strict=False)):
        if mine != theirs:
            return count
    return min(len(tokens), len(other))
