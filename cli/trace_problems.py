"""The words for what can go wrong where runs are looked at or given up. One function per slug."""

from __future__ import annotations

from ..base.problems import Problem


def at_and_step() -> Problem:
    title = "--at and --step cannot be used together"
    return Problem(
        "at-and-step", title, hint="--at N prints how all stood after N records; --step goes from one to another"
    )


def no_such_record(number: int, last: int) -> Problem:
    title = f"there is no record {number:,}: the journal has {last:,}"
    return Problem("no-such-record", title, hint=f"--at takes 0 (before the first) to {last}")


def stepping_needs_terminal(run: str) -> Problem:
    title = "--step needs a terminal"
    return Problem("step-no-terminal", title, hint=f"agentlang trace show {run} --at N prints one moment")


def drop_unasked(run: str) -> Problem:
    title = f"nobody can be asked here whether run {run} is to be dropped"
    return Problem("drop-unasked", title, hint=f"agentlang runs drop {run} --yes")
