"""What the scheduler orders. Orders are carried out one after the other: a copy reads what lies in a page before the
step behind it writes there."""

from __future__ import annotations

from enum import Enum

from ..messages import message


class Refusal(Enum):
    """Why a sequence is not served."""

    TOO_LONG = "too_long"
    """It would not fit if it had all pages."""
    QUEUE_FULL = "queue_full"
    LATE = "late"
    """Its deadline cannot be met, and it asked to be told so."""


@message
class Refuse:
    """The sequence is gone before it was served, or before it could be extended."""

    sequence: int
    reason: Refusal


@message
class Admitted:
    """The sequence has memory. The KV of its first `cached` tokens is there already."""

    sequence: int
    cached: int


@message
class Copy:
    """Copy the first `count` positions of the page `source` to the page `target`."""

    source: int
    target: int
    count: int


@message
class Drop:
    """Nobody needs what is in the page. It may be written again by an order behind this one."""

    page: int


@message
class Chunk:
    """Compute `count` tokens of a sequence at positions from `start`: a part of its prompt, or several at once behind
    it. `pages` hold all its positions up to the last of these, in order; the chunk writes only its own. `last` if
    there are no more: the logits behind it are wanted. `tokens` is empty where they were not told."""

    sequence: int
    start: int
    count: int
    tokens: tuple[int, ...]
    pages: tuple[int, ...]
    last: bool


@message
class Row:
    """Compute the one token that a sequence lacks, at `position`; the logits behind it are wanted. `pages` hold all
    its positions up to this one, in order."""

    sequence: int
    position: int
    token: int | None
    pages: tuple[int, ...]


@message
class Step:
    """Run the device once, over all of these. No page is written by two of them, and none is read that another
    writes."""

    number: int
    prefill: tuple[Chunk, ...]
    decode: tuple[Row, ...]

    @property
    def tokens(self) -> int:
        return sum(chunk.count for chunk in self.prefill) + len(self.decode)


@message
class Preempted:
    """The sequence gave its memory to others. It waits; what the cache does not hold by then is computed again."""

    sequence: int
    computed: int
    """Tokens whose KV it gave up."""


@message
class Gone:
    """The sequence is over and holds nothing. No order names it again."""

    sequence: int


@message
class Save:
    """Copy what is in the page to ordinary memory, under that name. The page is dropped behind this order."""

    page: int
    name: str


@message
class Load:
    """Fill the page with what is in ordinary memory under that name, and stays there."""

    name: str
    page: int


@message
class Spill:
    """Move what is in memory under that name to the disk; where that fails, say `Spoilt`."""

    name: str


@message
class Fetch:
    """Read these from the disk into memory; `Fetched` says of each whether it is there."""

    names: tuple[str, ...]


@message
class Forget:
    """Nobody needs what is under that name, in memory or on the `disk`."""

    name: str
    disk: bool


Order = Refuse | Admitted | Copy | Drop | Step | Preempted | Gone | Save | Load | Spill | Fetch | Forget
