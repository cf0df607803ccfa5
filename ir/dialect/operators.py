"""What a stage is where it counts for a plan: work of a model that is no chat, or a part of a tool's call.

They are leaves as `agent.stage` is, which the kind behind their `entry` runs. A stage becomes one of them, or two of
them one after the other, as the library answers (see `ir.passes.split_tool`); what nobody knows more of stays a stage.
Where a call became several, each says of which call it is a `part_of`, and all but the last that it is `partial`: what
such a part gives is for the next alone, and whoever writes down or asks for answers asks for those of the whole call.
`arguments` are the names that the call has for what a part takes, where they are others than its own.
"""

from __future__ import annotations

from collections.abc import Iterator

from ...lang.types import FLOAT, TEXT, HandleType, ListType, Primitive, StreamType, TensorType
from ..graph import KvType, SamplerType, TokensType, ValueType
from .spec import ANY_NUMBER, Is, View, arguments, operation
from .stages import CALLED, LEAF, batch_rule, effects, entry_rule

PART = {"part_of": Is.TEXT, "partial": Is.BOOLEAN, "arguments": Is.TEXTS}
_OPTIONAL = {**CALLED, **PART}
_LINKED = {**_OPTIONAL, "functions": Is.TEXTS}
"""`functions` names the model operations that do the work, where they are linked in."""

_AUDIO = Primitive("Audio")
_VECTOR = ListType(FLOAT)


def _leaf(op: View) -> Iterator[str]:
    yield from entry_rule(op)
    yield from arguments(op)
    yield from effects(op.attributes.get("effects", ()))
    yield from batch_rule(op)
    if op.attributes.get("partial") and "part_of" not in op.attributes:
        yield "is partial, but does not say of what it is a part"
    if len(op.attributes.get("arguments", op.operands)) != len(op.operands):
        yield f"takes {len(op.operands)} operands, but says of {len(op.attributes['arguments'])} what they are"
    if op.attributes["entry"].startswith("llm:"):
        yield "has the entry of a chat's stage, which has an operation of its own"


def _of_a_model(op: View) -> Iterator[str]:
    yield from _leaf(op)
    if not isinstance(op.named("self"), HandleType):
        yield f"is the work of a model, not of {op.named('self')}"


def _some(op: View, *wanted: ValueType) -> bool:
    """Whether an operand has one of the types, or is a list or stream of it."""
    return any(
        given in wanted or (isinstance(given, ListType | StreamType) and given.element in wanted)
        for given in op.operands
    )


@operation("embed", operands=ANY_NUMBER, attributes=LEAF, optional=_LINKED)
def embed(op: View) -> Iterator[str]:
    """Texts to vectors whose angle says how near their meanings are: one text to one list of numbers, several to a list
    of them.

    %1 = "agent.embed"(%encoder, %0) {entry = "embed:embed", parameters = ["self", "text"]}
      : (!agent.handle_of<"embed.Encoder">, !agent.text) -> !agent.list_of<!agent.float>
    """
    yield from _of_a_model(op)
    if not _some(op, TEXT):
        yield "embeds no text"
    if op.result not in (_VECTOR, ListType(_VECTOR)) and not isinstance(op.result, TensorType):
        yield f"gives vectors, not {op.result}"


@operation("score", operands=ANY_NUMBER, attributes=LEAF, optional=_LINKED)
def score(op: View) -> Iterator[str]:
    """How well things fit a question, by a model that reads both together: the best of them, or a number for each.

    %1 = "agent.score"(%judge, %0, %q) {entry = "search:rerank", parameters = ["self", "passages", "question"]}
      : (…) -> !agent.list_of<!agent.record_of<"search.Passage">>
    """
    yield from _of_a_model(op)
    if not isinstance(op.result, ListType) and op.result != FLOAT:
        yield f"gives what was scored or the scores, not {op.result}"


