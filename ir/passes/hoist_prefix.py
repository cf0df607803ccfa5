"""What several prompts begin with is prefilled once, before them, and each goes on from there.

    for question in questions {                      begin = tokenize(self, "Read this: {page}\\nThen say: ") {ahead}
      ids  = tokenize(self, "Read this:       =>     kv0   = prefill(self, begin) {ahead}
               {page}\\nThen say: {question}")        for question in questions {
      kv   = prefill(self, ids)                        ids = tokenize(self, "Read this: {page}\\nThen say: {question}")
      …                                                kv  = prefill(self, ids, prefix = kv0)
    }                                                  …
                                                     }

Prompts of one model, of one run, that begin with the same system text, the same written text and the same values are
found by what they are put together from: templates in templates and texts that are joined, up to where they differ.
What they share is prefilled

- where all of them can see it: in the innermost body around them, out of as many loops as what it is made of allows;
- one beginning behind another, where some share more: a text of the program once for all, a document once for its turn;
- if that is worth it: if what it saves by the turns that are to be expected is more than a prefill costs besides its
  tokens (it reads the weights once), and at least some tokens.

A tokenizer merges letters across any border, and a chat template is a program. So the beginning is compared in tokens
when it runs: a prefill uses what the cache has of its own tokens, and computes the others. The answer is that of a
plain prefill in any case. What is done ahead is never waited for at the end and fails nobody (docs/execution.md), so it
may stand outside of `otherwise`, `race` and `with`.

What a turn of a conversation adds to the last one is known to the engine only, and left to it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ...base.problems import Problems
from ...lang.types import MESSAGE, TEXT, ListType
from .. import _mlir
from ..carried import label
from ..demand.sizing import LIST_ITEMS, NUMBER_TOKENS, TEXT_TOKENS, text_tokens
from ..dialect.types import from_mlir, to_mlir
from ..library import Library
from .beginnings import FINISHED, Node, Piece, labels_in, pieces_of
from .facts import LOOPS, bodies, text

TURNS = 4.0
"""Of a `repeat`, as far as it may take so many."""


def run(module: Any, library: Library, *, least: int = 16, cost: int = 32) -> Problems:
    """`least` is how many tokens a beginning must have, by estimate; `cost` what a prefill costs besides its tokens, in
    tokens (measured on a model of 135M: 26)."""
    del library
    for body in bodies(module):
        seen = _Seen()
        seen.block(body.regions[0].blocks[0], ())
        for calls in seen.models.values():
            root = Node[_Call]()
            for call in calls:
                root.add(call.pieces, call)
            _Hoisting(seen, calls, least, cost).below(root)
    return ()


@dataclass(frozen=True, slots=True)
class _Level:
    """A body around a call, and the operation in it that is the call or holds it. `path` says in which of its bodies,
    for those of which one is taken."""

    block: int
    operation: Any
    path: int = 0


@dataclass(slots=True)
class _Call:
    """A prefill, the tokens that it fills in, and the bodies around it, outermost first."""

    tokenize: Any
    prefill: Any
    around: tuple[_Level, ...]
    pieces: tuple[Piece, ...]

    @property
    def model(self) -> Any:
        return self.prefill.operands[0]


class _Seen:
    """One walk over a body: its prefills by model, in which block each value is made, and the ids that are taken."""

    def __init__(self) -> None:
        self.models: dict[Any, list[_Call]] = {}
        self.made: dict[Any, int] = {}
        self.ids: set[str] = set()
        self._blocks = 0

    def block(self, block: Any, around: tuple[_Level, ...]) -> None:
        number = self._blocks
        self._blocks += 1
        for argument in block.arguments:
            self.made[argument] = number
        for operation in _mlir.operations(block):
            self.ids.add(text(operation, "id") or "")
            for value in operation.results:
                self.made[value] = number
            path = 0
            for region in operation.regions:
                for inner in region.blocks:
                    self.block(inner, (*around, _Level(number, operation, path)))
                    path += 1
            if operation.name == "agent.prefill":
                self._prefill(operation, (*around, _Level(number, operation)))

    def _prefill(self, prefill: Any, around: tuple[_Level, ...]) -> None:
        tokens = _mlir.owner(prefill.operands[1])
        if len(prefill.operands) != 2 or "ahead" in prefill.attributes or tokens is None:
            return
        if tokens.name == "agent.tokenize" and "ahead" not in tokens.attributes:
            model = _mlir.owner(prefill.operands[0])
            key = prefill.operands[0] if model is None or model.name != "agent.open" else text(model, "name")
            call = _Call(tokens, prefill, around, pieces_of(tokens))
            self.models.setdefault(key, []).append(call)


class _Hoisting:
    """Of one model in one body."""

    def __init__(self, seen: _Seen, calls: list[_Call], least: int, cost: int) -> None:
        self._seen = seen
        self._least = least
        self._cost = cost
        self._order = {id(call): number for number, call in enumerate(calls)}

    def below(self, root: Node[_Call]) -> None:
        """All of a tree, from its root on. On the way down goes what is prefilled so far: its cache, or None, and its
        pieces."""
        nothing: tuple[Piece, ...] = ()
        waiting: list[tuple[Node[_Call], tuple[Piece, ...], Any, tuple[Piece, ...]]] = [(root, (), None, nothing)]
        while waiting:
            node, pieces, cache, done = waiting.pop()
            if pieces:
                calls = sorted(node.all(), key=lambda call: self._order[id(call)])
                level = self._place(calls, pieces)
                if not self._longer(node, level) and self._worth(calls, level, _rest(pieces, done)):
                    cache, done = self._ahead(calls, level, pieces, cache), pieces
            if cache is not None:
                for call in node.ending:
                    _continue(call, cache)
            waiting += [(child, _joined(pieces, piece), cache, done) for piece, child in reversed(node.following())]

    def _place(self, calls: Sequence[_Call], pieces: Sequence[Piece]) -> int:
        """How deep in the bodies around all of the calls the beginning goes: out of the outermost loop that does not
        make what it needs; else into the innermost."""
        first = calls[0].around
        shared = 1
        while all(len(call.around) > shared and _same(call.around, first, shared) for call in calls):
            shared += 1
        if first[shared - 1].operation.name == "agent.arm":
            shared -= 1
        numbers = {level.block: depth for depth, level in enumerate(first)}
        needed = max((numbers[self._seen.made[p.value]] for p in pieces if p.value is not None), default=0)
        for depth in range(needed, shared - 1):
            if first[depth].operation.name in LOOPS:
                return depth
        return shared - 1

    def _longer(self, node: Node[_Call], level: int) -> bool:
        """Whether all that begins so goes on in one way, which can be prefilled at the same place."""
        following = node.following()
        if node.ending or len(following) != 1:
            return False
        piece, child = following[0]
        return self._place(list(child.all()), (piece,)) <= level

    def _worth(self, calls: Sequence[_Call], level: int, pieces: Sequence[Piece]) -> bool:
        tokens = sum(map(_tokens, pieces))
        return tokens >= self._least and (_uses(calls, level) - 1.0) * tokens >= max(1, self._cost)

    # --- what is made ------------------------------------------------------------------------------------------------

    def _ahead(self, calls: Sequence[_Call], level: int, pieces: tuple[Piece, ...], begun: Any) -> Any:
        first = calls[0]
        before = first.around[level].operation
        if before.operation == first.prefill.operation:
            before = first.tokenize
        made = _Making(self._seen, first, before)
        model = first.model
        if self._seen.made[model] not in [each.block for each in first.around[: level + 1]]:
            name = text(_mlir.owner(model), "name")
            model = made.add("open", "agent.open", (), model.type, {"name": name})
        at = pieces.index(FINISHED) if FINISHED in pieces else len(pieces)
        system, prompt = pieces[:at], pieces[at + 1 :]
        said = [model, made.text("prompt", prompt) if prompt else made.nothing()]
        names = ["self", "prompt"]
        if system:
            said.append(made.text("system", system))
            names.append("system")
        attributes = {"entry": "llm:tokenize", "parameters": names, "ahead": True}
        tokens = made.add("tokenize", "agent.tokenize", said, first.tokenize.results[0].type, attributes)
        names = ["self", "tokens", *(["prefix"] if begun is not None else ())]
        operands = [model, tokens, *([begun] if begun is not None else ())]
        attributes = {"entry": "llm:prefill", "parameters": names, "ahead": True}
        return made.add("prefill", "agent.prefill", operands, first.prefill.results[0].type, attributes)


_WORDS = ("open", "prompt", "system", "tokenize", "prefill")


class _Making:
    """Makes operations before another, at the place of the first call that they are for, with ids of their own."""

    def __init__(self, seen: _Seen, call: _Call, before: Any) -> None:
        self._ids = seen.ids
        self._place = call.tokenize.location
        self._before = before
        stem = (text(call.tokenize, "id") or "").removesuffix(".tokenize")
        name, number = f"{stem}.prefix", 1
        while any(f"{name}.{word}" in self._ids for word in _WORDS):
            number += 1
            name = f"{stem}.prefix_{number}"
        self._stem = name

    def add(self, word: str, name: str, operands: Sequence[Any], result: Any, attributes: dict[str, Any]) -> Any:
        identity = f"{self._stem}.{word}"
        self._ids.add(identity)
        made = _mlir.create(
            name, operands=operands, results=[result], attributes={"id": identity, **attributes}, place=self._place
        )
        _mlir.core.InsertionPoint(self._before).insert(made)
        return made.results[0]

    def text(self, word: str, pieces: Sequence[Piece]) -> Any:
        """The text of the pieces, with their labels."""
        labels = labels_in(pieces)
        if len(pieces) == 1 and not labels:
            (piece,) = pieces
            if piece.value is None:
                return self.add(word, "agent.constant", (), to_mlir(TEXT), {"value": piece.text})
            if from_mlir(piece.value.type) == TEXT:
                return piece.value
        holes = [piece.value for piece in pieces if piece.value is not None]
        numbers = iter(range(len(holes)))
        parts = [piece.text if piece.value is None else next(numbers) for piece in pieces]
        made = self.add(word, "agent.template", holes, to_mlir(TEXT), {"parts": parts})
        label(_mlir.owner(made), labels)
        return made

    def nothing(self) -> Any:
        """No messages."""
        return self.add("prompt", "agent.list", (), to_mlir(ListType(MESSAGE)), {})


def _continue(call: _Call, cache: Any) -> None:
    """The prefill goes on from the cache."""
    old = call.prefill
    attributes = _mlir.attributes_of(old)
    attributes["parameters"] = [*attributes["parameters"], "prefix"]
    operands = [*old.operands, cache]
    types = [value.type for value in old.results]
    new = _mlir.create("agent.prefill", operands=operands, results=types, attributes=attributes, place=old.location)
    _mlir.core.InsertionPoint(old).insert(new)
    old.results[0].replace_all_uses_with(new.results[0])
    old.erase()
    call.prefill = new


# --- how much, how often ---------------------------------------------------------------------------------------------


def _tokens(piece: Piece) -> float:
    if piece.value is None:
        return text_tokens(piece.text)
    return TEXT_TOKENS if from_mlir(piece.value.type) == TEXT else NUMBER_TOKENS


def _rest(pieces: tuple[Piece, ...], done: tuple[Piece, ...]) -> tuple[Piece, ...]:
    """The pieces without those at their beginning: the last of them may be a part of a longer text."""
    if not done:
        return pieces
    last, same = done[-1], pieces[len(done) - 1]
    return (Piece(same.text[len(last.text) :], None, same.labels), *pieces[len(done) :])


def _joined(pieces: tuple[Piece, ...], piece: Piece) -> tuple[Piece, ...]:
    """The pieces and one more; a text goes on in the text before it."""
    if pieces and pieces[-1].goes_on(piece):
        return (*pieces[:-1], Piece(pieces[-1].text + piece.text, None, piece.labels))
    return (*pieces, piece)


def _uses(calls: Sequence[_Call], depth: int) -> float:
    """How many of the calls a turn of the body at that depth makes, by estimate: of branches the most, of what is only
    a fallback none."""
    direct = [call for call in calls if len(call.around) == depth + 1]
    inside: dict[Any, list[_Call]] = {}
    for call in calls:
        if len(call.around) > depth + 1:
            inside.setdefault(call.around[depth].operation, []).append(call)
    return len(direct) + sum(_uses_in(operation, held, depth) for operation, held in inside.items())


def _uses_in(operation: Any, calls: Sequence[_Call], depth: int) -> float:
    by_path: dict[int, list[_Call]] = {}
    for call in calls:
        by_path.setdefault(call.around[depth].path, []).append(call)
    uses = {path: _uses(held, depth + 1) for path, held in by_path.items()}
    match operation.name:
        case "agent.if":
            return max(uses.values())
        case "agent.match":
            # Its arms are operations in its body.
            arms: dict[Any, list[_Call]] = {}
            for call in calls:
                arms.setdefault(call.around[depth + 1].operation, []).append(call)
            return max(_uses(held, depth + 1) for held in arms.values())
        case "agent.try":
            return uses.get(0, 0.0)
        case "agent.repeat":
            return sum(uses.values()) * min(TURNS, float(_mlir.plain(operation.attributes["at_most"])))
        case "agent.map":
            return sum(uses.values()) * _items(operation.operands[0])
        case _:
            return sum(uses.values())


def _items(over: Any) -> float:
    made = _mlir.owner(over)
    if made is not None and made.name == "agent.list":
        return float(len(made.operands))
    if made is not None and made.name == "agent.constant":
        return float(len(_mlir.plain(made.attributes["value"])))
    return LIST_ITEMS


def _same(around: tuple[_Level, ...], other: tuple[_Level, ...], depth: int) -> bool:
    return around[depth].block == other[depth].block
