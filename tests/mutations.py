"""Programs with one fault each, as fingers make them: something left out, misspelt or written twice.

Each mutation says on which line of the mutated text the fault stands, and which lines its declaration has there.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from agentlang.base.source import Source
from agentlang.lang import lalr
from agentlang.lang.parser import parse
from agentlang.lang.scanner import Scan, scan
from agentlang.lang.tokens import RESERVED, Token


@dataclass(frozen=True)
class Mutation:
    """`text` has a fault of a `kind` on `line`, in the declaration on the lines `first..last`."""

    kind: str
    what: str
    text: str
    line: int
    first: int
    last: int


SIGNS = {
    "RPAR": "bracket",
    "LPAR": "bracket",
    "RSQB": "bracket",
    "LSQB": "bracket",
    "LBRACE": "brace",
    "RBRACE": "brace",
    "HOLE": "hole",
    "HOLE_END": "hole",
    "TEXT": "quote",
    "TEXT_END": "quote",
    "COLON": "colon",
    "COMMA": "comma",
    "IS": "equals",
    "RETURNS": "arrow",
    "GIVES": "arrow",
    "PIPE": "pipe",
    "DOT": "dot",
    "LE": "comparison",
}


def misspelt(word: str, draw: random.Random) -> str:
    """The word with two letters exchanged, one left out, doubled or another."""
    at = draw.randrange(len(word) - 1) if len(word) > 1 else 0
    swapped = word[:at] + word[at + 1 : at + 2] + word[at] + word[at + 2 :]
    ways = [swapped, word[:at] + word[at + 1 :], word[: at + 1] + word[at:], word[:at] + "x" + word[at + 1 :]]
    good = [way for way in ways if way and way != word and way not in RESERVED]
    return draw.choice(good or [word + "x"])


def keywords(found: Scan) -> Iterator[Token]:
    """The tokens that the grammar reads as words of the language."""
    bounds = [*found.starts, len(found.tokens)]
    for start, end in itertools.pairwise(bounds):
        tokens = found.tokens[start:end]
        state = lalr.start()
        for index, token in enumerate(tokens):
            if not lalr.advance(state, index, tokens):
                break
            if token.text.isidentifier() and state.previous != "NAME" and len(token.text) > 1:
                yield token


def mutations(text: str, names: bool = False) -> list[Mutation]:
    """Every mutation of a sound program, each kind seeded by the place; misspelt names only with `names`."""
    found = scan(Source("m", text))
    tokens = found.tokens
    words = {token.start for token in keywords(found)}
    # Where a name is declared it is spelt right by definition, and a fault wherever it is used: most often the first.
    declared = {token.start for token in {token.text: token for token in reversed(tokens)}.values()}
    declared |= {after.start for token, after in itertools.pairwise(tokens) if token.text == "tier"}
    for start, end in itertools.pairwise([*found.starts, len(tokens)]):
        declared.add(tokens[min(start + 1, end - 1)].start)
        head = itertools.takewhile(lambda index: tokens[index].kind != "RETURNS", range(start, end - 1))
        if tokens[start].text in ("type", "enum", "pipeline", "agent", "tool", "stage"):
            declared.update(tokens[index].start for index in head if tokens[index + 1].kind == "COLON")
    lines = text.count("\n") + 1
    starts = [tokens[index].line for index in found.starts]
    ends = [line - 1 for line in starts[1:]] + [lines]
    # What documents the next declaration is no longer part of the one before.
    out: list[Mutation] = []

    def add(kind: str, token: Token, new: str) -> None:
        changed = text[: token.start] + new + text[token.end :]
        number = max(n for n, line in enumerate(starts) if line <= token.line)
        out.append(Mutation(kind, token.text, changed, token.line, starts[number], ends[number]))

    for token in tokens:
        draw = random.Random(f"{token.start}{token.text}")
        if token.kind in SIGNS:
            add(f"missing {SIGNS[token.kind]}", token, "")
        if token.kind in SIGNS or token.start in words:
            space = " " if token.text.isidentifier() else ""
            add("doubled", token, token.text + space + token.text)
        if token.start in words:
            add("misspelt keyword", token, misspelt(token.text, draw))
            add("missing keyword", token, "")
        elif names and token.kind == "NAME" and token.start not in declared:
            add("misspelt name", token, misspelt(token.text, draw))
    return out


def sample(text: str, count: int, seed: str, faulty: Callable[[str], bool], names: bool = False) -> list[Mutation]:
    """`count` mutations that `faulty` sees a fault in, of as many kinds as there are, the same each time.

    Without one letter a program may parse, and mean something else elsewhere: only misspelt names may do that.
    """
    draw = random.Random(seed)
    by_kind: dict[str, list[Mutation]] = {}
    for mutation in mutations(text, names):
        by_kind.setdefault(mutation.kind, []).append(mutation)
    for group in by_kind.values():
        draw.shuffle(group)
    order: Sequence[str] = sorted(by_kind)
    out: list[Mutation] = []
    while len(out) < count and any(by_kind.values()):
        for kind in order:
            while by_kind[kind]:
                mutation = by_kind[kind].pop()
                parses = not parse(Source("m", mutation.text))[1]
                if parses == (kind == "misspelt name") and faulty(mutation.text):
                    out.append(mutation)
                    break
    return out[:count]
