"""Source text to the frozen tree. Never raises and always gives a file: what does not parse becomes problems.

The scanner finds where declarations start, so each is parsed alone and a fault in one hides nothing of the others. A
declaration with a fault is repaired (see `recovery`) and parsed again, so that as much of it as possible is kept.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, cast

from ..base.problems import Fix, Problem, Problems, in_order
from ..base.source import Source, Span
from . import lalr, syntax_problems
from .build_declarations import Builder, actions
from .scanner import Scan, scan
from .source_problems import source_too_large
from .syntax import Declaration, Doc, File, Ident
from .tables import tables
from .tokens import DECLARATION_WORDS, Comment, Token

# Characters. Programs are some kilobytes; a file beyond this is a mistake, and would take seconds.
LONGEST_SOURCE = 1 << 19
# Nodes above a node. What walks a tree may then be recursive.
DEEPEST = 150
MOST_PROBLEMS = 100
# Fixes are tried before they are offered, where that takes no time to speak of.
LONGEST_CHECKED = 1 << 16
MOST_CHECKED = 6


def parse(source: Source) -> tuple[File, Problems]:
    """The file and what is wrong with its syntax. An empty source is an empty file.

    What could not be kept of a faulty declaration is only its name, in `File.broken`.
    """
    text = source.text
    if len(text) > LONGEST_SOURCE:
        problem = source_too_large(source.path, len(text), LONGEST_SOURCE)
        return File(None, (), span=Span(source.path, 0, 0, 1, 1, 1, 1)), (problem,)
    file, problems = _FileParser(source).run()
    return file, _with_sound_fixes(source, problems) if problems else ()


class _FileParser:
    def __init__(self, source: Source) -> None:
        self.source = source
        self.scan: Scan = scan(source)
        self.problems: list[Problem] = []
        self.broken: list[Ident] = [self.ident(token) for token in self.scan.dropped[1::2] if token.kind == "NAME"]
        self.builder = Builder(source, self.problems.append)
        self.actions = actions(self.builder, tables())
        self.docs = _Docs(source, self.scan.comments)

    def run(self) -> tuple[File, Problems]:
        tokens, starts = self.scan.tokens, self.scan.starts
        file_doc = self.docs.opening(tokens[0].line if tokens else None)
        declarations: list[Declaration] = []
        # Not strict: a source without any declaration has no starts, and still an end.
        for start, end in zip(starts, [*starts[1:], len(tokens)], strict=False):
            if len(self.problems) >= MOST_PROBLEMS:
                break
            declaration = self.declaration(tokens[start:end])
            if declaration is not None:
                doc = self.docs.above(tokens[start].line)
                declarations.append(replace(declaration, doc=doc) if doc else declaration)
        span = self.source.span(0, len(self.source.text))
        file = File(file_doc, tuple(declarations), tuple(self.broken), span=span)
        return file, _one_per_line(in_order([*self.scan.problems, *self.problems]))

    def declaration(self, tokens: Sequence[Token]) -> Declaration | None:
        """One declaration, repaired if need be; None, with its name in `broken`, if nothing helps."""
        before = len(self.problems)
        try:
            found = lalr.build(self.source.path, tokens, self.actions, DEEPEST)
            if isinstance(found, int):
                from .recovery import repair

                del self.problems[before:]
                repaired, problems = repair(self.source, tokens)
                found = lalr.build(self.source.path, repaired, self.actions, DEEPEST) if repaired else None
                from .orphans import settle

                said = [*self.problems[before:], *problems]
                self.scan.problems, self.problems[before:] = settle(self.source, tokens, self.scan.problems, said)
                self.forget_echoes(tokens, before)
        except lalr.TooDeep as deep:
            at = deep.token
            place = self.source.span(at.start, at.end)
            self.problems.append(syntax_problems.too_deep(place, "expressions", DEEPEST))
            found = None
        if found is None or isinstance(found, int):
            if len(tokens) > 1 and tokens[0].text in DECLARATION_WORDS and tokens[1].kind == "NAME":
                self.broken.append(self.ident(tokens[1]))
            return None
        return cast("Declaration", found)

    def forget_echoes(self, tokens: Sequence[Token], before: int) -> None:
        """Where a text or a hole never ends, what the parser says of the declaration behind it is guesswork."""
        first, last = tokens[0].start, tokens[-1].end
        lost = [
            problem.span.start
            for problem in self.scan.problems
            if problem.slug in ("unclosed-text", "unclosed-bracket") and problem.span and problem.span.start >= first
        ]
        if lost and lost[0] <= last:
            line = self.source.position(lost[0])[0]
            self.problems[before:] = [p for p in self.problems[before:] if p.span and p.span.line < line]

    def ident(self, token: Token) -> Ident:
        return Ident(token.text, span=self.source.span(token.start, token.end))


class _Docs:
    """Which `##` block belongs to what."""

    def __init__(self, source: Source, comments: Sequence[Comment]) -> None:
        self.source = source
        self.by_line = {comment.line: comment for comment in comments if comment.doc}
        self.first_comment = comments[0] if comments else None

    def opening(self, first_line: int | None) -> Doc | None:
        """The block that opens the file, before anything else: it is the file's, even right above a declaration."""
        first = self.first_comment
        if first is None or not first.doc or (first_line is not None and first.line >= first_line):
            return None
        lines = [first.line]
        while lines[-1] + 1 in self.by_line:
            lines.append(lines[-1] + 1)
        return self.take(lines)

    def above(self, line: int) -> Doc | None:
        """The block whose last line is right above `line`."""
        lines: list[int] = []
        while line - 1 - len(lines) in self.by_line:
            lines.insert(0, line - 1 - len(lines))
        return self.take(lines) if lines else None

    def take(self, lines: list[int]) -> Doc:
        comments = [self.by_line.pop(line) for line in lines]
        texts = [comment.text.removeprefix("##").removeprefix(" ") for comment in comments]
        start, last = comments[0], comments[-1]
        return Doc("\n".join(texts), span=self.source.span(start.start, last.start + len(last.text)))


def _one_per_line(problems: Sequence[Problem]) -> Problems:
    """The first problem of each line: what follows it there is most often its echo."""
    kept: dict[Any, Problem] = {}
    for problem in problems:
        kept.setdefault(problem.span.line if problem.span else None, problem)
    return tuple(kept.values())[:MOST_PROBLEMS]


def _applied(text: str, fix: Fix) -> str:
    for edit in sorted(fix.edits, key=lambda edit: edit.span.start, reverse=True):
        text = text[: edit.span.start] + edit.text + text[edit.span.end :]
    return text


def _with_sound_fixes(source: Source, problems: Problems) -> Problems:
    """Keeps only fixes that a machine may apply: those after which fewer problems are left."""
    if len(source.text) > LONGEST_CHECKED:
        return tuple(replace(problem, fix=None) for problem in problems)
    out: list[Problem] = []
    for index, problem in enumerate(problems):
        if problem.fix is not None:
            fixed = _applied(source.text, problem.fix) if index < MOST_CHECKED else None
            if fixed is None or len(_FileParser(Source(source.path, fixed)).run()[1]) >= len(problems):
                problem = replace(problem, fix=None)
        out.append(problem)
    return tuple(out)
