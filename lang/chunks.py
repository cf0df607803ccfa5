"""Parses the parts of a source: from one line that starts a declaration, with nothing open, to the next such line.

A part is parsed alone, and what comes of it depends on nothing but its text and its place. Most often it is one
declaration. A declaration with a fault is repaired (see `recovery`) and parsed again, so that as much of it as possible
is kept.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import cast

from ..base.frozen import replace
from ..base.problems import Fix, Problem, Problems, in_order
from ..base.source import Source, Span
from . import lalr, syntax_problems
from .build_declarations import Builder, actions
from .moves import move, places
from .scanner import Cut, Scan, scan
from .syntax import Declaration, Ident
from .tables import tables
from .tokens import DECLARATION_WORDS, Comment, Token

# Nodes above a node. What walks a tree may then be recursive.
DEEPEST = 150
MOST_PROBLEMS = 100
# Fixes are tried before they are offered, where that takes no time to speak of.
LONGEST_CHECKED = 1 << 14
MOST_CHECKED = 6


class Chunk:
    """A part of a source, `start..end`, and what it gave. `declarations` are without docs, each with its line.

    `reaching` says that it holds a long text without an end, so that it depends on all the text behind it too; `most`
    is how many problems the scanner had with it at once.
    """

    __slots__ = (
        *("broken", "comments", "declarations", "end", "first_line", "line"),
        *("most", "places", "problems", "reaching", "start"),
    )

    def __init__(
        self,
        start: int,
        end: int,
        line: int,
        first_line: int | None,
        declarations: tuple[tuple[Declaration, int], ...],
        broken: tuple[Ident, ...],
        comments: tuple[Comment, ...],
        problems: Problems,
        reaching: bool,
        most: int,
        places: list[Span] | None = None,
    ) -> None:
        self.start = start
        self.end = end
        self.line = line
        self.first_line = first_line
        self.declarations = declarations
        self.broken = broken
        self.comments = comments
        self.problems = problems
        self.reaching = reaching
        self.most = most
        self.places = [] if places is None else places

    def placed(self, offset: int, line: int) -> Chunk | None:
        """The chunk with its text elsewhere; None where it must be parsed there. The trees move, and this one is used
        up."""
        if (offset, line) == (self.start, self.line):
            return self
        if self.problems or self.reaching:
            # Problems name lines in words.
            return None
        by, lines = offset - self.start, line - self.line
        if not self.places:
            self.places.extend(places([*(node for node, _ in self.declarations), *self.broken]))
        move(self.places, by, lines)
        return Chunk(
            offset,
            self.end + by,
            line,
            self.first_line and self.first_line + lines,
            tuple([(node, at + lines) for node, at in self.declarations]),
            self.broken,
            tuple([replace(note, start=note.start + by, line=note.line + lines) for note in self.comments]),
            (),
            False,
            self.most,
            self.places,
        )


def chunks(
    source: Source,
    found: Scan,
    start: int = 0,
    line: int = 1,
    end: int | None = None,
    seen: dict[str, Chunk] | None = None,
) -> Iterator[Chunk]:
    """The chunks of what was scanned of a source, from `start` (on `line`) to `end`, parsed as they are asked for.

    `seen` are chunks by their texts, which are not parsed again; those that are taken are taken out.
    """
    parser = _ChunkParser(source, found)
    for number, (cut, following) in enumerate(pairwise(_bounds(source, found, start, line, end))):
        reaching = number in found.reaching
        known = seen.pop(source.text[cut.offset : following.offset], None) if seen and not reaching else None
        again = known.placed(cut.offset, cut.line) if known is not None and not known.reaching else None
        yield again or parser.chunk(cut, following, reaching, found.most[number])


def _bounds(source: Source, found: Scan, start: int = 0, line: int = 1, end: int | None = None) -> list[Cut]:
    parts = found.tokens, found.comments, found.problems, found.starts, found.dropped
    cuts = [cut for cut in found.cuts if end is None or cut.offset < end]
    last = Cut(len(source.text) if end is None else end, 0, *map(len, parts))
    return [Cut(start, line, 0, 0, 0, 0, 0), *cuts, last]


class _ChunkParser:
    """Parses chunk after chunk; what it says and keeps of one is in its lists until the next."""

    def __init__(self, source: Source, found: Scan) -> None:
        self.source = source
        self.found = found
        self.scanned: list[Problem] = []
        self.problems: list[Problem] = []
        self.broken: list[Ident] = []
        self.actions = actions(Builder(source, self.report), tables())

    def report(self, problem: Problem) -> None:
        self.problems.append(problem)

    def chunk(self, cut: Cut, end: Cut, reaching: bool, most: int) -> Chunk:
        declarations = self.read(cut, end)
        problems = one_per_line(in_order([*self.scanned, *self.problems]))
        return Chunk(
            cut.offset,
            end.offset,
            cut.line,
            self.found.tokens[cut.tokens].line if cut.tokens < end.tokens else None,
            tuple(declarations),
            tuple(self.broken),
            tuple(self.found.comments[cut.comments : end.comments]),
            self.with_sound_fixes(problems, cut.offset, end.offset) if problems else (),
            reaching,
            most,
        )

    def read(self, cut: Cut, end: Cut) -> list[tuple[Declaration, int]]:
        """The declarations of a chunk, each with its line. Fills the lists."""
        found = self.found
        self.scanned = found.problems[cut.problems : end.problems]
        self.problems = []
        dropped = found.dropped[cut.dropped : end.dropped]
        self.broken = [self.ident(token) for token in dropped[1::2] if token.kind == "NAME"]
        starts = found.starts[cut.starts : end.starts]
        out: list[tuple[Declaration, int]] = []
        # Not strict: a chunk of comments has no starts, and still an end.
        for start, stop in zip(starts, [*starts[1:], end.tokens], strict=False):
            if len(self.problems) >= MOST_PROBLEMS:
                break
            declaration = self.declaration(found.tokens[start:stop])
            if declaration is not None:
                out.append((declaration, found.tokens[start].line))
        return out

    def declaration(self, tokens: Sequence[Token]) -> Declaration | None:
        """One declaration, repaired if need be; None, with its name in `broken`, if nothing helps."""
        before = len(self.problems)
        try:
            found = lalr.build(self.source.path, tokens, self.actions, DEEPEST)
            if isinstance(found, int):
                from .orphans import settle
                from .recovery import repair

                del self.problems[before:]
                repaired, problems = repair(self.source, tokens)
                found = lalr.build(self.source.path, repaired, self.actions, DEEPEST) if repaired else None
                said = [*self.problems[before:], *problems]
                self.scanned, self.problems[before:] = settle(self.source, tokens, self.scanned, said)
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
            for problem in self.scanned
            if problem.slug in ("unclosed-text", "unclosed-bracket") and problem.span and problem.span.start >= first
        ]
        if lost and lost[0] <= last:
            line = self.source.position(lost[0])[0]
            self.problems[before:] = [p for p in self.problems[before:] if p.span and p.span.line < line]

    def ident(self, token: Token) -> Ident:
        return Ident(token.text, span=self.source.span(token.start, token.end))

    def with_sound_fixes(self, problems: Problems, start: int, end: int) -> Problems:
        """Keeps only fixes that a machine may apply: those after which fewer problems are left in the chunk."""
        text = self.source.text[start:end]
        out: list[Problem] = []
        for index, problem in enumerate(problems):
            fix = problem.fix
            if fix is not None:
                sound = index < MOST_CHECKED and len(text) <= LONGEST_CHECKED and _within(fix, start, end)
                if not sound or _count(Source("", _applied(text, start, fix))) >= len(problems):
                    problem = replace(problem, fix=None)
            out.append(problem)
        return tuple(out)


def one_per_line(problems: Sequence[Problem]) -> Problems:
    """The first problem of each line: what follows it there is most often its echo."""
    kept: dict[int | None, Problem] = {}
    for problem in problems:
        kept.setdefault(problem.span.line if problem.span else None, problem)
    return tuple(kept.values())[:MOST_PROBLEMS]


def _within(fix: Fix, start: int, end: int) -> bool:
    return all(start <= edit.span.start <= edit.span.end <= end for edit in fix.edits)


def _applied(text: str, start: int, fix: Fix) -> str:
    for edit in sorted(fix.edits, key=lambda edit: edit.span.start, reverse=True):
        text = text[: edit.span.start - start] + edit.text + text[edit.span.end - start :]
    return text


def _count(source: Source) -> int:
    """How many problems a text has, without regard to its fixes."""
    parser = _ChunkParser(source, scan(source))
    count = 0
    for cut, following in pairwise(_bounds(source, parser.found)):
        parser.read(cut, following)
        count += len(one_per_line([*parser.scanned, *parser.problems]))
    return count