@operation("transcribe", operands=ANY_NUMBER, attributes=LEAF, optional=_OPTIONAL)
def transcribe(op: View) -> Iterator[str]:
    """Speech to text, whole or as it comes.

    %1 = "agent.transcribe"(%ears, %0) {entry = "speech:transcribe", parameters = ["self", "audio"]}
      : (!agent.handle_of<"speech.Recognizer">, !agent.audio) -> !agent.text
    """
    yield from _of_a_model(op)
    if not _some(op, _AUDIO):
        yield "hears nothing: none of what it takes is Audio"
    if op.result not in (TEXT, StreamType(TEXT)):
        yield f"gives Text, not {op.result}"


@operation("synthesise", operands=ANY_NUMBER, attributes=LEAF, optional=_OPTIONAL)
def synthesise(op: View) -> Iterator[str]:
    """Text to speech, whole or as it comes.

    %1 = "agent.synthesise"(%mouth, %0) {entry = "speech:speak", parameters = ["self", "text"]}
      : (!agent.handle_of<"speech.Voice">, !agent.stream_of<!agent.text>) -> !agent.stream_of<!agent.audio>
    """
    yield from _of_a_model(op)
    if not _some(op, TEXT):
        yield "says nothing: none of what it takes is Text"
    if op.result not in (_AUDIO, StreamType(_AUDIO)):
        yield f"gives Audio, not {op.result}"


@operation("lookup", operands=ANY_NUMBER, attributes=LEAF, optional=_OPTIONAL)
def lookup(op: View) -> Iterator[str]:
    """The part of a tool that waits: for the network, a disk, an index, another program. It has the effects of the
    call, and its settings.

    %1 = "agent.lookup"(%0) {entry = "http:get", parameters = ["id"], tool = "order", part_of = "order", partial = true,
                             settings = {url = "…"}, effects = ["network"]} : (!agent.int) -> !agent.bytes
    """
    yield from _leaf(op)
    yield from _no_model(op)


@operation("compute", operands=ANY_NUMBER, attributes=LEAF, optional=_OPTIONAL)
def compute(op: View) -> Iterator[str]:
    """The part of a tool that uses the CPU: it parses, checks, runs Python. It does not use the network.

    %2 = "agent.compute"(%1) {entry = "http:read", parameters = ["body"], tool = "order", part_of = "order"}
      : (!agent.bytes) -> !agent.record_of<"Order">
    """
    yield from _leaf(op)
    yield from _no_model(op)
    if any(effect.split(" ", 1)[0] == "network" for effect in op.attributes.get("effects", ())):
        yield "uses the network, which is for a lookup"


def _of_a_memory(op: View) -> Iterator[str]:
    yield from _leaf(op)
    yield from _no_model(op)
    if not isinstance(op.named("self"), HandleType):
        yield f"is of a memory, not of {op.named('self')}"


@operation("load", operands=ANY_NUMBER, attributes=LEAF, optional=_OPTIONAL)
def load(op: View) -> Iterator[str]:
    """What a memory holds of the session, as it was when the run began.

    %1 = "agent.load"(%notes) {entry = "memory:load", parameters = ["self"]}
      : (!agent.handle_of<"memory.Session">) -> !agent.list_of<!agent.record_of<"Message">>
    """
    yield from _of_a_memory(op)


@operation("store", operands=ANY_NUMBER, attributes=LEAF, optional=_OPTIONAL)
def store(op: View) -> Iterator[str]:
    """Add to what a memory holds of the session. Gives what it holds then.

    %2 = "agent.store"(%notes, %0, %1) {entry = "memory:store", parameters = ["self", "messages", "reply"]}
      : (…) -> !agent.list_of<!agent.record_of<"Message">>
    """
    yield from _of_a_memory(op)
    if len(op.operands) < 2:
        yield "stores nothing"


def _no_model(op: View) -> Iterator[str]:
    """Token ids and KV caches stay between the stages of a chat."""
    for given in (*op.operands, op.result):
        if isinstance(given, KvType | SamplerType | TokensType):
            yield f"has to do with {given}, which is for the stages of a chat"
