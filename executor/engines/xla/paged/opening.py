"""A model on pages, from its source: how many pages, and its programs and weights."""

# JAX's own annotations leave parts of its functions' types unknown.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

from __future__ import annotations

import math
from pathlib import Path
from typing import Any, cast

import jax

from ...protocol import ChatModelSource, ChatTokenizer, ModelFacts, ModelFunctions
from ..programs import DeviceWeights
from .budget import budget, memory_limit
from .functions import RowFunctions
from .model import ROWS, PagedModel
from .programs import PagedPrograms


def open_paged(
    source: ChatModelSource,
    functions: ModelFunctions,
    rows: RowFunctions,
    facts: ModelFacts,
    tokenizer: ChatTokenizer,
    context: int | None,
    keep: Path | None,
    cache_bytes: float | None,
) -> PagedModel:
    """Blocks: weights are read. `context` lowers the model's own."""
    of_a_position = sum(math.prod(shape.shape) * shape.dtype.itemsize for shape in _leaves(rows.pool_shapes(1, 1)))
    limit = memory_limit(jax.devices()[0].memory_stats()) if cache_bytes is None else cache_bytes
    pages = budget(facts.context, ROWS, of_a_position * functions.layers, limit)
    most = min(-(-facts.context // pages.page), pages.pages)
    programs = PagedPrograms(source.key, functions, rows, pages.page, most, keep)
    return PagedModel(facts, tokenizer, programs, _placed(source.weights()), pages, context)


def _placed(weights: Any) -> DeviceWeights:
    """Weights `(outer, (layer, …))` on the device, flat: a CPU shares the mapped pages, others get a copy."""
    outer, layers = weights
    on_device = cast("list[list[Any]]", jax.device_put([_leaves(part) for part in (outer, *layers)]))
    return DeviceWeights(on_device[0], on_device[1:])


def _leaves(tree: Any) -> list[Any]:
    return jax.tree.leaves(tree)
