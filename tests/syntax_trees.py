"""Hypothesis strategies for syntax trees: every tree that a source text can give, small enough to be printed often.

Places play no part in equality, so one stands for all.
"""

from __future__ import annotations

import string
from typing import Any

from hypothesis import strategies as st

from agentlang.base.source import Span
from agentlang.base.units import UNITS
from agentlang.lang import syntax as s
from agentlang.lang.tokens import RESERVED

HERE = Span("tree", 0, 0, 1, 1, 1, 1)
Any_ = st.SearchStrategy[Any]


def node(kind: Any, *parts: Any, **named: Any) -> Any_:
    """A strategy for nodes of a kind from strategies for its parts."""
    return st.builds(lambda *a, **k: kind(*a, **k, span=HERE), *parts, **named)


def many(part: Any_, least: int = 0, most: int = 3) -> Any_:
    return st.lists(part, min_size=least, max_size=most).map(tuple)


# Words that read as keywords where a name of this kind may stand too.
AWKWARD = {"stream", "Tensor", "on"}
WORDS = [
    "model",
    "rate",
    "tier",
    "use",
    "type",
    "at",
    "per",
    "contains",
    "effects",
    "timeout",
    "output",
    "drop",
    "given",
    "idle",
    "pause",
    "größe",
]
spelt = st.text(string.ascii_letters + "_", min_size=1, max_size=5).filter(lambda t: t not in RESERVED | AWKWARD)
words = st.one_of(spelt, st.sampled_from(WORDS))
ident = node(s.Ident, words)
member = node(s.Ident, st.one_of(words, st.sampled_from(sorted(RESERVED))))  # fields and arguments may be reserved
path = node(s.Path, many(ident, 1))
name = node(s.Name, words)
label = node(s.Label, ident)

number = node(s.Number, st.sampled_from(["0", "1", "8_000", "0.5", "1e-3", "2.5E+10"]))
behind = st.sampled_from(sorted(unit for unit in UNITS if unit != "$"))
per = node(s.Per, st.none() | node(s.Number, st.sampled_from(["2", "1_000"])), behind.filter(str.isalpha))
quantity = st.one_of(
    node(s.Quantity, number, behind | st.just("$"), st.none() | per), node(s.Quantity, number, st.none(), per)
)
figure = quantity | node(s.Quantity, number, st.none(), st.none())
bound = number | name
amount = number | quantity | name


def types(depth: int) -> Any_:
    named = node(s.NamedType, path)
    if depth == 0:
        return named
    inner = types(depth - 1)
    size = node(s.Number, st.sampled_from(["1", "384"])) | ident
    plain = st.one_of(
        named, node(s.ListType, inner), node(s.MapType, inner, inner), node(s.TensorType, ident, many(size))
    )
    labelled = node(s.LabelledType, plain | node(s.OptionType, plain), many(label, 1))
    optional = node(s.OptionType, plain | labelled)
    return st.one_of(plain, labelled, optional, node(s.StreamType, plain | optional | labelled))


pieces = st.text(
    st.one_of(st.sampled_from(' "\n\\{}\t\r\x01#é😀ab'), st.characters(exclude_categories=["Cs"])),
    min_size=1,
    max_size=8,
)


def templates(depth: int) -> Any_:
    hole = node(s.Hole, expressions(depth - 1)) if depth > 0 else st.nothing()
    text = node(s.TextPart, pieces)

    @st.composite
    def template(draw: Any) -> Any:
        parts: list[Any] = []
        for part in draw(st.lists(text | hole, max_size=4)):
            if parts and isinstance(part, s.TextPart) and isinstance(parts[-1], s.TextPart):
                continue
            parts.append(part)
        return s.Template(tuple(parts), draw(st.booleans()), span=HERE)

    return template()


def untitled(part: s.TextPart) -> s.Template:
    return s.Template((part,), span=HERE)


title: Any_ = node(s.TextPart, pieces).map(untitled)


def arguments(depth: int) -> Any_:
    inner = expressions(depth - 1)
    positional = node(s.Argument, st.none(), inner)
    named = node(s.Argument, member, inner)
    return st.tuples(many(positional, most=2), many(named, most=2)).map(lambda both: (*both[0], *both[1]))


def call(depth: int) -> Any_:
    return node(s.Call, expressions(depth - 1), arguments(depth))


