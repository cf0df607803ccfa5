"""What the scanner matches: patterns of words, numbers, texts and the heads of declarations, and tables of words."""

from __future__ import annotations

import re

from .tokens import RESERVED, SIGNS

WORD = r"[^\W\d]\w*"
DIGITS = r"\d+(?:_\d+)*"
NUMBER = re.compile(rf"(\$?){DIGITS}(?:\.{DIGITS})?(?:[eE][+-]?{DIGITS})?")
UNIT = re.compile(r"[ \t]*([A-Za-z]+(?:/s(?!\w))?)(?!\w)")
PER = re.compile(rf"[ \t]*per[ \t]+(?:({DIGITS})[ \t]+)?([A-Za-z]+)(?!\w)")
# A `%` is a unit unless an operand follows it; a word is no operand if it joins, or if another word or number follows
# it on the line, as in `10 % per run`.
_JOINS = r"(?:and|or|otherwise|with|as|into|contains)\b"
PERCENT = re.compile(
    rf"[ \t]*%(?:(?![ \t]*[\w$(-])(?!=)|(?=[ \t]*{_JOINS})"
    rf"|(?=[ \t]*{WORD}[ \t]+(?!{_JOINS}|(?:if|for|where|when|else|in)\b)[\w$\"]))"
)
# What stands at once behind a number and makes it unreadable: `0x1F`, `1_`, `1.2.3`, `1.`
GLUED = re.compile(r"(?:\w|\.\d)[\w.]*|\.(?![\w.])")
# A word behind a number is a unit unless it is one of these, or is itself followed by what follows names.
AFTER_NUMBERS = RESERVED | {
    "at",
    "backoff",
    "drop",
    "pause",
    "times",
    "steps",
    "contains",
    "per",
    "effects",
    "needs",
    "idempotent",
}
NO_UNIT = re.compile(r"[ \t]*(?:[:(.]|=(?!=))")
BEFORE_COLON = re.compile(r"[ \t]*:")
A_WORD = re.compile(WORD)
LINE = re.compile(r"\n")
CODE = re.compile(
    rf"[ \t\r]*(?:(?P<newline>\n)|(?P<word>{WORD})|(?P<number>\$?\d)|(?P<text>\"\"\"|\")|(?P<comment>\#[^\n]*)"
    rf"|(?P<wrong>&&|\|\||!(?!=)|;|'[^'\n]*'|//[^\n]*)|(?P<sign>{'|'.join(map(re.escape, SIGNS))})"
    r"|(?P<bad>[^ \t\r\n])|\Z)"
)
# Nothing follows the repetition, so it never backtracks. Not possessive (`++`): Python 3.11.2, which Debian ships, ends
# such a match too early.
PART = re.compile(r"(?:[^\"{}\\\n]+|\\u\{[0-9A-Fa-f]{1,6}\}|\\[^\n]|\{\{|\}\})+")
LONG_PART = re.compile(r"(?:[^\"{}\\]+|\\u\{[0-9A-Fa-f]{1,6}\}|\\.|\{\{|\}\}|\"(?!\"\"))+", re.DOTALL)
CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]|\r(?!\n)")
HEAD = re.compile(
    rf"[ \t]*(?:(?:pipeline|agent|tool)[ \t]+{WORD}[ \t]*\(|stage[ \t]+{WORD}(?:\.{WORD})?[ \t]*\("
    rf"|(?:type|enum|goal|fleet)[ \t]+{WORD}[ \t]*\{{|type[ \t]+{WORD}[ \t\r]*(?:\#|\n|\Z)"
    rf"|(?:model|resource|memory|server|let)[ \t]+{WORD}[ \t]*=(?!=)|test[ \t]+\""
    rf"|use[ \t]+(?:\.{{1,2}}/|{WORD}[ \t\r]*(?:[/:\#\n]|as\b|\Z)))"
)
INFIX_WORDS = frozenset({"and", "or", "otherwise", "with", "as", "into", "else", "contains"})
LONG_NAMES = {
    "sec": "s",
    "secs": "s",
    "second": "s",
    "seconds": "s",
    "msec": "ms",
    "millis": "ms",
    "milliseconds": "ms",
    "minute": "min",
    "minutes": "min",
    "m": "min",
    "hour": "h",
    "hours": "h",
    "hr": "h",
    "day": "d",
    "days": "d",
    "percent": "%",
}
