"""What Python users import: each step from text to result as one function, without hiding the stages.

Every function returns its value with the problems found so far; none prints, none exits. What costs much (MLIR, JAX,
the event loop) is imported by the step that needs it.
"""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, TypeVar

from .base.frozen import frozen
from .base.later import Later
from .base.problems import Problem, Problems, in_order
from .base.source import Source
from .checking import LARGEST_SOURCE as LARGEST_SOURCE
from .checking import Checked as Checked
from .checking import Imports as Imports
from .checking import check as check
from .checking import decode as decode
from .checking import read as read

if TYPE_CHECKING:
    import signal

    from . import problems
    from .executor.frames import End
    from .executor.journal.file import Journal
    from .executor.observers import Observer
    from .executor.promises import Promises
    from .executor.running import Approver, Running
    from .ir.compile import Module
    from .ir.graph import Graph
    from .lang.program import Fleet, Goal, Pipeline, Program
    from .planner.cells.plan import CellsPlan
    from .planner.hardware import Machine
    from .planner.place import Confirm, Options
    from .planner.plan import Made, Plan
    from .planner.profile import Profile
    from .planner.report import Compared
    from .planner.space.build import Built
    from .planner.traces import Load
    from .stdlib.library import Library
    from .stdlib.settings import Settings
    from .tapes import Recording, Tape
else:
    problems = Later(".problems", __package__)


P = TypeVar("P", covariant=True)


class Decides(Protocol[P]):
    """`planner.place.decided`, and what has its form."""

    def __call__(
        self, built: Built, goal: Goal | None, fleet: Fleet | None, *, confirm: Confirm | None, beside: bool
    ) -> tuple[P | None, Problems]: ...


@frozen
class Compiled:
    """A program after all passes, frozen, with the library that it was compiled against. Of a package, whose program is
    not there, `module` is what the graph was read from."""

    program: Program
    graph: Graph
    library: Library
    module: Module | None = None


def settings_of(folder: Path, profile: str | None = None) -> tuple[Settings, Problems]:
    """What `agentlang.toml` says for the program in `folder`, with a profile applied (else that of the environment
    variable `AGENTLANG_PROFILE`). Nothing where there is no such file."""
    from .stdlib.settings import Settings, find
    from .stdlib.settings import read as read_settings

    profile = profile or os.environ.get("AGENTLANG_PROFILE") or None
    path = find(folder)
    if path is None:
        missing = (problems.no_settings(profile),) if profile else ()
        return Settings(), missing
    source, found = read(path)
    if source is None:
        return Settings(), found
    return read_settings(source, profile)


def choose(program: Program, name: str | None = None) -> tuple[Pipeline | None, Problems]:
    """The pipeline of that name; without one, the pipeline that no other calls, or of several the one with a goal."""
    from .lang.program import PipelineCall, walk

    names = [pipeline.name for pipeline in program.pipelines]
    path = program.source.path
    if name is not None:
        found = program.pipeline(name)
        return (found, ()) if found else (None, (problems.no_such_pipeline(path, name, names),))
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
        return None, (problems.no_pipeline(path),)
    return None, (problems.which_pipeline(path, [p.name for p in candidates or free]),)


def lowered(
    program: Program, folder: Path, until: str | None = None, functions: bool = False, plain: bool = False
) -> tuple[Module | None, Problems]:
    """The program's MLIR module after the passes up to `until` (`lower`: before the first); with `functions`, its
    models' StableHLO nested in it, with `plain` without passes that only make it cheaper.

    KeyError for a pass that does not exist. `folder` is that of the `.agent` file. OutsideError where a model that is
    to be exported is missing.
    """
    from .ir.compile import lower, run_passes
    from .ir.passes import LOWERED, PASSES, PLAIN
    from .stdlib.library import Library

    library = Library(folder)
    module, found = lower(program)
    if module is None:
        return None, found
    if until != LOWERED:
        module, more = run_passes(module, library, until, passes=PLAIN if plain else PASSES)
        found = (*found, *more)
    if module is not None and functions:
        module, more = module.with_functions(library.functions(module.graph().handles))
        found = (*found, *more)
    return module, found