def expressions(depth: int) -> Any_:
    atoms = st.one_of(number, quantity, name, node(s.Bool, st.booleans()), templates(0))
    if depth <= 0:
        return atoms
    inner = st.deferred(lambda: expressions(depth - 1))
    body = st.deferred(lambda: blocks(depth - 1))
    symbol = node(
        s.Symbol, st.sampled_from(["or", "and", "==", "!=", "<", "<=", ">", ">=", "contains", "+", "-", "*", "/", "%"])
    )
    pattern = st.one_of(node(s.Wildcard), node(s.CasePattern, path, many(ident | node(s.Wildcard), most=2)))
    arm = node(s.Arm, pattern, inner | body)
    alternative = st.none() | body | node(s.If, inner, body, st.none() | body)
    policy = st.one_of(
        node(s.Timeout, amount),
        node(s.Retry, amount, st.none() | amount),
        node(s.Idle, amount),
        node(s.Breaker, amount, amount),
        node(s.Hedge, amount),
        node(s.RateLimit, figure),
        node(s.Cache, amount),
        node(s.Buffer, amount, st.none() | ident),
        node(s.Latest),
        node(s.Place, ident),
        node(s.Approve, templates(depth - 1)),
    )
    return st.one_of(
        atoms,
        templates(depth),
        call(depth),
        node(s.Access, inner, member),
        node(s.Index, inner, inner),
        node(s.ListLiteral, many(inner)),
        node(s.MapLiteral, many(node(s.MapEntry, templates(depth - 1), inner), most=2)),
        node(s.Unary, node(s.Symbol, st.sampled_from(["-", "not"])), inner),
        node(s.Binary, inner, symbol, inner),
        node(s.Pipe, inner, call(depth)),
        node(s.As, inner, types(1)),
        node(s.Into, inner, types(1)),
        node(s.If, inner, body, alternative),
        node(s.Match, inner, many(arm, 1)),
        node(s.For, ident, inner, st.none() | inner, st.none() | bound, body),
        node(s.Repeat, ident, inner, bound, body),
        node(s.Race, many(inner, 1)),
        node(s.Interruptible, body),
        node(s.Otherwise, inner, many(ident, most=2), inner),
        node(s.With, inner, many(policy, 1)),
    )


def blocks(depth: int) -> Any_:
    inner = expressions(depth)
    statement = st.one_of(
        node(s.Bind, ident, inner),
        node(s.Emit, inner),
        node(s.Return, inner),
        node(s.Stop, inner, st.none() | inner),
        node(s.Next, inner),
        node(s.Given, path, st.none() | arguments(depth), inner),
        node(s.Expect, inner),
        node(s.ExprStatement, inner),
    )
    return node(s.Block, many(statement, 1))


def postfix(depth: int) -> Any_:
    """What implements a tool, and the device of a tier; a figure would be read together with the word behind it."""
    return name | call(depth)


docs = st.none() | node(
    s.Doc,
    st.lists(st.text(string.ascii_letters + " #é", max_size=8).map(str.rstrip), min_size=1, max_size=3).map("\n".join),
)
value = expressions(2)
shape = types(2)
field = node(s.FieldDecl, member, shape, st.none() | expressions(1))
parameters = many(node(s.Parameter, member, shape, st.none() | expressions(1)))
module = node(s.Ident, st.sampled_from(["std/llm", "./shop", "../a/b_c", "one", "../../up"]))
effect = node(s.Effect, ident, st.none() | templates(0) | figure)
entry = st.one_of(
    node(s.AgentModel, ident),
    node(s.AgentTools, many(path)),
    node(s.AgentSteps, bound),
    node(s.AgentSystem, templates(1)),
)
assumption = node(s.Assumption, path, st.booleans(), figure)
term = st.one_of(
    node(s.RateTerm, figure),
    node(s.AssumeTerm, many(assumption, 1)),
    node(s.BoundTerm, ident, st.none() | ident, figure),
    node(s.KeepTerm, label, many(ident)),
    node(s.SoftTerm, ident, number),
    node(s.PreferTerm, ident),
)
end = node(s.Ident, words | st.just("*"))
setting = node(s.TierSetting, ident, expressions(1) | node(s.Range, number, number))
fleet_entry = st.one_of(node(s.TierDecl, ident, postfix(1), many(setting)), node(s.LinkDecl, end, end, figure, figure))


def declared(kind: Any, *parts: Any) -> Any_:
    return node(kind, *parts, doc=docs)


declaration = st.one_of(
    st.one_of(
        declared(s.UseDecl, module, st.none(), many(ident)),
        declared(s.UseDecl, module, ident, st.just(())),
        declared(s.HandleDecl, ident),
        declared(s.RecordDecl, ident, many(field, 1)),
        declared(s.EnumDecl, ident, many(node(s.CaseDecl, ident, many(field)), 1)),
    ),
    st.one_of(
        [declared(k, ident, value) for k in (s.LetDecl, s.ModelDecl, s.ResourceDecl, s.MemoryDecl, s.ServerDecl)]
    ),
    declared(s.ToolDecl, ident, parameters, shape, postfix(1), many(effect), st.none() | ident),
    declared(
        s.StageDecl,
        node(s.Path, many(ident, 1, 2)),
        parameters,
        shape,
        postfix(1),
        many(node(s.Need, ident, figure)),
    ),
    declared(s.PipelineDecl, ident, parameters, shape, blocks(2)),
    declared(s.AgentDecl, ident, parameters, shape, many(entry, 1)),
    declared(s.GoalDecl, ident, many(term, 1, 5)),
    declared(s.FleetDecl, ident, many(fleet_entry, 1, 4)),
    declared(s.TestDecl, title, blocks(1)),
)
files = node(s.File, docs, many(declaration, most=3))
