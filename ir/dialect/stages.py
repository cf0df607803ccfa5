"""Operations that a kind of the library runs, the call of another pipeline, and what `agent.chat` becomes.

Operands are arguments: `parameters` names them, one for each operand, and `entry` (`text:redact`) says which kind runs
the stage. What a chat becomes is typed by the model's handle (`tokens<"writer">`, `kv<"writer">`), so that a pass that
would decode one model with another's cache does not verify.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

from ...lang.types import INT, MESSAGE, NONE, TEXT, HandleType, ListType, Primitive, StreamType
from ..graph import KvType, SamplerType, TokensType
from .spec import ANY_NUMBER, MOST_OPERANDS, Is, View, arguments, is_data, operation

_ENTRY = re.compile(r"[\w./-]+:[\w.]+")
LEAF = {"entry": Is.TEXT, "parameters": Is.TEXTS}


def entry_rule(op: View, wanted: str | None = None) -> Iterator[str]:
    entry = op.attributes["entry"]
    if wanted is not None and entry != wanted:
        yield f"has the entry {wanted!r}, not {entry!r}"
    if not _ENTRY.fullmatch(entry):
        yield f"has an entry {entry!r} that is not 'module:name'"


SAMPLING = ("temperature", "top_k", "top_p", "seed")
"""The arguments of a chat that say how a token is chosen."""

CALLED = {
    "settings": Is.MAP,
    "tool": Is.TEXT,
    "effects": Is.TEXTS,
    "needs": Is.MAP,
    "known_as": Is.TEXT,
    "batch": Is.MAP,
    "variable": Is.TEXT,
}
_EFFECTS = ("reads", "writes", "spends", "network", "process")


@operation("stage", operands=ANY_NUMBER, attributes=LEAF, optional=CALLED)
def stage(op: View) -> Iterator[str]:
    """A leaf: the kind behind `entry` runs it. Streams may come in and go out. `settings` are what its declaration gave
    it; a call of a tool says which (`tool`) and what that does to the world (`effects`). A tool of a server gets the
    opened server as `self`. `needs` is what its declaration says that one execution needs,
    `known_as` what a test calls it that gives an answer for it. One that does for a list what calls of another stage
    would do for its items says so (`batch`): their `entry`, which of their parameters had an item, and which has the
    list; and the program's name for an item (`variable`), where nothing else has it.

    %1 = "agent.stage"(%0) {entry = "text:redact", parameters = ["text"]} : (!agent.text) -> !agent.text
    %2 = "agent.stage"(%0) {entry = "python:call", parameters = ["id"], tool = "refund",
                            settings = {target = "shop:refund"}, effects = ["writes payments"]} : (…) -> …
    """
    yield from entry_rule(op)
    yield from arguments(op)
    yield from effects(op.attributes.get("effects", ()))
    yield from batch_rule(op)
    if op.attributes["entry"] == "llm:chat":
        yield "is a chat call: it must be agent.chat"


def batch_rule(op: View) -> Iterator[str]:
    """The rule of batches: a list goes in, a list comes out."""
    given: dict[str, object] | None = op.attributes.get("batch")
    if given is None:
        return
    if set(given) != {"entry", "parameter", "items"} or not all(isinstance(each, str) for each in given.values()):
        yield "is a batch, and does not say of what by an entry, a parameter and its items"
    elif not isinstance(op.named(str(given["items"])), ListType) or not isinstance(op.result, ListType):
        yield "is a batch, and takes or gives no list"


def effects(given: tuple[str, ...]) -> Iterator[str]:
    """The rule of effects: a kind, and what of it."""
    for effect in given:
        if effect.split(" ", 1)[0] not in _EFFECTS:
            yield f"has an effect {effect!r} that begins with none of {', '.join(_EFFECTS)}"


def _schema(op: View) -> Iterator[str]:
    if "schema" in op.attributes and not _is_json(op.attributes["schema"]):
        yield "has a schema that is no JSON"


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True


@operation(
    "chat",
    operands=ANY_NUMBER,
    attributes={"parameters": Is.TEXTS},
    optional={"output": Is.TEXT, "schema": Is.TEXT, "known_as": Is.TEXT},
)
def chat(op: View) -> Iterator[str]:
    """A chat call, before `split_llm`. `output` is the program's name for the reply, which `assume` blocks use. With a
    `schema` (JSON Schema, as text) the reply is JSON that it allows, and the result the value of that.

    %3 = "agent.chat"(%0, %1, %2) {parameters = ["self", "prompt", "max_tokens"]} : (…) -> !agent.stream_of<!agent.text>
    """
    yield from arguments(op, required=("self", "prompt", "max_tokens"))
    if not isinstance(op.named("self"), HandleType | None):
        yield f"is asked of a model, not of {op.named('self')}"
    if op.named("prompt") not in (TEXT, ListType(MESSAGE), None):
        yield f"has a prompt of type {op.named('prompt')}"
    yield from _schema(op)
    if "schema" not in op.attributes and op.result != StreamType(TEXT):
        yield f"gives a stream of Text, not {op.result}"
    if "schema" in op.attributes and not is_data(op.result):
        yield f"has a schema, but gives {op.result}, which no JSON is"


def _model(op: View, model: str) -> Iterator[str]:
    """The argument `self` is a handle, and where its declaration is in sight it is the one that the types name."""
    if not isinstance(op.named("self"), HandleType | None):
        yield f"works on a model, not on {op.named('self')}"
    opened = op.opened(op.value("self")) if op.value("self") is not None else None
    if opened is not None and opened != model:
        yield f"works on the model {opened!r} but on types of {model!r}"


@operation("tokenize", operands=ANY_NUMBER, attributes=LEAF, optional={"ahead": Is.BOOLEAN})
def tokenize(op: View) -> Iterator[str]:
    """The prompt's token ids, with the model's chat template around it. `ahead`, the last turn is not finished: these
    are the tokens that every prompt begins with whose text goes on from there, but for the last few, which may become
    others.

    %2 = "agent.tokenize"(%0, %1) {entry = "llm:tokenize", parameters = ["self", "prompt"]} : (…) -> !agent.tokens<"m">
    """
    yield from entry_rule(op, "llm:tokenize")
    yield from arguments(op, required=("self", "prompt"))
    if op.named("prompt") not in (TEXT, ListType(MESSAGE), None):
        yield f"has a prompt of type {op.named('prompt')}"
    if isinstance(op.result, TokensType):
        yield from _model(op, op.result.model)
    else:
        yield f"gives tokens, not {op.result}"


SPREAD = {"tensor": Is.INTEGER, "expert": Is.INTEGER, "step": Is.TEXT}
"""Over how many devices a model is spread, and the `agent.step` that says what each of them does."""


@operation("prefill", operands=(2, 3), attributes=LEAF, optional={"functions": Is.TEXTS, "ahead": Is.BOOLEAN, **SPREAD})
def prefill(op: View) -> Iterator[str]:
    """Run the prompt through the model: a KV cache, with what the first token is chosen from. `functions` names the
    model operations that do it, where they are linked in.

    With a `prefix`, a cache that was filled `ahead`, the tokens that both begin with are not computed again. What is
    `ahead` fills the cache with what several prompts begin with. It is never decoded, and nothing depends on it: nobody
    waits for it at the end, and where it fails, those that would use it compute all.

    %1 = "agent.prefill"(%m, %0) {entry = "llm:prefill", parameters = ["self", "tokens"]} : (…) -> !agent.kv<"m">
    """
    yield from entry_rule(op, "llm:prefill")
    yield from arguments(op, required=("self", "tokens"), known=("self", "tokens", "prefix"))
    if not isinstance(op.result, KvType):
        yield f"gives a KV cache, not {op.result}"
        return
    if op.named("prefix") not in (op.result, None):
        yield f"continues {op.named('prefix')} with the cache of {op.result.model!r}"
    yield from _model(op, op.result.model)
    if op.named("tokens") not in (TokensType(op.result.model), None):
        yield f"fills the cache of {op.result.model!r} from {op.named('tokens')}"


@operation("kv_transfer", operands=(1, 1), attributes=LEAF)
def kv_transfer(op: View) -> Iterator[str]:
    """Move a KV cache to the tier that decodes; the identity where that is the tier that prefilled.

    %1 = "agent.kv_transfer"(%0) {entry = "llm:transfer", parameters = ["kv"]} : (!agent.kv<"m">) -> !agent.kv<"m">
    """
    yield from entry_rule(op, "llm:transfer")
    yield from arguments(op, required=("kv",), known=("kv",))
    if not isinstance(op.result, KvType) or op.named("kv") not in (op.result, None):
        yield f"does not move {op.named('kv')} to {op.result}"


@operation("sample", operands=ANY_NUMBER, attributes=LEAF, optional={"schema": Is.TEXT})
def sample(op: View) -> Iterator[str]:
    """How a decode is to choose the next token: its `temperature`, `top_k`, `top_p` and `seed`, and the `schema` that
    the reply must keep. What that takes (the grammar, its masks over the vocabulary, the program that chooses) is made
    ready here, while the prompt is prefilled. A greedy chat without a schema needs none.

    %1 = "agent.sample"(%m, %t, %s)
      {entry = "llm:sample", parameters = ["self", "temperature", "seed"], schema = "{}"} : (…) -> !agent.sampler<"m">
    """
    yield from entry_rule(op, "llm:sample")
    yield from arguments(op, required=("self",), known=("self", *SAMPLING))
    yield from _schema(op)
    if isinstance(op.result, SamplerType):
        yield from _model(op, op.result.model)
    else:
        yield f"gives a sampler, not {op.result}"


@operation(
    "decode",
    operands=ANY_NUMBER,
    attributes=LEAF,
    optional={"functions": Is.TEXTS, "output": Is.TEXT, "schema": Is.TEXT, **SPREAD},
)
def decode(op: View) -> Iterator[str]:
    """The reply's token ids, one step each, until the model ends it or `max_tokens` are made. With a `schema` only
    tokens are chosen that keep the text so far the beginning of a JSON document which it allows. How it chooses may be
    made ready before, in a `sampler`.

    %1 = "agent.decode"(%m, %kv, %n) {entry = "llm:decode", parameters = ["self", "kv", "max_tokens"]}
      : (…) -> !agent.stream_of<!agent.int>
    """
    yield from entry_rule(op, "llm:decode")
    yield from arguments(op, required=("self", "kv", "max_tokens"))
    cache = op.named("kv")
    if isinstance(cache, KvType):
        yield from _model(op, cache.model)
    elif cache is not None:
        yield f"decodes a KV cache, not {cache}"
    sampler = op.named("sampler")
    if sampler is not None and isinstance(cache, KvType) and sampler != SamplerType(cache.model):
        yield f"decodes {cache} as {sampler} says"
    if sampler is not None and any(op.named(name) is not None for name in SAMPLING):
        yield "is told how to choose by a sampler, and beside it"
    yield from _schema(op)
    if op.named("max_tokens") not in (INT, Primitive("Tokens"), None):
        yield f"has max_tokens of type {op.named('max_tokens')}"
    if op.result != StreamType(INT):
        yield f"gives a stream of Int, not {op.result}"


@operation("detokenize", operands=ANY_NUMBER, attributes=LEAF)
def detokenize(op: View) -> Iterator[str]:
    """Token ids to text, never splitting a character. At a `stop` text it ends and closes its input.

    %1 = "agent.detokenize"(%m, %0) {entry = "llm:detokenize", parameters = ["self", "tokens"]}
      : (…) -> !agent.stream_of<!agent.text>
    """
    yield from entry_rule(op, "llm:detokenize")
    yield from arguments(op, required=("self", "tokens"))
    if not isinstance(op.named("self"), HandleType | None):
        yield f"works on a model, not on {op.named('self')}"
    if op.named("tokens") not in (StreamType(INT), None):
        yield f"takes a stream of token ids, not {op.named('tokens')}"
    if op.result != StreamType(TEXT):
        yield f"gives a stream of Text, not {op.result}"


@operation(
    "call",
    operands=ANY_NUMBER,
    attributes={"callee": Is.TEXT, "parameters": Is.TEXTS},
    optional={"output": Is.TEXT},
    results=(0, 1),
)
def call(op: View) -> Iterator[str]:
    """A call of another pipeline of the module, until `inline_pipelines`. That the callee exists and takes these types
    is a law of the module.

    %1 = "agent.call"(%0) {callee = "find", parameters = ["question"]} : (!agent.text) -> !agent.list_of<…>
    """
    yield from arguments(op)
    if op.results and op.result == NONE:
        yield "gives nothing, and must have no result"


@operation(
    "given",
    operands=(1, MOST_OPERANDS),
    attributes={"name": Is.TEXT, "parameters": Is.TEXTS},
    results=(0, 0),
    inside=("agent.test",),
)
def given(op: View) -> Iterator[str]:
    """In a test, until `inline_pipelines`: what a call of `name` answers there. The operands are the arguments that
    must be equal, by `parameters`, and the answer.

    "agent.given"(%0, %1) {name = "order", parameters = ["id"]} : (!agent.int, !agent.record_of<"Order">) -> ()
    """
    if len(op.attributes["parameters"]) != len(op.operands) - 1:
        yield f"has {len(op.operands)} operands but {len(op.attributes['parameters'])} parameter names"