def compile(
    program: Program, library: Library, tests: bool = False, plain: bool = False
) -> tuple[Compiled | None, Problems]:
    """All passes, then the frozen graph, with `tests` that of each test too. With `plain` only the passes that it takes
    to run: every stage is where the program has it, for those who show a program. A model that the catalogue does not
    know is a problem at its line."""
    from .ir.compile import compile_graph
    from .ir.passes import PASSES, PLAIN
    from .stdlib.declared import model_problems

    wrong = model_problems(program)
    if wrong:
        return None, wrong
    graph, found = compile_graph(program, library, tests, passes=PLAIN if plain else PASSES, laws=False)
    return (Compiled(program, graph, library) if graph is not None else None), found


def look(program: Program, folder: Path) -> Problems:
    """What only the world can say of a checked program: its models in the catalogue, its documents below `folder`."""
    from .stdlib.declared import document_problems, model_problems

    return in_order((*model_problems(program), *document_problems(program, folder)))


def plan(
    compiled: Compiled,
    pipeline: str,
    machine: Machine | None = None,
    *,
    fleet: str | None = None,
    here: bool = False,
    options: Options | None = None,
    thorough: bool = False,
) -> tuple[Plan | None, Problems]:
    """The placement of one pipeline for its goal. `here` plans for this machine whatever the file's fleet says, which
    is what a run on this machine wants. `machine` is what was measured of it; measured now if nothing was. A `thorough`
    plan of a fleet with several tiers was simulated, and has simpler plans beside it."""
    from .planner.place import decided

    return _planned(compiled, pipeline, machine, fleet, here, options, thorough, decided)


def plan_in_cells(
    compiled: Compiled,
    pipeline: str,
    machine: Machine | None = None,
    *,
    fleet: str | None = None,
    here: bool = False,
    options: Options | None = None,
    thorough: bool = False,
    requests: Path | str | None = None,
) -> tuple[Plan | CellsPlan | None, Problems]:
    """As `plan`; where no placement alone keeps the goal, or one costs clearly more than several that share the runs,
    those: each a plan of its own at a part of the rate. A thorough plan for a trace is tried on its `requests` (a file)
    too."""
    from .planner.place import decided_in_cells

    return _planned(compiled, pipeline, machine, fleet, here, options, thorough, decided_in_cells, requests)


def _planned(
    compiled: Compiled,
    pipeline: str,
    machine: Machine | None,
    fleet: str | None,
    here: bool,
    options: Options | None,
    thorough: bool,
    decided: Decides[P],
    requests: Path | str | None = None,
) -> tuple[P | None, Problems]:
    from .trying import recorded, tried

    fleet_of, found = _fleet(compiled, fleet, here)
    if found:
        return None, found
    built, found = problem(compiled, pipeline, machine, fleet=fleet, here=here, options=options)
    if built is None:
        return None, found
    several = thorough and len(built.problem.tiers) > 1
    confirm = None
    if several and built.problem.rate:
        confirm = tried(built, fleet_of, None if requests is None else recorded(built, requests))
    planned, more = decided(built, compiled.program.goal(pipeline), fleet_of, confirm=confirm, beside=several)
    return planned, (*found, *more)


def problem(
    compiled: Compiled,
    pipeline: str,
    machine: Machine | None = None,
    *,
    fleet: str | None = None,
    here: bool = False,
    options: Options | None = None,
) -> tuple[Built | None, Problems]:
    """What there is to decide about one pipeline, as `plan` decides it."""
    import hashlib

    from .planner import calibrate, hardware, profile
    from .planner.options import Options
    from .planner.place import problem as made_of
    from .planner.placing import Placing

    program, chosen = compiled.program, options or Options()
    if chosen.profile is None and not chosen.unprofiled:
        chosen = replace(chosen, profile=profile.load(compiled.graph.pipeline(pipeline)))
    here = here or chosen.here
    fleet_of, found = _fleet(compiled, fleet, here)
    if found:
        return None, found
    graph = compiled.graph
    if here:
        graph, found = _here(compiled, pipeline)
        if found:
            return None, found
    machine = machine or hardware.load_or_measure()
    placing = Placing(
        graph,
        pipeline,
        machine,
        goal=program.goal(pipeline),
        fleet=fleet_of,
        calibration=calibrate.load(machine.key),
        program=hashlib.sha256(program.source.text.encode()).hexdigest(),
        file=program.source.path,
        options=replace(chosen, here=here),
    )
    return made_of(placing)


