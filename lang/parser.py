"""Source text to the frozen tree. Never raises and always gives a file: what does not parse becomes problems.

The scanner finds where declarations start and where nothing is open; from one such place to the next is a chunk, which
is parsed alone (`chunks`), so that a fault in one hides nothing of the others. Whoever parses a text again and again,
as an editor does, keeps the chunks that did not change (`incremental`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from ..base.frozen import replace
from ..base.problems import Problems, in_order
from ..base.source import Source, Span
from .chunks import MOST_PROBLEMS, Chunk, chunks, one_per_line
from .moves import move
from .scanner import scan
from .source_problems import source_too_large
from .syntax import Declaration, Doc, File
from .tokens import Comment

# Characters. Programs are some kilobytes; a file beyond this is a mistake, and would take seconds.
LONGEST_SOURCE = 1 << 19


def parse(source: Source) -> tuple[File, Problems]:
    """The file and what is wrong with its syntax. An empty source is an empty file.

    What could not be kept of a faulty declaration is only its name, in `File.broken`.
    """
    return refused(source) or assembled(source, chunks(source, scan(source)))


def refused(source: Source) -> tuple[File, Problems] | None:
    """What is given for a source that is too large to be read; None for any other."""
    size = len(source.text)
    if size <= LONGEST_SOURCE:
        return None
    problem = source_too_large(source.path, size, LONGEST_SOURCE)
    return File(None, (), span=Span(source.path, 0, 0, 1, 1, 1, 1)), (problem,)


Documented = dict[int, tuple[Declaration, Declaration]]


def assembled(source: Source, parts: Iterable[Chunk], before: Documented | None = None) -> tuple[File, Problems]:
    """The file that its chunks, in order, make up. Chunks behind too many problems are not asked for.

    `before` holds declarations (by `id`) with their documented forms, which are taken where nothing changed; it is
    replaced by those of this file.
    """
    after: Documented = {}
    used = list(_until_hopeless(parts))
    docs = _Docs(source, [comment for chunk in used for comment in chunk.comments])
    first = next((chunk.first_line for chunk in used if chunk.first_line is not None), None)
    file_doc = docs.opening(first)
    declarations: list[Declaration] = []
    for chunk in used:
        for declaration, line in chunk.declarations:
            doc = docs.above(line)
            made = declaration
            if doc is not None:
                same = before.get(id(declaration)) if before else None
                known = same[1] if same is not None else None
                if known is not None and known.doc is not None and known.doc == doc:
                    made = known
                    move([known.doc.span], doc.span.start - known.doc.span.start, doc.span.line - known.doc.span.line)
                else:
                    made = replace(declaration, doc=doc)
                after[id(declaration)] = declaration, made
            declarations.append(made)
    if before is not None:
        before.clear()
        before.update(after)
    broken = tuple(name for chunk in used for name in chunk.broken)
    span = source.span(0, len(source.text))
    found = in_order(problem for chunk in used for problem in chunk.problems)
    return File(file_doc, tuple(declarations), broken, span=span), one_per_line(found)


def _until_hopeless(parts: Iterable[Chunk]) -> Iterator[Chunk]:
    count = 0
    for chunk in parts:
        yield chunk
        count += len(chunk.problems)
        if count >= MOST_PROBLEMS:
            return


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
