"""How a recorded call is known: its name, its arguments as data, and the key by which it is found again.

Handles count by name. A chat is one call to people, though it runs as five stages: what they are called with is
gathered on the way, and told at its end. So a value without a JSON form (token ids, a KV cache) counts as the call that
made it; when it is played back, a `Stand` takes its place. So does what goes from one part of a call to the next, where
the compiler split it (`part_of`): whole calls are known, and by the same key as before they were split.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from typing import cast

from ...ir.graph import KvType, Operation, SamplerType, TokensType
from ..cassettes import Recorded, digest
from ..machine.orders import HandleValue
from ..machine.semantics import leaf
from ..values import to_json
from . import Call

LabelsOf = Callable[[Operation, "str | None"], "tuple[str, ...]"]
"""The labels of an operation's argument by its name, or of its answer (None)."""

PLAIN = ("given", "list", "text")
"""The words of entries that only compute: the same answer always, so they are run, and never recorded."""

_CHAT = ("agent.tokenize", "agent.prefill", "agent.kv_transfer", "agent.sample", "agent.decode", "agent.detokenize")


@dataclass(frozen=True, slots=True)
class Known:
    """A call, as it is known. `arguments` are JSON data; `labels` of each argument that has some; `hidden` goes into
    the key but is no argument."""

    name: str
    key: str
    arguments: dict[str, object] = field(default_factory=dict[str, object])
    labels: dict[str, tuple[str, ...]] = field(default_factory=dict[str, "tuple[str, ...]"])
    hidden: str = ""

    @property
    def all_labels(self) -> set[str]:
        return {label for labels in self.labels.values() for label in labels}


@dataclass(frozen=True, slots=True)
class Stand:
    """Stands for a value that has no JSON form, or is for the next part of a call alone. It has the `answer` that was
    chosen, where all was known by which it is chosen: between the last two stages of a chat, or parts of a call."""

    made: Known
    answer: Recorded | None = None

    async def release(self) -> None:
        """There is nothing to let go of."""


@dataclass(slots=True)
class Chat:
    """A chat between its last two stages: what was said of it so far, and whether it is `told` already."""

    known: Known
    items: list[object] = field(default_factory=list[object])
    told: bool = False


def is_plain(call: Call) -> bool:
    return call.entry.partition(":")[0] in PLAIN


def is_ahead(call: Call) -> bool:
    """Whether it does ahead what a chat would do: it is no call, and no cassette knows of it."""
    return "ahead" in call.operation.attributes


def is_opaque(call: Call) -> bool:
    results = call.operation.results
    return is_partial(call) or (bool(results) and isinstance(results[0].type, KvType | SamplerType | TokensType))


def is_partial(call: Call) -> bool:
    """Whether it is a part of a call that others follow."""
    return bool(call.operation.attributes.get("partial"))


def run_of(call: Call) -> str:
    """The test or pipeline whose run the call belongs to: what its id begins with."""
    return call.operation.id.partition(".")[0]


def streams_of(call: Call) -> dict[str, AsyncIterator[object]]:
    return {
        name: cast("AsyncIterator[object]", value)
        for name, value in call.arguments.items()
        if hasattr(value, "__anext__")
    }


class Keys:
    """Keys of the calls of one shell."""

    def __init__(self, salt: str, labels: LabelsOf) -> None:
        self._salt = salt
        self._labels = labels
        self._made: dict[int, tuple[object, Known]] = {}
        self._streams: dict[tuple[int, tuple[int, ...]], Chat] = {}
        self._parts: dict[tuple[int, tuple[int, ...]], Known] = {}

    def digest(self, value: object) -> str:
        return digest(value, self._salt)

    def of(self, call: Call) -> Known:
        operation = call.operation
        streams = streams_of(call)
        name = _name(call)
        arguments: dict[str, object] = {}
        labels: dict[str, tuple[str, ...]] = {}
        hidden = str(operation.attributes.get("schema") or "")
        said = _said_of(operation)
        for word, value in call.arguments.items():
            if word == "prefix" and operation.name in _CHAT:
                continue  # where a cache was begun changes nothing of the answer
            shown = said.get(word, word)
            before = self._before(call, word, value)
            if before is not None:
                name, hidden = before.name, before.hidden or hidden
                arguments = {**before.arguments, **arguments}
                labels = {**before.labels, **labels}
            elif isinstance(value, HandleValue):
                if word != "self":
                    arguments[shown] = {"handle": value.name}
            elif word not in streams:
                arguments[shown] = to_json(value)
                if of_it := self._labels(operation, word):
                    labels[shown] = of_it
        if operation.name == "agent.detokenize":
            # What ends a text early is not told before: the answer is chosen when decoding starts.
            key = self.digest([name, "decode", {k: v for k, v in arguments.items() if k != "stop"}, hidden])
        elif operation.name in _CHAT:
            key = self.digest([name, operation.name.partition(".")[2], arguments, hidden])
        else:
            key = self.digest([name, arguments, sorted(streams), hidden])
        return Known(name, key, arguments, labels, hidden)

    def answer_labels(self, call: Call, known: Known) -> tuple[str, ...]:
        found = set(self._labels(call.operation, None))
        return tuple(sorted(found | known.all_labels if call.operation.name in _CHAT else found))

    def made(self, call: Call, value: object, known: Known) -> None:
        """A value without a JSON form came out of a call. It is kept, so that no other gets its identity. What a part
        of a call gives has one, and may be any other's as well, so it is known by where it stands."""
        if is_partial(call):
            self._parts[call.operation.results[0].id, call.index] = known
        else:
            self._made[id(value)] = (value, known)

    def decodes(self, call: Call, known: Known) -> Chat:
        """A call sends token ids: who reads them goes on with its chat."""
        chat = self._streams[call.operation.results[0].id, call.index] = Chat(known)
        return chat

    def chat(self, call: Call) -> Chat | None:
        """The chat that a call reads the token ids of, once that has begun."""
        position = leaf(call.operation)[1].index("tokens")
        return self._streams.get((call.operation.operands[position].id, call.index))

    def _before(self, call: Call, word: str, value: object) -> Known | None:
        """The call that made an argument which has no JSON form, or the part before this one."""
        if isinstance(value, Stand):
            return value.made
        if "part_of" in call.operation.attributes:
            names = leaf(call.operation)[1]
            place = call.operation.operands[names.index(word)].id if word in names else -1
            return self._parts.get((place, call.index))
        if id(value) in self._made:
            return self._made[id(value)][1]
        if call.operation.name == "agent.detokenize" and word == "tokens":
            chat = self.chat(call)
            return None if chat is None else chat.known
        return None


def _said_of(operation: Operation) -> Mapping[str, str]:
    """By the parameters of a part, those of the whole call that they were."""
    given = operation.attributes.get("arguments")
    return dict(zip(leaf(operation)[1], cast("tuple[str, ...]", given), strict=True)) if given else {}


def _name(call: Call) -> str:
    """What people call it: the tool, the method of a handle, or the entry."""
    for said in (call.operation.attributes.get("part_of"), call.operation.attributes.get("tool")):
        if isinstance(said, str):
            return said
    receiver = call.arguments.get("self")
    if isinstance(receiver, HandleValue):
        word = "chat" if call.operation.name in _CHAT else call.entry.partition(":")[2]
        return f"{receiver.name}.{word}"
    return call.entry
