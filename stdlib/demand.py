"""What library stages need and how big their results are, as formulas of what goes in: the compiler's questions.

CPU seconds are of one reference core, rounded figures from timing the stages themselves; a plan refines them by what it
measures. Work of a model is counted by `ir.demand.llm`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from ..ir.demand import llm
from ..ir.formula import ZERO, Formula, constant
from ..ir.graph import Demand, Handle
from ..ir.library import ModelShape, Sized

TOKENS_PER_WORD = 1.35
"""English prose in the tokenizers of the catalogue's models."""

_SECONDS_PER_TOKEN = {"text:join": 5e-8, "text:split": 4e-6, "text:redact": 4e-6, "text:sentences": 2e-6}
_SEARCH_OVERHEAD = 2e-3  # tokenizing the question, the dot products, sorting
_RERANK_OVERHEAD = 2e-3
_READ_OVERHEAD = 2e-5  # JSON to values of the declared type: an answer of a few hundred tokens, most of the time
_READ_PER_TOKEN = 2e-7
_COSINE_PER_NUMBER = 1.5e-7
# Of speech: a window of Whisper, what it is prompted with, a choice among its tokens by the rules of timestamps; the
# features of a window; flite on a sentence; a turn, and listening to a second of it.
_WINDOW_POSITIONS = 1500.0
_PROMPT_TOKENS = 2.0
_CHOOSE_SECONDS = 1e-3
_FEATURES_SECONDS = 3e-2
_SPEAK_PER_TOKEN = 5e-3
_SPEAK_OVERHEAD = 2e-2
_TURN_TOKENS = 25.0
_TURN_SECONDS = 5.0
_LISTEN_PER_SECOND = 1.6e-2
_DIMENSIONS = 384.0
"""Of a vector: the encoders of the catalogue are that wide."""

Shapes = Callable[[str], ModelShape | None]
Demands = Callable[[Mapping[str, Sized], Shapes], Demand | None]


def stage_demand(entry: str, operands: Mapping[str, Sized], shapes: Shapes) -> Demand | None:
    """One execution of the stage, or None for an entry that is not known. `shapes` gives a model handle's shape."""
    if entry in _SECONDS_PER_TOKEN:
        source = operands.get("text") or operands.get("texts") or Sized()
        return demand(cpu=_tokens(source) * _SECONDS_PER_TOKEN[entry])
    known = _STAGES.get(entry)
    return known(operands, shapes) if known else None


def stage_size(entry: str, operands: Mapping[str, Sized]) -> Sized | None:
    """The usual size of the stage's result, or None where it is not known."""
    known = _SIZES.get(entry)
    return known(operands) if known else None


def demand(
    compute: Formula | float = ZERO,
    traffic: Formula | float = ZERO,
    footprint: Formula | float = ZERO,
    cpu: Formula | float = ZERO,
    tokens_in: Formula | float = ZERO,
) -> Demand:
    """A demand with zeros where nothing is said."""
    return Demand(
        compute=ZERO + compute,
        traffic=ZERO + traffic,
        footprint=ZERO + footprint,
        network=ZERO,
        disk=ZERO,
        cpu=ZERO + cpu,
        tokens_in=ZERO + tokens_in,
        tokens_out=ZERO,
    )


def _tokens(size: Sized) -> Formula:
    if size.tokens is not None:
        return size.tokens
    if size.items is not None and size.element is not None and size.element.tokens is not None:
        return size.items * size.element.tokens
    return constant(100.0)


def _search(operands: Mapping[str, Sized], shapes: Shapes) -> Demand | None:
    index = operands.get("self", Sized()).handle
    encoder = _encoder(index, shapes)
    count, question = _several(operands, "question", "questions")
    overhead = count * _SEARCH_OVERHEAD
    if encoder is None:
        return demand(cpu=overhead)
    return replace(_encoded(encoder, count, question), cpu=overhead)


def _embed(operands: Mapping[str, Sized], shapes: Shapes) -> Demand | None:
    handle = operands.get("self", Sized()).handle
    shape = shapes(handle.name) if handle else None
    return None if shape is None else _encoded(shape, *_several(operands, "text", "texts"))


def _recognise(operands: Mapping[str, Sized], shapes: Shapes) -> Demand | None:
    """Once for what is there. (A text that is redacted is read again until nothing more is found: twice, mostly.)"""
    handle = operands.get("self", Sized()).handle
    shape = shapes(handle.name) if handle else None
    return None if shape is None else llm.encode(shape, _tokens(operands.get("text", Sized())))


