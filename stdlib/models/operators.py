"""The functions of a catalogue's models as artifacts, and their weights under the names that those use.

| role | functions | arguments behind the weights |
| --- | --- | --- |
| `chat` | `prefill_<chunk>_<length>`, `decode_<length>` | the cache; tokens, start and count, or token and position |
| `embed` | `encode_<texts>_<tokens>` | `words` (the tokens' rows of `table`, looked up by whoever calls), `mask` |
| `rerank` | `score_<tokens>` | `tokens`, `types`, `count` |

All are the mathematics that runs here, but for the reranker's: that runs as the ONNX file that it is, and is exported
as the same integer arithmetic written in JAX (see `bert_scorer`). Methods import JAX.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...base.problems import OutsideError
from ...executor.engines.problems import model_does_not_load
from ..catalogue import Entry
from .bert_config import BertConfig

if TYPE_CHECKING:
    from ...executor.engines.protocol import ChatModelSource
    from ...ir.artifact import Artifact

SCORE_LENGTHS = (64, 128, 256, 512)
"""Tokens of question and passage; a pair of any length is scored at the next of them."""


def operators(entry: Entry, files: Mapping[str, Path], longest: int = 0) -> tuple[Artifact, ...]:
    """The functions of a model of the catalogue.

    One of each kind, for a first look; with `longest` (positions of a sequence, tokens of a text), all that may run for
    inputs of up to that length. Raises `OutsideError` (model-does-not-load); of a chat model, the file is opened.
    """
    if entry.role == "chat":
        from . import open_chat

        return chat_operators(open_chat(files["weights"], entry.name), longest)
    config = BertConfig.of(entry.transformer)
    return encoder_operators(config, longest) if entry.role == "embed" else scorer_operators(config, longest)


def weights(entry: Entry, files: Mapping[str, Path]) -> dict[str, Any]:
    """The weights of a model as NumPy arrays, by the names of the functions' arguments.

    An encoder's hold its `table` too, which no function takes. Raises `OutsideError` (model-does-not-load).
    """
    from ...executor.engines.xla.export import named_leaves

    if entry.role == "chat":
        from . import open_chat

        return chat_weights(open_chat(files["weights"], entry.name))
    config = BertConfig.of(entry.transformer)
    if entry.role == "embed":
        from .bert_config import read_weights

        loaded = read_weights(files["weights"], config, entry.name)
        return {**named_leaves("", loaded.weights), "table": loaded.table}
    from .bert_scorer import read_scorer
    from .checkpoint import DamagedFile

    try:
        return named_leaves("", read_scorer(files["weights"], config))
    except (DamagedFile, OSError) as error:
        raise OutsideError(model_does_not_load(entry.name, str(error))) from error


def chat_operators(source: ChatModelSource, longest: int = 0) -> tuple[Artifact, ...]:
    """As `operators`, of any chat model: a file, or `tiny`."""
    from ...executor.engines.xla.export import chat_buckets, export_buckets, export_steps

    functions = source.functions()
    if not longest:
        return export_steps(functions)
    return export_buckets(functions, chat_buckets(longest, source.facts().context))


def chat_weights(source: ChatModelSource) -> dict[str, Any]:
    """As `weights`, of any chat model."""
    from ...executor.engines.xla.export import named_leaves

    outer, layers = source.weights()
    return {**named_leaves("", outer), **named_leaves("layers", layers)}


def encoder_operators(config: BertConfig, longest: int = 0) -> tuple[Artifact, ...]:
    """The encoder for each number of texts and each length that it is run with."""
    import jax
    import jax.numpy as jnp

    from ...executor.engines.xla.export import Argument, export
    from ...ir.artifact import INPUT, WEIGHT
    from . import bert
    from .encoder import BATCHES, LENGTHS

    def encode(weights: Any, words: Any, mask: Any) -> Any:
        return bert.encode(config, weights, words, mask)

    def made(texts: int, length: int) -> Artifact:
        words = jax.ShapeDtypeStruct((texts, length, config.d_model), jnp.float32)
        mask = jax.ShapeDtypeStruct((texts, length), jnp.float32)
        arguments = (
            Argument("", WEIGHT, bert.weight_shapes(config)),
            Argument("words", INPUT, words),
            Argument("mask", INPUT, mask),
        )
        return export(f"encode_{texts}_{length}", encode, arguments, lambda _: "embeddings")

    if not longest:
        return (made(BATCHES[-1], 64),)
    return tuple(made(texts, length) for length in _covering(LENGTHS, longest) for texts in BATCHES)


def scorer_operators(config: BertConfig, longest: int = 0) -> tuple[Artifact, ...]:
    """The cross-encoder for one pair, at each length."""
    import jax
    import jax.numpy as jnp

    from ...executor.engines.xla.export import Argument, export
    from ...ir.artifact import INPUT, WEIGHT
    from . import bert_scorer

    def score(weights: Any, tokens: Any, types: Any, count: Any) -> Any:
        return bert_scorer.score(config, weights, tokens, types, count)

    def made(length: int) -> Artifact:
        row = jax.ShapeDtypeStruct((length,), jnp.int32)
        arguments = (
            Argument("", WEIGHT, bert_scorer.weight_shapes(config)),
            Argument("tokens", INPUT, row),
            Argument("types", INPUT, row),
            Argument("count", INPUT, jax.ShapeDtypeStruct((), jnp.int32)),
        )
        return export(f"score_{length}", score, arguments, lambda _: "score")

    lengths = _covering(tuple(length for length in SCORE_LENGTHS if length <= config.context), longest)
    return tuple(made(length) for length in (lengths if longest else SCORE_LENGTHS[1:2]))


def _covering(lengths: tuple[int, ...], longest: int) -> tuple[int, ...]:
    """The lengths that inputs of up to `longest` are run at; a longer input is read in windows."""
    return tuple(at for before, at in zip((0, *lengths), lengths, strict=False) if longest > before)
