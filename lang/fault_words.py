"""Words for a fault that is no known mistake, from what the parser took and from the repair that was found."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ..base.problems import Problem
from ..base.source import Span
from . import structure_problems as problems
from .faults import Edit, Fault
from .tables import tables
from .tokens import OPENERS, RESERVED, Token

_SHAPES = {
    "NAME": "a name",
    "NUMBER": "a number",
    "QUANTITY": "a quantity",
    "TEXT": "a text",
    "_NL": "a new line",
    "$END": "the end",
    "_POLICY_COMMA": "`,`",
    "TEXT_END": '`"`',
    "HOLE_END": "`}`",
    "HOLE": "`{`",
    "TEXT_PART": "a text",
}
_OPERATORS = frozenset(
    {"PLUS", "MINUS", "STAR", "SLASH", "MODULO", "EQ", "NE", "LT", "LE", "GT", "GE", "AND", "OR", "CONTAINS", "PIPE"}
)
_WRITTEN = {"_POLICY_COMMA": ",", "TEXT_END": '"', "HOLE_END": "}", "QUANTITY": "0 s", "NUMBER": "0"}


def made(kind: str, tokens: Sequence[Token], at: int, first: bool) -> list[Token]:
    """Tokens that stand for a missing `kind`, at the place where it is missing. A missing name is an empty one."""
    near = tokens[min(at, len(tokens) - 1)]
    if not first and at > 0:
        before = tokens[at - 1]
        # A token may span lines only as part of a text, which always ends with a token on one line.
        offset, line, column = before.end, before.line, before.column + before.end - before.start
    else:
        offset, line, column = near.start, near.line, near.column
    texts = [written(kind)] if kind != "TEXT" else ['"', '"']
    kinds = [kind] if kind != "TEXT" else ["TEXT", "TEXT_END"]
    return [Token(k, text, offset, offset, line, column, first) for k, text in zip(kinds, texts, strict=True)]


def written(kind: str) -> str:
    return _WRITTEN.get(kind) or tables().literals.get(kind, "")


def shape(kind: str) -> str:
    """How a kind is called in a sentence."""
    return _SHAPES.get(kind) or f"`{tables().literals.get(kind, kind)}`"


def named(token: Token | None) -> str:
    """How a token is called in a sentence."""
    if token is None:
        return "the end of the declaration"
    if token.kind == "TEXT":
        return "this text"
    if token.kind == "TEXT_PART":
        return "this text"
    return f"`{token.text}`" if len(token.text) <= 30 else f"`{token.text[:27]}…`"


def expected(kinds: Iterable[str]) -> str:
    """`a name, `)` or `,``: at most four, the plainest first."""
    found = set(kinds) - {"TEXT_PART", "HOLE"}
    words: list[str] = []
    if {"NAME", "NUMBER", "TEXT", "LSQB"} <= found:
        found -= {"NAME", "NUMBER", "QUANTITY", "TEXT", "LSQB", "LPAR", "LBRACE", "TRUE", "FALSE", "MINUS", "NOT"}
        found -= {"IF", "MATCH", "FOR", "REPEAT", "RACE", "INTERRUPTIBLE"}
        words.append("a value")
    if len(found & _OPERATORS) > 3:
        found -= _OPERATORS | {"AS", "INTO", "DOT", "LPAR", "LSQB"}
        words.append("an operator")
    plain = sorted(found, key=lambda kind: (kind not in _SHAPES, shape(kind)))
    words += [shape(kind) for kind in plain]
    if len(words) > 4:
        words = words[:4]
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} or {words[-1]}" if words else "nothing more"


def describe(fault: Fault, edit: Edit | None) -> Problem:
    """The problem of a fault that was repaired by `edit`."""
    token = fault.token
    if edit is None or edit.removed > 2:
        place = fault.place(token) if token else fault.gap()
        return problems.unexpected(place, named(token), expected(fault.takes))
    inserted = inserted_kinds(fault, edit)
    if not edit.tokens or (edit.removed and len(edit.tokens) < edit.removed):
        gone = fault.tokens[edit.at]
        if gone.kind in OPENERS:
            return problems.closes_nothing(fault.place(gone), gone.text)
        return problems.out_of_place(fault.place(gone), named(gone), expected(fault.takes))
    if not inserted:
        return _line_end(fault, edit)
    if edit.removed == 1 and len(edit.tokens) == 1:
        old = fault.tokens[edit.at]
        new = edit.tokens[0]
        if new.text == old.text and old.text in RESERVED:
            return problems.reserved_word(fault.place(old), old.text)
        return problems.instead(fault.place(old), named(old), f"`{new.text}`", new.text)
    return _missing(fault, edit, inserted)


def inserted_kinds(fault: Fault, edit: Edit) -> list[str]:
    """Kinds of the tokens that were made up; a token that only moved to or from a line's start is not one."""
    old = {(token.kind, token.start, token.text) for token in fault.tokens[edit.at : edit.at + edit.removed]}
    return [token.kind for token in edit.tokens if (token.kind, token.start, token.text) not in old]


