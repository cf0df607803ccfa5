"""Moments of a run as expressions of the choices: sums, maxima, and what stages and transfers take.

A moment ("the first token has left") is a node of a graph that is shared between all moments. Its leaves name stages,
not seconds, so that one walk through the program serves every placement: the search reads it as linear constraints,
`evaluate` as arithmetic.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

Index = int
"""The place of a node in `Problem.nodes`. Operands of a node stand before it."""


@dataclass(frozen=True, slots=True)
class Constant:
    """Seconds that no choice changes."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Take:
    """`times` executions of a stage, one after the other; of only what is before its first item, where `first`."""

    stage: str
    times: float = 1.0
    first: bool = False


@dataclass(frozen=True, slots=True)
class Move:
    """`times` transfers of an edge between two stages: nothing where both are in one place."""

    edge: int
    times: float = 1.0


@dataclass(frozen=True, slots=True)
class Sum:
    parts: tuple[Index, ...]


@dataclass(frozen=True, slots=True)
class Latest:
    """The largest of its parts; nothing where there is none."""

    parts: tuple[Index, ...]


@dataclass(frozen=True, slots=True)
class Scaled:
    """`factor` (at least 0) of a part."""

    part: Index
    factor: float


Node = Constant | Take | Move | Sum | Latest | Scaled


def values(nodes: Sequence[Node], take: Callable[[Take], float], move: Callable[[Move], float]) -> list[float]:
    """The seconds of every node, given those of the leaves."""
    out: list[float] = []
    for node in nodes:
        match node:
            case Constant(seconds):
                out.append(seconds)
            case Take():
                out.append(take(node))
            case Move():
                out.append(move(node))
            case Sum(parts):
                out.append(sum(out[part] for part in parts))
            case Latest(parts):
                out.append(max((out[part] for part in parts), default=0.0))
            case Scaled(part, factor):
                out.append(out[part] * factor)
    return out


def critical(nodes: Sequence[Node], seconds: Sequence[float], top: Index) -> list[tuple[Take | Move | Constant, float]]:
    """The leaves that a node is made of, with the factor each counts by: of a maximum, the first of the largest. Their
    seconds, each by its factor, add up to the node's."""
    found: list[tuple[Take | Move | Constant, float]] = []
    rest: list[tuple[Index, float]] = [(top, 1.0)]
    while rest:
        index, factor = rest.pop()
        match nodes[index]:
            case Sum(parts):
                rest += [(part, factor) for part in reversed(parts)]
            case Latest(parts):
                if parts:
                    rest.append((max(parts, key=lambda part: seconds[part]), factor))
            case Scaled(part, more):
                rest.append((part, factor * more))
            case leaf:
                found.append((leaf, factor))
    return found


def reached(nodes: Sequence[Node], top: Index) -> list[Index]:
    """A node and everything that it is made of, in order."""
    needed = {top}
    for index in range(top, -1, -1):
        if index in needed:
            match nodes[index]:
                case Sum(parts) | Latest(parts):
                    needed.update(parts)
                case Scaled(part, _):
                    needed.add(part)
                case _:
                    pass
    return sorted(needed)


class Builder:
    """Collects nodes, each distinct one once."""

    def __init__(self) -> None:
        self.nodes: list[Node] = []
        self._known: dict[Node, Index] = {}

    def add(self, node: Node) -> Index:
        found = self._known.get(node)
        if found is None:
            found = self._known[node] = len(self.nodes)
            self.nodes.append(node)
        return found

    def constant(self, seconds: float) -> Index:
        return self.add(Constant(seconds))

    def sum(self, parts: Sequence[Index]) -> Index:
        """The sum; a part that is zero is left out."""
        kept = [part for part in parts if self.nodes[part] != Constant(0.0)]
        return kept[0] if len(kept) == 1 else self.add(Sum(tuple(kept)) if kept else Constant(0.0))

    def latest(self, parts: Sequence[Index]) -> Index:
        """The largest; equal parts count once, and zero is below everything."""
        kept = [part for part in dict.fromkeys(parts) if self.nodes[part] != Constant(0.0)]
        return kept[0] if len(kept) == 1 else self.add(Latest(tuple(kept)) if kept else Constant(0.0))

    def scaled(self, part: Index, factor: float) -> Index:
        """A part so many times; factors of leaves go into the leaves."""
        if factor == 1.0:
            return part
        match self.nodes[part]:
            case Constant(seconds):
                return self.constant(seconds * factor)
            case Take(stage, times, first):
                return self.add(Take(stage, times * factor, first))
            case Move(edge, times):
                return self.add(Move(edge, times * factor))
            case _:
                return self.add(Scaled(part, factor)) if factor else self.constant(0.0)
