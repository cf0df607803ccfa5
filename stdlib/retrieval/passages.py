"""Cutting a document into passages, where its author would.

A passage is a run of blocks (paragraphs, list items, table rows, code) of one section, of about the words asked for.
A block that is too long is cut between sentences, and inside a sentence only if that one is too long by itself. Lines
that were wrapped are joined again; list items, table rows and code keep their lines.

Every passage begins with the headings it stands under: "30 days" means little without "Returns". The headings are part
of the text, so that they are embedded, reranked and shown to a model along with it.

Plain text is Markdown without marks, so the same code cuts it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from ..text import split

# Raise this when passages of the same document change: indexes are then built again.
VERSION = 1

_HEADING = re.compile(r" {0,3}(#{1,6})[ \t]+(.*?)[ \t]*#*[ \t]*\Z")
_UNDERLINE = re.compile(r" {0,3}(=+|-{2,})[ \t]*\Z")
_ITEM = re.compile(r"[ \t]*(?:[-*+•]|\d{1,3}[.)])[ \t]+\S")
_RULE = re.compile(r"[ \t]*([-*_])(?:[ \t]*\1){2,}[ \t]*\Z|[ \t]*\|?[ \t]*:?-{2,}[-:| \t]*\|[-:| \t]*\Z")
_FENCE = re.compile(r" {0,3}(`{3,}|~{3,})")
_IDEOGRAPH = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]")


@dataclass(frozen=True, slots=True)
class Cut:
    """One passage: the line of the document where it starts (from 1), the headings above it, and what it says."""

    line: int
    headings: str
    body: str

    @property
    def text(self) -> str:
        return f"{self.headings}\n{self.body}" if self.headings else self.body


@dataclass(frozen=True, slots=True)
class _Block:
    """A paragraph, item, row or piece of code; a heading if `level` is not 0."""

    line: int
    text: str
    level: int = 0
    separator: str = "\n\n"  # What stands between the block before and this one.
    is_code: bool = False

    @property
    def unwrapped(self) -> str:
        """The text as one line, unless its lines mean something."""
        return self.text if self.is_code else " ".join(self.text.split("\n"))


def cut(document: str, words: int) -> tuple[Cut, ...]:
    """The passages of a document, each of about `words` words at most (headings not counted), in order."""
    if words < 1:
        raise ValueError("a passage holds at least one word")
    passages: list[Cut] = []
    titles: list[tuple[int, str]] = []
    open_blocks: list[_Block] = []
    size = 0

    def close() -> None:
        nonlocal size
        if open_blocks:
            first, *others = open_blocks
            body = first.unwrapped + "".join(block.separator + block.unwrapped for block in others)
            passages.append(Cut(first.line, " > ".join(title for _, title in titles), body))
        open_blocks.clear()
        size = 0

    for block in _blocks(document):
        if block.level:
            close()
            while titles and titles[-1][0] >= block.level:
                titles.pop()
            titles.append((block.level, block.text))
            continue
        for part in _parts(block, words):
            length = count_words(part.text)
            if size + length > words:
                close()
            open_blocks.append(part)
            size += length
    close()
    return tuple(passages)


def count_words(text: str) -> int:
    """Words between white space; where a script writes none, two characters for a word."""
    return len(text.split()) + len(_IDEOGRAPH.findall(text)) // 2


def _parts(block: _Block, words: int) -> Iterator[_Block]:
    """The block itself, or its sentences in runs that fit, with the lines on which they start."""
    if count_words(block.text) <= words:
        yield block
        return
    at = 0
    for piece in split(block.text, words, count_words):
        at = block.text.index(piece, at)
        # Wrapped lines keep their breaks until here, so that a line can be counted.
        line = block.line + block.text.count("\n", 0, at)
        yield _Block(line, piece, 0, block.separator if at == 0 else " ", block.is_code)
        at += len(piece)


def _blocks(document: str) -> Iterator[_Block]:
    """Headings and blocks in order; the text of paragraphs keeps its line breaks."""
    lines = document.removeprefix("\ufeff").splitlines()
    at = _after_front_matter(lines)
    while at < len(lines):
        line = lines[at]
        heading = _HEADING.match(line)
        fence = _FENCE.match(line)
        if not line.strip() or _RULE.match(line):
            at += 1
        elif heading:
            if heading[2]:
                yield _Block(at + 1, heading[2], len(heading[1]))
            at += 1
        elif fence:
            end = _fence_end(lines, at, fence[1])
            start = next((n for n in range(at + 1, end) if lines[n].strip()), end)
            if start < end:
                yield _Block(start + 1, "\n".join(lines[start:end]).rstrip(), is_code=True)
            at = end + 1
        elif at + 1 < len(lines) and _UNDERLINE.match(lines[at + 1]) and not _ITEM.match(line) and "|" not in line:
            yield _Block(at + 1, line.strip(), 1 if "=" in lines[at + 1] else 2)
            at += 2
        else:
            end = at + 1
            while end < len(lines) and _continues(lines, at, end):
                end += 1
            after_line = at > 0 and bool(lines[at - 1].strip())
            text = "\n".join(part.strip() for part in lines[at:end])
            yield _Block(at + 1, text, separator="\n" if after_line else "\n\n")
            at = end


def _continues(lines: list[str], start: int, at: int) -> bool:
    """Whether line `at` belongs to the paragraph, item or table row that starts at `start`."""
    line = lines[at]
    if not line.strip() or any(mark.match(line) for mark in (_HEADING, _FENCE, _ITEM, _RULE)):
        return False
    # A table row is a line.
    return not (lines[start].lstrip().startswith("|") or line.lstrip().startswith("|"))


def _fence_end(lines: list[str], start: int, fence: str) -> int:
    for at in range(start + 1, len(lines)):
        closing = _FENCE.match(lines[at])
        if closing and closing[1].startswith(fence) and not lines[at].strip().strip(fence[0]):
            return at
    return len(lines)


def _after_front_matter(lines: list[str]) -> int:
    """The first line behind a block of settings between `---` lines, which is not the document's text."""
    if lines and lines[0].strip() == "---":
        for at in range(1, min(len(lines), 100)):
            if lines[at].strip() in ("---", "..."):
                return at + 1
            if not re.match(r"[\w-]+[ \t]*:|[ \t]|#|- |\Z", lines[at]):
                return 0
    return 0
