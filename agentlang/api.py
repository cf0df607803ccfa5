"""What Python users import: each step from text to result as one function, without hiding the stages.

Every function returns its value with the problems found so far; none prints, none exits. What costs much (MLIR, JAX,
the event loop) is imported by the step that needs it.
"""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from .base.problems import Problem, Problems, has_errors, in_order
from .base.source import Source, Span

if TYPE_CHECKING:
    import signal

    from .executor.frames import End, Frame
    from .executor.observers import Observer
    from .ir.compile import Module
    from .ir.graph import Graph
    from .lang.program import Pipeline, Program
    from .lang.syntax import File
    from .planner.hardware import Machine
    from .planner.place import Options
    from .planner.plan import Plan
    from .planner.report import Compared
    from .stdlib.library import Library

LARGEST_SOURCE = 1 << 20


@dataclass(frozen=True)
class Checked:
    """A file after `check`: its tree always, its program only without errors. `sources` are for rendering problems."""

    source: Source
    file: File
    program: Program | None
    problems: Problems
    sources: dict[str, Source]


@dataclass(frozen=True)
class Compiled:
    """A program after all passes, frozen, with the library that it was compiled against."""

    program: Program
    graph: Graph
    library: Library


def read(path: Path | str) -> tuple[Source | None, Problems]:
    """The text of an `.agent` file, or the one problem that says why there is none.

    The path in problems is the path as given. UTF-8 only; a byte-order mark is dropped.
    """
    name = str(path)
    file = Path(path)
    try:
        size = file.stat().st_size
        if file.is_dir():
            return None, (_unreadable("not-a-file", f"{name} is a folder, not an .agent file", _files_in(file)),)
        if size > LARGEST_SOURCE:
            title = f"{name} has {size:,} bytes; a source may have {LARGEST_SOURCE:,}"
            return None, (_unreadable("source-too-large", title, "split the program, or keep documents in files"),)
        data = file.read_bytes()
    except FileNotFoundError:
        return None, (_unreadable("no-such-file", f"there is no file {name}", _nearby(file)),)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        return None, (_unreadable("unreadable-file", f"{name} cannot be read: {reason}", "check its permissions"),)
    return decode(name, data)


def decode(name: str, data: bytes) -> tuple[Source | None, Problems]:
    """Bytes as a source; binary data is one problem."""
    hint = "an .agent file is UTF-8 text; is this the right file?"
    if b"\0" in data:
        return None, (_unreadable("not-text", f"{name} is not text: it holds zero bytes", hint),)
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        return None, (_unreadable("not-text", f"{name} is not UTF-8 text: byte {error.start:,} is not valid", hint),)
    return Source(name, text), ()


def check(source: Source) -> Checked:
    """Parse, resolve and type. All problems of the file, in the order of its text."""
    from .lang.checker import check as check_file
    from .lang.parser import parse
    from .stdlib.interfaces import interface

    file, problems = parse(source)
    program, found = check_file(file, source, interface)
    if not file.declarations and not has_errors(problems):
        title = f"{source.path} declares nothing"
        problems += (Problem("empty-file", title, source.span(0, 0), hint="write a pipeline: pipeline answer(question: Text) -> Text { … }"),)
        program = None
    problems = in_order((*problems, *found))
    sources = {source.path: source}
    if program is not None:
        sources |= {s.path: s for s in program.sources}
    return Checked(source, file, None if has_errors(problems) else program, problems, sources)


def choose(program: Program, name: str | None = None) -> tuple[Pipeline | None, Problems]:
    """The pipeline of that name; without one, the pipeline that no other calls, or of several the one with a goal."""
    from .base.suggest import suggest
    from .lang.program import PipelineCall, walk

    names = [pipeline.name for pipeline in program.pipelines]
    if name is not None:
        found = program.pipeline(name)
        if found is not None:
            return found, ()
        near = suggest(name, names)
        hint = f"did you mean {near}?" if near else f"it has {', '.join(names) or 'none'}"
        return None, (Problem("no-such-pipeline", f"{program.source.path} has no pipeline {name!r}", hint=hint),)
    called = {
        call.pipeline
        for pipeline in program.pipelines
        for call in walk(pipeline.body)
        if isinstance(call, PipelineCall)
    }
    free = [pipeline for pipeline in program.pipelines if pipeline.name not in called]
    candidates = [p for p in free if program.goal(p.name) is not None] if len(free) > 1 else free
    if len(candidates) == 1:
        return candidates[0], ()
    if not names:
        hint = "write one: pipeline answer(question: Text) -> Text { … }"
        return None, (Problem("no-pipeline", f"{program.source.path} declares no pipeline", hint=hint),)
    options = ", ".join(f"{program.source.path}:{p.name}" for p in candidates or free)
    title = f"{program.source.path} has several pipelines that nothing calls"
    return None, (Problem("which-pipeline", title, hint=f"name one: {options}"),)