def _redact_found(operands: Mapping[str, Sized], shapes: Shapes) -> Demand | None:
    once = _recognise(operands, shapes)
    text = _tokens(operands.get("text", Sized()))
    if once is None:
        return None
    return replace(
        once,
        compute=once.compute * 2.0,
        traffic=once.traffic * 2.0,
        cpu=text * (2.0 * _SECONDS_PER_TOKEN["text:redact"]),
    )


def _lookup(operands: Mapping[str, Sized], shapes: Shapes) -> Demand | None:
    del shapes
    vectors = operands.get("vectors", Sized())
    return demand(cpu=(vectors.items if vectors.items is not None else constant(1.0)) * _SEARCH_OVERHEAD)


def _several(operands: Mapping[str, Sized], one: str, many: str) -> tuple[Formula, Formula]:
    """How many texts there are, and the tokens of each."""
    if many not in operands:
        return constant(1.0), _tokens(operands.get(one, Sized()))
    given = operands[many]
    return given.items if given.items is not None else constant(8.0), _tokens(given.element or Sized())


def _encoded(shape: ModelShape, count: Formula, each: Formula) -> Demand:
    """So many texts through an encoder, together: the weights are read once, the rest is done for each."""
    one = llm.encode(shape, each)
    weights = llm.encode(shape, ZERO).traffic
    return replace(
        one,
        compute=count * one.compute,
        traffic=weights + count * (one.traffic + weights * -1.0),
        footprint=count * one.footprint,
        tokens_in=count * one.tokens_in,
    )


def _read(operands: Mapping[str, Sized], shapes: Shapes) -> Demand | None:
    del shapes
    given = operands.get("body") or operands.get("answer") or Sized()
    return demand(cpu=_tokens(given) * _READ_PER_TOKEN + _READ_OVERHEAD)


def _encoder(index: Handle | None, shapes: Shapes) -> ModelShape | None:
    """The shape of the encoder that a resource was declared with."""
    name = getattr(index.arguments.get("encoder"), "name", None) if index else None
    return shapes(name) if isinstance(name, str) else None


def _rerank(operands: Mapping[str, Sized], shapes: Shapes) -> Demand | None:
    handle = operands.get("self", Sized()).handle
    shape = shapes(handle.name) if handle else None
    passages = operands.get("passages", Sized())
    pairs = passages.items or constant(8.0)
    text = passages.element.fields.get("text") if passages.element else None
    pair = _tokens(text or Sized()) + _tokens(operands.get("question", Sized()))
    if shape is None:
        return demand(cpu=_RERANK_OVERHEAD)
    # Pairs are scored one by one: each reads the weights.
    one = llm.encode(shape, pair)
    return demand(
        compute=pairs * one.compute, traffic=pairs * one.traffic, cpu=_RERANK_OVERHEAD, tokens_in=pairs * pair
    )


def _passages(operands: Mapping[str, Sized], count: str, default: float, words: float) -> Sized:
    number = operands.get(count, Sized()).number
    items = constant(number if number is not None else default)
    text = Sized(tokens=constant(words * TOKENS_PER_WORD))
    return Sized(items=items, bound=items, element=Sized(fields={"text": text, "path": Sized(tokens=constant(8.0))}))


def _searched(operands: Mapping[str, Sized]) -> Sized:
    index = operands.get("self", Sized()).handle
    words = index.arguments.get("passage") if index else None
    return _passages(operands, "top", 8.0, float(words) if isinstance(words, int) else 120.0)


def _searched_all(operands: Mapping[str, Sized]) -> Sized:
    given = operands.get("questions") or operands.get("vectors") or Sized()
    return Sized(items=given.items, element=_searched(operands), bound=given.bound)


def _vector(operands: Mapping[str, Sized]) -> Sized | None:
    """As many numbers as the encoder is wide, which whoever passes them on need not know."""
    del operands
    return Sized(items=constant(_DIMENSIONS), element=Sized(tokens=constant(1.0)), bound=constant(_DIMENSIONS))


def _vectors(operands: Mapping[str, Sized]) -> Sized:
    given = operands.get("texts", Sized())
    return Sized(items=given.items, element=_vector(operands), bound=given.bound)


def _reranked(operands: Mapping[str, Sized]) -> Sized:
    kept = _passages(operands, "keep", 3.0, 120.0)
    element = operands.get("passages", Sized()).element
    return Sized(items=kept.items, bound=kept.bound, element=element or kept.element)


