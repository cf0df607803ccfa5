"""What the router is told, and what it orders. `at` is the time in seconds on the caller's clock: it has no other.

Requests and replicas are numbers that the caller gives out; a request's is used once. What is told of a request that is
gone, or of a replica that is not there, is ignored, because words cross on their way.
"""

from __future__ import annotations

from ..messages import message
from .blocks import Block
from .replicas import Rates


@message
class ReplicaUp:
    """A replica may be sent to. `rows` is how many sequences one of its steps advances, `blocks` how many blocks of
    prompts its cache holds, about; what it had before it went down is gone."""

    at: float
    replica: int
    rates: Rates
    rows: int = 16
    blocks: int = 1024


@message
class ReplicaDown:
    """Nothing more goes there. Where it `drains`, what it has is served to the end; else that is gone: requests that
    had not started are sent elsewhere, the others are `Lost`."""

    at: float
    replica: int
    drains: bool = False


@message
class Arrived:
    """A request with `tokens` of a prompt, whose `blocks` have these names, and about `reply` tokens of a reply.
    `deadline` orders those that have to wait because no replica is there."""

    at: float
    request: int
    tokens: int
    blocks: tuple[Block, ...] = ()
    reply: int = 0
    deadline: float | None = None


@message
class Started:
    """The prompt of a request is computed. `cached` is how many of its tokens were there already, where that is known:
    what was expected and is not there corrects what is believed of the replica."""

    at: float
    request: int
    cached: int | None = None


@message
class Done:
    """A request is over; what it computed stays in the replica's cache."""

    at: float
    request: int


@message
class Cancelled:
    """As `Done`, of a request that is no longer wanted, wherever it is."""

    at: float
    request: int


@message
class Evicted:
    """A replica says that it no longer has blocks of these names."""

    at: float
    replica: int
    blocks: tuple[Block, ...]


@message
class Measured:
    """How fast a replica turned out to be."""

    at: float
    replica: int
    rates: Rates


Event = ReplicaUp | ReplicaDown | Arrived | Started | Done | Cancelled | Evicted | Measured


@message
class Send:
    """The request goes to that replica, where its first token is expected `expected` seconds from now and `cached` of
    its tokens are. Said again, for another one, when the first went down before it started."""

    request: int
    replica: int
    cached: int
    expected: float


@message
class Lost:
    """The request had started on a replica that went down."""

    request: int


Order = Send | Lost
