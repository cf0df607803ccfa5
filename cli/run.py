"""`agentlang run FILE[:PIPELINE] name=value…`: compile, plan, run; the result streams to stdout as it comes. A folder
is a compiled package, which runs without its source.

Beside it, on stderr, what the plan predicted and what was measured. `--json` gives frames, one JSON line each.
"""

from __future__ import annotations

import argparse
import signal
import time
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..base.problems import OutsideError, Problem, has_errors
from ..lang.types import StreamType
from ..stdlib.store import silent
from . import durable, placed
from . import problems as words
from .asking import CHOICES, approver
from .console import Console, Exit, measuring
from .inputs import AUDIO
from .observing import configure as configure_observing
from .observing import observers
from .packaged import configure as configure_packages
from .packaged import is_folder, open_packaged
from .showing import code_of, last_line, show, worth_showing
from .sound import SoundOut
from .tapes import configure as configure_tapes
from .tapes import open_tapes, tell_recorded
from .target import Refused, Target, open_target
from .times import seconds

if TYPE_CHECKING:
    from ..engine_choice import Choice
    from ..executor.frames import End
    from ..executor.journal.file import Journal
    from ..ir.graph import GraphPipeline
    from ..planner.hardware import Machine
    from ..planner.plan import Plan
    from ..tapes import Recording, Tape


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "file",
        metavar="FILE[:PIPELINE]",
        nargs="?",
        help="a program or a package, and which of its pipelines, if several",
    )
    parser.add_argument(
        "values", nargs="*", default=[], metavar="name=value", help="inputs: question=…, @file, @- for stdin"
    )
    parser.add_argument("--input", metavar="FILE", help="a JSON object with inputs; - for stdin")
    placed.configure(parser)
    parser.add_argument("--plan", metavar="FILE", help="run by this plan (agentlang plan --out FILE)")
    parser.add_argument("--timeout", metavar="TIME", help="stop after this time: 30s, 500ms, 2min")
    parser.add_argument("--session", metavar="NAME", help="whose memory to use; a session with a name is kept")
    parser.add_argument("--approve", choices=CHOICES, default="ask", help="what to answer where the program asks")
    configure_tapes(parser)
    durable.configure(parser)
    parser.add_argument("--profile", metavar="NAME", help="a profile of agentlang.toml")
    parser.add_argument("--out", metavar="FILE", help="keep its sound: a WAV file, or - for samples on standard output")
    parser.add_argument("--enforce-goal", action="store_true", help="stop what would miss a term of the goal; exit 1")
    parser.add_argument("--quiet", action="store_true", help="nothing beside the result but problems")
    configure_observing(parser)
    configure_packages(parser)


