"""What the loop knows between two inputs: definitions by name, values by name, and how an input becomes a program.

Every input is checked against the whole of what was defined, by the checker that checks files: the definitions that it
needs are put before it, the values that it names become parameters, and the expression becomes the body of a pipeline
whose result type is what the checker finds. There is no second semantics for the loop.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from ...base.problems import Fix, Problem, Problems, Related, Severity, has_errors, in_order
from ...base.source import Source, Span
from ...lang import syntax
from ...lang.parser import parse
from ...lang.program import Pipeline, Program
from ...lang.syntax.walk import walk
from ...lang.types import HandleType, Type

INPUT = "input"
EVALUATED = "it"
"""The name of a value that was bound to no other."""

# The pipeline that an expression becomes. Its name is seen in the ids of stages.
_PIPELINE = "input"
_WORD = re.compile(r"\w+")
_WRAPPED = "pipeline {name}() -> Text {{\n{text}\n}}\n"
_AFTER = "\n}\n"
"""What `_WRAPPED` puts behind an input."""


@dataclass(frozen=True, slots=True)
class Definition:
    """One declaration as it was written, with its comments. `key` names what it defines: `pipeline answer`, `use
    std/llm`, `goal answer`."""

    key: str
    text: str
    node: syntax.Declaration
    words: frozenset[str]


@dataclass(frozen=True, slots=True)
class Variable:
    """A value that an input bound to a name."""

    type: Type
    value: object


@dataclass(frozen=True, slots=True)
class Ready:
    """An expression as a program: run `pipeline` with `inputs`. `name` is what its value will be bound to; the input
    stands in the program's text from `start` on."""

    program: Program
    pipeline: Pipeline
    inputs: Mapping[str, object]
    name: str
    whole: Source
    start: int

    def placed(self, problem: Problem) -> tuple[Problem, Source]:
        """A problem of the run, at its place in what was typed; what went wrong in a definition keeps its place among
        all that the input stands on."""
        if problem.span is not None and problem.span.start < self.start:
            return problem, self.whole
        typed = self.whole.text[self.start :].removesuffix(_AFTER)
        return _moved(problem, self.start, source := Source(INPUT, typed)), source


