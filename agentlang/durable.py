"""Durable runs: where their journals lie, how one is begun and found again.

    journal, found = begin(compiled, "triage", file="triage.agent")
    async with run(compiled, "triage", inputs, journal=journal) as frames: …

and, in a process that comes later, `run(compiled, "triage", inputs, journal=find("k3v9x2mq"))`.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import AsyncGenerator, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from .base import paths
from .base.problems import OutsideError, Problems
from .base.suggest import suggest
from .executor import journal_problems as problems
from .executor.journal.file import MAGIC, Journal, create, open_journal
from .executor.journal.log import NotWritten

if TYPE_CHECKING:
    import signal

    from .api import Compiled
    from .executor.backends import Backend
    from .executor.observers import Observer
    from .executor.promises import Promises
    from .executor.running import Approver, Running
    from .ir.graph import Graph

SUFFIX = ".journal"
_LETTERS = "abcdefghjkmnpqrstuvwxyz23456789"


def folder() -> Path:
    """Where journals lie that nobody gave a place: private to this user. Raises `OutsideError`."""
    try:
        return paths.private("journals")
    except OSError as error:
        why = (error.strerror or str(error)).lower()
        raise NotWritten(problems.not_written(str(paths.home()), why, None)) from None


def begin(
    compiled: Compiled,
    pipeline: str,
    *,
    path: Path | None = None,
    file: str = "",
    profile: str | None = None,
    engines: Mapping[str, str] | None = None,
    kept: Iterable[str] = (),
    promises: Promises | None = None,
) -> tuple[Journal | None, Problems]:
    """A new journal for a run of the pipeline, at `path` or in `folder()`. Values with labels other than those in
    `kept` are not written; where it could not be resumed without them there is none. `promises` of a plan hold for all
    of the run, however often it is resumed. Raises `OutsideError`."""
    from . import __version__
    from .executor.backends.local import LocalBackend
    from .executor.deployment import Deployment
    from .executor.journal.opening import new_head

    name = path.stem if path else "".join(secrets.choice(_LETTERS) for _ in range(8))
    backend = LocalBackend(compiled.library)
    deployment = Deployment(compiled.graph, promises=() if promises is None else (promises,))
    head, found = new_head(deployment, backend, pipeline, name, __version__, kept=kept)
    if found:
        return None, found
    lies = str(Path(file).absolute()) if file else ""
    head = replace(head, file="" if path else lies, program=lies, source=source_digest(compiled))
    head = replace(head, profile=profile, engines=dict(engines or {}))
    return create(path or folder() / f"{name}{SUFFIX}", head), ()


def find(run: str) -> Journal:
    """The journal of a run that was cut off, held by this process from now on. Raises `OutsideError`."""
    path = folder() / f"{run}{SUFFIX}"
    if not run.isalnum() or not path.is_file():
        known = waiting()
        raise OutsideError(problems.no_such_run(run, suggest(run, known), known[:5]))
    return open_journal(path)


def waiting() -> list[str]:
    """The runs that can be resumed, the newest first."""
    return [path.stem for path in sorted(folder().glob(f"*{SUFFIX}"), key=_age, reverse=True)]


def is_journal(path: str) -> bool:
    """Whether a file begins as a journal does."""
    try:
        with Path(path).open("rb") as file:
            return file.read(len(MAGIC)) == MAGIC
    except OSError:
        return False


def same_program(journal: Journal, compiled: Compiled) -> Problems:
    """What is wrong, where the program or this agentlang is another than the run began with."""
    from . import __version__

    head = journal.head
    if head.agentlang != __version__:
        return (problems.other_agentlang(journal.path.name, head.agentlang, __version__),)
    path = compiled.program.source.path
    if head.source and head.source != source_digest(compiled):
        return (problems.other_program(head.run, path, "its text has changed"),)
    if head.digest != compiled.graph.digest:
        return (problems.other_program(head.run, path, "it compiles to something else, for its settings or imports"),)
    return ()


def source_digest(compiled: Compiled) -> str:
    return hashlib.sha256(compiled.program.source.text.encode()).hexdigest()


@asynccontextmanager
async def go_on(
    compiled: Compiled,
    pipeline: str,
    inputs: Mapping[str, object],
    journal: Journal,
    backend: Backend,
    timeout: float | None,
    session: str | None,
    approve: Approver | None,
    signals: Iterable[signal.Signals],
    observers: Iterable[Observer],
) -> AsyncGenerator[Running]:
    """For `api.run`: begin the journal's run, or go on with it where it was cut off."""
    from .executor.deployment import Deployment
    from .executor.journal.opening import course_of, missing_streams, open_durable

    deployment, head = Deployment(compiled.graph), journal.head
    if journal.fresh:
        shell = open_durable(deployment, backend, journal, head, signals=signals, observers=observers)
        async with shell, shell.start(pipeline, inputs, timeout, session=session, approve=approve) as running:
            yield running
        return
    try:
        course = course_of(compiled.graph, head, journal.lines, inputs, journal.path.name)
        streams = streams_of(compiled.graph, pipeline, inputs)
        missing_streams(course, head, streams)
    except OutsideError:
        journal.release()
        raise
    shell = open_durable(deployment, backend, journal, head, course=course, signals=signals, observers=observers)
    async with shell:
        await shell.warm()
        async with shell.resume(streams, approve) as running:
            yield running


def streams_of(graph: Graph, pipeline: str, inputs: Mapping[str, object]) -> dict[str, object]:
    """Of the inputs, the streams."""
    from .lang.types import StreamType

    types = {parameter.name: parameter.type for parameter in graph.pipeline(pipeline).inputs}
    return {name: value for name, value in inputs.items() if isinstance(types.get(name), StreamType)}


def _age(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0
