"""The `test` blocks of a program, run one after the other on one executor: models are opened once, and only those that
some test really calls.

    compiled, problems = compile(program, library, tests=True)
    async for tested in run_tests(compiled): ...

A test passes where its body runs to its end and every `expect` holds. It fails where one does not, and it is an error
where something else failed: a tool, a model, a call that is not on the cassette.

For those who write engines, `check_engine` says whether one keeps its promises; `check_embedding`, `check_scoring` and
`check_recognising` say it of engines for encoders, rerankers and recognisers, `check_transcribing` and
`check_synthesising` of those that hear and speak.
"""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator, Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal, TypeAlias

from .base.problems import OutsideError, Problem, Problems
from .base.source import Span

if TYPE_CHECKING:
    import signal

    from .api import Compiled
    from .executor.backends import Backend
    from .executor.engines.families import TextModelSpec
    from .executor.engines.protocol import Engine, ModelSpec
    from .executor.engines.speech.sources import TranscribingSpec, VoiceSpec
    from .executor.frames import End
    from .executor.machine.orders import Expectation
    from .executor.running import Approver
    from .ir.graph import GraphPipeline, Region
    from .tapes import Recording, Tape

# What `inline_pipelines` puts around a call that a test may answer.
_GIVEN = re.compile(r"\.given\.if(_[0-9]+)?$")

Status: TypeAlias = Literal["passed", "failed", "error", "interrupted"]


@dataclass(frozen=True, slots=True)
class Expected:
    """An `expect`: whether it `holds` (None: the test ended before it), and lines about the values that decided it."""

    span: Span
    text: str
    holds: bool | None
    shown: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Result:
    """What became of a test. `problems` say why it did not pass; `seconds` include opening what it used."""

    title: str
    span: Span
    status: Status
    seconds: float
    expected: tuple[Expected, ...] = ()
    problems: Problems = ()
    reason: str | None = None


def titles(compiled: Compiled) -> tuple[str, ...]:
    """The titles of a program's tests, in the order of the file."""
    return tuple(test.name for test in compiled.program.tests)


async def run_tests(
    compiled: Compiled,
    wanted: Iterable[str] | None = None,
    *,
    record: Recording | None = None,
    replay: Tape | None = None,
    timeout: float | None = None,
    signals: Iterable[signal.Signals] = (),
    approve: Approver | None = None,
) -> AsyncGenerator[Result]:
    """The tests of a program that was compiled with its tests, those `wanted` by title, each as it ends.

    `record` writes down what models and tools answer, `replay` answers by what was written. `timeout` in seconds is
    for each test. The first of `signals` interrupts the test that runs and leaves out the rest. Nothing is asked of a
    person unless `approve` does. ValueError for a program that was compiled without its tests.
    """
    from .executor.backends.lazy import LazyBackend
    from .executor.backends.local import LocalBackend
    from .executor.deployment import Deployment
    from .executor.kinds import StageFailure
    from .executor.shell import open_shell

    graph = compiled.graph
    by_title = {test.name: test for test in graph.tests}
    if len(by_title) != len(compiled.program.tests):
        raise ValueError("compile(…, tests=True) keeps the tests of a program")
    chosen = [title for title in by_title if wanted is None or title in set(wanted)]
    missing: list[Problem] = []
    lazy = LazyBackend(LocalBackend(compiled.library))
    backend: Backend = lazy
    if replay is not None:
        backend = replay.backend(backend, compiled, missing.append)
    if record is not None:
        backend = record.backend(backend, compiled)
    # Calls of pipelines are part of each test by now, so tests are all that this executor has to run.
    deployment = Deployment(replace(graph, pipelines=graph.tests, tests=()))
    async with open_shell(deployment, backend, signals=signals) as shell:
        for title in chosen:
            missing.clear()
            surely, lazy.perhaps = _handles(by_title[title])
            with suppress(StageFailure, OutsideError):  # told by the call that needs it
                await lazy.need(surely)
            end = await shell.start(title, {}, timeout, approve=approve).result()
            tested = _tested(compiled, by_title[title], end, tuple(dict.fromkeys(missing)))
            if tested.status == "interrupted" and record is not None:
                record.interrupted()
            yield tested
            if tested.status == "interrupted":
                return


