"""What was found of the bodies of a file, kept from one check of it to the next, for those who check as somebody types.

A body is checked again if it is another tree, or if something that it may mention looks different from outside: a
declaration has a face (a pipeline's signature; all of a type, tool or constant), and whoever mentions a name depends on
the face behind it, and on those that the face mentions in turn. What a body's check says of other things (which names
it used, how labels flow through it) is kept with it. Trees that are the same object are the same, so whoever parses
must keep what did not change, with its places (`ide.document` does).

The result is that of a check without memory; `tests/laws/test_ide_laws.py` holds it to that.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar, cast

from ...base.problems import Problem
from .. import program, syntax
from ..analysis import analyse
from ..program import Labels, Pipeline, Program
from ..syntax.walk import walk
from .context import Context, words
from .facts import Facts
from .symbols import Local, PipelineSymbol

_V = TypeVar("_V")
Flow = frozenset[str] | None
Face = tuple[object, ...]


class _Body:
    """What one check of a body gave, and what it was told of the pipelines that it mentions."""

    __slots__ = ("called", "facts", "flows", "labels", "locals", "node", "pipeline", "problems", "used")

    def __init__(self, node: syntax.PipelineDecl, called: dict[str, tuple[Flow, Labels]]) -> None:
        self.node = node
        self.called = called
        self.pipeline: Pipeline | None = None
        self.problems: tuple[Problem, ...] = ()
        self.used: tuple[str, ...] = ()
        self.locals: dict[str, Local] = {}
        self.flows: Flow = None
        self.labels: Labels = frozenset()
        self.facts: Facts | None = None


class Memory:
    """Of one file, with the same library and options each time. Call `begin` before each check."""

    def __init__(self) -> None:
        self._bodies: dict[str, _Body] = {}
        self._faces: dict[str, Face] = {}
        self._imports: object = None
        # The names that look different from what they were at the last check.
        self.changed: frozenset[str] = frozenset()
        self._words: dict[int, tuple[object, frozenset[str]]] = {}
        self._calls: dict[int, tuple[object, tuple[tuple[str, syntax.Call], ...]]] = {}
        self._callees: dict[int, tuple[Pipeline, frozenset[str]]] = {}
        self._analysed: dict[tuple[object, ...], tuple[Problem, ...]] = {}

    def forget(self) -> None:
        """Start anew, because something outside of the file changed."""
        self.__init__()

    def begin(self, file: syntax.File, imported: object) -> None:
        """Find out what changed. `imported` stands for the texts of the files that this one imports, by equality."""
        uses = tuple(node for node in file.declarations if isinstance(node, syntax.UseDecl))
        brought = (uses, imported)
        if brought != self._imports:
            self.forget()
            self._imports = brought
        faces = _faces(file)
        changed = {name for name in (*faces, *self._faces) if faces.get(name) != self._faces.get(name)}
        self._faces = faces
        self.changed = frozenset(self._spread(faces, changed))
        if self.changed:
            self._analysed.clear()
        kept = {id(node) for node in file.declarations}
        for table in (self._words, self._calls):
            for key in [key for key in table if key not in kept]:
                del table[key]

    def _spread(self, faces: dict[str, Face], changed: set[str]) -> set[str]:
        """The names whose faces mention a changed name, directly or not."""
        mentions = {name: frozenset(_words_of(face)) for name, face in faces.items()} if changed else {}
        found = set(changed)
        while True:
            more = {name for name, mentioned in mentions.items() if name not in found and mentioned & found}
            if not more:
                return found
            found |= more

    # --- bodies

    def body(self, context: Context, symbol: PipelineSymbol, check: Callable[[], Pipeline]) -> Pipeline:
        """A pipeline's body, remembered or checked."""
        node = symbol.declaration
        mentioned = self.words(node)
        called = {
            name: (found.flows, found.labels)
            for name in mentioned
            if name != symbol.name and isinstance(found := context.names.get(name), PipelineSymbol)
        }
        known = self._bodies.get(symbol.name)
        fits = known is not None and known.node is node and known.called == called
        if known is not None and fits and not (self.changed & mentioned) and not (self.changed and known.problems):
            return self._recall(context, symbol, known)
        return self._check(context, symbol, _Body(node, called), check)

    def _check(self, context: Context, symbol: PipelineSymbol, body: _Body, check: Callable[[], Pipeline]) -> Pipeline:
        facts, mark, was_broken = context.facts, context.mark(), context.broken
        before = [found for found in context.names.values() if found.used]
        for found in before:
            found.used = False
        if facts is not None:
            context.facts = body.facts = Facts()
        context.broken = False
        body.pipeline = check()
        broken = context.broken
        context.broken = was_broken or broken
        if facts is not None and body.facts is not None:
            context.facts = facts
            facts.add(body.facts)
        body.used = tuple(name for name, found in context.names.items() if found.used)
        for found in before:
            found.used = True
        body.problems = context.problems[mark:]
        body.locals, body.flows, body.labels = symbol.locals, symbol.flows, symbol.labels
        if broken:
            self._bodies.pop(symbol.name, None)
        else:
            self._bodies[symbol.name] = body
        return body.pipeline

    def _recall(self, context: Context, symbol: PipelineSymbol, known: _Body) -> Pipeline:
        for name in known.used:
            if found := context.names.get(name):
                found.used = True
        for problem in known.problems:
            context.report(problem)
        symbol.locals, symbol.labels = known.locals, known.labels
        symbol.flows = context.flows[symbol.qualified] = known.flows
        if context.facts is not None and known.facts is not None:
            context.facts.add(known.facts)
        assert known.pipeline is not None
        return known.pipeline

    # --- what trees say

    def words(self, node: syntax.PipelineDecl) -> frozenset[str]:
        """Every word of a declaration that may be the use of a name."""
        return _once(self._words, node, lambda: frozenset(words(node)))

    def calls(self, node: syntax.PipelineDecl) -> tuple[tuple[str, syntax.Call], ...]:
        """The calls in a body of something that has a plain name."""
        return _once(self._calls, node, lambda: tuple(_calls(node)))

    # --- the program as a whole

    def analyse(self, whole: Program, strict_labels: bool) -> Iterator[Problem]:
        """The problems of the program as a whole. Pipelines that no call connects have nothing to do with each other,
        so each group of connected ones is looked at by itself, and only where one of it changed."""
        analysed: dict[tuple[object, ...], tuple[Problem, ...]] = {}
        for group in self._connected(whole):
            names = {pipeline.name for pipeline in group}
            goals = tuple(goal for goal in whole.goals if goal.pipeline in names)
            key = (*map(id, group), *((goal, goal.span) for goal in goals), strict_labels)
            found = self._analysed.get(key)
            if found is None:
                part = program.Program(
                    source=whole.source,
                    records=whole.records,
                    enums=whole.enums,
                    handles=whole.handles,
                    pipelines=group,
                    goals=goals,
                    fleets=whole.fleets,
                    tests=(),
                    sources=whole.sources,
                    tools=whole.tools,
                    constants=whole.constants,
                )
                found = analyse(part, strict_labels)
            analysed[key] = found
            yield from found
        self._analysed = analysed

    def _connected(self, whole: Program) -> list[tuple[Pipeline, ...]]:
        """The pipelines in groups that no call leaves, in order."""
        named = {pipeline.name: pipeline for pipeline in whole.pipelines}
        known = {
            id(pipeline): self._callees.get(id(pipeline)) or (pipeline, _callees(pipeline))
            for pipeline in whole.pipelines
        }
        self._callees = known
        group_of = {name: name for name in named}

        def root(name: str) -> str:
            while group_of[name] != name:
                group_of[name] = name = group_of[group_of[name]]
            return name

        for pipeline in whole.pipelines:
            for callee in known[id(pipeline)][1]:
                if callee in named:
                    group_of[root(callee)] = root(pipeline.name)
        groups: dict[str, list[Pipeline]] = {}
        for pipeline in whole.pipelines:
            groups.setdefault(root(pipeline.name), []).append(pipeline)
        return [tuple(group) for group in groups.values()]


