"""A text that is being edited, and its analysis after each edit.

Only the parts around an edit are scanned and parsed again, and only the bodies that it may change are checked again;
see `layout` and `checker.memory`. The analysis is that of the whole text, the same as if it had been read afresh.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace

from ...base.problems import Edit, Fix, Problem, Related, in_order
from ...base.source import Source, Span
from ..checker import Library, check
from ..checker.facts import Facts
from ..checker.memory import Memory
from ..chunks import MOST_PROBLEMS, Chunk, chunks, one_per_line
from ..echoes import without_echoes
from ..parser import assembled, refused
from ..patterns import CONTROL
from ..scanner import scan
from ..syntax import AgentDecl, Declaration, Doc, File, FleetDecl, Ident, PipelineDecl, TierDecl
from ..syntax.walk import Node, walk
from ..tokens import Comment
from .analysis import Analysis
from .layout import Layout, Piece

Resolve = Callable[[str, str], "Source | Problem | None"]
# Characters on the sheet before it is begun anew. It grows by the part that is edited, with each edit.
LONGEST_SHEET = 1 << 20


class Document:
    """One file over time. `library` gives the interfaces of `std/`. Not for several threads at once."""

    def __init__(self, library: Library) -> None:
        self._library = library
        self._memory = Memory()
        self._source: Source | None = None
        self._layout: Layout | None = None
        self._file: File | None = None
        self._documented: dict[int, tuple[Declaration, Declaration]] = {}
        self._moved: dict[int, int] = {}

    def update(self, source: Source, files: Resolve | None = None) -> Analysis:
        """The analysis of the text as it is now; `files` finds what it imports, as for `check`."""
        found: dict[str, Source] = {}
        asked: dict[tuple[str, str], Source | Problem | None] = {}

        def resolve(path: str, module: str) -> Source | Problem | None:
            if (path, module) not in asked:
                asked[path, module] = files(path, module) if files is not None else None
            result = asked[path, module]
            if isinstance(result, Source):
                found[result.path] = result
            return result

        with _no_collection():
            return self._update(source, resolve, found)

    def _update(self, source: Source, resolve: Resolve, found: dict[str, Source]) -> Analysis:
        try:
            file, layout, syntax_problems = self._parse(source)
            imported = tuple(_imported(source.path, file, resolve))
            self._memory.begin(file, imported)
            facts = Facts()
            program, problems = check(
                file, layout.sheet, self._library, files=resolve, facts=facts, memory=self._memory
            )
        except BaseException:
            # What was kept may be half of two texts.
            self._source = None
            self._memory.forget()
            raise
        found.pop(source.path, None)
        analysis = Analysis(source, file, program, (), facts, layout, found)
        placed = [_placed(analysis, problem) for problem in problems]
        # As `check` shows them: what is only the echo of a fault that has been told is left out.
        told = without_echoes(file, syntax_problems, placed, lambda node: analysis.place(node.span))
        analysis.problems = in_order((*syntax_problems, *told))
        return analysis

    # --- parsing

    def _parse(self, source: Source) -> tuple[File, Layout, tuple[Problem, ...]]:
        before, layout, old = self._source, self._layout, self._file
        if before is not None and layout is not None and old is not None and before.path == source.path:
            if before.text == source.text:
                return old, layout, _said(source, layout.pieces)
            pieces = self._edited(before.text, source, layout)
            if pieces is not None:
                return self._made(source, *pieces, old, layout)
        return self._afresh(source)

    def _afresh(self, source: Source) -> tuple[File, Layout, tuple[Problem, ...]]:
        """The sheet is the text itself."""
        self._documented, self._moved = {}, {}
        if (nothing := refused(source)) is not None:
            self._source = None
            return nothing[0], Layout(source, (), {}), nothing[1]
        scanned = scan(source)
        found = list(chunks(source, scanned))
        file, problems = assembled(source, found, self._documented)
        layout = Layout(source, [Piece(chunk.start, chunk.line, chunk) for chunk in found], self._moved)
        sound = not scanned.broken_off and not CONTROL.search(source.text) and source.text[:1] != "\ufeff"
        sound = sound and sum(chunk.most for chunk in found) < MOST_PROBLEMS and bool(found)
        self._source, self._layout, self._file = (source if sound else None), layout, file
        return file, layout, problems

    def _edited(self, old: str, source: Source, layout: Layout) -> tuple[Source, list[Piece]] | None:
        """The sheet with what is new on it, and the parts of the text; None where all must be read afresh."""
        new, before = source.text, layout.pieces
        if CONTROL.search(new) or len(layout.sheet.text) + len(new) > LONGEST_SHEET or refused(source) is not None:
            return None
        head, tail = _same(old, new)
        shift = len(new) - len(old)
        touched = sum(1 for piece in before if piece.start <= head)
        # One part more than the edit's own: where that one ends may depend on the line that was edited.
        first = max(0, touched - 2)
        first = next((number for number, piece in enumerate(before[:first]) if piece.chunk.reaching), first)
        behind = {
            piece.start + shift: number
            for number, piece in enumerate(before)
            if number > first and piece.start >= len(old) - tail
        }
        begin = before[first]
        scanned = scan(source, begin.start, begin.line, behind)
        last, end, lines = len(before), len(new), 0
        if scanned.cuts and (cut := scanned.cuts[-1]).offset in behind:
            last, end = behind[cut.offset], cut.offset
            lines = cut.line - before[last].line
        bounds = [(cut.offset, cut.line) for cut in scanned.cuts if cut.offset < end]
        bounds = [(begin.start, begin.line), *bounds]
        seen = {old[piece.start : piece.end]: piece for piece in before[first:last] if not piece.chunk.reaching}
        sheet, found = layout.sheet, list(before[:first])
        stops = [*(offset for offset, _ in bounds[1:]), end]
        for number, ((start, line), stop) in enumerate(zip(bounds, stops, strict=True)):
            # A long text without an end depends on all that follows.
            reaching = number in scanned.reaching
            known = seen.pop(new[start:stop], None) if not reaching else None
            if known is None:
                # What ends a part is the head of the next, so that goes on the sheet too.
                behind_it = len(new) if reaching else new.find("\n", stop) + 1 or len(new)
                written = _written(sheet, new[start:behind_it], stop - start)
                if written is None:
                    return None
                sheet, chunk = written
                known = Piece(start, line, chunk)
            found.append(Piece(start, line, known.chunk))
        found += [piece.moved(shift, lines) for piece in before[last:]]
        return (sheet, found) if sum(piece.chunk.most for piece in found) < MOST_PROBLEMS else None

    def _made(
        self, source: Source, sheet: Source, pieces: list[Piece], old: File, layout: Layout
    ) -> tuple[File, Layout, tuple[Problem, ...]]:
        file = _File(pieces, self._documented).made(sheet)
        kept = {id(piece.chunk) for piece in pieces}
        gone = [piece.chunk for piece in layout.pieces if id(piece.chunk) not in kept]
        if gone:
            before = {id(declaration) for declaration in old.declarations}
            new = [node for node in file.declarations if id(node) not in before]
            for chunk in gone:
                for declaration, _ in chunk.declarations:
                    _renew(declaration, new, self._moved)
                tiers = (tier.name for node, _ in chunk.declarations for tier in _tiers(node))
                _renew_words(chunk.broken, file.broken, self._moved)
                _renew_words(tiers, (tier.name for node in new for tier in _tiers(node)), self._moved)
        made = Layout(sheet, pieces, self._moved)
        self._source, self._layout, self._file = source, made, file
        return file, made, _said(source, pieces)


@contextmanager
def _no_collection() -> Generator[None]:
    """Trees have no cycles, and many new nodes would set off collections that take as long as all the rest."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


