"""`agentlang models list|pull|where|remove`: the weights that are on this machine."""

from __future__ import annotations

import argparse

from ..api import check, models_of, read
from ..base.problems import OutsideError, has_errors
from ..base.units import BYTESIZE, Quantity
from ..stdlib import store
from ..stdlib.catalogue import Entry
from .console import Bar, Console, Exit, unread


def configure(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    for name, words in _ACTIONS.items():
        child = actions.add_parser(name, help=words, description=words)
        child.add_argument("--json", action="store_true", default=argparse.SUPPRESS, help="one JSON document on stdout")
        if name == "pull":
            child.add_argument("names", nargs="*", metavar="MODEL", help="names as in `models list`")
            child.add_argument("--for", dest="program", metavar="FILE", help="the models that this program needs")
        elif name != "list":
            child.add_argument("names", nargs="+", metavar="MODEL", help="names as in `models list`")


_ACTIONS = {
    "list": "all models of the catalogue, and which are here",
    "pull": "fetch models, whole or not at all",
    "where": "the folder of a model that is here",
    "remove": "delete a model from this machine",
}


def execute(arguments: argparse.Namespace, console: Console) -> int:
    try:
        return _execute(arguments, console)
    except OutsideError as error:
        # A name that no catalogue knows is wrong usage here; everything else is the world's fault.
        usage = error.problem.slug in ("model-unknown", "model-shape-only")
        return console.fail((error.problem,), {}, Exit.USAGE if usage else Exit.OUTSIDE)


def _execute(arguments: argparse.Namespace, console: Console) -> int:
    action: str = arguments.action
    if action == "list":
        return _list(console)
    if action == "pull":
        return _pull(arguments, console)
    for name in arguments.names:
        if action == "where":
            folder = str(store.where(name))
            console.document({"model": name, "folder": folder}) if console.json else console.print(folder)
        else:
            freed = store.remove(name)
            console.document({"model": name, "freed": freed}) if console.json else console.note(
                f"{name} removed, {_size(freed)} freed"
            )
    return Exit.DONE


def _list(console: Console) -> int:
    entries = sorted(store.catalogue().values(), key=lambda e: (not e.runs, e.role, e.name))
    here = {e.name: store.located(e) is not None for e in entries}
    if console.json:
        console.document([_as_json(e, here[e.name]) for e in entries])
        return Exit.DONE
    rows = [("model", "for", "size", "here", "licence")]
    for entry in entries:
        state = "yes" if here[entry.name] else "no" if entry.runs else "shape only"
        rows.append((entry.name, entry.role, _size(entry.size) if entry.files else "-", state, entry.licence))
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    for row in rows:
        console.print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
    return Exit.DONE


def _as_json(entry: Entry, here: bool) -> dict[str, object]:
    return {
        "name": entry.name,
        "role": entry.role,
        "licence": entry.licence,
        "about": entry.about,
        "bytes": entry.size,
        "runs": entry.runs,
        "here": here,
        "parameters": entry.shape.parameters if entry.shape else None,
        "context": entry.shape.context if entry.shape else None,
        "program": entry.program or None,
    }


def _pull(arguments: argparse.Namespace, console: Console) -> int:
    names: list[str] = list(arguments.names)
    if arguments.program:
        source, problems = read(arguments.program)
        if source is None:
            return console.fail(problems, {}, unread(problems))
        checked = check(source)
        if checked.program is None or has_errors(checked.problems):
            return console.fail(checked.problems, checked.sources)
        names += models_of(checked.program)
    if not names:
        console.note("error[usage]: name a model, or a program: agentlang models pull --for FILE")
        return Exit.USAGE
    entries = [store.entry(name) for name in dict.fromkeys(names)]
    for entry in entries:
        if store.located(entry) is None:
            pull(entry, console)
    if console.json:
        console.document([{"model": e.name, "folder": str(store.where(e.name))} for e in entries])
    return Exit.DONE


def pull(entry: Entry, console: Console) -> None:
    """Fetch one model with a bar on stderr. Raises `OutsideError`."""
    watch = Watch(console)
    try:
        store.pull(entry, watch)
    except OutsideError:
        watch.close()
        raise
    console.note(f"{entry.name}: here, " + (f"by {entry.program}" if entry.program else _size(entry.size)))


class Watch:
    """Draws each step of a fetch; one bar for each model and phase."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._bar: Bar | None = None
        self._of: tuple[str, object] | None = None

    def __call__(self, step: store.Step) -> None:
        if (step.model, step.phase) != self._of:
            self.close()
            self._of = (step.model, step.phase)
            self._bar = Bar(self._console, f"{step.phase.value} {step.model}")
        if self._bar is not None:
            self._bar.show(step.done, step.total or None)

    def close(self) -> None:
        if self._bar is not None:
            self._bar.close()


def _size(count: int) -> str:
    return str(Quantity(float(count), BYTESIZE))