def load(compiled: Compiled, pipeline: str, path: Path | str) -> tuple[Load | None, Problems, Source]:
    """What a recorded trace says of the work of a pipeline, for `Options.trace`; warnings beside it, or the errors why
    there is none. The source has the lines that problems point at, and nothing of the others."""
    from .planner.traces import Reader, load_of, named, opened

    name = str(path)
    with opened(name) as stream:
        if isinstance(stream, Problem):
            return None, (stream,), Source(name, "")
        reader = Reader(name, stream)
        found = load_of(reader, named(compiled.graph.pipeline(pipeline)))
    return found, reader.problems, reader.source()


def on_trace(compiled: Compiled, planned: Plan, path: Path | str, runs: int = 2000) -> str | None:
    """What the recorded requests themselves make of a plan that was made for their load, as a sentence: those that
    stand closest are simulated, `runs` of them. Arrivals that come in bursts wait longer than random ones of the
    same rate, which no bound of the plan knows. None where the trace cannot be read or the plan has no such choice."""
    from .executor.simulate.planned import choice_of
    from .trying import recorded

    built, _ = problem_again(compiled, planned.pipeline, planned.made)
    choice = choice_of(planned, built.problem) if built is not None else None
    if built is None or choice is None or planned.made.options.trace is None:
        return None
    requests = recorded(built, path, runs)
    fleet = _fleet(compiled, planned.made.fleet, here=planned.made.fleet is None)[0]
    return None if requests is None else requests.told(built, choice, fleet)


def problem_again(compiled: Compiled, pipeline: str, made: Made) -> tuple[Built | None, Problems]:
    """What there was to decide when a plan was made, from what the plan carries: nothing of this machine and of its
    environment counts."""
    import hashlib

    from .planner.placing import Placing
    from .planner.space.build import build

    program = compiled.program
    fleet, found = (None, ()) if made.fleet is None else _fleet(compiled, made.fleet, here=False)
    graph = compiled.graph
    if made.options.here and not found:
        graph, found = _here(compiled, pipeline)
    if found:
        return None, found
    placing = Placing(
        graph,
        pipeline,
        made.machine,
        goal=program.goal(pipeline),
        fleet=fleet,
        calibration=made.calibration,
        program=hashlib.sha256(program.source.text.encode()).hexdigest(),
        file=made.file,
        options=made.options,
    )
    return build(placing)


def _fleet(compiled: Compiled, name: str | None, here: bool) -> tuple[Fleet | None, Problems]:
    from .planner.place import choose_fleet

    return (None, ()) if here else choose_fleet(compiled.program, name)


def _here(compiled: Compiled, pipeline: str) -> tuple[Graph, Problems]:
    """The graph as it runs on this machine: a model that is known by its shape alone, and that no endpoint serves which
    can be asked from here, gives way to its fallback, and is a problem where it has none."""
    from .planner.absent import needed, without
    from .stdlib.declared import shapes_alone

    reached = compiled.library.serve(compiled.graph)
    alone = {name: problem for name, problem in shapes_alone(compiled.graph).items() if name not in reached}
    graph = without(compiled.graph, frozenset(alone))
    return graph, tuple(alone[str(o.attributes["name"])] for o in needed(graph, pipeline, frozenset(alone)))


@asynccontextmanager
async def run(
    compiled: Compiled,
    pipeline: str,
    inputs: Mapping[str, object],
    *,
    timeout: float | None = None,
    signals: Iterable[signal.Signals] = (),
    observers: Iterable[Observer] = (),
    session: str | None = None,
    approve: Approver | None = None,
    record: Recording | None = None,
    replay: Tape | None = None,
    missing: Callable[[Problem], None] | None = None,
    journal: Journal | None = None,
    promises: Promises | None = None,
) -> AsyncGenerator[Running]:
    """One run here: `async with run(…) as frames: async for frame in frames: …`, the last of which is `End`.

    `inputs` are runtime values (`executor.values.bind` makes them from JSON). Leaving early stops the run and waits
    until its last stage is gone. The first of `signals` interrupts it. `session` names whose memory the run uses;
    `approve` asks a person what the program has to ask. `record` writes down what models and tools answer, `replay`
    answers by what was written; `missing` then hears of calls that are not there, even where a fallback catches that.
    `promises` are those of a plan (`executor.promised.promises_of`): `End` tells what the time of a missed one went
    into, and where they are enforced, stages that are over due fail. A run with a journal has those
    that its journal was begun with.

    With a `journal` (see `durable`) the run outlasts this process; one that was cut off goes on, and of `inputs` only
    those are looked at that the journal does not tell. Leaving early, or a signal, leaves it to be resumed. Raises
    `OutsideError` where it cannot go on.
    """
    from .executor.backends.local import LocalBackend
    from .executor.deployment import Deployment
    from .executor.shell import open_shell

    compiled.library.serve(compiled.graph)
    backend = LocalBackend(compiled.library)
    if replay is not None:
        backend = replay.backend(backend, compiled, missing)
    if record is not None:
        backend = record.backend(backend, compiled)
    if journal is not None:
        from .durable import go_on

        observed = (timeout, session, approve, signals, observers)
        async with go_on(compiled, pipeline, inputs, journal, backend, *observed) as running:
            yield running
        return
    deployment = Deployment(compiled.graph, promises=() if promises is None else (promises,))
    shell = open_shell(deployment, backend, signals=signals, observers=observers)
    async with shell, shell.start(pipeline, inputs, timeout, session=session, approve=approve) as running:
        yield running


