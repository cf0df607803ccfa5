"""`Router.handle(event) -> orders`.

By `cache_aware`, a request goes where its first token is expected first: behind what is queued there, and behind what
is not cached there of its prompt. That is Mooncake's rule (Qin et al., FAST '25, algorithm 1: the least sum of queue
and prefill of what no prefix covers). What others balance by hand is weighed here in seconds: SGLang's router follows
the longest prefix unless queues differ by more than a threshold (`cache_threshold`, `balance_abs_threshold`,
`balance_rel_threshold`), NVIDIA Dynamo's adds blocks to prefill and blocks that decode with a weight
(`overlap_score_weight`), and vLLM's production stack has a router that estimates the first token as this one does. As
Dynamo's, it counts how much longer the others' replies take beside this one.

So affinity ends where it costs more than it saves: the chosen replica's queue is never longer than the shortest one by
more than the prompt's own prefill (times `affinity`). Of equals it is the replica with the fewest requests, then the
one that has the fewest blocks, then the first.

Nothing is kept from a replica that is there, and no request waits while one is: its queue is the engine's, which knows
deadlines and tenants. Only where no replica is up do requests wait here, and go by their deadlines when one is.
"""

from __future__ import annotations

from collections.abc import Iterable
from math import inf
from typing import Literal, get_args

from .messages import (
    Arrived,
    Cancelled,
    Done,
    Event,
    Evicted,
    Lost,
    Measured,
    Order,
    ReplicaDown,
    ReplicaUp,
    Send,
    Started,
)
from .prefixes import Prefixes
from .replicas import Replica, Sent

Policy = Literal["cache_aware", "least_loaded", "round_robin"]
POLICIES: tuple[Policy, ...] = get_args(Policy)
_LATE = 0.05
"""What the last reply counts in the mean of replies."""


