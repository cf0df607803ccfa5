"""`agentlang fmt`: the canonical text of a source, comments kept. Formatting formatted text changes nothing."""

from __future__ import annotations

from ..base.problems import Problems, has_errors
from ..base.source import Source
from .layout import lay_out
from .parser import parse


def format_source(source: Source) -> tuple[str, Problems]:
    """The formatted text and the syntax problems; where there are errors, the text is left as it is."""
    tree, problems = parse(source)
    if has_errors(problems):
        return source.text, problems
    text = lay_out(source.text)
    again, new_problems = parse(Source(source.path, text))
    # Layout must never change a program; should it, that is our bug, and the source is not overwritten.
    assert again == tree and not new_problems, f"formatting {source.path} would change its meaning"
    return text, problems
