"""`agentlang export FILE --to kubernetes|ray --out DIR`: a plan as files for a cluster, with the program."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from ..base.problems import Problems
from . import problems as words
from .console import Console, Exit, measuring
from .plan import read_any_plan
from .target import Refused, Target, open_target

if TYPE_CHECKING:
    from ..api import Compiled
    from ..planner.cells.plan import CellsPlan
    from ..planner.plan import Plan

KINDS = ("kubernetes", "ray")
_EXAMPLE = "example: agentlang export shop.agent --to kubernetes --plan plan.json --out deploy"


def configure(parser: argparse.ArgumentParser) -> None:
    parser.epilog = _EXAMPLE
    parser.add_argument(
        "file", metavar="FILE[:PIPELINE]", help="a program, and where several could be meant, which of its pipelines"
    )
    parser.add_argument("--to", choices=KINDS, required=True, help="what keeps the machines")
    parser.add_argument("--plan", metavar="PLAN.JSON", help="this plan, and not the best one")
    parser.add_argument("--fleet", metavar="NAME", help="which of the file's fleets")
    help_include = "files of the folder that go along besides those that the program names"
    parser.add_argument("--include", metavar="PATTERN", action="append", default=[], help=help_include)
    parser.add_argument("--image", metavar="NAME", help="the image of the containers (default: agentlang:VERSION)")
    parser.add_argument("--profile", metavar="NAME", help="a profile of agentlang.toml")
    parser.add_argument("--out", metavar="DIR", required=True, help="the folder; an earlier export is replaced")


def execute(arguments: argparse.Namespace, console: Console) -> int:
    from .. import __version__
    from ..exporting import deployments, files_of, write
    from ..planner.export.kubernetes import in_config_map, workers_of

    target = open_target(arguments.file, profile=arguments.profile)
    if isinstance(target, Refused):
        return console.fail(target.problems, target.sources, target.code)
    planned, compiled, found = _planned(arguments, target, console)
    if planned is None:
        return console.fail((*target.problems, *found), target.sources)
    image = arguments.image or f"agentlang:{__version__}"
    try:
        made, refused = deployments(planned, compiled, target.sources, image, arguments.profile, arguments.include)
    except OSError as error:
        wrong = words.input_unreadable("the program", str(error.filename), (error.strerror or str(error)).lower())
        return console.fail((wrong,), {}, Exit.OUTSIDE)
    problems = (*target.problems, *found, *refused)
    if not made:
        return console.fail(problems, target.sources)
    beside = None if all(map(in_config_map, made)) else made[0].about.shipped
    folder = Path(arguments.out)
    files = files_of(made, arguments.to)
    try:
        written = write(folder, files, beside)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        return console.fail((words.not_written(str(folder), reason),), {}, Exit.OUTSIDE)
    if not isinstance(written, bool):
        return console.fail((written,), {}, Exit.USAGE)
    workers: dict[str, int] = {}
    for group in (group for each in made for group in workers_of(each)):
        workers[group.tier] = workers.get(group.tier, 0) + group.instances
    if console.json:
        console.document(
            {
                "folder": str(folder),
                "files": sorted(files),
                "content": [each.about.shipped.sha256 for each in made],
                "workers": workers,
                "written": written,
            }
        )
        return Exit.DONE
    console.problems(problems, target.sources)
    if not planned.feasible:
        console.note("note: this plan does not keep its goal: `agentlang plan` says what it misses")
    if beside is not None:
        console.note(f"note: the program is too large for a ConfigMap: copy {folder / 'program'} to its volume")
    coordinators = "a coordinator" if len(made) == 1 else f"{len(made)} coordinators"
    stand = ", ".join([coordinators, *(f"{count} of {tier}" for tier, count in workers.items())])
    console.note(f"{'wrote' if written else 'unchanged:'} {folder}: {len(files)} files for {stand}, image {image}")
    return Exit.DONE


def _planned(
    arguments: argparse.Namespace, target: Target, console: Console
) -> tuple[Plan | CellsPlan | None, Compiled, Problems]:
    """The plan that was given, or the best one; and the program on its engines."""
    from ..api import plan_in_cells
    from ..engine_choice import choose_engines
    from ..planner import hardware
    from ..planner.place import Options

    if arguments.plan is not None:
        return read_any_plan(arguments.plan, target)
    machine = hardware.load_or_measure(measuring(console))
    options = Options()
    choice = choose_engines(target.compiled, target.pipeline, machine, options=options)
    planned, found = plan_in_cells(
        choice.compiled, target.pipeline, machine, fleet=arguments.fleet, options=options, thorough=True
    )
    return planned, choice.compiled, found
