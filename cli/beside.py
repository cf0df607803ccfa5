"""`agentlang simulate FILE name=value… --beside-real N`: the plan simulated and for real here, beside each other."""

from __future__ import annotations

import argparse
import json
import signal
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, cast

from ..base.problems import OutsideError, Problems, has_errors
from . import problems as words
from .console import Console, Exit, measuring
from .target import Refused, open_target

if TYPE_CHECKING:
    from ..beside import Beside


def execute(arguments: argparse.Namespace, console: Console) -> int:
    import anyio

    from ..beside import beside
    from ..engine_choice import choose_engines
    from ..executor.values import bind
    from ..planner import hardware
    from .inputs import gather
    from .models import Watch

    name, values = arguments.pipeline, list(arguments.values)
    if name is not None and "=" in name:
        name, values = None, [name, *values]
    target = open_target(arguments.file, name, progress=Watch(console))
    if isinstance(target, Refused):
        return console.fail(target.problems, target.sources, target.code)
    graph = target.compiled.graph
    pipeline = graph.pipeline(target.pipeline)
    several, found = _lines(arguments.input)
    inputs: list[Mapping[str, object]] = []
    given, wrong = gather(graph, pipeline, values, None if several else arguments.input)
    found = (*found, *wrong)
    for line in several or [{}]:
        bound, wrong = bind(graph, pipeline, {**given, **line})
        inputs.append(bound)
        found = (*found, *wrong)
    if has_errors(found):
        return console.fail((*target.problems, *found), target.sources, Exit.USAGE)
    machine = hardware.load_or_measure(measuring(console))
    compiled = choose_engines(target.compiled, target.pipeline, machine).compiled
    runs = arguments.beside_real

    async def measured() -> Beside | int:
        stops = (signal.SIGINT, signal.SIGTERM)
        made, wrong = await beside(
            compiled,
            target.pipeline,
            inputs,
            machine,
            runs=runs,
            rate=arguments.rate,
            one_by_one=arguments.concurrency is not None,
            seed=arguments.seed,
            signals=stops,
            told=console.note,
        )
        return made if made is not None else console.fail(wrong, target.sources)

    try:
        result = anyio.run(measured)
    except OutsideError as error:
        return console.fail((error.problem,), target.sources, Exit.OUTSIDE)
    if isinstance(result, int):
        return result
    if not result.runs:
        console.note("interrupted; nothing was compared")
        return Exit.INTERRUPTED
    if console.json:
        console.document(_document(result))
    else:
        rate = result.rate
        come = "one after another" if rate is None else f"{rate:g} per s at random, seed {arguments.seed}"
        console.print(f"{target.pipeline}, simulated and here: {result.runs} runs, {come}\n")
        console.print(_text(result))
    return Exit.DONE


def _lines(name: str | None) -> tuple[list[dict[str, object]], Problems]:
    """The inputs of several runs, one JSON object a line; none where the file is not of that kind."""
    if name is None or name == "-" or not name.endswith(".jsonl"):
        return [], ()
    out: list[dict[str, object]] = []
    try:
        text = Path(name).read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        return [], (words.input_unreadable("--input", name, str(getattr(error, "strerror", None) or error).lower()),)
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        try:
            data: object = json.loads(line)
        except ValueError:
            data = None
        if not isinstance(data, dict):
            return [], (words.input_not_json(name, f"has no JSON object in line {number}"),)
        out.append(cast("dict[str, object]", data))
    return out, ()


def _text(found: Beside) -> str:
    from ..executor.simulate.truth import text

    blocks = [text(found.rows, found.runs), text(found.stages, found.runs)]
    rows = (*found.rows, *found.stages)
    agreed = sum(row.agrees for row in rows)
    last = [f"{agreed} of {len(rows)} agree within the error that the cost model states", *found.notes]
    return "\n\n".join("\n".join(block) for block in (*blocks, last) if block)


def _document(found: Beside) -> dict[str, object]:
    from ..executor.simulate.truth import data

    return {
        "runs": found.runs,
        "alone": found.alone,
        "rate": found.rate,
        "promises": data(found.rows),
        "stages": data(found.stages),
        "notes": list(found.notes),
    }
