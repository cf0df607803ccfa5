"""Mistakes that show late: the token that does not fit stands behind the one that is wrong.

Each suspect is tried: only where the declaration then parses on, well past the fault, is it called the mistake.
"""

from __future__ import annotations

from collections.abc import Iterator

from ..base.suggest import edit_distance, suggest
from . import lalr
from . import structure_problems as problems
from .faults import Edit, Fault, Verdict
from .tables import tables
from .tokens import DECLARATION_WORDS, OPENERS, POLICY_WORDS, RESERVED, Token

# How many tokens behind the fault must parse, and how far before it a suspect may stand.
AHEAD = 16
MOST_SUSPECTS = 6
_BEHIND = 3
_BRACKETS = frozenset(OPENERS) | frozenset(OPENERS.values())
_NEVER_TWICE = frozenset({"NUMBER", "QUANTITY", "TEXT", "TEXT_PART", "TEXT_END", "HOLE", "HOLE_END"})
_GOES_ON = frozenset({"OTHERWISE", "WITH", "PIPE"})


def mends(fault: Fault, edit: Edit, ahead: int = AHEAD) -> bool:
    """Whether the declaration parses `ahead` tokens past the fault, or to its end, with the edit."""
    state = fault.before(edit.at)
    if state is None:
        return False
    # What stands further on plays no part, except that it is not the end.
    stop = fault.index + edit.removed + ahead
    tokens = edit.applied(fault.tokens[: stop + 2], edit.at)
    enough = fault.index - edit.at + len(edit.tokens) - edit.removed + ahead
    if stop + 2 > len(fault.tokens):
        enough = min(len(tokens) + 1, enough)
    return lalr.run(state, tokens, 0, enough) >= enough


def doubled(fault: Fault) -> Verdict | None:
    """A word or sign is written twice."""
    tried = 0
    for index in range(min(fault.index, len(fault.tokens) - 1), 0, -1):
        token, before = fault.tokens[index], fault.tokens[index - 1]
        if token.kind in _NEVER_TWICE or (token.kind, token.text) != (before.kind, before.text) or token.first:
            continue
        if not token.text or (token.kind in _BRACKETS and token.start != before.end):
            continue
        edit = Edit(index, 1)
        if mends(fault, edit):
            return Verdict(problems.written_twice(fault.place(token), token.text), edit)
        tried += 1
        if tried == MOST_SUSPECTS:
            break
    return None


def misspelt_keyword(fault: Fault) -> Verdict | None:
    """A word near the fault is, but for a letter, one that the language takes there."""
    following = fault.ahead(1)
    policy = (
        suggest(following.text, sorted(POLICY_WORDS)) if following is not None and following.kind == "NAME" else None
    )
    if fault.is_kind("COMMA") and lalr.POLICY_COMMA in fault.takes and following is not None and policy is not None:
        # A comma goes on with policies only before one of their words.
        edit = Edit(fault.index, 2, (fault.tokens[fault.index], following._replace(text=policy)))
        if mends(fault, edit):
            return Verdict(problems.instead(fault.place(following), f"`{following.text}`", f"`{policy}`", policy), edit)
    for index in range(fault.index, max(-1, fault.index - _BEHIND - 1), -1):
        token = fault.tokens[index] if index < len(fault.tokens) else None
        if token is None or token.kind != "NAME" or len(token.text) < 2:
            continue
        for word in _near(fault, index):
            kind = word.upper() if word in RESERVED else "NAME"
            edit = Edit(index, 1, (token._replace(kind=kind, text=word),))
            if mends(fault, edit):
                return Verdict(problems.instead(fault.place(token), f"`{token.text}`", f"`{word}`", word), edit)
    return None


def _near(fault: Fault, index: int) -> Iterator[str]:
    """The keywords that fit at a token and are spelt nearly as it is, the nearest first."""
    state = fault.before(index)
    if state is None:
        return
    token = fault.tokens[index]
    if lalr.newline_before(token, state) and (after := lalr.shifts(state.states, lalr.NEWLINE)) is not None:
        state.states = after
    literals = tables().literals
    words = sorted({literals[kind] for kind in state.takes() if kind in literals and literals[kind].isidentifier()})
    limit = max(1, len(token.text) // 3)
    found = [(edit_distance(token.text, word, limit), word) for word in words if len(word) > 1 and word != token.text]
    yield from (word for distance, word in sorted(found) if distance <= limit)


def bracket_before_continuation(fault: Fault) -> Verdict | None:
    """A `)` or `]` is missing at the end of a line, and the next one goes on with `otherwise`, `with` or `|>`."""
    opened: list[int] = []
    for index, token in enumerate(fault.tokens[: fault.index]):
        if token.kind in OPENERS.values():
            opened.append(index)
        elif token.kind in OPENERS and opened:
            opened.pop()
    if not opened or fault.tokens[opened[-1]].kind not in ("LPAR", "LSQB"):
        return None
    opening = fault.tokens[opened[-1]]
    for index in range(opened[-1] + 1, min(fault.index + 1, len(fault.tokens))):
        token, before = fault.tokens[index], fault.tokens[index - 1]
        if token.first and token.kind in _GOES_ON and before.line == opening.line:
            text = ")" if opening.kind == "LPAR" else "]"
            kind = "RPAR" if opening.kind == "LPAR" else "RSQB"
            width = before.end - before.start
            closing = Token(kind, text, before.end, before.end, before.line, before.column + width, False)
            edit = Edit(index, 0, (closing,))
            if mends(fault, edit):
                gap = fault.gap(index)
                return Verdict(problems.unclosed(gap, text, text, fault.place(opening), gap), edit)
    return None


def unclosed_case(fault: Fault) -> Verdict | None:
    """`Question(topic: Text, Other`, in an enum: what looks like a field without a type is the next case."""
    name, comma = fault.previous, fault.ahead(-2)
    if fault.tokens[0].text != "enum" or fault.state.brackets[-1:] != ["LPAR"] or fault.takes != frozenset({"COLON"}):
        return None
    if name is None or comma is None or comma.kind != "COMMA":
        return None
    before = fault.tokens[fault.index - 3]
    width = before.end - before.start
    closing = Token("RPAR", ")", before.end, before.end, before.line, before.column + width, False)
    edit = Edit(fault.index - 2, 0, (closing,))
    if not mends(fault, edit):
        return None
    gap = fault.gap(fault.index - 2)
    opening = next(token for token in reversed(fault.tokens[: fault.index]) if token.kind == "LPAR")
    return Verdict(problems.unclosed(gap, ")", ")", fault.place(opening), gap), edit)


def missing_word(fault: Fault) -> Verdict | None:
    """A declaration without its first word: the one with which most of it parses is meant."""
    token = fault.token
    if fault.index != 0 or token is None or token.kind not in ("NAME", "TEXT") or len(fault.tokens) < MOST_SUSPECTS:
        return None
    best, meant = MOST_SUSPECTS, None
    for word in DECLARATION_WORDS:
        first = Token("NAME", word, token.start, token.start, token.line, token.column, True)
        tokens = [first, token._replace(first=False), *fault.tokens[1:]]
        if (reached := lalr.run(lalr.start(), tokens, 0, len(tokens) + 1)) > best:
            best, meant = reached, first
    if meant is None:
        return None
    place = fault.source.span(token.start, token.start)
    said = problems.missing(place, f"`{meant.text}`", f"{meant.text} ", f"`{token.text}`")
    return Verdict(said, Edit(0, 1, (meant, token._replace(first=False))))
