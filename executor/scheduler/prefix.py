"""Which pages hold which tokens: a tree of pages, so that equal beginnings are computed once.

A node is a page that is computed; its path from the root is the tokens before it, which its KV depends on. Children
are found by their tokens themselves, not by a hash of them: a page with other tokens cannot be taken for it. Sequences
that use a node refer to it and to all above it. What nobody refers to is kept until its page is needed: the leaf that
was used longest ago goes first, so a path loses its end before its beginning.

A node may be the unfinished last page of a sequence that is over. Nothing grows below it; it is only copied.
"""

from __future__ import annotations

import heapq
from collections.abc import Hashable, Sequence
from itertools import islice
from typing import cast

from .tiers import first_name, name_behind

MOST_COMPARED = 32
"""How many of the pages that follow a path are compared token by token, newest first."""


class Node:
    """A computed page. `key` is the tuple of its tokens, or what stands for them."""

    __slots__ = ("_name", "children", "depth", "key", "page", "parent", "private", "references", "used")

    def __init__(self, parent: Node | None, key: Hashable, page: int, name: str | None = None) -> None:
        self.parent = parent
        self._name = name
        self.private = False
        """Whether what is in it must not be put on the disk."""
        self.key = key
        self.page = page
        self.depth: int = 0 if parent is None else parent.depth + 1
        """Pages from the root to here, this one included."""
        self.children: dict[Hashable, Node] = {}
        self.references = 0
        self.used = 0
        """When it was last needed, in uses of the tree."""

    @property
    def name(self) -> str:
        """What it is called outside of the tree (see `tiers`)."""
        unnamed: list[Node] = []
        node: Node = self
        while node._name is None:
            unnamed.append(node)
            assert node.parent is not None
            node = node.parent
        name = node._name
        for each in reversed(unnamed):
            name = each._name = name_behind(name, each.key)
        return name

    def full(self, size: int) -> bool:
        """Whether it holds as many tokens; one that has a name in place of them does."""
        return not isinstance(self.key, tuple) or len(cast("tuple[Hashable, ...]", self.key)) == size

    def path(self) -> list[int]:
        """The pages from the root to here."""
        pages: list[int] = []
        node = self
        while node.parent is not None:
            pages.append(node.page)
            node = node.parent
        pages.reverse()
        return pages


class PrefixTree:
    """All computed pages that hold a known beginning."""

    def __init__(self) -> None:
        self._roots: dict[str, Node] = {}
        self._uses = 0
        self._leaves: list[tuple[int, int, Node]] = []
        """A heap of leaves that were unused when they were put in. Some are no longer."""
        self._entries = 0
        self.unused = 0
        """Pages that nobody refers to: all of them can be had by `evict`."""
        self.size = 0
        """Pages in the tree."""

    def root(self, scope: str) -> Node:
        """Where the paths of a scope begin."""
        root = self._roots.get(scope)
        if root is None:
            # Roots of scopes that hold nothing are left behind by evictions; now is as good a time as any.
            for name in [name for name, old in self._roots.items() if not old.children and not old.references]:
                del self._roots[name]
            root = self._roots[scope] = Node(None, None, -1, first_name(scope))
        return root

    def partial(self, node: Node, tokens: Sequence[int]) -> tuple[Node | None, int]:
        """The page behind `node` that begins with most of `tokens`, and how many those are."""
        best, most = None, 0
        for child in islice(reversed(node.children.values()), MOST_COMPARED):
            if isinstance(child.key, tuple):
                count = common(cast("tuple[Hashable, ...]", child.key), tokens)
                if count > most:
                    best, most = child, count
        return best, most

    def refer(self, node: Node) -> None:
        """One sequence more uses this node; it refers to its parent already."""
        node.references += 1
        if node.references == 1 and node.parent is not None:
            self.unused -= 1

    def add(self, node: Node, key: Hashable, page: int) -> Node:
        """A new page behind `node`, which whoever adds it refers to."""
        child = node.children[key] = Node(node, key, page)
        child.references = 1
        self.size += 1
        return child

    def keep(self, node: Node, key: Hashable, page: int) -> None:
        """A new page behind `node` that nobody refers to."""
        child = self.add(node, key, page)
        child.references = 0
        self.unused += 1
        self._uses += 1
        self._rest(child)

    def leave(self, node: Node) -> None:
        """One sequence less uses this node and all above it."""
        self._uses += 1
        while node.parent is not None:
            self.unrefer(node)
            node = node.parent
        node.references -= 1

    def unrefer(self, node: Node) -> None:
        """One sequence less uses this node; those above it as before."""
        node.references -= 1
        if node.references == 0 and node.parent is not None:
            self.unused += 1
            self._rest(node)

    def forget(self, node: Node, depth: int) -> list[int]:
        """Take out what nobody refers to from `node` up to, and without, that depth. Returns the pages."""
        pages: list[int] = []
        while node.depth > depth and node.parent is not None and not node.references and not node.children:
            self._remove(node)
            pages.append(node.page)
            node = node.parent
        if node.parent is not None and not node.references and not node.children:
            self._rest(node, node.used)
        return pages

    def evict(self) -> Node | None:
        """Take out the page that was used longest ago of those that nobody refers to; None if there is none."""
        while self._leaves:
            used, _, node = heapq.heappop(self._leaves)
            parent = node.parent
            if parent is None or not _stands(used, node):
                continue
            self._remove(node)
            if parent.parent is not None and not parent.references and not parent.children:
                self._rest(parent, parent.used)
            return node
        return None

    def _remove(self, node: Node) -> None:
        assert node.parent is not None
        del node.parent.children[node.key]
        self.unused -= 1
        self.size -= 1

    def _rest(self, node: Node, used: int | None = None) -> None:
        node.used = self._uses if used is None else used
        if not node.children:
            self._entries += 1
            heapq.heappush(self._leaves, (node.used, self._entries, node))
            if len(self._leaves) > 64 + 4 * self.size:
                # Paths that are used again and again leave an entry each time.
                self._leaves = [entry for entry in self._leaves if _stands(entry[0], entry[2])]
                heapq.heapify(self._leaves)


def common(some: Sequence[Hashable], others: Sequence[Hashable]) -> int:
    """How many at the beginning of both are equal."""
    for index, (one, other) in enumerate(zip(some, others, strict=False)):
        if one != other:
            return index
    return min(len(some), len(others))


def _stands(used: int, node: Node) -> bool:
    """Whether a leaf that was put aside at `used` is still one that nobody refers to."""
    parent = node.parent
    return (
        parent is not None
        and node.used == used
        and not node.references
        and not node.children
        and parent.children.get(node.key) is node
    )
