"""What the stages of the library are made of: which of their work a plan can place apart, and what each part does.

A tool waits and then computes: the network brings bytes, the CPU reads and checks them. A search turns the question
into a vector, which is a model's work, and looks that up in an index, which is the memory's. This says so for the
compiler (`ir.passes.split_tool`), without loading what runs them.
"""

from __future__ import annotations

from collections.abc import Callable

from ..ir.graph import HandleName
from ..ir.library import Called, Part
from ..lang.types import FLOAT, JSON, TEXT, ListType, OptionType, Primitive, StreamType

BYTES = Primitive("Bytes")
VECTOR = ListType(FLOAT)

_OPERATORS = {
    "embed:embed": "embed",
    "embed:embed_all": "embed",
    "search:rerank": "score",
    "speech:transcribe": "transcribe",
    "speech:speak": "synthesise",
    "memory:load": "load",
    "memory:store": "store",
}


def parts_of(call: Called) -> tuple[Part, ...]:
    """See `ir.library.Library.parts`."""
    split = _SPLIT.get(call.entry)
    if split is not None:
        return split(call)
    word = _OPERATORS.get(call.entry)
    return (_whole(call, word),) if word else ()


def _whole(call: Called, operator: str) -> Part:
    return Part(operator, call.entry, {name: name for name in call.parameters}, acts=True)


def _python(call: Called) -> tuple[Part, ...]:
    """A function runs as one piece: where it may use the network or other programs it waits for these."""
    waits = any(effect.split(" ", 1)[0] in ("network", "process") for effect in call.effects)
    return (_whole(call, "lookup" if waits else "compute"),)


def _read_after(reader: str) -> Callable[[Called], tuple[Part, ...]]:
    """What brings bytes, then `reader`, which makes the declared result of them; bytes and texts are there as they
    are."""

    def split(call: Called) -> tuple[Part, ...]:
        whole = _whole(call, "lookup")
        declared = call.result.element if isinstance(call.result, OptionType) else call.result
        if declared is None or declared in (TEXT, BYTES) or isinstance(declared, StreamType):
            return (whole,)
        return (
            Part("lookup", call.entry, whole.arguments, BYTES, acts=True),
            Part("compute", reader, {"body": 0}),
        )

    return split


def _mcp(call: Called) -> tuple[Part, ...]:
    """A server says more than the result: texts, and structured data. Which is meant is told by the declared type."""
    return (
        Part("lookup", "mcp:ask", {name: name for name in call.parameters}, JSON, acts=True),
        Part("compute", "mcp:read", {"answer": 0}),
    )


def _search(call: Called) -> tuple[Part, ...]:
    index = call.handles.get("self")
    if index is None or not isinstance(index.arguments.get("encoder"), HandleName):
        return (_whole(call, "lookup"),)
    return (
        Part("embed", "embed:embed", {"self": ("self", "encoder"), "text": "question"}, VECTOR),
        Part("lookup", "search:lookup", {"self": "self", "vector": 0, "top": "top"}, acts=True),
    )


def _search_all(call: Called) -> tuple[Part, ...]:
    one = _search(call)
    if len(one) == 1:
        return one
    return (
        Part("embed", "embed:embed_all", {"self": ("self", "encoder"), "texts": "questions"}, ListType(VECTOR)),
        Part("lookup", "search:lookup_all", {"self": "self", "vectors": 0, "top": "top"}, acts=True),
    )


_SPLIT: dict[str, Callable[[Called], tuple[Part, ...]]] = {
    "http:get": _read_after("http:read"),
    "http:post": _read_after("http:read"),
    "mcp:call": _mcp,
    "process:run": _read_after("process:read"),
    "python:call": _python,
    "search:search": _search,
    "search:search_all": _search_all,
}