def lowered(
    program: Program, folder: Path, until: str | None = None, functions: bool = False
) -> tuple[Module | None, Problems]:
    """The program's MLIR module after the passes up to `until`; with `functions`, its models' StableHLO nested in it.

    KeyError for a pass that does not exist. `folder` is that of the `.agent` file. OutsideError where a model that is
    to be exported is missing.
    """
    from .ir.compile import lower, run_passes
    from .stdlib.library import Library

    library = Library(folder)
    module, found = lower(program)
    if module is None:
        return None, found
    module, more = run_passes(module, library, until)
    found = (*found, *more)
    if module is not None and functions:
        module, more = module.with_functions(library.functions(module.graph().handles))
        found = (*found, *more)
    return module, found


def compile(program: Program, library: Library) -> tuple[Compiled | None, Problems]:
    """All passes, then the frozen graph. A model that the catalogue does not know is a problem at its line."""
    from .base.suggest import suggest
    from .ir.compile import compile_graph
    from .stdlib import problems as words
    from .stdlib.catalogue import catalogue

    unknown = tuple(
        words.model_unknown(name, suggest(name, catalogue()), span)
        for name, span in _models(program)
        if name not in catalogue()
    )
    if unknown:
        return None, unknown
    graph, found = compile_graph(program, library)
    return (Compiled(program, graph, library) if graph is not None else None), found


def plan(
    compiled: Compiled,
    pipeline: str,
    machine: Machine | None = None,
    *,
    fleet: str | None = None,
    here: bool = False,
    options: Options | None = None,
) -> tuple[Plan | None, Problems]:
    """The placement of one pipeline for its goal. `here` plans for this machine whatever the file's fleet says, which
    is what a run on this machine wants. `machine` is what was measured of it; measured now if nothing was."""
    from .planner import calibrate, hardware
    from .planner.place import choose_fleet
    from .planner.place import plan as place

    program = compiled.program
    chosen, found = (None, ()) if here else choose_fleet(program, fleet)
    if found:
        return None, found
    machine = machine or hardware.load_or_measure()
    return place(
        compiled.graph,
        pipeline,
        machine,
        goal=program.goal(pipeline),
        fleet=chosen,
        calibration=calibrate.load(machine.key),
        program=hashlib.sha256(program.source.text.encode()).hexdigest(),
        options=options,
    )


async def run(
    compiled: Compiled,
    pipeline: str,
    inputs: Mapping[str, object],
    *,
    timeout: float | None = None,
    signals: Iterable[signal.Signals] = (),
    observers: Iterable[Observer] = (),
    started: Callable[[], None] | None = None,
) -> AsyncIterator[Frame]:
    """Run here; the frames of the run. `inputs` are runtime values (`executor.values.bind` makes them from JSON)."""
    from .executor.backends.local import LocalBackend
    from .executor.deployment import Deployment
    from .executor.shell import open_shell

    backend = LocalBackend(compiled.library)
    async with open_shell(Deployment(compiled.graph), backend, signals=signals, observers=observers) as shell:
        if started is not None:
            started()
        async with shell.start(pipeline, inputs, timeout) as running:
            async for frame in running:
                yield frame


def compare(compiled: Compiled, planned: Plan, end: End, machine: Machine) -> tuple[Compared, ...]:
    """What was predicted beside what was measured. Predicted again for the sizes that this run had, so that a short
    answer is not held against the prediction of a long one."""
    from .executor.measured import measured, sizes
    from .planner.place import Options
    from .planner.report import compare as beside

    had = sizes(compiled.graph.pipeline(planned.pipeline), end)
    again, _ = plan(compiled, planned.pipeline, machine, here=True, options=Options(measured=had))
    return beside(again or planned, measured(compiled.graph.pipeline(planned.pipeline), end))


def models_of(program: Program) -> tuple[str, ...]:
    """The catalogue names of the models that a program declares, each once, in order."""
    return tuple(dict.fromkeys(name for name, _ in _models(program)))


def _models(program: Program) -> Iterable[tuple[str, Span]]:
    from .lang.program import Literal

    for handle in program.handles:
        for argument in handle.arguments if handle.keyword == "model" else ():
            if argument.name == "name" and isinstance(argument.value, Literal):
                yield str(argument.value.value), argument.value.span


def _unreadable(slug: str, title: str, hint: str | None) -> Problem:
    return Problem(slug, title, hint=hint)


def _nearby(file: Path) -> str:
    from .base.suggest import suggest

    try:
        names = [p.name for p in file.parent.iterdir() if p.suffix == ".agent"]
    except OSError:
        return f"there is no folder {file.parent} either; check the path"
    near = suggest(file.stem, (name.removesuffix(".agent") for name in names))
    if near:
        return f"did you mean {file.parent / near}.agent?"
    return f"check the path; {file.parent} has {', '.join(sorted(names)[:5]) or 'no .agent file'}"


def _files_in(folder: Path) -> str:
    names = sorted(p.name for p in folder.glob("*.agent"))
    return f"name a file in it: {', '.join(str(folder / n) for n in names[:5])}" if names else "name an .agent file"