def execute(arguments: argparse.Namespace, console: Console) -> int:
    from ..durable import is_journal
    from ..executor.values import bind
    from .inputs import gather
    from .models import Watch

    timeout, wrong = seconds("--timeout", arguments.timeout)
    if wrong:
        return console.fail((wrong,), {}, Exit.USAGE)
    wrong = durable.usage(arguments) or placed.usage(arguments)
    if wrong:
        return console.fail((wrong,), {}, Exit.USAGE)
    progress = silent if arguments.quiet else Watch(console)
    journal = None
    if arguments.resume is not None:
        try:
            journal = durable.find(arguments)
        except OutsideError as error:
            return console.fail((error.problem,), {}, durable.code_of(error))

    def warn(problem: Problem) -> None:
        console.problems((problem,), {})

    if is_folder(arguments.file):
        target = open_packaged(arguments, progress, warn)
    else:
        target = open_target(arguments.file, progress=progress, warn=warn, profile=arguments.profile)
    if isinstance(target, Refused):
        return console.fail(target.problems, target.sources, target.code)
    graph = target.compiled.graph
    pipeline = graph.pipeline(target.pipeline)
    wrong = _cannot_sound(arguments.out, pipeline, console)
    if wrong:
        return console.fail((wrong,), {}, Exit.USAGE)
    data, found = gather(graph, pipeline, arguments.values, arguments.input)
    if not found:
        inputs, found = bind(graph, pipeline, data)
    else:
        inputs = {}
    again = journal is not None or (arguments.replay and is_journal(arguments.replay))
    if again:
        # What a journal tells need not be given again.
        found = tuple(problem for problem in found if problem.slug != "argument-missing")
    if has_errors(found):
        return console.fail((*target.problems, *found), target.sources, Exit.USAGE)
    if not console.json:
        console.problems(target.problems, target.sources)
    run = _Run(target, inputs, timeout, arguments, console)
    if journal is not None:
        return run.resumed(journal)
    if again:
        return run.again()
    if arguments.on != "local":
        return placed.execute(arguments, target, inputs, timeout, console)
    tapes = open_tapes(arguments, [Path(target.compiled.program.source.path).name], console)
    if isinstance(tapes, int):
        return tapes
    record, replay = tapes
    if replay is not None:
        return run.replayed(replay)
    began = time.monotonic()
    planned, machine, chosen, found = _plan(target, arguments.plan, None if arguments.quiet else measuring(console))
    planning = None if arguments.plan else (began, time.monotonic())
    if planned is None:
        return console.fail(found, target.sources)
    run = replace(run, target=replace(target, compiled=chosen.compiled), planning=planning)
    if not arguments.quiet and not console.json:
        for words in chosen.elsewhere:
            console.note(words)
    if durable.wants(arguments):
        journal = durable.begin(arguments, target, chosen.compiled, planned, console)
        if isinstance(journal, int):
            return journal
    with record or nullcontext():
        code = run.measured(planned, machine, record, journal)
    if record is not None and not console.json and not arguments.quiet:
        tell_recorded(record, console)
    return code


def _cannot_sound(out: str | None, pipeline: GraphPipeline, console: Console) -> Problem | None:
    """What is wrong with where sound is to go."""
    if out is None:
        return None
    result = pipeline.result
    if (result.element if isinstance(result, StreamType) else result) != AUDIO:
        return words.no_sound(pipeline.name, str(result))
    return words.sound_and_frames() if out == "-" and console.json else None


def _plan(
    target: Target, given: str | None, told: Callable[[str], None] | None
) -> tuple[Plan | None, Machine, Choice, tuple[Problem, ...]]:
    """The plan, and the program with its models on the engines that the plan has them on."""
    from ..api import plan
    from ..engine_choice import Choice, choose_engines
    from ..planner import hardware
    from .plan import read_plan

    machine = hardware.load_or_measure(told)
    if given is not None:
        planned, compiled, found = read_plan(given, target)
        if planned is not None and not planned.runs_here:
            again = f"agentlang plan {target.compiled.program.source.path} {target.pipeline} --here --out {given}"
            planned, found = None, (words.plan_not_here(given, planned.elsewhere, again),)
        chosen = Choice(compiled, {})
    else:
        chosen = choose_engines(target.compiled, target.pipeline, machine)
        planned, found = plan(chosen.compiled, target.pipeline, machine, here=True)
    # Whether the goal will be met is the plan's word; a run tells it by what it measures.
    return planned, machine, chosen, tuple(p for p in found if has_errors((p,)))