def _handles(test: GraphPipeline) -> tuple[frozenset[str], frozenset[str]]:
    """The handles that a test needs, and those that it needs only where a call is not one that it answers itself."""
    names: dict[int, str] = {}
    surely: set[str] = set()

    def look(region: Region, given: bool) -> None:
        for operation in region.operations:
            if operation.name == "agent.open":
                names[operation.results[0].id] = str(operation.attributes["name"])
            elif not given:
                surely.update(names[value.id] for value in operation.operands if value.id in names)
            inside = given or _GIVEN.search(operation.id) is not None
            for inner in operation.regions:
                look(inner, inside)

    look(test.body, False)
    return frozenset(surely), frozenset(names.values()) - surely


def _tested(compiled: Compiled, test: GraphPipeline, end: End, missing: Problems) -> Result:
    outcome = end.outcome
    expected = _expected(compiled, test, outcome.expectations)
    problems = missing
    match outcome.status:
        case "cancelled" | "interrupted":
            status: Status = "interrupted"
        case "failed" if outcome.reason != "expectation":
            status = "error"
            # The run may have failed for what is missing itself.
            problems = tuple(dict.fromkeys((*missing, *((outcome.problem,) if outcome.problem else ()))))
        case _ if missing:
            status = "error"
        case "failed":
            status = "failed"
            problems = tuple(_unmet(one) for one in expected if one.holds is False)
        case "done":
            status = "passed"
    reason = "not_recorded" if missing else outcome.reason
    span = test.span or compiled.program.source.span(0, 0)
    return Result(test.name, span, status, end.timings.finish, expected, problems, reason)


def _unmet(expected: Expected) -> Problem:
    from .executor.problems import expectation_failed

    return expectation_failed(expected.span, *expected.shown)


def _expected(compiled: Compiled, test: GraphPipeline, looked: tuple[Expectation, ...]) -> tuple[Expected, ...]:
    """All that the test expects, in the order of the text; in a loop an `expect` counts once for each turn."""
    from .executor.machine.expectations import lines
    from .ir.graph import walk

    found: list[Expected] = []
    for operation in walk(test.body):
        if operation.name != "agent.expect" or operation.span is None:
            continue
        text = _text(compiled, operation.span)
        turns = [one for one in looked if one.operation.id == operation.id]
        found += [Expected(operation.span, text, one.holds, lines(one)) for one in turns]
        if not turns:
            found.append(Expected(operation.span, text, None))
    return tuple(found)


def _text(compiled: Compiled, span: Span) -> str:
    for source in (compiled.program.source, *compiled.program.sources):
        if source.path == span.path:
            return " ".join(source.text[span.start : span.end].split())
    return ""


async def check_engine(make: Callable[[], Engine], spec: ModelSpec) -> None:
    """Whether an engine keeps every promise of `executor.engines.protocol`: all checks, each on a fresh engine that
    `make` gives, with the model of `spec` (a tiny random one serves best; its context has 256 positions at least).

    Raises `executor.engines.conformance.PromiseBroken`, which says what is not as promised. Call it under asyncio and
    under trio.
    """
    from .executor.engines.conformance import check_engine as check

    await check(make, spec)


async def check_embedding(make: Callable[[], Engine], spec: TextModelSpec) -> None:
    """As `check_engine`, of an engine that names `Operation.EMBED` (`executor.engines.families`)."""
    from .executor.engines.conformance import check_embedding as check

    await check(make, spec)


async def check_scoring(make: Callable[[], Engine], spec: TextModelSpec) -> None:
    """As `check_engine`, of an engine that names `Operation.SCORE`. The model must know English."""
    from .executor.engines.conformance import check_scoring as check

    await check(make, spec)


async def check_recognising(make: Callable[[], Engine], spec: TextModelSpec) -> None:
    """As `check_engine`, of an engine that names `Operation.RECOGNISE`."""
    from .executor.engines.conformance import check_recognising as check

    await check(make, spec)


async def check_transcribing(make: Callable[[], Engine], spec: TranscribingSpec) -> None:
    """As `check_engine`, of an engine that names `Operation.TRANSCRIBE`. It is asked with noise, not with speech."""
    from .executor.engines.conformance import check_transcribing as check

    await check(make, spec)


async def check_synthesising(make: Callable[[], Engine], spec: VoiceSpec) -> None:
    """As `check_engine`, of an engine that names `Operation.SYNTHESISE`, with a voice that speaks English."""
    from .executor.engines.conformance import check_synthesising as check

    await check(make, spec)
