"""Tokens, comments, and what the words and signs of the language are called in the grammar.

The scanner, the parser, the formatter and the recovery from errors all read these tables, so they stand apart.
"""

from __future__ import annotations

from typing import NamedTuple

from ..base.frozen import frozen


class Token(NamedTuple):
    """One token. `kind` is the grammar's name; line and column count from 1; `first` says that it begins its line.

    A word that is not reserved is a NAME; whether it is a keyword depends on where it stands, which the parser knows.
    """

    kind: str
    text: str
    start: int
    end: int
    line: int
    column: int
    first: bool


@frozen
class Comment:
    """`# …` or, with `doc`, `## …`. `own_line` if nothing but space precedes it."""

    text: str
    start: int
    line: int
    column: int
    own_line: bool

    @property
    def doc(self) -> bool:
        return self.text.startswith("##") and self.own_line


def _words(text: str) -> list[str]:
    return text.split()


RESERVED = frozenset(
    _words(
        "if else match for in where repeat race interruptible return emit stop next when expect otherwise with as "
        "into and or not true false _"
    )
)

# Every sign, longest first so that the scanner's pattern takes the longest.
SIGNS: dict[str, str] = {
    "<->": "BETWEEN",
    "|>": "PIPE",
    "=>": "GIVES",
    "->": "RETURNS",
    "==": "EQ",
    "!=": "NE",
    "<=": "LE",
    ">=": "GE",
    "..": "TO",
    "<": "LT",
    ">": "GT",
    "=": "IS",
    "+": "PLUS",
    "-": "MINUS",
    "*": "STAR",
    "/": "SLASH",
    "%": "MODULO",
    ".": "DOT",
    ",": "COMMA",
    ":": "COLON",
    "?": "MAYBE",
    "@": "LABEL",
    "(": "LPAR",
    ")": "RPAR",
    "[": "LSQB",
    "]": "RSQB",
    "{": "LBRACE",
    "}": "RBRACE",
}

CLOSERS = {"LPAR": "RPAR", "LSQB": "RSQB", "LBRACE": "RBRACE", "HOLE": "HOLE_END", "TEXT": "TEXT_END"}
OPENERS = {closer: opener for opener, closer in CLOSERS.items()}

# A newline after one of these does not end a statement.
CONTINUES = frozenset(
    _words(
        "COMMA IS GIVES RETURNS PIPE LBRACE BETWEEN EQ NE LE GE LT GT PLUS MINUS STAR SLASH AND OR CONTAINS "
        "_POLICY_COMMA"
    )
)
# Nor does one before a line that begins with one of these.
CONTINUED_BY = frozenset(["RBRACE", "PIPE", "DOT", "OTHERWISE", "WITH", "ELSE"])

# What may stand last in an expression.
OPERAND_ENDS = frozenset(["NAME", "NUMBER", "QUANTITY", "RPAR", "RSQB", "RBRACE", "TEXT_END", "TRUE", "FALSE"])

POLICY_WORDS = frozenset(_words("timeout idle retry breaker hedge rate cache buffer place approve"))

DECLARATION_WORDS = tuple(
    _words("use type enum let model resource memory tool server stage pipeline agent goal fleet test")
)