@dataclass
class _Run:
    """One run as it was asked for. `planning`: from when to when its plan was made, on the clock of runs."""

    target: Target
    inputs: dict[str, object]
    timeout: float | None
    arguments: argparse.Namespace
    console: Console
    planning: tuple[float, float] | None = None

    def measured(self, planned: Plan, machine: Machine, record: Recording | None, journal: Journal | None) -> int:
        """Run, with what was predicted beside what was measured."""
        from ..api import compare, learn
        from ..executor.promised import promises_of
        from ..planner.report import comparison_text
        from .blame import blame_text

        target, console, arguments = self.target, self.console, self.arguments
        promises = promises_of(planned, enforce=arguments.enforce_goal)
        end = self._end(record=record, journal=journal, promises=promises)
        done = end.outcome.status == "done"
        if record is not None and end.outcome.status == "interrupted":
            record.interrupted()
        compared = compare(target.compiled, planned, end, machine) if done else ()
        if console.json:
            console.line(last_line(end, compared))
        elif compared and not arguments.quiet:
            console.note("\n" + comparison_text(worth_showing(compared, end)))
        if end.blame and not console.json and not arguments.quiet:
            console.note("\n" + "\n\n".join(map(blame_text, end.blame)))
        if journal is not None:
            durable.over(journal, end, arguments, console)
        if done:
            learn(target.compiled, target.pipeline, machine, end)
        return code_of(end, arguments.enforce_goal and any(c.met is False for c in compared), console)

    def replayed(self, tape: Tape) -> int:
        """Run from a cassette: its times say nothing of this machine. A call that is not there fails the command even
        where the program has a fallback for it."""
        missing: list[Problem] = []
        end = self._end(replay=tape, missing=missing.append)
        if self.console.json:
            self.console.line(last_line(end, ()))
        caught = tuple(p for p in dict.fromkeys(missing) if p != end.outcome.problem)
        if caught and not self.console.json:
            self.console.problems(caught, self.target.sources)
        return Exit.OUTSIDE if missing else code_of(end, False, self.console)

    def resumed(self, journal: Journal) -> int:
        """Go on with a durable run. What was predicted for it is not held against what several processes took."""
        from ..durable import same_program
        from ..engine_choice import with_engines
        from .blame import blame_text

        target, console = self.target, self.console
        compiled = with_engines(target.compiled, journal.head.engines)
        found = same_program(journal, compiled)
        if found:
            journal.release()
            return console.fail(found, target.sources, Exit.USAGE)
        self.target = replace(target, compiled=compiled)
        try:
            end = self._end(journal=journal)
        except OutsideError as error:
            return console.fail((error.problem,), target.sources, durable.code_of(error))
        if console.json:
            console.line(last_line(end, ()))
        elif end.blame and not self.arguments.quiet:
            console.note("\n" + "\n\n".join(map(blame_text, end.blame)))
        durable.over(journal, end, self.arguments, console)
        return code_of(end, durable.missed(journal, end), console)

    def again(self) -> int:
        """Give the frames of a run that a journal holds."""
        from functools import partial

        import anyio

        from ..durable import same_program
        from ..engine_choice import with_engines
        from ..executor.journal.replay import Replayed

        target, console = self.target, self.console
        try:
            journal = durable.recorded(self.arguments.replay)
            compiled = with_engines(target.compiled, journal.head.engines)
            found = same_program(journal, compiled)
            if found:
                return console.fail(found, target.sources, Exit.USAGE)
            replayed = Replayed(compiled.graph, journal.head, journal.lines, self.inputs)
            if not replayed.finished:
                return console.fail((durable.unfinished(journal),), target.sources, Exit.USAGE)
        except OutsideError as error:
            return console.fail((error.problem,), target.sources, durable.code_of(error))
        end = anyio.run(partial(show, durable.replayed(replayed.frames()), target, console, None))
        if console.json:
            console.line(last_line(end, ()))
        return code_of(end, False, console)

    def _end(self, journal: Journal | None = None, **tapes: Any) -> End:
        from functools import partial

        import anyio

        from ..api import run

        out: str | None = self.arguments.out
        with observers(self.arguments, self.target, self.console, self.planning) as watching:
            running = run(
                self.target.compiled,
                self.target.pipeline,
                self.inputs,
                timeout=self.timeout,
                signals=(signal.SIGINT, signal.SIGTERM),
                observers=watching,
                session=self.arguments.session,
                approve=durable.waiting(journal, approver(self.arguments.approve, self.console), self.console),
                journal=journal,
                **tapes,
            )
            try:
                sound = SoundOut(out) if out is not None else None
            except OSError as error:
                raise OutsideError(words.not_written(str(out), (error.strerror or str(error)).lower())) from error
            named = journal.head.run if journal is not None and journal.head.file else None
            try:
                return anyio.run(partial(show, running, self.target, self.console, sound, named))
            finally:
                if sound is not None:
                    sound.close()