class Router:
    """See the module. `block` is how many tokens a block has; `affinity` weighs what is computed again against what is
    waited for: above 1, work that a cache saves counts more than the request's own seconds."""

    def __init__(self, policy: Policy = "cache_aware", block: int = 16, affinity: float = 1.0) -> None:
        if policy not in POLICIES or block < 1 or not affinity >= 0:
            raise ValueError("a router has a policy, blocks of at least a token, and a weight that is not negative")
        self.policy = policy
        self.block = block
        self.affinity = affinity
        self._replicas: dict[int, Replica] = {}
        self._sent: dict[int, Sent] = {}
        self._waiting: dict[int, Sent] = {}
        """Those that no replica was there for, in the order of their coming."""
        self._prefixes = Prefixes()
        self._turn = -1
        """The replica that was sent to last."""
        self._replies = 0.0
        """Seconds from a prompt's end to that of its reply, of late."""

    @property
    def waiting(self) -> int:
        """Requests that no replica is there for."""
        return len(self._waiting)

    @property
    def believed(self) -> int:
        """Blocks that are believed to be cached, over all replicas."""
        return self._prefixes.size

    @property
    def up(self) -> tuple[int, ...]:
        """Replicas that may be sent to, in order."""
        return tuple(sorted(number for number, replica in self._replicas.items() if not replica.draining))

    def open(self, replica: int) -> int:
        """Requests that a replica has."""
        known = self._replicas.get(replica)
        return 0 if known is None else len(known.open)

    def work(self, replica: int) -> float:
        """Seconds of what a replica was sent and has not done."""
        known = self._replicas.get(replica)
        return 0.0 if known is None else known.work()

    def handle(self, event: Event) -> list[Order]:
        """Raises ValueError for the number of a request that is here already, and for a negative one of a replica."""
        orders: list[Order] = []
        match event:
            case Arrived():
                if event.request in self._sent or event.request in self._waiting:
                    raise ValueError(f"request {event.request} is here already")
                self._send(
                    Sent(event.request, -1, max(1, event.tokens), event.blocks, max(0, event.reply), event.deadline),
                    orders,
                )
            case Started():
                self._started(event)
            case Done() | Cancelled():
                self._waiting.pop(event.request, None)
                sent = self._sent.pop(event.request, None)
                if sent is not None:
                    if sent.started and isinstance(event, Done):
                        self._replies += _LATE * (max(0.0, event.at - sent.since) - self._replies)
                    self._replicas[sent.replica].leave(sent)
                    self._forget(sent.replica)
            case ReplicaUp():
                self._up(event, orders)
            case ReplicaDown():
                self._down(event, orders)
            case Evicted():
                self._prefixes.forget(event.replica, event.blocks)
            case Measured():
                replica = self._replicas.get(event.replica)
                if replica is not None:
                    replica.rates = event.rates
        return orders

    # --- requests ---

    def _send(self, sent: Sent, orders: list[Order]) -> None:
        known = [replica for _, replica in sorted(self._replicas.items()) if not replica.draining]
        if not known:
            self._waiting[sent.request] = sent
            return
        found = self._prefixes.found(sent.blocks)
        replica = self._chosen(known, sent, found)
        self._turn = sent.replica = replica.number
        sent.started, sent.found = False, found.get(replica.number, 0)
        sent.fresh = self._fresh(sent, sent.found)
        expected = replica.wait(self._replies) + sent.fresh * replica.rates.prefill
        replica.take(sent)
        self._sent[sent.request] = sent
        self._prefixes.add(replica.number, sent.blocks)
        orders.append(Send(sent.request, replica.number, sent.tokens - sent.fresh, expected))

    def _chosen(self, known: list[Replica], sent: Sent, found: dict[int, int]) -> Replica:
        if self.policy == "round_robin":
            return next((replica for replica in known if replica.number > self._turn), known[0])
        if self.policy == "least_loaded":
            return min(known, key=lambda replica: (len(replica.open), replica.number))
        return min(known, key=lambda replica: self._score(replica, sent, found.get(replica.number, 0)))

    def _score(self, replica: Replica, sent: Sent, found: int) -> tuple[float, int, int, int]:
        seconds = replica.wait(self._replies) + self.affinity * self._fresh(sent, found) * replica.rates.prefill
        # Each row beside it has one more in its steps, and so has it.
        beside = min(len(replica.open), replica.rows - 1)
        seconds += sent.reply * (replica.rates.step + 2.0 * beside * replica.rates.row)
        return seconds, len(replica.open), self._prefixes.held(replica.number), replica.number

    def _fresh(self, sent: Sent, found: int) -> int:
        """Tokens that are to be computed: one at least, since its logits are wanted."""
        return max(1, sent.tokens - found * self.block)

    def _started(self, event: Started) -> None:
        sent = self._sent.get(event.request)
        if sent is None or sent.started:
            return
        self._replicas[sent.replica].started(sent, event.at)
        if event.cached is None:
            return
        there = event.cached // self.block
        if there < sent.found and (there + 1) * self.block < sent.tokens:
            self._prefixes.missed(sent.replica, sent.blocks[there])
        # Whatever was there before, it is now.
        self._prefixes.add(sent.replica, sent.blocks)

    # --- replicas ---

    def _up(self, event: ReplicaUp, orders: list[Order]) -> None:
        if event.replica < 0 or event.rows < 1:
            raise ValueError("replicas are numbers from 0 on, with a row at least")
        if event.replica in self._replicas:
            # It went down and came back before anybody said so.
            self._down(ReplicaDown(event.at, event.replica), orders)
        self._replicas[event.replica] = Replica(event.replica, event.rates, event.rows)
        self._prefixes.join(event.replica, event.blocks)
        waiting, self._waiting = self._waiting, {}
        self._again(waiting.values(), orders)

    def _down(self, event: ReplicaDown, orders: list[Order]) -> None:
        replica = self._replicas.get(event.replica)
        if replica is None:
            return
        if event.drains:
            replica.draining = True
            self._forget(replica.number)
            return
        del self._replicas[replica.number]
        self._prefixes.leave(replica.number)
        for sent in replica.open.values():
            del self._sent[sent.request]
            if sent.started:
                orders.append(Lost(sent.request))
        self._again((sent for sent in replica.open.values() if not sent.started), orders)

    def _again(self, requests: Iterable[Sent], orders: list[Order]) -> None:
        for sent in sorted(requests, key=lambda sent: inf if sent.deadline is None else sent.deadline):
            self._send(sent, orders)

    def _forget(self, number: int) -> None:
        """A replica that drains is gone when it has nothing more."""
        replica = self._replicas.get(number)
        if replica is not None and replica.draining and not replica.open:
            del self._replicas[number]
            self._prefixes.leave(number)
