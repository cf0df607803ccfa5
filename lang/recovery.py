"""Repairs a declaration that does not parse, so that the rest of it is still read, and says what was wrong.

At the token that does not fit, small edits are tried (put a token in, take one out, exchange one, move a line's end; at
the fault or up to two tokens before it), and the one after which the parse gets furthest for the least change is taken.
A missing `}` shows late, so it is looked for by indentation first. Where nothing small helps, the rest of the line is
left out, and at last the declaration is given up.

The known mistakes of `mistakes` are asked first: they have better words, and sometimes a better repair.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ..base.problems import Problem
from ..base.source import Source
from ..base.suggest import suggest
from . import fault_words, lalr, mistakes
from .faults import Edit, Fault, missing_brace
from .lalr import State
from .tables import tables
from .tokens import CLOSERS, RESERVED, Token

MOST_REPAIRS = 12
# How many tokens behind the fault must parse for an edit to be trusted fully.
AHEAD = 16
# How many tokens before the fault are kept at hand.
BEHIND = 24

# Where a name fits, these need no trial of their own.
_LIKE_NAMES = frozenset({"NUMBER", "QUANTITY", "TRUE", "FALSE", "TEXT", "WILDCARD", "NOT", "MINUS"})
_NEVER = frozenset({"$END", "TEXT_PART", "HOLE"})
# Signs that are mistaken for each other.
_SIGNS = frozenset({"COLON", "IS", "EQ", "COMMA", "GIVES", "RETURNS", "DOT", "LE", "PIPE", "BETWEEN", "TO", "MINUS"})
_COMPARISONS = frozenset({"LT", "GT", "GE", "EQ"})
# What is not put in together with something else: too much could be explained by it.
_ALONE = frozenset(
    {"IF", "MATCH", "FOR", "REPEAT", "RACE", "INTERRUPTIBLE", "OTHERWISE", "WITH", "AS", "INTO", "DOT", "LSQB"}
    | {"PLUS", "MINUS", "STAR", "SLASH", "MODULO", "EQ", "NE", "LT", "LE", "GT", "GE", "AND", "OR", "CONTAINS", "PIPE"}
)
_CHEAP = frozenset({"RPAR", "RSQB", "RBRACE", "LPAR", "LSQB", "LBRACE", "COMMA", "_POLICY_COMMA", "COLON", "IS", "DOT"})


@dataclass(frozen=True, slots=True)
class _Trial:
    edit: Edit
    reached: int
    cost: float

    @property
    def score(self) -> float:
        return min(self.reached, AHEAD) / 2 - self.cost


class Repair:
    """One declaration's tokens on their way to something that parses."""

    def __init__(self, source: Source, tokens: Sequence[Token]) -> None:
        self.source = source
        self.tokens = list(tokens)
        self.problems: list[Problem] = []
        # States before tokens: (index, state), the last ones only.
        self.trail: list[tuple[int, State]] = [(0, lalr.start())]

    def run(self) -> list[Token] | None:
        """The repaired tokens, or None if the declaration is given up."""
        for _ in range(MOST_REPAIRS):
            index = self.advance()
            if index is None:
                return self.tokens
            fault = Fault(self.source, self.tokens, index, self.trail[-1][1], self.trail)
            found = mistakes.recognise(fault)
            edit = found.edit if found else None
            if edit is None:
                edit = self.best(fault)
            self.problems.append(found.problem if found else fault_words.describe(fault, edit))
            if edit is None:
                return None
            self.apply(edit)
            if not self.tokens:
                return None
        return None

    def advance(self) -> int | None:
        """Reads on to the next token that does not fit; None if all fit."""
        index, state = self.trail[-1]
        state = state.copy()
        tokens = self.tokens
        while index < len(tokens):
            if not lalr.advance(state, index, tokens):
                return index
            index += 1
            self.trail.append((index, state.copy()))
            if len(self.trail) > 2 * BEHIND:
                del self.trail[:-BEHIND]
        return None if lalr.shifts(state.states, "$END") is not None else index

    def apply(self, edit: Edit) -> None:
        self.tokens = edit.applied(self.tokens)
        while self.trail and self.trail[-1][0] > edit.at:
            self.trail.pop()
        if not self.trail:
            self.trail.append((0, lalr.start()))

    def before(self, index: int) -> State | None:
        """The state before a token, if it is still at hand."""
        return next((state for at, state in reversed(self.trail) if at == index), None)

    # The search

    def best(self, fault: Fault) -> Edit | None:
        trials: list[_Trial] = []
        brace = missing_brace(self.tokens, fault.index)
        if brace is not None and (trial := self.attempt(brace, fault, -1.0)):
            trials.append(trial)
        trials += self.single(fault)
        if max((trial.score for trial in trials if trial.reached > 0), default=0.0) < AHEAD / 2 - 3:
            trials += self.double(fault)
        good = max((t for t in trials if t.reached > 0), key=lambda trial: trial.score, default=None)
        if good is None or good.score < 0:
            panic = max(self.panic(fault), key=lambda trial: trial.score, default=None)
            if panic is not None and (good is None or panic.score > good.score):
                good = panic
        return good.edit if good else None

    def attempt(self, edit: Edit, fault: Fault, cost: float) -> _Trial | None:
        state = self.before(edit.at)
        tokens = self.tokens
        if state is None:
            state = lalr.start()
            if lalr.run(state, tokens, 0, edit.at) < edit.at:
                return None
        stop = min(len(tokens), max(fault.index, edit.at + edit.removed) + AHEAD + 2)
        window = edit.applied(tokens[:stop], edit.at)
        size = len(window) + (1 if stop == len(tokens) else 0)
        end = lalr.run(state.copy(), window, 0, size)
        if end > len(window):
            reached = AHEAD
        else:
            reached = end - len(edit.tokens) - max(0, fault.index - edit.at - edit.removed)
        return _Trial(edit, reached, cost)

    def single(self, fault: Fault) -> Iterator[_Trial]:
        tokens, index = self.tokens, fault.index
        for at in range(index, max(-1, index - 3), -1):
            state = self.before(at)
            if state is None:
                continue
            late = 1.0 * (index - at)
            for edit, cost in self.insertions(state, at):
                if trial := self.attempt(edit, fault, cost + late):
                    yield trial
        if index < len(tokens):
            token = tokens[index]
            edits = [(Edit.remove(tokens, index, index + 1), 2.0)]
            edits.append((Edit(index, 1, (token._replace(first=not token.first),)), 1.0))
            for made in self.exchanges(fault, token):
                edits.append((Edit(index, 1, (made,)), 2.5))
            for edit, cost in edits:
                if trial := self.attempt(edit, fault, cost):
                    yield trial

    def exchanges(self, fault: Fault, token: Token) -> Iterator[Token]:
        """What could have been meant by the token: another sign, a word spelt well, a name that is no reserved word."""
        if token.kind == "NAME":
            words = [tables().literals[kind] for kind in fault.takes if kind in tables().literals]
            if word := suggest(token.text, [word for word in words if word.isidentifier() and len(word) > 1]):
                yield token._replace(kind="NAME" if word not in RESERVED else word.upper(), text=word)
        elif token.text in RESERVED and "NAME" in fault.takes and not fault.takes & _LIKE_NAMES:
            yield token._replace(kind="NAME")
        elif token.kind in _COMPARISONS and "LE" in fault.takes and token.kind not in fault.takes:
            yield token._replace(kind="LE", text="<=")
        elif token.kind in _SIGNS:
            for kind in sorted(fault.takes & _SIGNS):
                yield token._replace(kind=kind, text=tables().literals[kind])

    def insertions(self, state: State, at: int) -> Iterator[tuple[Edit, float]]:
        tokens = self.tokens
        takes = takes_before = state.takes()
        for kind in sorted(takes - _NEVER):
            if kind != lalr.NEWLINE and not ("NAME" in takes and kind in _LIKE_NAMES):
                cost = 1.0 if kind in _CHEAP else 1.5 if kind in ("NAME", "NUMBER", "QUANTITY") else 2.0
                if at < len(tokens) and tokens[at].first and kind in ("COMMA", "DOT", "LPAR", "LSQB"):
                    # A line's end is where something ends sooner than where it goes on.
                    cost += 0.5
                elif kind == "COLON":
                    cost += 0.2
                elif kind == "RBRACE" and at > 0 and tokens[at - 1].kind == "LBRACE":
                    # Nobody forgets what closes an empty pair.
                    cost += 1.5
                yield Edit(at, 0, tuple(self.made(kind, at, False))), cost
        if at < len(tokens) and tokens[at].first:
            after = state.copy()
            newline = lalr.shifts(after.states, lalr.NEWLINE) if lalr.newline_before(tokens[at], state) else None
            if newline is not None:
                after.states = newline
                takes = after.takes()
            for kind in sorted(takes - _NEVER):
                if kind not in _CHEAP and not ("NAME" in takes and kind in _LIKE_NAMES):
                    cost = 1.4 if kind == "NAME" else 1.9
                    yield Edit(at, 1, (*self.made(kind, at, True), tokens[at]._replace(first=False))), cost
        closers = [CLOSERS[kind] for kind in reversed(state.brackets)]
        for count in range(2, min(4, len(closers)) + 1):
            made = tuple(token for kind in closers[:count] for token in self.made(kind, at, False))
            empty = at > 0 and tokens[at - 1].kind == "LBRACE"
            yield Edit(at, 0, made), 1.0 * count + (1.5 if empty else 0.0)
            if "NAME" in takes_before:
                # `f((` at the end of a line: a value is missing too.
                yield Edit(at, 0, (*self.made("NAME", at, False), *made)), 1.0 * count + 1.0

    def double(self, fault: Fault) -> Iterator[_Trial]:
        state = self.before(fault.index)
        if state is None:
            return
        for first, cost in list(self.insertions(state, fault.index)):
            if len(first.tokens) != 1 or first.removed or first.tokens[0].kind in _ALONE:
                continue
            after = state.copy()
            if not lalr.advance(after, 0, first.tokens):
                continue
            for second, more in self.insertions(after, fault.index):
                if second.removed == 0 and len(second.tokens) == 1 and second.tokens[0].kind not in _ALONE:
                    edit = Edit(fault.index, 0, (*first.tokens, *second.tokens))
                    if trial := self.attempt(edit, fault, cost + more + 0.5):
                        yield trial

    def panic(self, fault: Fault) -> Iterator[_Trial]:
        """Leaves out the rest of the line, or the whole line, or some lines."""
        tokens, index = self.tokens, fault.index
        begin = next((i for i in range(min(index, len(tokens) - 1), -1, -1) if tokens[i].first), 0)
        ends = [i for i in range(index + 1, len(tokens)) if tokens[i].first][:6]
        for at in {index, begin}:
            for cost, end in enumerate([*ends, len(tokens)]):
                if end > at and (trial := self.attempt(Edit.remove(tokens, at, end), fault, 3.0 + cost)):
                    # What counts is what parses behind the part left out.
                    yield _Trial(trial.edit, trial.reached, trial.cost)

    def made(self, kind: str, at: int, first: bool) -> list[Token]:
        return fault_words.made(kind, self.tokens, at, first)


def repair(source: Source, tokens: Sequence[Token]) -> tuple[list[Token] | None, list[Problem]]:
    """The tokens of one declaration with its faults repaired (None if it is given up), and a problem for each."""
    work = Repair(source, tokens)
    return work.run(), work.problems
