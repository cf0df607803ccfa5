"""Readable stage ids: `answer.find.rerank`, `digest.document.part.chat`.

An id is a path: the pipeline, then a segment for each loop (its variable), branch or call around the operation, then a
word for the operation: the stage's own name, the binding that holds its result, or the parameter it is the argument
of. A word that is taken in its scope gets `_2`, so an edit in one scope renames nothing in another.
"""

from __future__ import annotations


class Ids:
    """Hands out ids below a prefix, each once."""

    __slots__ = ("_taken", "prefix")

    def __init__(self, prefix: str) -> None:
        self.prefix = prefix
        self._taken: dict[str, int] = {}

    def take(self, word: str) -> str:
        count = self._taken.get(word, 0) + 1
        self._taken[word] = count
        if count == 1:
            return f"{self.prefix}.{word}"
        candidate = f"{word}_{count}"
        # The program may itself hold a name that ends in `_2`.
        return self.take(candidate) if candidate in self._taken else self._claim(candidate)

    def _claim(self, word: str) -> str:
        self._taken[word] = 1
        return f"{self.prefix}.{word}"


def test_path(name: str) -> str:
    """How the stage ids of a test begin: `test:` and its name with what an id may not hold made into `_`. Two tests of
    one name are refused by the checker."""
    return "test:" + "".join(c if c.isalnum() or c in "_-" else "_" for c in name)
