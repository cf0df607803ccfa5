"""`agentlang test FILE…`: the `test` blocks of files, one line each, and why one did not pass.

Results go to stdout, the reasons to stderr beside them. `--json` gives one document, `--junit` an XML file that
continuous integration shows.
"""

from __future__ import annotations

import argparse
import signal
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING

from ..base.problems import Problem
from ..base.render import as_json, terminal
from ..base.source import Source
from . import problems as words
from .asking import approver
from .console import Console, Exit
from .tapes import configure as configure_tapes
from .tapes import open_tapes, tell_recorded
from .target import Refused, Target, open_checked, open_compiled
from .times import seconds

if TYPE_CHECKING:
    from ..tapes import Recording, Tape
    from ..testing import Expected, Result

_SHOWN = {"passed": "passed", "failed": "FAILED", "error": "ERROR", "interrupted": "stopped"}
_COLOURS = {"passed": "32", "failed": "31;1", "error": "31;1", "interrupted": "33"}


@dataclass
class _Suite:
    """A file with the tests of it that are to run, and what became of them."""

    name: str
    target: Target
    titles: list[str]
    tested: list[Result] = field(default_factory=list["Result"])


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("files", nargs="+", metavar="FILE", help="programs, as in shop.agent")
    parser.add_argument("--filter", metavar="TEXT", help="only tests with this text in their title")
    configure_tapes(parser)
    parser.add_argument("--junit", metavar="FILE", help="also write a report in JUnit's XML")
    parser.add_argument("--timeout", metavar="TIME", help="stop a test after this time: 30s, 500ms, 2min")
    parser.add_argument("--approve", choices=("yes", "no"), default="no", help="what to answer where a program asks")
    parser.add_argument("--profile", metavar="NAME", help="a profile of agentlang.toml")


def execute(arguments: argparse.Namespace, console: Console) -> int:
    import anyio

    timeout, wrong = seconds("--timeout", arguments.timeout)
    if wrong:
        return console.fail((wrong,), {}, Exit.USAGE)
    tapes = open_tapes(arguments, [Path(name).name for name in arguments.files], console)
    if isinstance(tapes, int):
        return tapes
    record, replay = tapes
    suites = _suites(arguments, console)
    if isinstance(suites, int):
        return suites
    if not any(suite.titles for suite in suites):
        record = None  # a cassette that is there is not replaced by an empty one
    began = perf_counter()
    with ExitStack() as stack:
        if record is not None:
            stack.enter_context(record)
        anyio.run(partial(_run, suites, record, replay, timeout, arguments.approve, console))
    elapsed = perf_counter() - began
    if record is not None and not console.json:
        tell_recorded(record, console)
    if arguments.junit:
        problem = _write_junit(arguments.junit, suites)
        if problem is not None:
            return console.fail((problem,), {}, Exit.OUTSIDE)
    if console.json:
        console.document(_document(suites, elapsed))
    else:
        _summary(suites, elapsed, console)
    return _code(suites)


def _suites(arguments: argparse.Namespace, console: Console) -> list[_Suite] | int:
    """All files, compiled, with the tests that were asked for; nothing runs before each is sound."""
    from .models import Watch

    watch = Watch(console)
    suites: list[_Suite] = []
    refused: list[Refused] = []
    for name in dict.fromkeys(arguments.files):
        target = open_checked(name)
        if not isinstance(target, Refused):
            target = open_compiled(
                name,
                target,
                progress=watch,
                warn=lambda problem: console.problems((problem,), {}),
                profile=arguments.profile,
                tests=True,
            )
        if isinstance(target, Refused):
            refused.append(target)
        else:
            if not console.json:
                console.problems(target.problems, target.sources)
            suites.append(_Suite(name, target, [test.name for test in target.compiled.program.tests]))
    if refused:
        sources: dict[str, Source] = {}
        for one in refused:
            sources |= one.sources
        return console.fail(tuple(p for one in refused for p in one.problems), sources, max(r.code for r in refused))
    titles = [title for suite in suites for title in suite.titles]
    if arguments.filter is not None and titles:
        part = arguments.filter.casefold()
        for suite in suites:
            suite.titles = [title for title in suite.titles if part in title.casefold()]
        if not any(suite.titles for suite in suites):
            return console.fail((words.no_such_test(arguments.filter, titles),), {}, Exit.USAGE)
    return suites


