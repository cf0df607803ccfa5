"""`--durable` and `--resume RUN`: a run whose journal outlasts the process. Also journals given to `--record` and
`--replay`, which hold the whole run and not only what models and tools said."""

from __future__ import annotations

import argparse
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..base.problems import OutsideError, Problem
from . import problems as words
from .console import Console, Exit
from .target import Target

if TYPE_CHECKING:
    from ..executor.frames import End, Frame
    from ..executor.journal.file import Journal
    from ..executor.running import Approver, Question
    from ..planner.plan import Plan

_USAGE = ("no-such-run", "no-such-record", "input-again", "journal-program", "journal-unfinished")


def configure(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("runs that outlast their process")
    group.add_argument("--durable", action="store_true", help="write a journal, from which the run can be resumed")
    group.add_argument("--resume", metavar="RUN", help="go on with a durable run that was cut off")


def usage(arguments: argparse.Namespace) -> Problem | None:
    """What is wrong with how it was asked for."""
    if arguments.resume is None and arguments.file is None:
        return words.nothing_to_run()
    if arguments.resume is not None:
        for other in ("durable", "record", "replay", "plan", "session", "timeout"):
            if getattr(arguments, other):
                return words.resumed_as_begun(other)
    if arguments.durable and arguments.replay:
        return words.durable_and_replay()
    return None


def find(arguments: argparse.Namespace) -> Journal:
    """The journal to resume; the program and its values are put where those of a new run are."""
    from ..durable import find

    journal = find(arguments.resume)
    head = journal.head
    given: str | None = arguments.file
    if given is not None and "=" in given:
        arguments.values.insert(0, given)
    arguments.file = f"{head.file}:{head.pipeline}"
    arguments.profile = head.profile
    return journal


def wants(arguments: argparse.Namespace) -> Path | bool | None:
    """Where a journal is to be kept: at a path, in the usual place (True), or nowhere."""
    if arguments.record and arguments.record.endswith(".journal"):
        return Path(arguments.record)
    return bool(arguments.durable)


def begin(arguments: argparse.Namespace, target: Target, chosen: Any, planned: Plan, console: Console) -> Journal | int:
    """A new journal, or the exit code where there can be none."""
    from ..durable import begin
    from ..engine_choice import engines_of
    from ..executor.journal.file import erase
    from ..executor.promised import promises_of

    place = wants(arguments)
    path = place if isinstance(place, Path) else None
    if path is not None:
        erase(path)
    journal, found = begin(
        chosen,
        target.pipeline,
        path=path,
        file=target.compiled.program.source.path if not arguments.file else _file(arguments.file),
        profile=arguments.profile,
        engines=engines_of(planned, target.compiled.program),
        kept=[name.removeprefix("@") for name in arguments.keep_label],
        promises=promises_of(planned, enforce=arguments.enforce_goal),
    )
    if journal is None:
        return console.fail(found, target.sources)
    if path is None and not console.json and not arguments.quiet:
        console.note(f"run {journal.head.run}; if it is cut off: agentlang run --resume {journal.head.run}")
    return journal


def over(journal: Journal, end: End, arguments: argparse.Namespace, console: Console) -> None:
    """After the end was shown: nothing is kept of a run that is over, but where it was asked for."""
    run = journal.head.run
    if not journal.head.file:
        if not console.json and not arguments.quiet:
            console.note(f"the run is recorded in {journal.path}")
    elif end.outcome.status == "interrupted" or journal.failed is not None:
        if not console.json:
            console.note(f"to go on: agentlang run --resume {run}")
    else:
        journal.remove()


def missed(journal: Journal, end: End) -> bool:
    """Whether a resumed run missed what it was to keep (`--enforce-goal`): what comes late with nothing left to stop is
    late all the same."""
    held = {
        promise["name"] or promise["moment"]
        for of in journal.head.promises
        if of["enforce"]
        for promise in of["promises"]
        if not promise["soft"]
    }
    return any(each.name in held for each in end.blame)


def waiting(journal: Journal | None, ask: Approver | None, console: Console) -> Approver | None:
    """Asks as the run does; where nobody can be asked here, the run waits for who resumes it."""
    if journal is None or ask is not None:
        return ask
    run = journal.head.run

    async def wait(question: Question) -> bool:
        import anyio

        console.note(
            f"{question.text} It waits for an answer: stop it, then agentlang run --resume {run} --approve yes"
        )
        await anyio.sleep_forever()
        return False

    return wait


@asynccontextmanager
async def replayed(frames: tuple[Frame, ...]) -> AsyncGenerator[Any]:
    """A recorded run's frames, as those of a run."""

    async def one_by_one() -> AsyncGenerator[Frame]:
        for frame in frames:
            yield frame

    yield one_by_one()


def recorded(path: str) -> Journal:
    """A journal to be replayed; its lock is let go of. Raises `OutsideError`."""
    from ..executor.journal.file import open_journal

    journal = open_journal(Path(path))
    journal.release()
    return journal


def unfinished(journal: Journal) -> Problem:
    from ..executor.journal_problems import not_replayed

    return not_replayed(journal.path.name)


def code_of(error: OutsideError) -> int:
    return Exit.USAGE if error.problem.slug in _USAGE else Exit.OUTSIDE


def _file(word: str) -> str:
    from .target import split

    return split(word)[0]