def _line_end(fault: Fault, edit: Edit) -> Problem:
    moved = edit.tokens[0]
    place = fault.place(fault.tokens[edit.at])
    if moved.first:
        return problems.missing_newline(place, named(moved), fault.gap(edit.at))
    return problems.line_start(place, named(moved))


def _missing(fault: Fault, edit: Edit, kinds: list[str]) -> Problem:
    text = "".join(written(kind) for kind in kinds)
    at_start = edit.tokens[0].first
    if at_start:
        before = fault.tokens[edit.at]
        place = fault.source.span(before.start, before.start)
    else:
        place = fault.gap(edit.at)
    if len(kinds) <= 4 and all(kind in OPENERS for kind in kinds):
        return _unclosed(fault, edit, kinds, place)
    shapes = [shape(kind) for kind in kinds] if len(kinds) < 3 else [shape(kinds[0])]
    if len(kinds) > 2 and all(kind in OPENERS for kind in kinds[1:]):
        shapes.append(f"`{''.join(map(written, kinds[1:]))}`")
    if kinds[0] == "NAME" and _is_value(fault, edit):
        shapes[0] = "a value"
    elif kinds == ["IS", "NAME"]:
        shapes[1] = "a value"
    what = " and ".join(shapes)
    if len(kinds) == 1 and kinds[0] in _OPERATORS and not _written_near(fault, kinds[0]):
        what = "an operator"
    sound = all(kind in tables().literals or kind in ("_POLICY_COMMA",) for kind in kinds) and what != "an operator"
    after = fault.tokens[edit.at] if edit.at < len(fault.tokens) else None
    return problems.missing(place, what, _spaced(text, at_start, fault, edit) if sound else None, named(after))


def _is_value(fault: Fault, edit: Edit) -> bool:
    from . import lalr

    state = lalr.start()
    if lalr.run(state, fault.tokens, 0, edit.at) < edit.at:
        return False
    return "NUMBER" in state.takes() or (edit.tokens[0].first is False and state.previous in ("IS", "RETURN", "EMIT"))


def _written_near(fault: Fault, kind: str) -> bool:
    return kind == "PIPE" and fault.is_kind("NAME")


def _spaced(text: str, at_start: bool, fault: Fault, edit: Edit) -> str:
    """The text to insert, with the spaces that its neighbours need."""
    if at_start:
        return f"{text} "
    if text in (",", ":", ".", ")", "]", "(", "["):
        return text
    following = fault.tokens[edit.at] if edit.at < len(fault.tokens) else None
    before = fault.tokens[edit.at - 1] if edit.at else None
    lead = "" if before is None or (fault.source.text[before.end : before.end + 1] == "" and not before.text) else " "
    tail = " " if following is not None and before is not None and following.start == before.end else ""
    return f"{lead}{text}{tail}"


def _unclosed(fault: Fault, edit: Edit, kinds: list[str], place: Span) -> Problem:
    stack: list[Token] = []
    for token in fault.tokens[: edit.at]:
        if token.kind in OPENERS.values():
            stack.append(token)
        elif token.kind in OPENERS and stack and stack[-1].kind == OPENERS[token.kind]:
            stack.pop()
    opened = stack[-1] if stack and stack[-1].kind == OPENERS[kinds[0]] else None
    text = "".join(written(kind) for kind in kinds)
    if opened is not None and opened.kind == "TEXT":
        text = text.replace('"', opened.text, 1)
    if kinds == ["RBRACE"] and opened is not None:
        following = next((token for token in fault.tokens if token.start > opened.start), None)
        if following is not None and following.first and fault.previous is not None:
            # A block of several lines ends with a line of its own.
            indent = next((t.column for t in reversed(fault.tokens) if t.first and t.start <= opened.start), 1) - 1
            return problems.unclosed(
                _next_line(fault, place, indent), text, "\n" + " " * indent + "}", fault.place(opened), place
            )
        text = " }" if following is not None else "}"
    return problems.unclosed(place, text.strip(), text, fault.place(opened) if opened else None, place)


def _next_line(fault: Fault, place: Span, indent: int) -> Span:
    starts = fault.source.line_starts
    if place.line >= len(starts):
        return place
    start = starts[place.line]
    end = min(start + indent, len(fault.source.text))
    column = min(indent, len(fault.source.line(place.line + 1)))
    end = start + column
    return fault.source.span(end, end)