async def _run(
    suites: list[_Suite],
    record: Recording | None,
    replay: Tape | None,
    timeout: float | None,
    approve: str,
    console: Console,
) -> None:
    from ..testing import run_tests

    for suite in suites:
        if not suite.titles:
            continue
        if not console.json:
            console.print(suite.name)
        running = run_tests(
            suite.target.compiled,
            suite.titles,
            record=record,
            replay=replay,
            timeout=timeout,
            signals=(signal.SIGINT, signal.SIGTERM),
            approve=approver(approve, console),
        )
        async for tested in running:
            suite.tested.append(tested)
            if not console.json:
                _show(tested, suite, console)
        if suite.tested and suite.tested[-1].status == "interrupted":
            return


# --- for people ------------------------------------------------------------------------------------------------------


def _show(tested: Result, suite: _Suite, console: Console) -> None:
    word = _SHOWN[tested.status]
    shown = f"\x1b[{_COLOURS[tested.status]}m{word}\x1b[0m" if console.colour(console.out) else word
    width = max(map(len, suite.titles))
    console.print(f"  {shown}{' ' * (8 - len(word))}{tested.title:<{width}}  {_time(tested.seconds)}")
    console.out.flush()
    for problem in tested.problems:
        console.note(terminal(problem, suite.target.sources, console.colour(console.err)) + "\n")


def _summary(suites: list[_Suite], elapsed: float, console: Console) -> None:
    for suite in suites:
        if not suite.target.compiled.program.tests:
            console.note(f'{suite.name} has no tests; write one: test "title" {{ expect … }}')
    tested = [one for suite in suites for one in suite.tested]
    if not tested:
        return
    counts = [
        f"{count} {word}"
        for status, word in (("passed", "passed"), ("failed", "failed"), ("error", "could not run"))
        if (count := sum(one.status == status for one in tested))
    ]
    left = sum(len(suite.titles) for suite in suites) - sum(one.status != "interrupted" for one in tested)
    counts += [f"{left} not run (interrupted)"] if left else []
    console.print(f"{', '.join(counts)} in {_time(elapsed)}")


def _time(elapsed: float) -> str:
    return f"{elapsed * 1000:.0f} ms" if elapsed < 1 else f"{elapsed:.1f} s"


# --- for programs ----------------------------------------------------------------------------------------------------


def _code(suites: list[_Suite]) -> int:
    found = {one.status for suite in suites for one in suite.tested}
    if "interrupted" in found:
        return Exit.INTERRUPTED
    return Exit.ERRORS if "failed" in found else Exit.OUTSIDE if "error" in found else Exit.DONE


def _document(suites: list[_Suite], elapsed: float) -> dict[str, object]:
    tests = [_as_json(suite.name, one) for suite in suites for one in suite.tested]
    statuses = [one.status for suite in suites for one in suite.tested]
    counts = {status: statuses.count(status) for status in ("passed", "failed", "error", "interrupted")}
    return {"tests": tests, **counts, "seconds": round(elapsed, 6)}


def _as_json(name: str, tested: Result) -> dict[str, object]:
    out: dict[str, object] = {
        "file": name,
        "title": tested.title,
        "line": tested.span.line,
        "status": tested.status,
        "seconds": round(tested.seconds, 6),
        "expected": [_expected_json(one) for one in tested.expected],
    }
    if tested.reason is not None:
        out["reason"] = tested.reason
    if tested.problems:
        out["problems"] = [as_json(problem) for problem in tested.problems]
    return out


def _expected_json(expected: Expected) -> dict[str, object]:
    return {
        "line": expected.span.line,
        "text": expected.text,
        "holds": expected.holds,
        "shown": list(expected.shown),
    }


def _write_junit(path: str, suites: list[_Suite]) -> Problem | None:
    from ..base.store import write_atomic
    from .junit import report

    sources: dict[str, Source] = {}
    for suite in suites:
        sources |= suite.target.sources
    try:
        write_atomic(Path(path), report([(suite.name, suite.tested) for suite in suites], sources))
    except OSError as error:
        return words.report_unwritable(path, (error.strerror or str(error)).lower())
    return None
