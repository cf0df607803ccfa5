"""One suggestion for a misspelt name, or none: a wrong suggestion costs more than a missing one."""

from __future__ import annotations

from collections.abc import Iterable


def edit_distance(left: str, right: str, limit: int) -> int:
    """Damerau-Levenshtein distance (adjacent swaps count one), or `limit + 1` as soon as it must exceed `limit`."""
    far = limit + 1
    width = len(right)
    if abs(len(left) - width) > limit:
        return far
    before: list[int] = []
    previous = list(range(width + 1))
    for i, a in enumerate(left, 1):
        # Only positions within `limit` of the diagonal can be on a way that is short enough.
        first, last = max(1, i - limit), min(width, i + limit)
        current = [far] * (width + 1)
        nearest = current[0] = i
        for j in range(first, last + 1):
            b = right[j - 1]
            cost = previous[j - 1] if a == b else 1 + min(previous[j - 1], previous[j], current[j - 1])
            if i > 1 and j > 1 and a == right[j - 2] and left[i - 2] == b:
                cost = min(cost, before[j - 2] + 1)
            current[j] = cost
            nearest = min(nearest, cost)
        if nearest > limit:
            return far
        before, previous = previous, current
    return min(previous[-1], far)


def suggest(name: str, known: Iterable[str]) -> str | None:
    """The known name nearest to `name`, if it is within a third of its length (at least one letter)."""
    limit = max(1, len(name) // 3)
    lowered = name.lower()
    letters = frozenset(lowered)
    best: tuple[int, int, str] | None = None
    for candidate in known:
        # Nothing that is further away than the nearest so far can be the one; each letter that it lacks costs a step.
        other = candidate.lower()
        if abs(len(other) - len(lowered)) > limit or len(letters.difference(other)) > limit:
            continue
        distance = edit_distance(lowered, other, limit)
        if distance > limit:
            continue
        limit = distance
        # Of `Index` and `index`, the one that is written alike.
        exact = edit_distance(name, candidate, len(name) + len(candidate))
        if best is None or (distance, exact, candidate) < best:
            best = (distance, exact, candidate)
    return best[2] if best else None
