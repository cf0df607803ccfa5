"""One suggestion for a misspelt name, or none: a wrong suggestion costs more than a missing one."""

from __future__ import annotations

from collections.abc import Iterable


def edit_distance(left: str, right: str, limit: int) -> int:
    """Damerau-Levenshtein distance (adjacent swaps count one), or `limit + 1` as soon as it must exceed `limit`."""
    if abs(len(left) - len(right)) > limit:
        return limit + 1
    before: list[int] = []
    previous = list(range(len(right) + 1))
    for i, a in enumerate(left, 1):
        current = [i]
        for j, b in enumerate(right, 1):
            cost = min(previous[j] + 1, current[j - 1] + 1, previous[j - 1] + (a != b))
            if i > 1 and j > 1 and a == right[j - 2] and left[i - 2] == b:
                cost = min(cost, before[j - 2] + 1)
            current.append(cost)
        if min(current) > limit:
            return limit + 1
        before, previous = previous, current
    return previous[-1]


def suggest(name: str, known: Iterable[str]) -> str | None:
    """The known name nearest to `name`, if it is within a third of its length (at least one letter)."""
    limit = max(1, len(name) // 3)
    best: tuple[int, int, str] | None = None
    for candidate in known:
        distance = edit_distance(name.lower(), candidate.lower(), limit)
        if distance > limit or (best is not None and distance > best[0]):
            continue
        # Of `Index` and `index`, the one that is written alike.
        exact = edit_distance(name, candidate, len(name) + limit)
        if best is None or (distance, exact, candidate) < best:
            best = (distance, exact, candidate)
    return best[2] if best else None
