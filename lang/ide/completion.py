"""What may be written at the cursor, in a text that most likely does not parse there.

Two things decide. The parser's tables say which keywords fit behind the tokens before the cursor. For names, a word is
put at the cursor where none stands yet, and the text is checked as it then is: the checker repairs what it can, and
tells the type of the value before a point, who is called, and which names are in scope.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import pairwise

from ...base.frozen import frozen
from ..checker.context import Context
from ..checker.symbols import EnumSymbol, Local, ModuleSymbol, PipelineSymbol
from ..program import EnumCase
from ..tokens import RESERVED, Token
from ..types import EnumType, Primitive, Type
from . import items, words
from .analysis import Analysis
from .cursor import Cursor
from .items import Item
from .scope import locals_at

Look = Callable[[str], Analysis]
# Stands where nothing is written yet. No file has it, and it is no keyword.
_WORD = "completion_"
_DURATIONS = ("timeout", "idle", "pause", "backoff", "after", "cache")
_COMMON_LABELS = ("pii", "internal", "untrusted")


@frozen
class World:
    """What lies outside of the text: modules of the library, files that could be imported, devices of the catalogue."""

    modules: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    devices: tuple[str, ...] = ()


def completion(text: str, offset: int, look: Look, world: World) -> tuple[int, tuple[Item, ...]]:
    """Where the word at the cursor begins, and what may stand there, the likeliest first. `look` analyses a text."""
    cursor = Cursor(text, offset)
    if not cursor.in_code:
        return offset, ()
    found: dict[str, Item] = {}
    for item in _Finder(cursor, look, world).items():
        found.setdefault(item.label, item)
    ranked = sorted(found.values(), key=lambda item: item.rank)
    if text[offset : offset + 1] == "(":
        # The brackets are there already.
        ranked = [Item(i.label, i.kind, i.detail, i.doc, None, i.rank) for i in ranked]
    return cursor.start, tuple(ranked)


class _Finder:
    def __init__(self, cursor: Cursor, look: Look, world: World) -> None:
        self.cursor = cursor
        self.world = world
        self._look = look
        self._analysis: Analysis | None = None

    # --- what is known

    @property
    def analysis(self) -> Analysis:
        """Of the text with a word at the cursor."""
        if self._analysis is None:
            cursor = self.cursor
            word = cursor.word
            if not word or word in RESERVED:
                word = word + _WORD
            behind = " => 0" if cursor.expects_pattern and not self.in_brackets("LPAR") else ""
            end = cursor.offset
            self._analysis = self._look(cursor.text[: cursor.start] + word + behind + cursor.text[end:])
        return self._analysis

    @property
    def context(self) -> Context | None:
        return self.analysis.context

    def in_brackets(self, kind: str) -> bool:
        return bool(self.cursor.open) and self.cursor.open[-1].kind == kind

    def at(self, token: Token) -> int:
        """Where a token ends in the text."""
        return self.cursor.head + token.end

    def before(self, token: Token) -> Token | None:
        tokens = self.cursor.tokens
        position = next((i for i, t in enumerate(tokens) if t is token), 0)
        return tokens[position - 1] if position else None

    # --- which list

    def items(self) -> Iterator[Item]:
        cursor = self.cursor
        kinds = cursor.kinds(3)
        last = kinds[-1] if kinds else ""
        match cursor.word_of_declaration:
            case "use":
                yield from self.imports(kinds)
                return
            case "goal":
                special = self.goal(kinds)
            case "fleet":
                special = self.fleet(kinds)
            case "agent":
                special = self.agent(kinds)
            case "tool" | "stage":
                special = self.tool(kinds)
            case _:
                special = None
        if special is not None:
            yield from special
        elif cursor.number is not None:
            yield from items.units(self.measured())
            yield from self.keywords()
        elif last == "DOT":
            yield from self.members()
        elif last == "LABEL":
            yield from items.plain(self.labels(), "label")
        elif self.catches():
            yield from items.table({name: (name, text) for name, text in words.REASONS.items()}, "reason")
        elif last == "drop":
            yield from items.plain(("oldest",), "keyword")
        elif kinds[-2:] == ["place", "on"]:
            yield from items.plain(self.context.tiers if self.context else (), "tier")
        elif last == "given":
            yield from items.names(self.context) if self.context else ()
        elif cursor.expects_type:
            yield from items.types(self.context) if self.context else ()
            yield from self.keywords()
        elif cursor.expects_pattern:
            yield from self.patterns()
        elif cursor.expects_value:
            if last == "COMMA" and self.behind_with():
                yield from items.table(words.POLICIES, "policy")
            yield from self.values(last)
        elif not cursor.tokens:
            yield from items.table(words.DECLARATIONS, "declaration", items.KEYWORDS)
        elif last == "COMMA" and self.behind_with():
            yield from items.table(words.POLICIES, "policy")
        elif cursor.takes:
            yield from self.keywords()
        elif self.in_brackets("LBRACE") or self.in_brackets("LPAR"):
            # What stands before does not parse; names are the best guess.
            yield from self.values(last)

    def keywords(self) -> Iterator[Item]:
        for word in self.cursor.keywords():
            insert, text = words.POLICIES.get(word, (None, "")) if "TIMEOUT" in self.cursor.takes else (None, "")
            yield Item(word, "keyword", text, insert=insert, rank=items.KEYWORDS)

    # --- names

    def values(self, last: str) -> Iterator[Item]:
        context = self.context
        if context is None:
            return
        if last in ("LPAR", "COMMA") and self.in_brackets("LPAR"):
            yield from self.arguments()
        yield from items.cases_of(context, self.expected(last))
        inner = self.analysis.at(self.cursor.start)
        yield from (items.of(local, items.NEAR) for local in reversed(locals_at(self.analysis, inner)))
        yield from items.names(context)
        yield from items.cases(context)
        yield from self.keywords()
        yield Item("none", "value", "no value", rank=items.COMMON)

    def expected(self, last: str) -> Type | None:
        """The type that the values around want at the cursor."""
        start = self.analysis.at(self.cursor.start)
        for (path, at, _), wanted in self.analysis.facts.expected.items():
            if at == start and path == self.analysis.path:
                return wanted
        if last in ("EQ", "NE") and len(self.cursor.tokens) > 1:
            found = self.analysis.index.ending(self.at(self.cursor.tokens[-2]))
            return None if found is None else found.type
        return None

    def arguments(self) -> Iterator[Item]:
        opening = self.cursor.open[-1]
        name = self.before(opening)
        word = self.analysis.index.word(self.at(name)) if name is not None and name.kind == "NAME" else None
        if word is None:
            return
        inside = self.cursor.tokens[self.cursor.tokens.index(opening) + 1 :]
        given = [a.text for a, b in pairwise(inside) if a.kind == "NAME" and b.kind == "COLON"]
        parameters = items.parameters_of(word.mention.thing)
        # Arguments by position come first, in declared order.
        positional = 0 if given else sum(1 for token in inside if token.kind == "COMMA")
        yield from items.arguments(parameters[positional:], given)

    def members(self) -> Iterator[Item]:
        tokens = self.cursor.tokens
        if len(tokens) < 2:
            return
        base = tokens[-2]
        if base.text == "catalog":
            yield from items.plain(self.world.devices, "device")
            return
        context = self.context
        if context is None:
            return
        word = self.analysis.index.word(self.at(base)) if base.kind == "NAME" else None
        thing = None if word is None else word.mention.thing
        if isinstance(thing, ModuleSymbol):
            found = items.module_members(thing)
            yield from (i for i in found if not self.cursor.expects_type or i.kind in ("record", "enum"))
        elif isinstance(thing, EnumSymbol):
            yield from items.enum_members(thing.declaration)
        elif (
            isinstance(thing, Local) and isinstance(thing.type, EnumType) and self.cursor.word_of_declaration == "goal"
        ):
            yield from items.cases_of(context, thing.type)
        elif (value := self.analysis.index.ending(self.at(base))) is not None:
            yield from items.members(context, value.type)
        elif word is not None and isinstance(thing, Local):
            yield from items.members(context, thing.type)

    # --- patterns

    def patterns(self) -> Iterator[Item]:
        cursor, context = self.cursor, self.context
        if context is None or not cursor.open:
            return
        opening = cursor.open[-1]
        name = self.before(opening)
        if opening.kind == "LPAR":
            # What an arm binds is most often called as the field is.
            word = self.analysis.index.word(self.at(name)) if name is not None else None
            if word is not None and isinstance(word.mention.thing, EnumCase):
                inside = cursor.tokens[cursor.tokens.index(opening) + 1 :]
                position = sum(1 for token in inside if token.kind == "COMMA")
                fields = word.mention.thing.payload[position : position + 1]
                yield from items.plain((field.name for field in fields), "binder")
            yield Item("_", "keyword", "not needed", rank=items.KEYWORDS)
            return
        subject = self.analysis.index.ending(self.at(name)) if name is not None else None
        inside = cursor.tokens[cursor.tokens.index(opening) + 1 :]
        taken = [t.text for t in inside if t.kind == "NAME" and (t.first or self.before(t) is opening)]
        yield from items.patterns(context, None if subject is None else subject.type, taken)

    # --- declarations with words of their own

    def imports(self, kinds: list[str]) -> Iterator[Item]:
        cursor = self.cursor
        tokens = cursor.tokens
        if any(token.kind == "COLON" for token in tokens):
            context = self.context
            path = "".join(token.text for token in tokens[1 : [t.kind for t in tokens].index("COLON")])
            interface = context.interfaces.get(path) if context is not None else None
            for name, member in interface.names.items() if interface is not None else ():
                found = items.of(member, items.NEAR, name)
                yield Item(name, found.kind, found.detail, found.doc, None, items.NEAR)
        elif kinds[-1] == "use":
            yield from items.plain((f"std/{name}" for name in self.world.modules), "module")
            yield from items.plain(self.world.files, "file")
        elif kinds[-2:] == ["std", "SLASH"]:
            yield from items.plain(self.world.modules, "module")
        elif kinds[-1] == "SLASH":
            written = "".join(token.text for token in tokens[1:])
            files = (file.removeprefix(written) for file in self.world.files if file.startswith(written))
            yield from items.plain(files, "file")
        else:
            yield from self.keywords()

    def goal(self, kinds: list[str]) -> Iterator[Item] | None:
        cursor, last = self.cursor, kinds[-1]
        context = self.context
        symbols = [] if context is None else [s for s in context.names.values() if isinstance(s, PipelineSymbol)]
        if last == "goal":
            return items.plain((symbol.name for symbol in symbols if "." not in symbol.name), "pipeline")
        if last == "prefer":
            return items.plain(words.AIMS, "keyword")
        if last == "soft":
            return items.plain(words.METRICS, "metric")
        if last == "LSQB" or (last == "COMMA" and self.in_brackets("LSQB")):
            return items.plain(context.tiers if context else (), "tier")
        if last in words.METRICS and cursor.number is None:
            return items.plain((*words.PERCENTILES, "<="), "percentile")
        if "ASSUME" in cursor.takes:
            return items.table(words.GOAL_TERMS, "keyword")
        if len(cursor.open) == 2 and (cursor.first or last in ("LBRACE", "COMMA")):
            name = cursor.tokens[1].text if len(cursor.tokens) > 1 else ""
            return (i for symbol in symbols if symbol.name == name for i in items.assumable(symbol))
        return None

    def fleet(self, kinds: list[str]) -> Iterator[Item] | None:
        cursor, last = self.cursor, kinds[-1]
        if last in ("link", "BETWEEN"):
            names = (b.text for a, b in pairwise(cursor.tokens) if a.text == "tier")
            return items.plain((*names, "*"), "tier")
        if kinds[0] == "tier" and last == "IS":
            yield_ = [
                Item("catalog", "builtin", "a device that the catalogue knows", insert="catalog.", rank=items.NEAR)
            ]
            yield_.append(Item("endpoint", "builtin", words.BUILTINS["endpoint"][1], insert='endpoint("$0")'))
            return iter(yield_)
        if len(cursor.open) == 2 and (cursor.first or last in ("LBRACE", "COMMA")):
            return items.table(words.TIER_SETTINGS, "setting")
        return None

    def agent(self, kinds: list[str]) -> Iterator[Item] | None:
        context, last = self.context, kinds[-1]
        inside = bool(self.cursor.open) and self.cursor.open[0].kind == "LBRACE"
        if context is None or not inside:
            return None
        if last == "model":
            return items.handles(context, "llm.Model")
        if self.in_brackets("LSQB") and last in ("LSQB", "COMMA"):
            return items.usable(context)
        if "TOOLS" in self.cursor.takes:
            snippets = {
                "model": ("model $0", "the model that decides"),
                "tools": ("tools [$0]", "what it may call"),
                "at most": ("at most ${1:6} steps", "how often it may call the model"),
                "system": ('system "$0"', "what the model is told"),
            }
            return items.table(snippets, "keyword")
        return None

    def tool(self, kinds: list[str]) -> Iterator[Item] | None:
        opening = self.cursor.open[-1] if self.cursor.open else None
        before = None if opening is None else self.before(opening)
        if opening is not None and opening.kind == "LSQB" and before is not None and kinds[-1] in ("LSQB", "COMMA"):
            if before.text == "effects":
                return items.table(words.EFFECTS, "keyword")
            if before.text == "needs":
                return items.table(words.NEEDS, "keyword")
        if kinds[-2:] == ["idempotent", "by"]:
            inner = self.analysis.at(self.cursor.start)
            return (items.of(local, items.NEAR) for local in locals_at(self.analysis, inner))
        if kinds[-1] == "IS" and self.context is not None:
            python = Item("python", "builtin", words.BUILTINS["python"][1], insert='python("$0")', rank=items.NEAR)
            return iter([python, *items.names(self.context)])
        return None

    # --- small things

    def behind_with(self) -> bool:
        """Whether policies stand before the cursor, with no bracket between."""
        depth = 0
        for token in reversed(self.cursor.tokens):
            depth += (token.kind in ("RPAR", "RSQB", "RBRACE")) - (token.kind in ("LPAR", "LSQB", "LBRACE"))
            if depth < 0 or (depth == 0 and token.first and token.kind != "WITH"):
                return False
            if depth == 0 and token.kind == "WITH":
                return True
        return False

    def catches(self) -> bool:
        """Whether reasons of a failure stand here: behind `otherwise on`, or a comma behind one."""
        tokens = self.cursor.tokens
        at = len(tokens) - 1
        while at > 1 and tokens[at].kind == "COMMA" and tokens[at - 1].kind == "NAME":
            at -= 2
        return at >= 1 and tokens[at].text == "on" and tokens[at - 1].kind == "OTHERWISE"

    def measured(self) -> Type | None:
        """What a number at the cursor measures, where the word before it or the argument says so."""
        cursor = self.cursor
        number = cursor.tokens[-1] if cursor.tokens and cursor.tokens[-1].kind in ("NUMBER", "QUANTITY") else None
        before = None if number is None else self.before(number)
        if before is None:
            return None
        if before.text in _DURATIONS:
            return Primitive("Duration")
        start = self.analysis.at(cursor.head + (number.start if number is not None else 0))
        for (path, at, _), wanted in self.analysis.facts.expected.items():
            if at == start and path == self.analysis.path:
                return wanted
        return None

    def labels(self) -> Iterable[str]:
        """The labels that the file has, then those that many have."""
        from ..scanner import scan

        tokens = scan(self.analysis.source).tokens
        own = (b.text for a, b in pairwise(tokens) if a.kind == "LABEL" and b.kind == "NAME")
        return dict.fromkeys(name for name in (*own, *_COMMON_LABELS) if name != _WORD)
