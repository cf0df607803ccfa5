"""`agentlang run FILE[:PIPELINE] name=value…`: compile, plan, run; the result streams to stdout as it comes.

Beside it, on stderr, what the plan predicted and what was measured. `--json` gives frames, one JSON line each.
"""

from __future__ import annotations

import argparse
import json
import re
import signal
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING

from ..base import units
from ..base.problems import Problem, has_errors
from . import problems as words
from .asking import CHOICES, approver
from .console import Console, Exit, measuring
from .target import Refused, Target, open_target

if TYPE_CHECKING:
    from ..executor.frames import End
    from ..executor.running import Running
    from ..planner.hardware import Machine
    from ..planner.plan import Plan
    from ..planner.report import Compared

_TIME = re.compile(r"([0-9]+(?:\.[0-9]+)?)\s*(ms|s|min|h)")


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", metavar="FILE[:PIPELINE]")
    parser.add_argument("values", nargs="*", metavar="name=value", help="inputs: question=…, @file, @- for stdin")
    parser.add_argument("--input", metavar="FILE", help="a JSON object with inputs; - for stdin")
    parser.add_argument("--on", choices=("local",), default="local", help="where stages run (this machine)")
    parser.add_argument("--plan", metavar="FILE", help="run by this plan (agentlang plan --out FILE)")
    parser.add_argument("--timeout", metavar="TIME", help="stop after this time: 30s, 500ms, 2min")
    parser.add_argument("--session", metavar="NAME", help="whose memory to use; a session with a name is kept")
    parser.add_argument("--approve", choices=CHOICES, default="ask", help="what to answer where the program asks")
    parser.add_argument("--profile", metavar="NAME", help="a profile of agentlang.toml")
    parser.add_argument("--enforce-goal", action="store_true", help="exit 1 if this run misses a term of its goal")
    parser.add_argument("--quiet", action="store_true", help="nothing beside the result but problems")


def execute(arguments: argparse.Namespace, console: Console) -> int:
    from ..executor.values import bind
    from .inputs import gather
    from .models import Watch

    timeout, wrong = _seconds(arguments.timeout)
    if wrong:
        return console.fail((wrong,), {}, Exit.USAGE)
    watch = Watch(console)
    target = open_target(
        arguments.file,
        progress=watch,
        warn=lambda problem: console.problems((problem,), {}),
        profile=arguments.profile,
    )
    if isinstance(target, Refused):
        return console.fail(target.problems, target.sources, target.code)
    graph = target.compiled.graph
    pipeline = graph.pipeline(target.pipeline)
    data, found = gather(graph, pipeline, arguments.values, arguments.input)
    if not found:
        inputs, found = bind(graph, pipeline, data)
    else:
        inputs = {}
    if has_errors(found):
        return console.fail((*target.problems, *found), target.sources, Exit.USAGE)
    if not console.json:
        console.problems(target.problems, target.sources)
    planned, machine, found = _plan(target, arguments.plan, console)
    if planned is None:
        return console.fail(found, target.sources)
    return _run(target, inputs, planned, machine, timeout, arguments, console)


def _plan(target: Target, given: str | None, console: Console) -> tuple[Plan | None, Machine, tuple[Problem, ...]]:
    from ..api import plan
    from ..planner import hardware
    from .plan import read_plan

    machine = hardware.load_or_measure(measuring(console))
    if given is not None:
        planned, found = read_plan(given, target)
    else:
        planned, found = plan(target.compiled, target.pipeline, machine, here=True)
    # Whether the goal will be met is the plan's word; a run tells it by what it measures.
    return planned, machine, tuple(p for p in found if has_errors((p,)))


def _run(
    target: Target,
    inputs: dict[str, object],
    planned: Plan,
    machine: Machine,
    timeout: float | None,
    arguments: argparse.Namespace,
    console: Console,
) -> int:
    from functools import partial

    import anyio

    from ..api import compare, learn, run
    from ..planner.report import comparison_text

    running = run(
        target.compiled,
        target.pipeline,
        inputs,
        timeout=timeout,
        signals=(signal.SIGINT, signal.SIGTERM),
        session=arguments.session,
        approve=approver(arguments.approve, console),
    )
    end = anyio.run(partial(_show, running, target, console))
    compared = compare(target.compiled, planned, end, machine) if end.outcome.status == "done" else ()
    if console.json:
        console.line(_last_line(end, compared))
    elif compared and not arguments.quiet:
        console.note("\n" + comparison_text(_worth_showing(compared, end)))
    if end.outcome.status == "done":
        learn(target.compiled, target.pipeline, machine, end)
    return _code(end, arguments.enforce_goal and any(c.met is False for c in compared), console)


async def _show(running: AbstractAsyncContextManager[Running], target: Target, console: Console) -> End:
    from ..executor.frames import End, Item, ProblemFrame, frame_json
    from ..executor.values import to_json

    text = False
    last: End | None = None
    async with running as frames:
        async for frame in frames:
            if isinstance(frame, End):
                last = frame
            elif console.json:
                console.line(frame_json(frame))
            elif isinstance(frame, Item) and isinstance(frame.output, str):
                text = True
                console.print(frame.output, end="")
            elif isinstance(frame, Item):
                console.line(to_json(frame.output))
            elif isinstance(frame, ProblemFrame):
                if text:
                    console.print()
                    text = False
                console.problems((frame.problem,), target.sources)
    assert last is not None, "a run ends with End"
    if text:
        console.print()
    if not console.json and last.outcome.status == "done" and not last.timings.items:
        _print_value(last.outcome.value, console)
    return last


def _worth_showing(compared: Sequence[Compared], end: End) -> list[Compared]:
    """The promises, and the stages that took a hundredth of the run or more."""
    stages = {timing.stage for timing in end.timings.stages}
    return [row for row in compared if row.name not in stages or row.measured >= 0.01 * end.timings.finish]


def _last_line(end: End, compared: Sequence[Compared]) -> dict[str, object]:
    """The end frame: what the run cost, the terms of its goal, and each stage predicted beside measured."""
    from dataclasses import replace

    from ..executor.frames import frame_json
    from ..planner.report import comparison_json

    stages = {timing.stage for timing in end.timings.stages}
    cost = next((row.measured for row in compared if row.name == "cost"), 0.0)
    terms = comparison_json([row for row in compared if row.name not in stages])
    line = frame_json(replace(end, usage={**end.usage, "dollars": cost}, goal=terms))
    line["stages"] = comparison_json([row for row in compared if row.name in stages])
    return line


def _print_value(value: object, console: Console) -> None:
    from ..executor.values import to_json

    if isinstance(value, str):
        console.print(value)
    elif value is not None:
        console.print(json.dumps(to_json(value), ensure_ascii=False, indent=2))


def _code(end: End, missed: bool, console: Console) -> int:
    match end.outcome.status:
        case "done":
            return Exit.ERRORS if missed else Exit.DONE
        case "interrupted" | "cancelled":
            if not console.json:
                console.note("interrupted")
            return Exit.INTERRUPTED
        case "failed":
            return Exit.OUTSIDE


def _seconds(text: str | None) -> tuple[float | None, Problem | None]:
    if text is None:
        return None, None
    match = _TIME.fullmatch(text.strip())
    if match is None or float(match[1]) == 0:
        return None, words.not_a_time("--timeout", text)
    return units.quantity(float(match[1]), match[2]).value, None
