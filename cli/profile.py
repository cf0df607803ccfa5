"""`agentlang profile FILE[:PIPELINE] name=value…`: run it here a few times on each engine, learn what its stages take,
and say how far the predictions were off before and after.

What is learnt stays on this machine. `plan` and `run` then put each chat model on the engine that keeps the goal, and
costs least, wherever the program leaves that open, and reckon with what the runs brought: lengths of prompts and
replies, turns of loops, shares of branches.
"""

from __future__ import annotations

import argparse
import signal
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING

from ..base.problems import has_errors
from .asking import approver
from .console import Console, Exit, measuring
from .target import Refused, Target, open_target
from .times import seconds

if TYPE_CHECKING:
    from ..api import Compiled
    from ..executor.frames import End
    from ..planner.hardware import Machine
    from ..planner.profile import Profile
    from ..planner.report import Compared

_RUNS = 5
_MOST_RUNS = 1000


@dataclass(frozen=True, slots=True)
class _Profiled:
    """The program on one choice of engines: what was predicted before anything was learnt and what is predicted now,
    each beside the median of the runs."""

    engine: str
    runs: int
    before: tuple[Compared, ...]
    after: tuple[Compared, ...]
    ends: tuple[End, ...] = ()


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", metavar="FILE[:PIPELINE]", help="a program, and which of its pipelines, if several")
    parser.add_argument(
        "values", nargs="*", default=[], metavar="name=value", help="inputs of the runs: question=…, @file, @-"
    )
    parser.add_argument("--input", metavar="FILE", help="a JSON object with inputs; - for stdin")
    parser.add_argument("--runs", type=_count, default=_RUNS, metavar="N", help=f"how often on each engine ({_RUNS})")
    parser.add_argument(
        "--engine", action="append", choices=("xla", "llamacpp"), help="only on this one (all that are installed)"
    )
    parser.add_argument("--timeout", metavar="TIME", help="stop a run after this time: 30s, 500ms, 2min")
    parser.add_argument("--approve", choices=("yes", "no"), default="no", help="what to answer where the program asks")


def execute(arguments: argparse.Namespace, console: Console) -> int:
    from ..api import remember
    from ..engine_choice import choose_engines, undecided, with_engines
    from ..executor.values import bind
    from ..ir.sizes import given
    from ..planner import hardware
    from ..planner.workload import sizing
    from .inputs import gather
    from .models import Watch

    timeout, wrong = seconds("--timeout", arguments.timeout)
    if wrong:
        return console.fail((wrong,), {}, Exit.USAGE)
    target = open_target(arguments.file, progress=Watch(console))
    if isinstance(target, Refused):
        return console.fail(target.problems, target.sources, target.code)
    free = undecided(target.compiled.program)
    engines = _engines(arguments.engine) if free else ("here",)
    pipeline = target.compiled.graph.pipeline(target.pipeline)
    data, found = gather(target.compiled.graph, pipeline, arguments.values, arguments.input)
    if not found:
        inputs, found = bind(target.compiled.graph, pipeline, data)
    else:
        inputs = {}
    if has_errors(found):
        return console.fail((*target.problems, *found), target.sources, Exit.USAGE)
    machine = hardware.load_or_measure(measuring(console))
    done: list[_Profiled] = []
    for engine in engines:
        compiled = with_engines(target.compiled, dict.fromkeys(free, engine)) if free else target.compiled
        one = _Profiling(target, compiled, inputs, timeout, arguments, console, machine).all(engine)
        if isinstance(one, int):
            return one
        done.append(one)
    goal = target.compiled.program.goal(target.pipeline)
    assumed = sizing(target.compiled.graph, target.pipeline, given(goal) if goal else {}).values
    brought = remember(target.compiled, target.pipeline, machine, [end for one in done for end in one.ends])
    choice = choose_engines(target.compiled, target.pipeline, machine)
    if console.json:
        console.document({**_document(done, choice.engines), "workload": _brought_json(brought)})
    else:
        console.print("\n\n".join((*map(_text, done), _brought(brought, assumed))))
        if choice.why:
            console.print("\n" + "\n".join(choice.why))
    return Exit.DONE


def _count(text: str) -> int:
    number = int(text) if text.isdecimal() else 0
    if not 1 <= number <= _MOST_RUNS:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 1 to {_MOST_RUNS}")
    return number


def _engines(wanted: Sequence[str] | None) -> tuple[str, ...]:
    """The engines to profile on: those asked for, else all whose packages are installed."""
    from ..engine_choice import CANDIDATES, USUAL
    from ..stdlib.extras import on_hand

    if wanted:
        return tuple(dict.fromkeys(wanted))
    return tuple(engine for engine in CANDIDATES if on_hand(engine)) or (USUAL,)


