"""Who answers what a program asks a person (`with approve "…"`): the person at the terminal, or a word said beforehand.

Where nobody can be asked and nothing was said, the run's question is denied with a problem that says so.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from .console import Console

if TYPE_CHECKING:
    from ..executor.running import Approver, Question

CHOICES = ("ask", "yes", "no")


def approver(how: str, console: Console) -> Approver | None:
    """Asks as `--approve` says; None where nobody can be asked."""
    if how == "ask" and not (sys.stdin.isatty() and console.err.isatty()):
        return None

    async def answer(question: Question) -> bool:
        if how != "ask":
            console.note(f"{question.text} {how} (--approve {how})")
            return how == "yes"
        return await _ask(question, console)

    return answer


async def _ask(question: Question, console: Console) -> bool:
    import anyio

    console.err.write(f"\n{question.text} [y/N] ")
    console.err.flush()
    # A terminal gives whole lines, so reading one does not wait once there is something to read.
    await anyio.wait_readable(sys.stdin)
    return sys.stdin.readline().strip().lower() in ("y", "yes")