# --- parts -----------------------------------------------------------------------------------------------------------


def _written(sheet: Source, text: str, size: int) -> tuple[Source, Chunk] | None:
    """The sheet with a text below all others, and what the part of that size gives with which it begins; None if that
    is not one part."""
    start = len(sheet.text) + 1
    longer = Source(sheet.path, f"{sheet.text}\n{text}")
    lines = [start]
    at = longer.text.find("\n", start)
    while at >= 0:
        lines.append(at + 1)
        at = longer.text.find("\n", at + 1)
    # Counting the lines of all of it again would cost more than the rest.
    longer.__dict__["line_starts"] = (*sheet.line_starts, *lines)
    line, end = len(sheet.line_starts) + 1, start + size
    scanned = scan(longer, start, line, {end})
    ends = [cut.offset for cut in scanned.cuts]
    if ends != ([end] if size < len(text) else []):
        return None
    return longer, next(chunks(longer, scanned, start, line, end))


def _said(source: Source, pieces: tuple[Piece, ...] | list[Piece]) -> tuple[Problem, ...]:
    """The problems of the parts, with places of the text; they name lines in words, so they are found where it is."""
    found: list[Problem] = []
    for piece in pieces:
        if piece.chunk.problems:
            scanned = scan(source, piece.start, piece.line, {piece.end})
            for chunk in chunks(source, scanned, piece.start, piece.line, piece.end):
                found += chunk.problems
    return one_per_line(in_order(found))


def _same(old: str, new: str) -> tuple[int, int]:
    """How many characters two texts begin with alike, and end with, without counting any twice."""
    head = _common(old, new, 0)
    return head, _common(old[head:][::-1], new[head:][::-1], 0)