@dataclass(frozen=True, slots=True)
class _Profiling:
    target: Target
    compiled: Compiled
    inputs: Mapping[str, object]
    timeout: float | None
    arguments: argparse.Namespace
    console: Console
    machine: Machine

    def all(self, engine: str) -> _Profiled | int:
        """Run as often as asked for, after a first one that compiles and loads; the code to end with where one fails.
        Nothing is learnt before the last, so that all runs are held against the same predictions."""
        from ..api import compare, learn, plan
        from ..engine_choice import CANDIDATES, profiled

        name = self.target.pipeline
        planned, found = plan(self.compiled, name, self.machine, here=True)
        if planned is None:
            return self.console.fail(found, self.target.sources)
        ends: list[End] = []
        for number in range(self.arguments.runs + 1):
            self.console.note(f"{engine}: run {number} of {self.arguments.runs}" if number else f"{engine}: first run")
            end = self.run()
            status = end.outcome.status
            if status == "failed" and end.outcome.problem is not None:
                return self.console.fail((end.outcome.problem,), self.target.sources, Exit.OUTSIDE)
            if status != "done":
                self.console.note("interrupted; nothing was learnt of this engine")
                return Exit.INTERRUPTED
            if number:
                ends.append(end)
        before = [compare(self.compiled, planned, end, self.machine) for end in ends]
        for end in ends:
            learn(self.compiled, name, self.machine, end)
        if engine in CANDIDATES:
            profiled(self.target.compiled, engine, self.machine)
        after = [compare(self.compiled, planned, end, self.machine) for end in ends]
        return _Profiled(engine, len(ends), _middle(before), _middle(after), tuple(ends))

    def run(self) -> End:
        import anyio

        return anyio.run(self._run)

    async def _run(self) -> End:
        from ..api import run
        from ..executor.frames import End

        running = run(
            self.compiled,
            self.target.pipeline,
            self.inputs,
            timeout=self.timeout,
            signals=(signal.SIGINT, signal.SIGTERM),
            approve=approver(self.arguments.approve, self.console),
        )
        async with running as frames:
            async for frame in frames:
                if isinstance(frame, End):
                    return frame
        raise RuntimeError("a run ends with End")


def _middle(compared: Sequence[tuple[Compared, ...]]) -> tuple[Compared, ...]:
    """Of each name, the run whose ratio is the median: what was predicted depends on the sizes that a run had."""
    rows: dict[str, list[Compared]] = {}
    for one in compared:
        for row in one:
            rows.setdefault(row.name, []).append(row)
    out: list[Compared] = []
    for found in rows.values():
        ratios = sorted(found, key=lambda row: row.ratio or 0.0)
        out.append(ratios[(len(ratios) - 1) // 2])
    return tuple(out)


def _text(one: _Profiled) -> str:
    from ..planner.figures import show_value
    from ..planner.tables import table

    rows = [(one.engine, "predicted", "", "measured", "off by", "predicted now", "", "off by")]
    after = {row.name: row for row in one.after}
    for row in one.before:
        now = after[row.name]
        rows.append(
            (
                row.name,
                show_value(row.predicted, row.unit),
                _bar(row),
                show_value(row.measured, row.unit),
                _off(row),
                show_value(now.predicted, now.unit),
                _bar(now),
                _off(now),
            )
        )
    return "\n".join((*table(rows), _verdict(one)))


def _bar(row: Compared) -> str:
    """How far a prediction may be off, and whether it is further."""
    if not row.predicted:
        return ""
    bar = f"±{(row.high - row.predicted) / row.predicted:.0%}"
    return bar if row.inside else f"{bar}, outside"


def _verdict(one: _Profiled) -> str:
    """The error before and after, and of how many measurements the prediction's bar spoke true."""
    before, after = _error(one.before), _error(one.after)
    if before is None or after is None:
        return ""
    within = [sum(row.inside for row in rows) for rows in (one.before, one.after)]
    return (
        f"predictions were off by {before:.0%} (the median), now by {after:.0%}; "
        f"{within[0]} of {len(one.before)} measurements lay within the error, now {within[1]}"
    )


def _off(row: Compared) -> str:
    return f"x {row.ratio:.2f}" if row.ratio is not None else ""


def _brought(profile: Profile, assumed: Mapping[str, float]) -> str:
    """What the runs brought beside what was reckoned with, of which plans reckon with the former from now on."""
    from ..planner.tables import table

    runs = f"{profile.runs} run{'s' if profile.runs > 1 else ''}"
    rows = [(f"brought by {runs}", "mean", "assumed")]
    rows += [(name, f"{mean:.4g}", f"{assumed[name]:.4g}") for name, mean in profile.sizes if name in assumed]
    return "\n".join(table(rows)) if len(rows) > 1 else f"{runs} told nothing of sizes"


def _brought_json(profile: Profile) -> dict[str, object]:
    return {"runs": profile.runs, "sizes": dict(profile.sizes)}


def _document(done: Sequence[_Profiled], engines: Mapping[str, str]) -> dict[str, object]:
    from ..planner.report import comparison_json

    return {
        "engines": [
            {
                "engine": one.engine,
                "runs": one.runs,
                "error_before": _error(one.before),
                "error_after": _error(one.after),
                "inside_before": sum(row.inside for row in one.before),
                "inside_after": sum(row.inside for row in one.after),
                "before": comparison_json(one.before),
                "after": comparison_json(one.after),
            }
            for one in done
        ],
        "chosen": dict(engines),
    }


def _error(rows: Sequence[Compared]) -> float | None:
    """The median relative error of the predictions of stages and promises."""
    ratios = [row.ratio for row in rows if row.ratio]
    return median(abs(ratio - 1.0) for ratio in ratios) if ratios else None
