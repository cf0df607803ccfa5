"""Where a command's words go: results to stdout, problems and progress to stderr, colour only on a terminal.

One object is handed to every command, so that tests give it their own streams and no command prints by itself.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, TextIO

from ..base.later import Later
from ..base.problems import Problem, Problems, has_errors
from ..base.source import Source

if TYPE_CHECKING:
    from ..base import render
else:
    render = Later("..base.render", __package__)

MOST_SHOWN = 50
"""More problems than this are a wall that nobody reads; the other forms show all."""


class Exit:
    """Exit codes, a contract of the command line."""

    DONE = 0
    ERRORS = 1
    USAGE = 2
    OUTSIDE = 3
    INTERRUPTED = 130


class Console:
    def __init__(self, out: TextIO | None = None, err: TextIO | None = None, json: bool = False) -> None:
        self.out = sys.stdout if out is None else out
        self.err = sys.stderr if err is None else err
        self.json = json

    def print(self, text: str = "", end: str = "\n") -> None:
        """A result, for people. Flushed where it ends without a newline, because then it streams."""
        self.out.write(text + end)
        if end != "\n":
            self.out.flush()

    def document(self, value: object) -> None:
        """The one JSON document of a `--json` command."""
        self.out.write(json.dumps(value, ensure_ascii=False, indent=2) + "\n")

    def line(self, value: object) -> None:
        """One line of JSON Lines, out at once."""
        self.out.write(json.dumps(value, ensure_ascii=False, separators=(",", ":")) + "\n")
        self.out.flush()

    def note(self, text: str) -> None:
        """A word beside the result."""
        self.err.write(text + "\n")
        self.err.flush()

    def problems(self, problems: Iterable[Problem], sources: Mapping[str, Source], form: str = "text") -> None:
        """Problems in the wanted form: `text` and `concise` to stderr, `json` to stdout."""
        found = tuple(problems)
        if form == "json":
            self.out.write(render.json_text(found) + "\n")
            return
        colour = self.colour(self.err)
        shown = found[:MOST_SHOWN] if form == "text" else found
        for problem in shown:
            text = render.concise(problem) if form == "concise" else render.terminal(problem, sources, colour) + "\n"
            self.err.write(text + "\n")
        if form == "text" and found:
            left = f"the first {len(shown)} of " if len(shown) < len(found) else ""
            more = "; --format concise shows all" if left else ""
            self.err.write(f"{left}{render.summary(found)}{more}\n")
        self.err.flush()

    def fail(self, problems: Problems, sources: Mapping[str, Source], code: int = Exit.ERRORS) -> int:
        """Show why a command ends here; in JSON mode as the one document `{"problems": [...]}`."""
        if self.json:
            self.document({"problems": [render.as_json(p) for p in problems]})
        else:
            self.problems(problems, sources)
        return code if has_errors(problems) else Exit.DONE

    @staticmethod
    def colour(stream: TextIO) -> bool:
        return stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


class Bar:
    """A progress bar on stderr: drawn in place on a terminal, else a line at each tenth. Sizes in bytes."""

    def __init__(self, console: Console, label: str) -> None:
        self.console = console
        self.label = label
        self._last = 0.0
        self._tenth = -1
        self._done = False

    def show(self, done: int, total: int | None) -> None:
        """Draw; more than 20 times a second is left out, the end is not."""
        if self._done:
            return
        finished = self._done = total is not None and done >= total
        if not self.console.err.isatty():
            tenth = int(10 * done / total) if total else 0
            if tenth != self._tenth:
                self._tenth = tenth
                self.console.note(f"{self.label}: {_amounts(done, total or 0, ' of ')}")
            return
        now = time.monotonic()
        if now - self._last < 0.05 and not finished:
            return
        self._last = now
        from shutil import get_terminal_size  # archives come with it, which no other command needs

        room = max(10, min(40, get_terminal_size().columns - len(self.label) - 30))
        filled = int(room * done / total) if total else 0
        text = f"\r{self.label} [{'█' * filled}{'·' * (room - filled)}] {_amounts(done, total or 0, ' / ')} "
        self.console.err.write(text + ("\n" if finished else ""))
        self.console.err.flush()

    def close(self) -> None:
        """Leave the line, where a bar stands on it unfinished."""
        if self._last and not self._done and self.console.err.isatty():
            self.console.err.write("\r\x1b[K")
            self.console.err.flush()


def measuring(console: Console) -> Callable[[str], None] | None:
    """What `hardware.measure` tells while it works, as notes."""
    return None if console.json else lambda what: console.note(f"measuring this machine: {what}")


def _amounts(done: int, total: int, between: str) -> str:
    """Both in the unit that suits the larger."""
    unit, name = (2**20, "MiB") if max(done, total) >= 2**20 else (2**10, "KiB")
    return f"{done / unit:.1f} {name}{between}{total / unit:.1f} {name}"


def unread(problems: Problems) -> int:
    """The exit code where a source could not be had: wrong usage without such a file, else its content is wrong."""
    usage = ("no-such-file", "not-a-file", "unreadable-file")
    return Exit.USAGE if any(p.slug in usage for p in problems) else Exit.ERRORS
