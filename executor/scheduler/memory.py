"""Who has which pages: admission, reuse of what is computed already, growth, and preemption.

A sequence is admitted when the pages for all its tokens can be had, beside those promised to sequences that were
admitted before it; it takes them one by one as they fill. Decoding takes more than was promised, so memory can run out.
Then the sequence that was admitted last gives its memory back and waits; first, though, those that want nothing now.
The one that was admitted first keeps what it has until it is over, so there is always one that ends.
"""

from __future__ import annotations

from .orders import Admitted, Copy, Drop, Load, Order, Preempted
from .pages import Pages
from .policy import Policy
from .prefix import Node, PrefixTree, common
from .sequences import Sequence
from .settings import Settings
from .tiers import Tiers, name_behind


class Memory:
    """The pages, the prefix tree, and the sequences that hold memory. Methods append to the `orders` they are given."""

    def __init__(self, settings: Settings, policy: Policy) -> None:
        self._settings = settings
        self._policy = policy
        self.pages = Pages(settings.pages)
        self.tree = PrefixTree()
        self.tiers = Tiers(settings.host, settings.disk, settings.page)
        self.holders: dict[int, Sequence] = {}
        """Sequences with memory, by number, in order of their admission."""
        self._admissions = 0

    @property
    def available(self) -> int:
        """Pages that can be had without taking them from anybody."""
        return self.pages.free + self.tree.unused

    @property
    def page_size(self) -> int:
        return self._settings.page

    def pages_for(self, tokens: int) -> int:
        return self._settings.pages_for(tokens)

    def admit(self, sequence: Sequence, orders: list[Order]) -> bool:
        """Give a sequence its first memory, if there is enough; those that want nothing now make room."""
        while not self._fits(sequence):
            held = self._held()
            if held is None or not self._could_fit(sequence):
                return False
            self.preempt(held, orders)
        self._policy.unwait(sequence)
        self._admissions += 1
        sequence.admission = self._admissions
        self.holders[sequence.number] = sequence
        sequence.node = self.tree.root(sequence.scope)
        self.tree.refer(sequence.node)
        self.adopt(sequence)
        self._bring_back(sequence, orders)
        self._copy_partial(sequence, orders)
        if sequence.cached_depth is None or sequence.node.depth < sequence.cached_depth:
            sequence.cached_depth = sequence.node.depth
        orders.append(Admitted(sequence.number, sequence.computed))
        return True

    def cached(self, sequence: Sequence) -> int:
        """How many tokens of a sequence that waits are in pages already. At least."""
        return len(self._known(sequence, self.tree.root(sequence.scope))) * self._settings.page

    def adopt(self, sequence: Sequence) -> None:
        """Take pages that follow on what the sequence has and are computed already, where it stands between pages.

        One token is left to compute, since somebody waits for what is behind it.
        """
        if sequence.own or sequence.node is None:
            return
        for node in self._known(sequence, sequence.node):
            self.tree.refer(node)
            sequence.node = node
            sequence.shared.append(node.page)
            sequence.changed()
        sequence.computed = len(sequence.shared) * self._settings.page

    def elsewhere(self, sequence: Sequence) -> list[str]:
        """The names of the pages that follow on what the tree has of a sequence that waits."""
        node, size, out = self.tree.root(sequence.scope), self._settings.page, list[str]()
        if not self._settings.host:
            return out
        for known in self._known(sequence, node):
            node = known
        depth, name = node.depth, node.name
        while (depth + 1) * size < sequence.length:
            key = sequence.key(depth, size)
            if key is None:
                break
            name = name_behind(name, key)
            out.append(name)
            depth += 1
        return out

    def _bring_back(self, sequence: Sequence, orders: list[Order]) -> None:
        """Fill pages that follow on what the sequence has with what was put away of them, as far as it is in memory."""
        if not self.tiers.host or not self.tiers.pays or sequence.node is None:
            return
        names: list[str] = []
        for name in self.elsewhere(sequence):
            if not self.tiers.in_host(name):
                break
            names.append(name)
        for name in reversed(names):
            # Room that is made for one of them shall cost none of the others.
            self.tiers.use(name)
        size = self._settings.page
        for name in names:
            node = sequence.node
            key = sequence.key(node.depth, size)
            page = self._take(orders)
            if page is None:
                return
            if key is None or not self.tiers.in_host(name):
                self.pages.give(page)
                return
            orders.append(Load(name, page))
            child = self.tree.add(node, key, page)
            child.private = self.tiers.private(name)
            sequence.node = child
            sequence.shared.append(page)
            sequence.computed += size
            sequence.changed()

    def next_key(self, sequence: Sequence) -> tuple[int, object] | None:
        """Names the page that the sequence computes next, if others may come to need the same; None otherwise."""
        if sequence.own or sequence.computed % self._settings.page:
            return None
        node = sequence.node
        if node is None:
            node = self.tree.root(sequence.scope)
            for known in self._known(sequence, node):
                node = known
        if node.depth * self._settings.page >= sequence.length - 1:
            return None
        key = sequence.key(node.depth, self._settings.page)
        return None if key is None else (id(node), key)

    def grow(self, sequence: Sequence, positions: int, orders: list[Order]) -> list[Sequence] | None:
        """Pages for the first `positions` of a sequence. Returns whom it cost their memory; None if that was itself."""
        preempted: list[Sequence] = []
        while sequence.pages < self._settings.pages_for(positions):
            page = self._take(orders)
            if page is None:
                victim = self._held() or next(reversed(self.holders.values()))
                self.preempt(victim, orders)
                if victim is sequence:
                    return None
                preempted.append(victim)
            else:
                sequence.own.append(page)
                sequence.changed()
        return preempted

    def computed(self, sequence: Sequence, count: int, orders: list[Order]) -> None:
        """The next `count` tokens of a sequence are in its pages. Pages that became full can serve others."""
        size = self._settings.page
        sequence.computed += count
        sequence.filled = max(sequence.filled, sequence.computed)
        while sequence.own and (len(sequence.shared) + 1) * size <= sequence.computed:
            key = sequence.key(len(sequence.shared), size)
            if key is None or sequence.node is None:
                return
            page = sequence.own.pop(0)
            known = sequence.node.children.get(key)
            if known is None:
                known = self.tree.add(sequence.node, key, page)
                known.private = sequence.private
            else:
                # Somebody computed the same at the same time. One of the two is enough.
                self.tree.refer(known)
                self._give(page, orders)
            sequence.node = known
            sequence.shared.append(known.page)
            sequence.changed()

    def preempt(self, sequence: Sequence, orders: list[Order]) -> None:
        """Take a sequence's memory; what it computed stays in the tree until somebody needs the pages."""
        orders.append(Preempted(sequence.number, sequence.computed))
        self.release(sequence, orders)
        if sequence.wants:
            self._policy.wait(sequence)

    def release(self, sequence: Sequence, orders: list[Order], keep: bool = True, known: bool = True) -> None:
        """A sequence holds nothing any more. `keep` what it computed for others. What is in its own pages is not
        `known` after a step that failed."""
        node, size = sequence.node, self._settings.page
        if node is None:
            return
        own = sequence.own
        if keep and known and own and sequence.tokens is not None:
            # The page that it was filling: the next step of an agent goes on in the middle of it.
            start = len(sequence.shared) * size
            tail = tuple(sequence.tokens[start : min(sequence.computed, start + size)])
            if tail and self.tree.partial(node, tail)[1] < len(tail):
                self.tree.keep(node, tail, own.pop(0))
        for page in own:
            self._give(page, orders)
        self.tree.leave(node)
        sequence.node, sequence.shared, sequence.own = None, [], []
        sequence.computed, sequence.admission = 0, None
        sequence.changed()
        del self.holders[sequence.number]

    def forget(self, sequence: Sequence, orders: list[Order]) -> None:
        """Take out of the tree what a sequence without memory had computed, where nobody else uses it."""
        if sequence.cached_depth is None:
            return
        node = self.tree.root(sequence.scope)
        known = self._known(sequence, node)
        node = known[-1] if known else node
        if sequence.tokens is not None:
            rest = sequence.tokens[node.depth * self._settings.page :]
            child, count = self.tree.partial(node, rest)
            if child is not None and child.key == tuple(rest[:count]):
                node = child
        for page in self.tree.forget(node, sequence.cached_depth):
            self._give(page, orders)

    def _known(self, sequence: Sequence, node: Node) -> list[Node]:
        """The computed pages that follow on `node` with the tokens of the sequence, all but its last token."""
        size, found = self._settings.page, list[Node]()
        while node.children and (node.depth + 1) * size < sequence.length:
            child = node.children.get(sequence.key(node.depth, size))
            if child is None:
                break
            found.append(child)
            node = child
        return found

    def _copy_partial(self, sequence: Sequence, orders: list[Order]) -> None:
        """Where a computed page begins as the sequence goes on, copy that beginning: the page itself stays as it is."""
        if sequence.tokens is None or sequence.node is None:
            return
        start = sequence.computed
        rest = sequence.tokens[start : min(start + self._settings.page, sequence.length - 1)]
        node, count = self.tree.partial(sequence.node, rest)
        source, of_prefix = self._of_prefix(sequence, rest)
        if max(count, of_prefix) == 0:
            return
        if node is None or of_prefix > count:
            node, count = None, of_prefix
        else:
            source = node.page
            self.tree.refer(node)
        target = self._take(orders)
        if node is not None:
            self.tree.unrefer(node)
        if target is None:
            return
        orders.append(Copy(source, target, count))
        sequence.own.append(target)
        sequence.computed += count
        sequence.changed()

    def _of_prefix(self, sequence: Sequence, rest: list[int]) -> tuple[int, int]:
        """The page of its prefix, if that is here, that goes on from what the sequence has, and how far it is as
        `rest`."""
        holder = None if sequence.prefix is None else self.holders.get(sequence.prefix)
        depth = len(sequence.shared)
        if holder is None or holder.tokens is None or holder.scope != sequence.scope or holder.pages <= depth:
            return 0, 0
        if holder.shared[:depth] != sequence.shared:
            return 0, 0
        known = holder.tokens[depth * self._settings.page : min((depth + 1) * self._settings.page, holder.computed)]
        return holder.table()[depth], common(known, rest)

    def _promise(self, sequence: Sequence) -> int:
        """Pages for all its tokens and one more."""
        return min(self._settings.pages_for(sequence.length + 1), self._settings.pages)

    def _fits(self, sequence: Sequence) -> bool:
        known = self._known(sequence, self.tree.root(sequence.scope))
        idle = sum(not node.references for node in known)
        promised = sum(max(0, self._promise(holder) - holder.pages) for holder in self.holders.values() if holder.wants)
        return self._promise(sequence) - len(known) + promised <= self.available - idle

    def _could_fit(self, sequence: Sequence) -> bool:
        """Whether there would be room if all that want nothing now gave up their memory."""
        kept = sum(max(self._promise(holder), holder.pages) for holder in self.holders.values() if holder.wants)
        return self._promise(sequence) + kept <= self.pages.count

    def _held(self) -> Sequence | None:
        """Of the sequences that want nothing now, the one that ran longest ago."""
        held = [holder for holder in self.holders.values() if not holder.wants]
        return min(held, key=lambda holder: holder.last_step) if held else None

    def _take(self, orders: list[Order]) -> int | None:
        """A page that nobody needs."""
        if not self.pages.free:
            node = self.tree.evict()
            if node is None:
                return None
            if self._settings.host and node.full(self._settings.page):
                self.tiers.put_away(node.page, node.name, node.private, orders)
            self._give(node.page, orders)
        return self.pages.take()

    def _give(self, page: int, orders: list[Order]) -> None:
        self.pages.give(page)
        orders.append(Drop(page))
