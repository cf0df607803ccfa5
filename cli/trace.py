"""`agentlang trace show X.journal|RUN`: a run that a journal holds, as a table of what ran when; how it stood after any
of its records (`--at N`), and stepped back and forth in a terminal (`--step`).

What is shown is what the executor itself makes of the journal. Values with a label are not shown, unless `--keep-label`
allows it: whoever looks may not be who may read them.
"""

from __future__ import annotations

import argparse
from dataclasses import asdict, replace
from typing import TYPE_CHECKING

from ..base.problems import OutsideError, Problems, has_errors
from . import trace_problems as words
from .console import Console, Exit
from .durable import code_of
from .target import Refused, open_target

if TYPE_CHECKING:
    from ..executor.journal.file import Journal
    from ..executor.journal.view import Moment, Ran, View

_LONGEST = 200
"""Executions that the table has, unless all are asked for."""


def configure(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    text = "what ran when in a recorded or durable run, and how it stood after each record"
    child = actions.add_parser("show", help=text, description=text)
    child.add_argument("--json", action="store_true", default=argparse.SUPPRESS, help="one JSON document on stdout")
    child.add_argument("journal", metavar="X.journal|RUN", help="a recorded run's file, or the name of a durable run")
    child.add_argument("values", nargs="*", metavar="name=value", help="inputs that the journal does not tell")
    child.add_argument("--program", metavar="FILE", help="the program, where it is not where it was")
    child.add_argument("--profile", metavar="NAME", help="a profile of agentlang.toml")
    child.add_argument("--at", metavar="N", type=int, help="how all stood after the first N records")
    child.add_argument("--step", action="store_true", help="go back and forth: n, p, g NUMBER, q")
    child.add_argument("--all", action="store_true", help=f"more than {_LONGEST} executions")
    child.add_argument("--keep-label", metavar="NAME", action="append", default=[], help="show values of this label")


def execute(arguments: argparse.Namespace, console: Console) -> int:
    from ..journals import opened

    if arguments.step and arguments.at is not None:
        return console.fail((words.at_and_step(),), {}, Exit.USAGE)
    try:
        journal = opened(arguments.journal)
        view = _view(journal, arguments, console)
        return view if isinstance(view, int) else _shown(view, journal, arguments, console)
    except OutsideError as error:
        problem = error.problem
        if problem.slug == "input-again":
            problem = replace(problem, hint=f"agentlang trace show {arguments.journal} name=…")
        return console.fail((problem,), {}, code_of(error))


def _view(journal: Journal, arguments: argparse.Namespace, console: Console) -> View | int:
    from ..engine_choice import with_engines
    from ..executor.values import bind
    from ..journals import view
    from .inputs import gather

    head = journal.head
    file = arguments.program or head.file or head.program
    target = open_target(file, head.pipeline, profile=arguments.profile or head.profile)
    if isinstance(target, Refused):
        return console.fail(target.problems, target.sources, target.code)
    graph = target.compiled.graph
    pipeline = graph.pipeline(head.pipeline)
    data, found = gather(graph, pipeline, arguments.values, None)
    inputs: dict[str, object] = {}
    if not found:
        inputs, found = bind(graph, pipeline, data)
    wrong: Problems = tuple(problem for problem in found if problem.slug != "argument-missing")
    if has_errors(wrong):
        return console.fail(wrong, target.sources, Exit.USAGE)
    labels = tuple(name.removeprefix("@") for name in arguments.keep_label)
    return view(journal, with_engines(target.compiled, head.engines), inputs, labels)


def _shown(view: View, journal: Journal, arguments: argparse.Namespace, console: Console) -> int:
    name = journal.head.run
    if arguments.step:
        from .stepping import step

        return step(view, name, console)
    number = len(view) if arguments.at is None else arguments.at
    if not 0 <= number <= len(view):
        return console.fail((words.no_such_record(number, len(view)),), {}, Exit.USAGE)
    moment = view.at(number)
    if console.json:
        head = {"run": name, "pipeline": journal.head.pipeline, "records": len(view)}
        console.document({**head, "executions": [asdict(ran) for ran in view.ran()], "moment": asdict(moment)})
    elif arguments.at is not None:
        console.print(moment_text(moment, len(view)))
    else:
        console.print(table_text(view.ran(), moment, arguments.all))
    return Exit.DONE


def table_text(ran: tuple[Ran, ...], moment: Moment, whole: bool = False) -> str:
    """A line for each execution, in the order in which they began, and how it ended."""
    from ..planner.tables import table

    rows: list[tuple[str, ...]] = [("stage", "turn", "start", "end", "records", "items", "how", "value")]
    for each in ran if whole else ran[:_LONGEST]:
        turn = ".".join(map(str, each.index))
        end = "" if each.over is None else _seconds(each.over)
        records = f"{each.begun}-{'' if each.ended is None else each.ended}"
        how = f"{each.how}, acts" if each.acts else each.how
        rows.append((each.stage, turn, _seconds(each.start), end, records, str(each.items or ""), how, each.value))
    lines = list(table(rows))
    if len(ran) > _LONGEST and not whole:
        lines.append(f"{len(ran) - _LONGEST:,} more; --all shows them")
    asked = "".join(f"; it asks: {text}" for text in moment.asked)
    lines.append(f"{moment.number:,} records, {_seconds(moment.at)}; {moment.over or 'it is not over'}{asked}")
    return "\n".join(lines)


def moment_text(moment: Moment, of: int) -> str:
    """How all stood, with an empty part left out."""
    lines = [f"record {moment.number:,} of {of:,}, at {_seconds(moment.at)}: {moment.said}"]
    if moment.opening:
        lines.append(f"opening    {', '.join(moment.opening)}")
    for each in moment.running:
        turn = f" [{'.'.join(map(str, each.index))}]" if each.index else ""
        made = f", {each.items} items, last {each.value}" if each.items else ""
        lines.append(f"runs       {each.stage}{turn}, since {_seconds(each.start)}{made}")
    for each in moment.waiting:
        more = ", …" if each.count > len(each.items) else ""
        lines.append(f"waits      {each.source} -> {each.reader}: {each.count} ({', '.join(each.items)}{more})")
    lines += [f"asks       {text}" for text in moment.asked]
    if moment.given:
        last = moment.given[-3:]
        more = f"{len(moment.given) - 3:,} before, " if len(moment.given) > 3 else ""
        lines.append(f"given      {more}{', '.join(last)}")
    if moment.over is not None:
        lines.append(f"over       {moment.over}")
    return "\n".join(lines)


def _seconds(seconds: float) -> str:
    return f"{seconds:.3f} s"
