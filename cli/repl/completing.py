"""What may stand at the cursor of the loop: what an editor would offer in a file with the same definitions.

An input is put where it would be checked: a declaration behind the others, an expression into a pipeline of its own
whose parameters are the values that were bound.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from ...base.source import Source
from ...lang.tokens import DECLARATION_WORDS
from .commands import HELP
from .session import INPUT, Session

if TYPE_CHECKING:
    from ...lang.ide import Analysis

# Commands whose argument is an expression.
_WITH_EXPRESSION = (":type ", ":time ", ":mlir ")
_WITH_PIPELINE = (":plan ", ":graph ")


def completions(session: Session, text: str, at: int) -> Iterator[tuple[str, int, str]]:
    """Words for the place `at`, each with how many characters before it they replace, and what they are."""
    before = text[:at]
    if before.startswith(":") and " " not in before:
        for name, (_, meaning) in HELP.items():
            if name.startswith(before):
                yield name, len(before), meaning
        return
    for word in _WITH_PIPELINE:
        if before.startswith(word):
            written = before.removeprefix(word)
            names = (d.key for d in session.definitions.values() if d.text.lstrip().startswith(("pipeline", "agent")))
            yield from ((name, len(written), "pipeline") for name in names if name.startswith(written))
            return
    for word in _WITH_EXPRESSION:
        if before.startswith(word):
            text, at = text.removeprefix(word), at - len(word)
            break
    else:
        if before.startswith(":"):
            return
    yield from _in_language(session, text, at)


def _in_language(session: Session, text: str, at: int) -> Iterator[tuple[str, int, str]]:
    from ...lang.ide.completion import completion
    from ...services.lsp.world import world_of

    head, tail = _around(session, text)
    whole, offset = f"{head}{text}{tail}", len(head) + at
    path = (session.folder / "input.agent").resolve()
    start, found = completion(whole, offset, _analysed, world_of(str(path)))
    word = whole[start:offset]
    # The pipeline around an input is none of its author's.
    offered = [item for item in found if item.label not in (word, INPUT)]
    exact = [item for item in offered if item.label.startswith(word)]
    for item in exact or [item for item in offered if item.label.lower().startswith(word.lower())]:
        written = f"{item.label} " if item.label.endswith(":") else item.label
        yield written, len(word), item.detail or item.kind


def _around(session: Session, text: str) -> tuple[str, str]:
    """What stands before an input and behind it, so that it is part of a file."""
    first = text.split(maxsplit=1)[0] if text.split() else ""
    if first in DECLARATION_WORDS and f"{first} " in text:
        return f"{session.text}\n", ""
    values = ", ".join(f"{name}: {variable.type}" for name, variable in session.variables.items())
    return f"{session.text}\npipeline {INPUT}({values}) -> Text {{\n", "\n}\n"


def _analysed(text: str) -> Analysis:
    from ...api import Imports
    from ...lang.ide import Document
    from ...stdlib.interfaces import interface

    source = Source(INPUT, text)
    return Document(interface).update(source, Imports(source).find)
