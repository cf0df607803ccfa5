"""How a recorded call is known: its name, its arguments as data, and the key by which it is found again.

Handles count by name. A chat is one call to people, though it runs as five stages: what they are called with is
gathered on the way, and told at its end. So a value without a JSON form (token ids, a KV cache) counts as the call that
made it; when it is played back, a `Stand` takes its place.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import cast

from ...ir.graph import KvType, Operation, TokensType
from ..cassettes import Recorded, digest
from ..machine.orders import HandleValue
from ..machine.semantics import leaf
from ..values import to_json
from . import Call

LabelsOf = Callable[[Operation, "str | None"], "tuple[str, ...]"]
"""The labels of an operation's argument by its name, or of its answer (None)."""

PLAIN = ("given", "list", "text")
"""The words of entries that only compute: the same answer always, so they are run, and never recorded."""

_CHAT = ("agent.tokenize", "agent.prefill", "agent.kv_transfer", "agent.decode", "agent.detokenize")


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
    """Stands for a value that has no JSON form. Between the last two stages of a chat it has the `answer` that was
    chosen."""

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
    return bool(results) and isinstance(results[0].type, KvType | TokensType)


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

    def digest(self, value: object) -> str:
        return digest(value, self._salt)

    def of(self, call: Call) -> Known:
        operation = call.operation
        streams = streams_of(call)
        name = _name(call)
        arguments: dict[str, object] = {}
        labels: dict[str, tuple[str, ...]] = {}
        hidden = str(operation.attributes.get("schema") or "")
        for word, value in call.arguments.items():
            if word == "prefix" and operation.name in _CHAT:
                continue  # where a cache was begun changes nothing of the answer
            before = self._before(call, word, value)
            if before is not None:
                name, hidden = before.name, before.hidden or hidden
                arguments = {**before.arguments, **arguments}
                labels = {**before.labels, **labels}
            elif isinstance(value, HandleValue):
                if word != "self":
                    arguments[word] = {"handle": value.name}
            elif word not in streams:
                arguments[word] = to_json(value)
                if of_it := self._labels(operation, word):
                    labels[word] = of_it
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

    def made(self, value: object, known: Known) -> None:
        """A value without a JSON form came out of a call. It is kept, so that no other gets its identity."""
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
        """The call that made an argument which has no JSON form."""
        if isinstance(value, Stand):
            return value.made
        if id(value) in self._made:
            return self._made[id(value)][1]
        if call.operation.name == "agent.detokenize" and word == "tokens":
            chat = self.chat(call)
            return None if chat is None else chat.known
        return None


def _name(call: Call) -> str:
    """What people call it: the tool, the method of a handle, or the entry."""
    tool = call.operation.attributes.get("tool")
    if isinstance(tool, str):
        return tool
    receiver = call.arguments.get("self")
    if isinstance(receiver, HandleValue):
        word = "chat" if call.operation.name in _CHAT else call.entry.partition(":")[2]
        return f"{receiver.name}.{word}"
    return call.entry
