"""Runs the LALR(1) tables over tokens: once without values to see how far a text parses, once to build the tree.

A token's meaning depends on where it stands: a word is a keyword if the parser's state takes it as one, a newline ends
something unless what is open or what stands around it says otherwise. Both are decided here, at the moment the token is
read, so that a bracket that recovery puts in changes what the newlines after it mean.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ..base.source import Span
from .tables import END, Tables, tables
from .tokens import CONTINUED_BY, CONTINUES, OPENERS, POLICY_WORDS, RESERVED, Token

NEWLINE = "_NL"
POLICY_COMMA = "_POLICY_COMMA"

# Words that are keywords only before one of these kinds, where a name may stand too.
_KEYWORD_BEFORE = {
    "on": frozenset({"NAME"}),
    "stream": frozenset({"NAME", "LSQB", "LBRACE"}),
    "Tensor": frozenset({"LSQB"}),
    "given": frozenset({"NAME"}),
}
_POLICY_VALUES = frozenset({"NAME", "NUMBER", "QUANTITY", "TEXT"})

Build = Callable[[list[Any], Span], Any]


class TooDeep(Exception):
    """A tree too deep to be walked recursively."""

    def __init__(self, token: Token) -> None:
        super().__init__(token)
        self.token = token


# The states of a parse, the newest first: (state, what lies below). Pushing copies nothing, so trials are cheap.
Stack = tuple[int, Any]
_MISSING = -(1 << 30)


class State:
    """Where a parse stands: the states of the tables, the brackets that are open, the kind of the last token."""

    __slots__ = ("brackets", "previous", "states")

    def __init__(self, states: Stack, brackets: list[str], previous: str | None = None) -> None:
        self.states = states
        self.brackets = brackets
        self.previous = previous

    def copy(self) -> State:
        return State(self.states, self.brackets.copy(), self.previous)

    def takes(self) -> frozenset[str]:
        """The kinds that could come next, END among them."""
        row = tables().states[self.states[0]]
        return frozenset(kind for kind in row if kind.isupper() and shifts(self.states, kind) is not None)


class Keywords:
    """The words that the grammar uses, by their text."""

    def __init__(self, source: Tables) -> None:
        words = {text: kind for kind, text in source.literals.items() if text.isidentifier()}
        self.contextual = {text: kind for text, kind in words.items() if text not in RESERVED}


_keywords: Keywords | None = None


def contextual() -> dict[str, str]:
    """Words that are keywords only where the grammar takes them: text to kind."""
    global _keywords
    if _keywords is None:
        _keywords = Keywords(tables())
    return _keywords.contextual


def shifts(states: Stack, kind: str) -> Stack | None:
    """The states after taking `kind`, or None if it does not fit."""
    rows, rules = tables().states, tables().rules
    while True:
        action = rows[states[0]].get(kind, _MISSING)
        if action is None:
            return states
        if action >= 0:
            return action, states
        if action == _MISSING:
            return None
        rule = rules[-1 - action]
        for _ in range(rule.length):
            states = states[1]
        target = rows[states[0]][rule.origin]
        assert target is not None
        states = (target, states)


def fits(states: Sequence[int], kind: str) -> bool:
    """Whether `kind` could be taken: as `shifts`, but for a list of states, of which nothing is copied."""
    rows, rules = tables().states, tables().rules
    base, above = len(states), list[int]()
    while True:
        action = rows[above[-1] if above else states[base - 1]].get(kind, _MISSING)
        if action is None or action >= 0:
            return True
        if action == _MISSING:
            return False
        rule = rules[-1 - action]
        if rule.length > len(above):
            base -= rule.length - len(above)
            above.clear()
        elif rule.length:
            del above[-rule.length :]
        target = rows[above[-1] if above else states[base - 1]][rule.origin]
        assert target is not None
        above.append(target)


def kind_of(
    token: Token, index: int, tokens: Sequence[Token], row: Mapping[str, int | None], takes: Callable[[str], bool]
) -> str:
    """What the token is where the state with this row reads it; `takes` asks the whole stack."""
    kind = token.kind
    if kind == "NAME":
        keyword = contextual().get(token.text)
        if keyword is None or keyword not in row:
            return kind
        if "NAME" not in row:
            return keyword
        # A row of LALR tables promises more than the stack below it may keep.
        if not takes(keyword):
            return kind
        if not takes(kind):
            return keyword
        # A name may stand here too: what follows on the line decides. (`rate <= …` and `rate p95 <= …`
        # limit something called `rate`.)
        following = tokens[index + 1] if index + 1 < len(tokens) and not tokens[index + 1].first else None
        before = _KEYWORD_BEFORE.get(token.text)
        if before is not None:
            return keyword if following is not None and following.kind in before else kind
        limits = any(token.kind == "LE" for token in tokens[index + 1 : index + 3])
        return kind if following is not None and limits else keyword
    if kind == "COMMA" and POLICY_COMMA in row and index + 2 < len(tokens):
        word, value = tokens[index + 1], tokens[index + 2]
        is_policy = word.kind == "NAME" and word.text in POLICY_WORDS and value.kind in _POLICY_VALUES
        if is_policy and takes(POLICY_COMMA):
            return POLICY_COMMA
    return kind


def newline_before(token: Token, state: State) -> bool:
    """Whether the newline before the token ends something."""
    return (
        token.first
        and state.previous is not None
        and (not state.brackets or state.brackets[-1] == "LBRACE")
        and state.previous not in CONTINUES
        and token.kind not in CONTINUED_BY
    )


def track(brackets: list[str], kind: str) -> None:
    """Keeps the list of open brackets over one token."""
    if kind in ("LPAR", "LSQB", "LBRACE", "HOLE", "TEXT"):
        brackets.append(kind)
    elif kind in OPENERS and brackets and brackets[-1] == OPENERS[kind]:
        brackets.pop()


def advance(state: State, index: int, tokens: Sequence[Token]) -> bool:
    """Takes one token, and the newline before it if that counts. False if it does not fit; the state is then of no use
    but to ask what it takes."""
    token = tokens[index]
    if newline_before(token, state):
        after = shifts(state.states, NEWLINE)
        if after is None:
            return False
        state.states = after
        state.previous = NEWLINE
    kind = token.kind
    if kind in ("NAME", "COMMA"):
        row = tables().states[state.states[0]]
        kind = kind_of(token, index, tokens, row, lambda kind: shifts(state.states, kind) is not None)
    after = shifts(state.states, kind)
    if after is None:
        return False
    state.states = after
    state.previous = kind
    track(state.brackets, kind)
    return True


def start() -> State:
    return State((0, None), [])


def run(state: State, tokens: Sequence[Token], index: int, stop: int) -> int:
    """Takes tokens from `index` on; the index of the one that does not fit, or `stop`, or one past the end if the
    declaration may end there."""
    while index < stop:
        if index == len(tokens):
            return index + 1 if shifts(state.states, END) is not None else index
        if not advance(state, index, tokens):
            return index
        index += 1
    return index


def build(path: str, tokens: Sequence[Token], actions: Sequence[Build | None], deepest: int) -> Any | int:
    """The tree of one declaration, or the index of the token that does not fit (the number of tokens for the end).

    `actions[r]` makes the value of rule `r` from its parts. Raises `TooDeep` where values would nest deeper than
    `deepest`. This is the only loop that every sound program goes through, so it is written out for speed.
    """
    table = tables()
    rows, rules = table.states, table.rules
    states: list[int] = [0]
    values: list[Any] = [None]
    firsts: list[Token] = [tokens[0]]
    lasts: list[Token] = [tokens[0]]
    depths: list[int] = [0]
    state = start()
    count = len(tokens)
    index = 0
    newline = False
    while True:
        row = rows[states[-1]]
        if index == count:
            token, kind = tokens[-1], END
        else:
            token = tokens[index]
            if token.first and not newline and newline_before(token, state):
                kind = NEWLINE
            else:
                kind = token.kind
                if kind in ("NAME", "COMMA"):
                    kind = kind_of(token, index, tokens, row, lambda kind: fits(states, kind))
        while True:
            action = row.get(kind, _MISSING)
            if action is None:
                return values[-1]
            if action >= 0:
                break
            if action == _MISSING:
                return index
            rule = rules[-1 - action]
            if rule.plain:
                states.pop()
                target = rows[states[-1]][rule.origin]
            else:
                length = rule.length
                parts: list[Any] = values[-length]
                if rule.splice and type(parts) is list:
                    # A list that grows is passed on, not copied: a copy for each item would be quadratic.
                    rest = zip(values[1 - length :], rule.keep[1:], strict=True) if length > 1 else ()
                else:
                    parts = []
                    rest = zip(values[-length:], rule.keep, strict=True)
                for value, kept in rest:
                    if kept:
                        if type(value) is list:
                            parts += value
                        else:
                            parts.append(value)
                first, last = firsts[-length], lasts[-1]
                depth = max(depths[-length:])
                make = actions[-1 - action]
                if make is None:
                    value = parts
                else:
                    depth += 1
                    if depth > deepest:
                        raise TooDeep(first)
                    value = make(
                        parts,
                        Span(
                            path,
                            first.start,
                            last.end,
                            first.line,
                            first.column,
                            last.line,
                            last.column + last.end - last.start,
                        ),
                    )
                del states[-length:], values[-length:], firsts[-length:], lasts[-length:], depths[-length:]
                values.append(value)
                firsts.append(first)
                lasts.append(last)
                depths.append(depth)
                target = rows[states[-1]][rule.origin]
            assert target is not None
            states.append(target)
            row = rows[target]
        states.append(action)
        values.append(token)
        firsts.append(token)
        lasts.append(token)
        depths.append(0)
        state.previous = kind
        if kind == NEWLINE:
            newline = True
            # The newline itself takes no room: a node that ends with it ends with the token before.
            firsts[-1] = lasts[-1] = tokens[index - 1]
        else:
            newline = False
            track(state.brackets, kind)
            index += 1