def run_sizes(compiled: Compiled, pipeline: str, end: End, machine: Machine) -> dict[str, float]:
    """The sizes that a run had, by the names of the pipeline's size variables: what it counted, and what follows."""
    from .executor.measured import sizes
    from .planner.observe import prompt_sizes

    had = sizes(compiled.graph.pipeline(pipeline), end)
    return prompt_sizes(compiled.graph, pipeline, had, end.usage.get("tokens_in", 0.0), machine=machine)


def compare(compiled: Compiled, planned: Plan, end: End, machine: Machine) -> tuple[Compared, ...]:
    """What was predicted beside what was measured. Predicted again for the sizes that this run had, so that a short
    answer is not held against the prediction of a long one."""
    from .executor.measured import measured
    from .planner.place import Options
    from .planner.report import compare as beside

    had = run_sizes(compiled, planned.pipeline, end, machine)
    again, _ = plan(compiled, planned.pipeline, machine, here=True, options=Options(measured=had))
    seen = measured(compiled.graph.pipeline(planned.pipeline), end)
    # This run had the machine to itself, so it paid for all of its time, and for what it asked elsewhere.
    hourly = next((tier.price.value for tier in planned.tiers if tier.here), 0.0)
    seen["cost"] = seen["finish"] * hourly / 3600.0 + end.usage.get("dollars", 0.0)
    return beside(again or planned, seen)


def learn(compiled: Compiled, pipeline: str, machine: Machine, end: End) -> None:
    """Keep a run's stage times, so that the next prediction for this machine is nearer. A cache that cannot be written
    loses nothing but the lesson."""
    from .executor.measured import measured
    from .planner import calibrate
    from .planner.observe import observe

    if end.usage.get("programs_compiled"):
        return  # it waited for a compiler, which says nothing of the next run
    had = run_sizes(compiled, pipeline, end, machine)
    seen = observe(compiled.graph, pipeline, machine, had, measured(compiled.graph.pipeline(pipeline), end))
    with suppress(OSError):
        calibrate.save(calibrate.load(machine.key).refined(seen))


def remember(compiled: Compiled, pipeline: str, machine: Machine, ends: Sequence[End]) -> Profile:
    """Keep what runs brought (the lengths of prompts and replies, turns of loops, shares of branches), so that the next
    plan of this pipeline reckons with it. A cache that cannot be written loses nothing but that. ValueError without
    runs."""
    from .executor.measured import brought
    from .planner import profile
    from .planner.observe import prompt_sizes

    if not ends:
        raise ValueError("nothing is brought without a run")
    of = compiled.graph.pipeline(pipeline)
    had = brought(of, ends)
    tokens = sum(end.usage.get("tokens_in", 0.0) for end in ends) / len(ends)
    whole = prompt_sizes(compiled.graph, pipeline, had, tokens, machine=machine)
    guessed = [name for name in whole if name not in had]
    if len(guessed) == 1:
        # Of several, nobody knows what each is of the tokens that were counted.
        had[guessed[0]] = whole[guessed[0]]
    found = profile.made(of, len(ends), had)
    with suppress(OSError):
        profile.save(found)
    return found


def models_of(program: Program) -> tuple[str, ...]:
    """The catalogue names of the models that a program declares, each once, in order."""
    from .stdlib.declared import models

    return tuple(dict.fromkeys(name for _, name, _ in models(program)))