@dataclass(slots=True)
class Session:
    """`folder` is what paths in definitions are relative to."""

    folder: Path
    definitions: dict[str, Definition] = field(default_factory=dict[str, Definition])
    variables: dict[str, Variable] = field(default_factory=dict[str, Variable])

    # --- definitions -------------------------------------------------------------------------------------------------

    @property
    def text(self) -> str:
        """All definitions, as a file."""
        uses = [d.text for d in self.definitions.values() if isinstance(d.node, syntax.UseDecl)]
        others = [d.text for d in self.definitions.values() if not isinstance(d.node, syntax.UseDecl)]
        return "\n\n".join(part for part in ("\n".join(uses), *others) if part) + ("\n" if self.definitions else "")

    def define(self, text: str, path: str = INPUT) -> tuple[tuple[Definition, ...], Problems]:
        """Add or replace declarations, one by one. What has an error is not taken; a definition that others no longer
        fit is, and the problems of those others are said as warnings."""
        source = Source(path, text)
        file, problems = parse(source)
        if has_errors(problems):
            return (), problems
        before = dict(self.definitions)
        made = tuple(_definitions(source, file))
        for definition in made:
            # A definition that is replaced keeps its place.
            self.definitions[definition.key] = definition
        mine, others = self._problems(made)
        if has_errors(mine):
            self.definitions = before
            return (), mine
        return made, (*mine, *(replace(p, severity=Severity.WARNING) for p in others if has_errors((p,))))

    def reset(self) -> None:
        self.definitions.clear()
        self.variables.clear()

    def _problems(self, made: tuple[Definition, ...]) -> tuple[Problems, Problems]:
        """The problems of some definitions, in places relative to their own text, and those of all the others. That
        something is not used yet is no problem here."""
        from ...api import check

        parts = [*(d for d in self.definitions.values() if d not in made), *made]
        text, starts = _joined(d.text for d in parts)
        found = [p for p in check(Source(INPUT, text)).problems if p.slug != "unused"]
        first = starts[len(parts) - len(made)] if made else len(text)
        where = Source(INPUT, text[first:])
        mine = [_moved(p, first, where) for p in found if p.span is None or p.span.start >= first]
        others = [p for p in found if p.span is not None and p.span.start < first]
        return in_order(mine), in_order(replace(p, span=None, fix=None, related=()) for p in others)

    # --- expressions -------------------------------------------------------------------------------------------------

    def prepare(self, text: str) -> tuple[Ready | None, Problems]:
        """An input that is one expression, or `name = expression`, as a program that runs."""
        from ...lang.checker import check
        from ...stdlib.interfaces import interface

        wrapped = _WRAPPED.format(name=_PIPELINE, text=text)
        body, problems = parse(Source(INPUT, wrapped))
        start = wrapped.index("\n") + 1
        where = Source(INPUT, text)
        if has_errors(problems) or not body.declarations:
            return None, tuple(_moved(p, start, where) for p in problems)
        used = _words(body.declarations[0])
        # A value brings its type along, whose declaration the input need not name.
        types = (str(v.type) for n, v in self.variables.items() if n in used)
        needed = self._needed(used | {word for text in types for word in _WORD.findall(text)})
        before, _ = _joined(d.text for d in needed)
        whole = Source(INPUT, f"{before}{wrapped}")
        file, problems = parse(whole)
        node = file.declarations[-1]
        assert isinstance(node, syntax.PipelineDecl)
        name, node = _returning(node)
        variables = {n: v for n, v in self.variables.items() if n in used}
        node = replace(
            node,
            name=replace(node.name, text=_free(_PIPELINE, self.definitions.values(), variables)),
            parameters=tuple(
                syntax.Parameter(
                    syntax.Ident(n, span=node.name.span),
                    syntax.KnownType(v.type, span=node.name.span),
                    None,
                    span=node.name.span,
                )
                for n, v in variables.items()
            ),
            result=syntax.KnownType(None, span=node.result.span),
        )
        program, found = check(replace(file, declarations=(*file.declarations[:-1], node)), whole, interface)
        start += len(before)
        moved = tuple(_moved(p, start, where) for p in (*problems, *found) if _concerns(p, start))
        if program is None:
            others = [p for p in (*problems, *found) if not _concerns(p, start) and has_errors((p,))]
            return None, in_order(moved) if has_errors(moved) else in_order((*moved, *others))
        pipeline = program.pipeline(node.name.text)
        assert pipeline is not None
        inputs = {n: v.value for n, v in variables.items()}
        return Ready(program, pipeline, inputs, name, whole, start), in_order(moved)

    def keep(self, name: str, type: Type, value: object) -> None:
        """Bind a value for later inputs. Handles have no value to keep."""
        if not isinstance(type, HandleType):
            self.variables[name] = Variable(type, value)

    def program(self) -> tuple[Program | None, Problems, Source]:
        """All definitions as one program."""
        from ...api import check

        source = Source(INPUT, self.text)
        checked = check(source)
        return checked.program, tuple(p for p in checked.problems if p.slug != "unused"), source

    def _needed(self, words: frozenset[str]) -> list[Definition]:
        """The definitions that an input stands on, directly or not, so that one which no longer checks hurts only what
        uses it."""
        named: dict[str, list[Definition]] = {}
        for definition in self.definitions.values():
            for name in _names(definition.node):
                named.setdefault(name, []).append(definition)
        todo, seen = list(words), set(words)
        needed: set[str] = set()
        while todo:
            for definition in named.get(todo.pop(), ()):
                needed.add(definition.key)
                todo += definition.words - seen
                seen |= definition.words
        kinds = (syntax.GoalDecl, syntax.FleetDecl, syntax.TestDecl)
        return [d for d in self.definitions.values() if d.key in needed and not isinstance(d.node, kinds)]


