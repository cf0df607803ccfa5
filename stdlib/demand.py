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
    question = _tokens(operands.get("question", Sized()))
    if encoder is None:
        return demand(cpu=_SEARCH_OVERHEAD)
    return replace(llm.encode(encoder, question), cpu=constant(_SEARCH_OVERHEAD))


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


_STAGES: dict[str, Demands] = {"search:search": _search, "search:rerank": _rerank}
_SIZES: dict[str, Callable[[Mapping[str, Sized]], Sized | None]] = {
    "search:search": _searched,
    "search:rerank": _reranked,
    "text:join": _joined,
    "text:split": _split,
    "text:redact": _same,
    "text:sentences": _same,
}
