"""`agentlang runs`: the durable runs that are not over, what each waits for, and how to go on. `runs drop RUN` gives
one up: its journal is deleted, after what is lost with it was said."""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from typing import TYPE_CHECKING

from ..base.problems import OutsideError
from . import trace_problems as words
from .console import Console, Exit
from .durable import code_of
from .target import Refused, open_target

if TYPE_CHECKING:
    from ..executor.journal.view import Moment
    from ..journals import Kept


def configure(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", metavar="ACTION")
    for name, text in {"list": "all of them (so does `runs` alone)", "drop": "give up: delete what is kept"}.items():
        child = actions.add_parser(name, help=text, description=text)
        child.add_argument("--json", action="store_true", default=argparse.SUPPRESS, help="one JSON document on stdout")
        if name == "drop":
            child.add_argument("run", metavar="RUN", help="a name as in `runs list`")
            child.add_argument("--yes", action="store_true", help="do not ask")


def execute(arguments: argparse.Namespace, console: Console) -> int:
    from ..journals import kept

    if arguments.action == "drop":
        try:
            return _drop(arguments.run, arguments.yes, console)
        except OutsideError as error:
            return console.fail((error.problem,), {}, code_of(error))
    rows = [_row(each) for each in kept()]
    if console.json:
        console.document(rows)
    elif not rows:
        console.note("no durable run waits here")
    else:
        from ..planner.tables import table

        names = ("run", "state", "pipeline", "written", "records", "next")
        cells = [tuple(str(row[name]) for name in names) for row in rows]
        for line in table([tuple(name if name != "written" else "last written" for name in names), *cells]):
            console.print(line)
    return Exit.DONE


def _row(each: Kept) -> dict[str, object]:
    """`state` is one word; `next` is what has to happen for it to go on."""
    row: dict[str, object] = {"run": each.run, "state": "running", "pipeline": "", "written": _ago(each.age)}
    row |= {"seconds": round(each.age, 1), "size": each.size, "records": "", "acted": each.acted, "next": ""}
    if each.journal is None:
        assert each.problem is not None
        if each.problem.slug != "journal-in-use":
            row |= {"state": "unreadable", "next": f"{each.problem.slug}: {each.problem.title}"}
        return row
    head = each.journal.head
    row |= {"pipeline": head.pipeline, "records": len(each.journal.lines)}
    again = f"agentlang run --resume {each.run}"
    try:
        moment = _moment(each)
    except OutsideError as error:
        if error.problem.slug == "input-again":
            return row | {"state": "cut off", "next": error.problem.hint or again}
        return row | {"state": "stuck", "next": f"{error.problem.slug}: {error.problem.title}"}
    if moment is None:
        return row | {"state": "stuck", "next": f"{head.file} does not compile"}
    if moment.over is not None:
        return row | {"state": "over", "next": f"{again} shows its end ({moment.over})"}
    if moment.asked:
        return row | {"state": "asks", "next": f"{moment.asked[0]} {again} --approve yes"}
    return row | {"state": "cut off", "next": again}


def _moment(each: Kept) -> Moment | None:
    """How it stands; None where its program cannot be had. Raises `OutsideError`."""
    from ..engine_choice import with_engines
    from ..journals import view

    assert each.journal is not None
    head = each.journal.head
    target = open_target(head.file, head.pipeline, profile=head.profile)
    if isinstance(target, Refused):
        return None
    shown = view(each.journal, with_engines(target.compiled, head.engines), {})
    return shown.at(len(shown))


def _drop(run: str, sure: bool, console: Console) -> int:
    from ..durable import find
    from ..journals import look

    each = look(run)
    if each.problem is not None and each.problem.slug == "journal-in-use":
        raise OutsideError(replace(each.problem, hint="stop that process first; a run that goes on is not dropped"))
    row = _row(each)
    acted = f"; what it did to the world stays done ({each.acted} times it acted)" if each.acted else ""
    lost = f"{run} ({row['pipeline'] or 'unreadable'}, {row['state']}, {row['records'] or 'no'} records{acted})"
    if not sure:
        if not (sys.stdin.isatty() and console.err.isatty()):
            return console.fail((words.drop_unasked(run),), {}, Exit.USAGE)
        console.err.write(f"{lost}: it can never be resumed once it is dropped. Drop it? [y/N] ")
        console.err.flush()
        if sys.stdin.readline().strip().lower() not in ("y", "yes"):
            console.note("nothing is dropped")
            return Exit.ERRORS
    if each.journal is None:
        from ..executor.journal.file import erase

        erase(each.path)
    else:
        # Held again while it goes, so that nobody resumes what is being deleted.
        journal = find(run)
        journal.remove()
        journal.release()
    console.document({"dropped": run, **row}) if console.json else console.note(f"dropped {lost}")
    return Exit.DONE


def _ago(seconds: float) -> str:
    for size, name in ((86_400.0, "d"), (3600.0, "h"), (60.0, "min")):
        if seconds >= size:
            return f"{seconds / size:.0f} {name} ago"
    return f"{seconds:.0f} s ago"