# --- faces -----------------------------------------------------------------------------------------------------------


def _faces(file: syntax.File) -> dict[str, Face]:
    """What each name looks like from outside. Equality of trees does not look at places."""
    found: dict[str, Face] = {name.text: ("broken",) for name in file.broken}
    for node in file.declarations:
        face: Face
        match node:
            case syntax.PipelineDecl() | syntax.AgentDecl():
                face = type(node), node.name, node.parameters, node.result, node.doc
            case syntax.GoalDecl() | syntax.TestDecl() | syntax.UseDecl():
                continue
            case syntax.FleetDecl():
                for tier in node.tiers:
                    found[tier.name.text] = (*found.get(tier.name.text, ()), "tier")
                continue
            case syntax.StageDecl():
                face = (node,)
            case _:
                face = (node,)
        for name in _names(node):
            found[name] = (*found.get(name, ()), *face)
    return found


def _names(node: syntax.Declaration) -> Iterator[str]:
    """The names by which others may mention a declaration."""
    match node:
        case syntax.UseDecl() | syntax.GoalDecl() | syntax.TestDecl():
            return
        case syntax.StageDecl():
            yield node.name.parts[0].text
        case syntax.EnumDecl():
            yield node.name.text
            yield from (case.name.text for case in node.cases)
        case _:
            yield node.name.text


def _words_of(face: Iterable[object]) -> Iterator[str]:
    for part in face:
        if isinstance(part, tuple):
            yield from _words_of(cast("Face", part))
        elif hasattr(part, "span"):
            yield from words(part)  # pyright: ignore[reportArgumentType]


def _calls(node: syntax.PipelineDecl) -> Iterator[tuple[str, syntax.Call]]:
    for part in walk(node.body):
        if isinstance(part, syntax.Call) and isinstance(part.function, syntax.Name):
            yield part.function.text, part


def _callees(pipeline: Pipeline) -> frozenset[str]:
    found = program.walk(pipeline.body)
    return frozenset(node.pipeline for node in found if isinstance(node, program.PipelineCall))


def _once(table: dict[int, tuple[object, _V]], node: object, make: Callable[[], _V]) -> _V:
    """What is made of a tree, once."""
    known = table.get(id(node))
    if known is None or known[0] is not node:
        known = table[id(node)] = node, make()
    return known[1]
