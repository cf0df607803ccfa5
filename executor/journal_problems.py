"""The words for what can go wrong with the journal of a durable run. One function per slug."""

from __future__ import annotations

from collections.abc import Sequence

from ..base.problems import Problem
from ..base.source import Span


def no_such_run(run: str, near: str | None, open_runs: Sequence[str]) -> Problem:
    if near is not None:
        hint = f"did you mean {near}?"
    elif open_runs:
        hint = f"runs that can be resumed: {', '.join(open_runs)}"
    else:
        hint = "no run waits to be resumed; `agentlang run FILE --durable` starts one that can be"
    return Problem("no-such-run", f"there is no run {run!r} to resume", hint=hint)


def not_a_journal(name: str, why: str) -> Problem:
    return Problem(
        "journal-damaged",
        f"{name} is no journal that can be read: {why}",
        hint="it cannot be resumed or replayed; start the run again",
    )


def damaged(name: str, number: int, why: str) -> Problem:
    return Problem(
        "journal-damaged",
        f"record {number:,} of {name} is damaged: {why}",
        hint="a run is not resumed from a part of its journal, for what came after may have acted; start it again",
    )


def other_version(name: str, version: int, known: int) -> Problem:
    newer = version > known
    return Problem(
        "journal-version",
        f"{name} is a journal of version {version}, and this agentlang reads {known}",
        hint="resume it with the agentlang that began it" if not newer else "install the newer agentlang that wrote it",
    )


def other_agentlang(name: str, wrote: str, here: str) -> Problem:
    return Problem(
        "journal-version",
        f"{name} was begun by agentlang {wrote}, and this is {here}",
        hint=f"resume it with agentlang {wrote}: another may decide otherwise about the same events",
    )


def other_program(run: str, path: str, what: str) -> Problem:
    return Problem(
        "journal-program",
        f"{path} is not the program that run {run} began with: {what}",
        hint="give it back the text that it had, or start a new run",
    )


def in_use(run: str) -> Problem:
    return Problem(
        "journal-in-use",
        f"run {run} is running in another process",
        hint="wait until that has ended, or stop it; a run is resumed by one at a time",
    )


def not_written(name: str, why: str, resume: str | None) -> Problem:
    hint = "make room on the disk, or look at the folder and its permissions"
    return Problem(
        "journal-not-written",
        f"the journal {name} cannot be written: {why}",
        hint=f"{hint}, then `{resume}` goes on from what is written" if resume else hint,
    )


def may_have_acted(stage: str, tool: str, effects: Sequence[str], span: Span | None) -> Problem:
    what = ", ".join(effects)
    return Problem(
        "may-have-acted",
        f"{tool} was under way when the run was cut off, and may have acted ({what})",
        span,
        hint=f"look whether it has; {stage!r} is not run again unless the tool says `idempotent by …`",
    )


def resumed_otherwise(stage: str, why: str, span: Span | None) -> Problem:
    return Problem(
        "resumed-otherwise",
        f"{stage!r} was run again after a restart, and {why}",
        span,
        hint="what it gave before has been used; give the model a seed, or buffer the call (`buffered`)",
    )


def input_again(run: str, names: Sequence[str], why: str) -> Problem:
    return Problem(
        "input-again",
        f"run {run} needs {', '.join(names)} again: {why}",
        hint=f"agentlang run --resume {run} " + " ".join(f"{name}=…" for name in names),
    )


def journal_masks(stage: str, labels: Sequence[str], span: Span | None) -> Problem:
    shown = ", ".join(f"@{label}" for label in labels)
    return Problem(
        "journal-masks",
        f"what {stage!r} gives is {shown}, which is not written to a journal, and without it no run can be resumed",
        span,
        hint=f"redact it before, or allow it: --keep-label {labels[0]}",
    )


def islands_hold(channel: str, kind: str) -> Problem:
    return Problem(
        "islands-not-durable",
        f"channel {channel} carries {kind} from tier to tier, which only a process can hold: it cannot be sent again",
        hint="put the stages of one model on one tier, or run it without a journal",
    )


def not_replayed(name: str) -> Problem:
    return Problem(
        "journal-unfinished",
        f"{name} ends before its run does",
        hint="it holds what was written until the run was cut off; resume the run first",
    )