def _common(left: str, right: str, low: int) -> int:
    high = min(len(left), len(right))
    while low < high:
        middle = (low + high + 1) // 2
        if left[low:middle] == right[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low


# --- the file --------------------------------------------------------------------------------------------------------


class _File:
    """Puts the declarations of the parts together, each with the `##` lines that stand above it in the text."""

    def __init__(self, pieces: list[Piece], documented: dict[int, tuple[Declaration, Declaration]]) -> None:
        self.pieces = pieces
        self.documented = documented
        # By the line of the text.
        self.docs: dict[int, Comment] = {}
        self.first: tuple[int, Comment] | None = None
        for piece in pieces:
            for comment in piece.chunk.comments:
                line = comment.line + piece.line - piece.chunk.line
                if self.first is None:
                    self.first = line, comment
                if comment.doc:
                    self.docs[line] = comment

    def made(self, sheet: Source) -> File:
        after: dict[int, tuple[Declaration, Declaration]] = {}
        opening = self.opening(sheet)
        declarations: list[Declaration] = []
        for piece in self.pieces:
            for declaration, line in piece.chunk.declarations:
                doc = self.above(sheet, line + piece.line - piece.chunk.line)
                made = declaration
                if doc is not None:
                    known = self.documented.get(id(declaration))
                    before = known[1].doc if known is not None else None
                    same = before is not None and before == doc and before.span == doc.span
                    made = known[1] if known is not None and same else replace(declaration, doc=doc)
                    after[id(declaration)] = declaration, made
                declarations.append(made)
        self.documented.clear()
        self.documented.update(after)
        broken = tuple(name for piece in self.pieces for name in piece.chunk.broken)
        return File(opening, tuple(declarations), broken, span=sheet.span(0, 0))

    def opening(self, sheet: Source) -> Doc | None:
        """The block that opens the file, before anything else."""
        starts = (
            piece.chunk.first_line + piece.line - piece.chunk.line
            for piece in self.pieces
            if piece.chunk.first_line is not None
        )
        first_line = next(starts, None)
        if self.first is None or not self.first[1].doc:
            return None
        line = self.first[0]
        if first_line is not None and line >= first_line:
            return None
        found: list[Comment] = []
        while line in self.docs:
            found.append(self.docs.pop(line))
            line += 1
        return _doc(sheet, found)

    def above(self, sheet: Source, line: int) -> Doc | None:
        found: list[Comment] = []
        while (comment := self.docs.pop(line - 1 - len(found), None)) is not None:
            found.insert(0, comment)
        return _doc(sheet, found) if found else None


def _doc(sheet: Source, comments: list[Comment]) -> Doc:
    texts = [comment.text.removeprefix("##").removeprefix(" ") for comment in comments]
    last = comments[-1]
    return Doc("\n".join(texts), span=sheet.span(comments[0].start, last.start + len(last.text)))


def _renew(old: Declaration, new: list[Declaration], moved: dict[int, int]) -> None:
    """Where the words of a declaration's head stand now, if it was written again: others that did not change refer to
    them. What is the same in both heads is the same word."""
    heads = [_head(node) for node in new if type(node) is type(old)]
    mine = _head(old)
    match = next((head for head in heads if head == mine), None)
    if match is None:
        return
    for before, after in zip(_nodes(mine), _nodes(match), strict=True):
        if before.span.start != after.span.start:
            moved[before.span.start] = after.span.start
            moved[before.span.end] = after.span.end


def _renew_words(old: Iterable[Ident], new: Iterable[Ident], moved: dict[int, int]) -> None:
    """The same for words that are referred to although what is around them changed."""
    where = {word.text: word.span for word in new}
    for word in old:
        span = where.get(word.text, word.span)
        if span != word.span:
            moved[word.span.start], moved[word.span.end] = span.start, span.end


def _tiers(node: Declaration) -> tuple[TierDecl, ...]:
    return node.tiers if isinstance(node, FleetDecl) else ()


def _head(node: Declaration) -> tuple[object, ...]:
    """What others may refer to: all but the body of a pipeline, an agent or a test."""
    match node:
        case PipelineDecl() | AgentDecl():
            return node.name, *node.parameters, node.result
        case _:
            return (replace(node, doc=None),)


def _nodes(parts: tuple[object, ...]) -> Iterator[Node]:
    for part in parts:
        if hasattr(part, "span"):
            yield from walk(part)  # pyright: ignore[reportArgumentType]


# --- places ----------------------------------------------------------------------------------------------------------


def _placed(analysis: Analysis, problem: Problem) -> Problem:
    """A problem with the places of the text."""

    def place(span: Span) -> Span:
        return analysis.place(span)

    fix = problem.fix
    if fix is not None:
        fix = Fix(fix.title, tuple(Edit(place(edit.span), edit.text) for edit in fix.edits))
    related = tuple(Related(place(r.span), r.text) for r in problem.related)
    return replace(problem, span=place(problem.span) if problem.span else None, related=related, fix=fix)


def _imported(path: str, file: File, resolve: Resolve) -> Iterator[tuple[str, str]]:
    """The files that a file imports, directly or not, with their texts."""
    from ..parser import parse
    from ..syntax import UseDecl

    waiting, seen = [(path, file)], {path}
    while waiting:
        here, tree = waiting.pop()
        for node in tree.declarations:
            if not isinstance(node, UseDecl) or not node.module.text.startswith("."):
                continue
            source = resolve(here, node.module.text)
            if not isinstance(source, Source):
                yield node.module.text, "" if source is None else source.title
            elif source.path not in seen:
                seen.add(source.path)
                yield source.path, source.text
                if "use ." in source.text:
                    waiting.append((source.path, parse(source)[0]))
