"""Steps that are all alike, at once: when every sequence that wants anything decodes, and nobody waits, the next steps
are of the same rows until somebody comes or goes. Who simulates need not take them one by one."""

from __future__ import annotations

from .memory import Memory
from .orders import Row, Step
from .policy import Policy
from .sequences import Sequence


def repeatable(step: Step, sequences: list[Sequence], policy: Policy, memory: Memory, most: int) -> int:
    """How often, up to `most`, the step that runs would be followed by one of the same rows, if each of its sequences
    were extended by one counted token after each step and nothing else were told."""
    if step.prefill or policy.waiting or len(sequences) != sum(holder.wants for holder in memory.holders.values()):
        return 0
    if any(sequence.ended or sequence.tokens is not None or _named(sequence, memory) for sequence in sequences):
        # A page that has a name may be taken by others as soon as it is full.
        return 0
    least, most = 0, max(0, most)
    while least < most:
        middle = (least + most + 1) // 2
        if _room(sequences, memory, middle):
            least = middle
        else:
            most = middle - 1
    return least


def repeat(step: Step, sequences: list[Sequence], policy: Policy, memory: Memory, times: int, number: int) -> Step:
    """Do that, so that the last of those steps runs; `number` is its own."""
    for sequence in sequences:
        memory.computed(sequence, times, [])
        sequence.length += times
        memory.grow(sequence, sequence.length, [])
        sequence.last_step = number
        policy.served(sequence, 0, times)
    rows = tuple(Row(row.sequence, row.position + times, None, ()) for row in step.decode)
    return Step(number, (), rows)


def _named(sequence: Sequence, memory: Memory) -> bool:
    """Whether a page that it fills from here on has a name."""
    return sequence.key(sequence.computed // memory.page_size, memory.page_size) is not None


def _room(sequences: list[Sequence], memory: Memory, times: int) -> bool:
    """Whether they can grow so far without taking pages from anybody."""
    needed = sum(max(0, memory.pages_for(sequence.length + times) - sequence.pages) for sequence in sequences)
    return needed <= memory.available