# --- parts -----------------------------------------------------------------------------------------------------------


def _definitions(source: Source, file: syntax.File) -> Iterable[Definition]:
    """Each declaration with the comments above it."""
    end = 0
    for node in file.declarations:
        text = source.text[end : node.span.end].strip("\n")
        end = node.span.end
        rest = source.text[end:].split("\n", 1)[0]
        if rest.strip().startswith("#"):
            text, end = text + rest.rstrip(), end + len(rest)
        yield Definition(_key(node), text.strip(), node, _words(node))


def _key(node: syntax.Declaration) -> str:
    match node:
        case syntax.UseDecl():
            return f"use {node.module.text}"
        case syntax.TestDecl():
            return f"test {node.title.literal}"
        case syntax.StageDecl():
            return ".".join(part.text for part in node.name.parts)
        case syntax.GoalDecl():
            return f"goal {node.pipeline.text}"
        case syntax.FleetDecl():
            return f"fleet {node.name.text}"
        case _:
            return node.name.text


def _names(node: syntax.Declaration) -> tuple[str, ...]:
    """The names by which others refer to a declaration."""
    match node:
        case syntax.UseDecl():
            if node.names:
                return tuple(name.text for name in node.names)
            return (node.alias.text if node.alias else node.module.text.rsplit("/", 1)[-1],)
        case syntax.EnumDecl():
            return (node.name.text, *(case.name.text for case in node.cases))
        case syntax.GoalDecl() | syntax.FleetDecl() | syntax.TestDecl():
            return ()
        case syntax.StageDecl():
            return (node.name.parts[0].text,)
        case _:
            return (node.name.text,)


def _words(node: syntax.Declaration) -> frozenset[str]:
    """Every word in a declaration that may be the use of a name."""
    return frozenset(part.text for part in walk(node) if isinstance(part, syntax.Name | syntax.Ident))


def _joined(texts: Iterable[str]) -> tuple[str, list[int]]:
    """Texts one below the other, and where each starts."""
    out = ""
    starts: list[int] = []
    for text in texts:
        starts.append(len(out))
        out += f"{text}\n\n"
    return out, starts


def _returning(node: syntax.PipelineDecl) -> tuple[str, syntax.PipelineDecl]:
    """The last statement's value returned, and the name it is bound to."""
    *others, last = node.body.statements
    name = EVALUATED
    if isinstance(last, syntax.Bind):
        name = last.name.text
        last = syntax.Return(last.value, span=last.span)
    elif isinstance(last, syntax.ExprStatement | syntax.Emit):
        # What is sent is shown at once here, as a value is.
        last = syntax.Return(last.value, span=last.span)
    return name, replace(node, body=replace(node.body, statements=(*others, last)))


def _free(name: str, definitions: Iterable[Definition], variables: Iterable[str]) -> str:
    taken = {n for d in definitions for n in _names(d.node)} | set(variables)
    while name in taken:
        name += "_"
    return name


def _concerns(problem: Problem, start: int) -> bool:
    return problem.slug != "unused" and (problem.span is None or problem.span.start >= start)


def _moved(problem: Problem, by: int, source: Source) -> Problem:
    """The problem of a text that stood `by` characters further down, with places in `source`."""

    def place(span: Span) -> Span:
        if span.path != source.path or span.start < by:
            return span
        last = len(source.text)
        return source.span(min(span.start - by, last), min(span.end - by, last))

    inside = tuple(r for r in problem.related if r.span.path != source.path or r.span.start >= by)
    related = tuple(Related(place(r.span), r.text) for r in inside)
    fix = problem.fix
    if fix is not None:
        fix = Fix(fix.title, tuple(replace(e, span=place(e.span)) for e in fix.edits))
    return replace(problem, span=place(problem.span) if problem.span else None, related=related, fix=fix)
