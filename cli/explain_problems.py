"""The words for what `agentlang explain` cannot explain. One function per slug; each has a page in `docs/problems/`."""

from __future__ import annotations

from ..base.problems import Problem


def nothing_to_explain(word: str, near: str | None) -> Problem:
    """`word` is no problem's slug, and no file with a line."""
    if near is not None:
        hint = f"did you mean `agentlang explain {near}`?"
    elif word.endswith(".agent"):
        hint = f"say which line: agentlang explain {word}:1"
    else:
        hint = "give the word in brackets of a problem (error[wrong-type]), or a file and a line: app.agent:12"
    return Problem("nothing-to-explain", f"{word!r} is neither a problem nor a line of a file", hint=hint)


def line_says_nothing(name: str, line: int, last: int, near: int | None) -> Problem:
    """`near` is a line that says something, if the file has one."""
    title = f"{name} has {last} lines, and no line {line}" if not 1 <= line <= last else f"{name}:{line} says nothing"
    hint = f"try `agentlang explain {name}:{near}`" if near is not None else "give a line with a declaration or a call"
    return Problem("nothing-to-explain", title, hint=hint)