def _joined(operands: Mapping[str, Sized]) -> Sized:
    return Sized(tokens=_tokens(operands.get("texts", Sized())))


def _split(operands: Mapping[str, Sized]) -> Sized | None:
    size = operands.get("tokens", Sized()).number
    whole = operands.get("text", Sized()).tokens
    if not size or whole is None:
        return None
    # Pieces are cut at sentences, so they are a little shorter than allowed; the half is the started last piece.
    return Sized(items=whole * (1.0 / size) + 0.5, element=Sized(tokens=constant(size), bound=constant(size)))


def _same(operands: Mapping[str, Sized]) -> Sized:
    return Sized(tokens=_tokens(operands.get("text", Sized())))


def _cosine(operands: Mapping[str, Sized], shapes: Shapes) -> Demand | None:
    del shapes
    numbers = operands.get("a", Sized()).items
    return demand(cpu=(numbers if numbers is not None else constant(_DIMENSIONS)) * _COSINE_PER_NUMBER)


def _transcribe(operands: Mapping[str, Sized], shapes: Shapes) -> Demand | None:
    """One window: the encoder over all its positions, however short what is said, and a step of the decoder for each
    token. With `P` positions, `E` the encoder's weights and `L` layers on either side, `2 P E + 4 L d P P`, then
    `2 A + 4 L d P` a step (`ir.demand.llm` says where such counts come from)."""
    handle = operands.get("self", Sized()).handle
    shape = shapes(handle.name) if handle else None
    if shape is None:
        return None
    steps = _tokens(operands.get("audio", Sized())) + _PROMPT_TOKENS
    positions, encoder = _WINDOW_POSITIONS, float(shape.parameters - shape.active_parameters)
    attention = 4.0 * shape.layers * shape.d_model * positions
    heard = 2.0 * shape.layers * shape.d_model * positions * shape.cache_bytes
    return demand(
        compute=steps * (2.0 * shape.active_parameters + attention) + 2.0 * positions * encoder + attention * positions,
        traffic=steps * (shape.active_parameters * shape.weight_bytes + heard) + encoder * shape.weight_bytes + heard,
        footprint=heard,
        cpu=steps * _CHOOSE_SECONDS + _FEATURES_SECONDS,
    )


def _speak(operands: Mapping[str, Sized], shapes: Shapes) -> Demand | None:
    del shapes
    return demand(cpu=_tokens(operands.get("text", Sized())) * _SPEAK_PER_TOKEN + _SPEAK_OVERHEAD)


def _utterances(operands: Mapping[str, Sized], shapes: Shapes) -> Demand | None:
    del shapes
    given = operands.get("microphone", Sized())
    turns = given.items if given.items is not None else constant(1.0)
    return demand(cpu=turns * (_TURN_SECONDS * _LISTEN_PER_SECOND))


def _transcribed(operands: Mapping[str, Sized]) -> Sized:
    return Sized(tokens=_tokens(operands.get("audio", Sized())))


def _turns(operands: Mapping[str, Sized]) -> Sized:
    """Turns of a conversation: a sentence or two each, so many of which nobody knows but the microphone."""
    return Sized(items=operands.get("microphone", Sized()).items, element=Sized(tokens=constant(_TURN_TOKENS)))


_STAGES: dict[str, Demands] = {
    "embed:embed": _embed,
    "embed:embed_all": _embed,
    "http:read": _read,
    "list:cosine": _cosine,
    "mcp:read": _read,
    "process:read": _read,
    "search:lookup": _lookup,
    "search:lookup_all": _lookup,
    "search:rerank": _rerank,
    "search:search": _search,
    "search:search_all": _search,
    "speech:speak": _speak,
    "speech:transcribe": _transcribe,
    "speech:utterances": _utterances,
    "text:find": _recognise,
    "text:redact_found": _redact_found,
}
_SIZES: dict[str, Callable[[Mapping[str, Sized]], Sized | None]] = {
    "embed:embed": _vector,
    "embed:embed_all": _vectors,
    "search:lookup": _searched,
    "search:lookup_all": _searched_all,
    "search:rerank": _reranked,
    "search:search": _searched,
    "search:search_all": _searched_all,
    "speech:transcribe": _transcribed,
    "speech:utterances": _turns,
    "text:join": _joined,
    "text:split": _split,
    "text:redact": _same,
    "text:redact_found": _same,
    "text:sentences": _same,
}
