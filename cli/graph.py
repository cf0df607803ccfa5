"""`agentlang graph FILE`: a picture of a pipeline, as SVG, Mermaid, Graphviz or JSON."""

from __future__ import annotations

import argparse
from pathlib import Path

from ..base.store import write_atomic
from .console import Console, Exit, measuring
from .target import Refused, open_target

FORMS = ("svg", "mermaid", "dot", "json")
SUFFIXES = {".svg": "svg", ".mmd": "mermaid", ".mermaid": "mermaid", ".dot": "dot", ".gv": "dot", ".json": "json"}


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "file", metavar="FILE[:PIPELINE]", help="a program, and where several could be meant, which of its pipelines"
    )
    parser.add_argument("--format", choices=FORMS, help="(default: by the name given with --out, else mermaid)")
    parser.add_argument("--plan", action="store_true", help="say and colour where the plan puts each stage")
    parser.add_argument("--fleet", metavar="NAME", help="with --plan: which of the file's fleets")
    parser.add_argument("--here", action="store_true", help="with --plan: for this machine")
    parser.add_argument("--stages", action="store_true", help="show the stages of a chat call apart")
    parser.add_argument("--out", metavar="FILE", help="write into this file instead of to stdout")


def execute(arguments: argparse.Namespace, console: Console) -> int:
    from ..ir.drawing import FORMATS, picture

    target = open_target(arguments.file, plain=True)
    if isinstance(target, Refused):
        return console.fail(target.problems, target.sources, target.code)
    tiers: dict[str, str] = {}
    problems = target.problems
    if arguments.plan:
        from ..api import plan_in_cells
        from ..planner import hardware
        from ..planner.cells.plan import placements

        machine = hardware.load_or_measure(measuring(console))
        fleet, here = arguments.fleet, arguments.here
        planned, found = plan_in_cells(target.compiled, target.pipeline, machine, fleet=fleet, here=here)
        problems = (*problems, *found)
        if planned is None:
            return console.fail(problems, target.sources)
        places: dict[str, dict[str, None]] = {}
        for _, placement in placements(planned):
            for stage in placement.stages:
                places.setdefault(stage.id, {})[stage.tier] = None
        # In cells a stage is on several tiers, each for its share of the runs.
        tiers = {stage: " and ".join(several) for stage, several in places.items()}
    drawn = picture(target.compiled.graph, target.pipeline, tiers, stages=arguments.stages)
    form = "json" if console.json else arguments.format
    if form is None:
        form = SUFFIXES.get(Path(arguments.out).suffix.lower(), "svg") if arguments.out else "mermaid"
    text = FORMATS[form](drawn)
    console.problems(problems, target.sources)
    if arguments.out:
        write_atomic(Path(arguments.out), text.encode())
        console.note(f"wrote {arguments.out}")
    else:
        console.print(text.rstrip("\n"))
    return Exit.DONE
