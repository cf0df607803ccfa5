"""What one step computes.

The rows go to the sequences that are first in the order of `policy`, whether they run already or still wait: one that
is due soon takes its row from one that is due late, which keeps its memory. Those that decode get their one token
each; what is left of the step's tokens goes to prompts, in the same order, in chunks. So a long prompt never holds up
those that decode by more than a step's tokens, and it never waits for them to end.

Where several wait for the same page, one computes it and the others join a step later.
"""

from __future__ import annotations

from contextlib import closing

from .memory import Memory
from .orders import Chunk, Order, Row
from .policy import Policy
from .sequences import Sequence
from .settings import Settings

MOST_LEFT_OUT = 64
"""How many that wait for a page of others are looked past in one step."""


def compose(
    settings: Settings, policy: Policy, memory: Memory, orders: list[Order]
) -> tuple[list[Chunk], list[Row], list[Sequence]]:
    """The chunks and rows of the next step, and their sequences: none only if nobody wants anything."""
    while True:
        chosen = _choose(settings, policy, memory, orders)
        chunks, rows = _fill(settings, memory, chosen, orders)
        if chosen or not (policy.waiting or any(holder.wants for holder in memory.holders.values())):
            return chunks, rows, chosen
        # All that were chosen gave up their memory to one that was not: there is one fewer each time.


def _choose(settings: Settings, policy: Policy, memory: Memory, orders: list[Order]) -> list[Sequence]:
    """Who gets a row, in order."""
    behind = policy.keys()
    running = sorted(
        (holder.due + behind[holder.tenant], holder.number) for holder in memory.holders.values() if holder.wants
    )
    chosen: list[Sequence] = []
    coming: set[tuple[int, object]] = set()
    left_out = 0

    def joins(sequence: Sequence) -> bool:
        """Whether it computes what nobody else of the step does."""
        page = memory.next_key(sequence)
        if page is None:
            return True
        if page in coming:
            return False
        coming.add(page)
        return True

    with closing(policy.in_order(behind)) as waiting:
        first = next(waiting, None)
        turn = 0
        while len(chosen) < settings.rows and (turn < len(running) or first is not None):
            if turn < len(running) and (first is None or running[turn] <= (first[0], first[1].number)):
                sequence = memory.holders[running[turn][1]]
                turn += 1
                memory.adopt(sequence)
                if joins(sequence):
                    chosen.append(sequence)
            elif first is not None:
                sequence = first[1]
                page = memory.next_key(sequence)
                if page is not None and page in coming and left_out < MOST_LEFT_OUT:
                    left_out += 1
                    first = next(waiting, None)
                elif memory.admit(sequence, orders):
                    # What it was admitted behind may have changed what it computes next.
                    joins(sequence)
                    chosen.append(sequence)
                    first = next(waiting, None)
                else:
                    # Nobody behind it gets the memory that it waits for.
                    first = None
    return chosen


def _fill(
    settings: Settings, memory: Memory, chosen: list[Sequence], orders: list[Order]
) -> tuple[list[Chunk], list[Row]]:
    """Give the chosen their tokens and pages. Takes those out of `chosen` that get none."""
    counts = {sequence.number: 1 for sequence in chosen if sequence.lacks == 1}
    left = settings.tokens - len(counts)
    prompts = False
    for sequence in chosen:
        if sequence.number in counts:
            continue
        count = min(sequence.lacks, settings.chunk, left)
        # A crumb of a prompt is not worth its row, except where nothing larger is left for the first.
        if count > 0 and (count == sequence.lacks or count >= min(settings.page, settings.chunk) or not prompts):
            counts[sequence.number] = count
            left -= count
            prompts = True
    for sequence in tuple(chosen):
        count = counts.get(sequence.number)
        if count is None or sequence.admission is None:
            continue
        for victim in memory.grow(sequence, sequence.computed + count, orders) or ():
            counts.pop(victim.number, None)
    chosen[:] = [sequence for sequence in chosen if sequence.number in counts and sequence.admission is not None]
    chunks: list[Chunk] = []
    rows: list[Row] = []
    for sequence in chosen:
        count, start = counts[sequence.number], sequence.computed
        pages = sequence.table()[: settings.pages_for(start + count)]
        tokens = sequence.part(start, count)
        if sequence.lacks == 1 and start:
            rows.append(Row(sequence.number, start, tokens[0] if tokens else None, pages))
        else:
            chunks.append(Chunk(sequence.number, start, count, tokens, pages, count == sequence.lacks))
    return chunks, rows
