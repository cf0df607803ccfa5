"""Whether an input is whole, and what kind of input it is. The scanner that reads files decides."""

from __future__ import annotations

from collections.abc import Iterator

from ...base.source import Source
from ...lang.parser import parse
from ...lang.patterns import HEAD
from ...lang.scanner import scan
from ...lang.tokens import CLOSERS, CONTINUES, OPENERS

COMMAND = ":"


def is_whole(text: str) -> bool:
    """Whether an input may end here: no bracket or text is open, and nothing is to follow. A blank line ends any."""
    if not text.strip() or text.lstrip().startswith(COMMAND) or text.endswith("\n\n"):
        return True
    open_brackets = 0
    scanned = scan(Source("input", text))
    for token in scanned.tokens:
        open_brackets += (token.kind in CLOSERS) - (token.kind in OPENERS)
    if any(problem.slug == "unclosed-text" for problem in scanned.problems):
        return '"""' not in text
    kinds = [token.kind for token in scanned.tokens if token.text.strip()]
    return open_brackets <= 0 and not (kinds and kinds[-1] in CONTINUES)


def is_declaration(text: str) -> bool:
    """Whether an input declares something; comments may stand above it."""
    for line in text.split("\n"):
        if line.strip() and not line.lstrip().startswith("#"):
            return HEAD.match(text, text.index(line)) is not None
    return False


def statements(text: str) -> Iterator[str]:
    """The statements of an input, each by itself; an input that cannot be read is one statement."""
    before = "pipeline it() -> Text {\n"
    file, _ = parse(Source("input", f"{before}{text}\n}}\n"))
    body = getattr(file.declarations[0], "body", None) if len(file.declarations) == 1 else None
    found = [(s.span.start - len(before), s.span.end - len(before)) for s in body.statements] if body else []
    if len(found) < 2 or file.broken:
        yield text.strip()
        return
    for start, end in found:
        yield text[start:end]
