"""Mistakes inside expressions and types: the recognisers of `mistakes` that look at a few tokens."""

from __future__ import annotations

from . import structure_problems as problems
from .faults import Edit, Fault, Verdict
from .tokens import OPENERS, POLICY_WORDS, Token

_COMPARISONS = frozenset({"EQ", "NE", "LT", "LE", "GT", "GE"})


def policies(fault: Fault) -> Verdict | None:
    if not fault.is_kind("WITH") or fault.token is None:
        return None
    depth, end = 0, fault.index
    while end < len(fault.tokens):
        kind = fault.tokens[end].kind
        # A comma goes on with policies where one of their words follows it.
        more = kind == "COMMA" and end + 1 < len(fault.tokens) and fault.tokens[end + 1].text in POLICY_WORDS
        if depth == 0 and end > fault.index and kind in (*OPENERS, "COMMA", "LBRACE") and not more:
            break
        depth += (kind in OPENERS.values()) - (kind in OPENERS)
        end += 1
    return Verdict(problems.policies_in_list(fault.place(fault.token)), Edit.remove(fault.tokens, fault.index, end))


def chain(fault: Fault) -> Verdict | None:
    token = fault.token
    if token is None or token.kind not in _COMPARISONS or "AND" not in fault.takes:
        return None
    earlier = [t for t in fault.tokens[: fault.index] if t.line == token.line and t.kind in _COMPARISONS]
    if not earlier:
        return None
    return Verdict(problems.comparison_chain(fault.place(token)), fault.exchange(fault.index, "AND", "and"))


def single_equals(fault: Fault) -> Verdict | None:
    token = fault.token
    if token is None or token.kind != "IS" or "EQ" not in fault.takes or "LBRACE" not in fault.takes:
        return None
    return Verdict(
        problems.instead(fault.place(token), "`=`, which binds a name,", "`==`", "=="),
        fault.exchange(fault.index, "EQ", "=="),
    )


def braced_record(fault: Fault) -> Verdict | None:
    name, colon = fault.ahead(1), fault.ahead(2)
    if not fault.is_kind("LBRACE") or name is None or colon is None or (name.kind, colon.kind) != ("NAME", "COLON"):
        return None
    before, brace, end = fault.previous, fault.token, fault.bracket_end()
    if before is None or brace is None or before.kind != "NAME" or end is None or "LPAR" not in fault.takes:
        return None
    middle = fault.tokens[fault.index + 1 : end]
    closing = fault.tokens[end]
    edit = Edit(
        fault.index,
        end + 1 - fault.index,
        (brace._replace(kind="LPAR", text="("), *middle, closing._replace(kind="RPAR", text=")")),
    )
    return Verdict(
        problems.braced_record(
            fault.place(brace).to(fault.place(closing)), fault.place(brace), fault.place(closing), before.text
        ),
        edit,
    )


def bare_key(fault: Fault) -> Verdict | None:
    key, brace, colon = fault.token, fault.previous, fault.ahead(1)
    if key is None or brace is None or colon is None or (key.kind, colon.kind) != ("NAME", "COLON"):
        return None
    if brace.kind not in ("LBRACE", "COMMA") or "TEXT" not in fault.takes or "NAME" in fault.takes:
        return None
    texts = (
        key._replace(kind="TEXT", text='"', end=key.start),
        key._replace(kind="TEXT_PART", first=False),
        key._replace(kind="TEXT_END", text='"', start=key.end, column=key.column + key.end - key.start, first=False),
    )
    return Verdict(problems.bare_key(fault.place(key), key.text), Edit(fault.index, 1, texts))


def ternary(fault: Fault) -> Verdict | None:
    token = fault.token
    if token is None or token.kind != "MAYBE" or "LPAR" not in fault.takes:
        return None
    end = next((i for i in range(fault.index, len(fault.tokens)) if fault.tokens[i].first), len(fault.tokens))
    return Verdict(problems.ternary(fault.place(token)), Edit.remove(fault.tokens, fault.index, end))


def text_prefix(fault: Fault) -> Verdict | None:
    prefix, token = fault.previous, fault.token
    if prefix is None or token is None or token.kind != "TEXT" or prefix.end != token.start or len(prefix.text) > 2:
        return None
    if prefix.kind != "NAME":
        return None
    edit = Edit.remove(fault.tokens, fault.index - 1, fault.index)
    return Verdict(problems.text_prefix(fault.place(prefix), prefix.text), edit)


def foreign_type(fault: Fault) -> Verdict | None:
    """`List<Text>`, `list[str]`, `dict[str, int]`"""
    name, token = fault.previous, fault.token
    if name is None or token is None or token.kind not in ("LT", "LSQB") or "LABEL" not in fault.takes:
        return None
    parts: list[Token] = []
    for ahead in range(1, 5):
        item = fault.ahead(ahead)
        if item is None or (item.kind != ("COMMA" if ahead % 2 == 0 else "NAME") and item.kind not in ("GT", "RSQB")):
            return None
        if item.kind in ("GT", "RSQB"):
            return _foreign(fault, name, tuple(parts), item, ahead)
        if item.kind == "NAME":
            parts.append(item)
    return None


def _foreign(fault: Fault, name: Token, parts: tuple[Token, ...], end: Token, ahead: int) -> Verdict | None:
    from .foreign_types import of_parts

    wanted = of_parts(name.text, tuple(part.text for part in parts))
    if wanted is None:
        return None
    place = fault.place(name).to(fault.place(end))
    return Verdict(
        problems.instead(place, f"`{fault.source.text[name.start : end.end]}`", f"`{wanted}`", wanted),
        Edit(fault.index - 1, ahead + 2, (parts[0],)),
    )
