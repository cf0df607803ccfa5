"""What a run gives, as it comes: on standard output for who called the command, on standard error for who watches."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from typing import TYPE_CHECKING, Protocol

from ..base.audio import Audio
from ..lang.types import StreamType
from .console import Console, Exit
from .sound import SoundOut
from .target import Target

if TYPE_CHECKING:
    from ..executor.frames import End, Frame
    from ..planner.report import Compared


class Frames(Protocol):
    """A run, wherever it is."""

    def __aiter__(self) -> AsyncIterator[Frame]: ...


async def show(
    running: AbstractAsyncContextManager[Frames],
    target: Target,
    console: Console,
    sound: SoundOut | None,
    durable_run: str | None = None,
) -> End:
    """Show the frames of a run as they come; its end is left to the caller. A durable run is told by its name."""
    from ..executor.frames import End, Item, ProblemFrame, Start, frame_json
    from ..executor.values import Shapes, with_units

    graph = target.compiled.graph
    result = graph.pipeline(target.pipeline).result
    item = result.element if isinstance(result, StreamType) else result
    shapes = Shapes.of(graph)
    text = False
    last: End | None = None
    unheard = 0.0
    async with running as frames:
        async for frame in frames:
            if sound is not None and isinstance(frame, Item) and isinstance(frame.output, Audio):
                await sound.write(frame.output)
            if isinstance(frame, End):
                last = frame
            elif console.json and isinstance(frame, Start) and durable_run is not None:
                console.line({**frame_json(frame), "resume": durable_run})
            elif console.json:
                console.line(frame_json(frame))
            elif isinstance(frame, Item) and isinstance(frame.output, Audio):
                unheard += frame.output.seconds
            elif isinstance(frame, Item) and isinstance(frame.output, str):
                text = True
                console.print(frame.output, end="")
            elif isinstance(frame, Item):
                shown = with_units(frame.output, item, shapes)
                if isinstance(shown, str):
                    console.print(shown)
                else:
                    console.line(shown)
            elif isinstance(frame, ProblemFrame):
                if text:
                    console.print()
                    text = False
                console.problems((frame.problem,), target.sources)
    assert last is not None, "a run ends with End"
    if text:
        console.print()
    value = last.outcome.value
    if isinstance(value, Audio):
        unheard += value.seconds
        if sound is not None:
            await sound.write(value)
    if unheard and sound is None and not console.json:
        console.note(f"{unheard:.1f} s of sound, which --out FILE keeps (- plays them: | aplay -f S16_LE -r RATE)")
    if isinstance(value, Audio):
        return last
    if not console.json and last.outcome.status == "done" and not last.timings.items:
        _print_value(with_units(last.outcome.value, item, shapes), console)
    return last


def worth_showing(compared: Sequence[Compared], end: End) -> list[Compared]:
    """The promises, and the stages that took a hundredth of the run or more."""
    stages = {timing.stage for timing in end.timings.stages}
    return [row for row in compared if row.name not in stages or row.measured >= 0.01 * end.timings.finish]


def last_line(end: End, compared: Sequence[Compared]) -> dict[str, object]:
    """The end frame: what the run cost, the terms of its goal, and each stage predicted beside measured."""
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


_LATE = ("slice-used", "not-admitted")


def code_of(end: End, missed: bool, console: Console) -> int:
    """The exit code of a run that ended so; `missed`: a term of the goal was, where that counts."""
    match end.outcome.status:
        case "done":
            return Exit.ERRORS if missed else Exit.DONE
        case "interrupted" | "cancelled":
            if not console.json:
                console.note("interrupted")
            return Exit.INTERRUPTED
        case "failed":
            problem = end.outcome.problem
            # The promise was not kept, as if the run had gone on and missed it.
            return Exit.ERRORS if problem is not None and problem.slug in _LATE else Exit.OUTSIDE
