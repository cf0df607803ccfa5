"""From a checked program to the graph: lower, run the passes, read.

`Module` holds an MLIR module so that callers never see one. A module is never changed: a pass gives a new one.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..base.problems import Problems, has_errors
from ..base.source import Source
from ..lang.program import Program
from . import _mlir, problems
from .graph import Graph
from .known import known
from .library import Library
from .lower.limits import BeyondLimits
from .lower.module import lower_program
from .read import digest, passes, read_graph
from .verify import diagnostics, newer, verify


@dataclass(frozen=True, slots=True, eq=False)
class Module:
    """A sound module: the `passes` it has been through, and the `sources` that its locations point into."""

    operation: Any = field(repr=False)
    sources: Mapping[str, Source] = field(default_factory=dict[str, Source], repr=False)
    passes: tuple[str, ...] = ()

    def text(self, pretty: bool = False, locations: bool = True) -> str:
        """The generic form, which reads back; or the readable one, with source lines in the margin, which does not."""
        if pretty:
            from .pretty import pretty as show
            from .stablehlo import describe

            return "\n".join([show(self.graph(), self.sources), *describe(self.operation)])
        return _mlir.text(self.operation, locations)

    def bytecode(self) -> bytes:
        return _mlir.bytecode(self.operation)

    @property
    def digest(self) -> str:
        """The SHA-256 (hex) of the text without locations: comments and layout do not change it."""
        return digest(self.operation)

    def graph(self) -> Graph:
        """The frozen graph."""
        return read_graph(self.operation, self.sources)

    def with_functions(self, functions: Mapping[str, Mapping[str, bytes]]) -> tuple[Module | None, Problems]:
        """The module with model operations nested in it: for each model handle, StableHLO portable artifacts by name
        (`prefill_64_256`), as `jax.export` serialises them. KeyError for a handle that is not declared."""
        from .stablehlo import nest

        made, found = nest(self.operation, functions)
        return (Module(made, self.sources, self.passes) if made is not None else None), found


def lower(program: Program, tests: bool = False) -> tuple[Module | None, Problems]:
    """The module of a checked program, before any pass; its tests too, if asked."""
    try:
        operation = lower_program(program, tests)
    except BeyondLimits as error:
        return None, (problems.beyond_limits(str(error), error.span),)
    sources = {source.path: source for source in (program.source, *program.sources)}
    found = verify(operation)
    return (None if has_errors(found) else Module(operation, sources)), found


def run_passes(
    module: Module,
    library: Library,
    until: str | None = None,
    after: Callable[[str, Module], None] | None = None,
    *,
    passes: Sequence[str] | None = None,
    options: Mapping[str, Mapping[str, object]] | None = None,
    laws: bool = True,
    timed: Callable[[str, float], None] | None = None,
) -> tuple[Module | None, Problems]:
    """The module after the passes, up to and including `until`: by default those of `PASSES` that it has not been
    through, or `passes` in their order, whatever it has been through.

    `options` are a pass's own, by its name. `after` sees each result, `timed` hears how many seconds each pass took,
    checks left out. With `laws`, each result is verified and the laws are checked: a pass that leaves an unsound module
    is a bug of ours, found where it is. The first pass that leaves problems which are errors is the last.

    KeyError for a pass that does not exist; TypeError for an option that it does not have.
    """
    from .pipeline import run

    return run(module, library, until=until, passes=passes, options=options, laws=laws, after=after, timed=timed)


def compile_graph(
    program: Program,
    library: Library,
    tests: bool = False,
    *,
    passes: Sequence[str] | None = None,
    laws: bool = True,
) -> tuple[Graph | None, Problems]:
    """Lower, run all passes (or `passes`), read. Without `laws` the modules between the passes are not looked at, only
    what is lowered and what is read."""
    module, found = lower(program, tests)
    if module is None:
        return None, found
    module, more = run_passes(module, library, passes=passes, laws=laws)
    found = (*found, *more)
    if module is not None and not laws:
        found = (*found, *verify(module.operation, module.passes))
    if module is None or has_errors(found):
        return None, found
    graph = module.graph()
    # Where there is but one machine, nothing goes from one to another.
    return (known(graph, library) if graph.fleets and "annotate_demand" in module.passes else graph), found


def parse(
    given: str | bytes, digest: str | None = None, sources: Mapping[str, Source] | None = None
) -> tuple[Module | None, Problems]:
    """A module from its text or bytecode.

    Damaged bytecode can end the process, so bytes are read only if their SHA-256 (hex) is `digest`: the caller keeps it
    with what it wrote. Texts are safe to read.
    """
    if isinstance(given, bytes) and hashlib.sha256(given).hexdigest() != (digest or ""):
        return None, (problems.unreadable("its bytes are not those that were written (their hash differs)"),)
    try:
        operation = _mlir.parse(given)
    except _mlir.MLIRError as error:
        return None, (newer(given) if isinstance(given, str) else ()) or diagnostics(error)
    done = passes(operation)
    found = verify(operation, done)
    return (None if has_errors(found) else Module(operation, sources or {}, done)), found
