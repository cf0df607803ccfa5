"""A model on pages, from its source: how many pages, and its programs and weights."""

# JAX's own annotations leave parts of its functions' types unknown.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import jax

from .....base.problems import OutsideError
from ...families import file_of
from ...protocol import ChatModelSource, ChatTokenizer, ModelFacts, ModelFunctions
from ...workers.recipes import Remade
from ..programs import DeviceWeights
from .away import Places
from .budget import budget, memory_limit
from .functions import RowFunctions
from .model import ROWS, PagedModel
from .programs import PagedPrograms
from .store import folder_of

LEAST = 16
"""Pages of memory that the disk is reached by."""


@dataclass(frozen=True, slots=True)
class Away:
    """Bytes for pages that make way: of ordinary memory, and of the disk."""

    host_bytes: float = 0.0
    disk_bytes: float = 0.0


def open_paged(
    source: ChatModelSource,
    functions: ModelFunctions,
    rows: RowFunctions,
    facts: ModelFacts,
    tokenizer: ChatTokenizer,
    context: int | None,
    keep: Path | None,
    cache_bytes: float | None,
    away: Away | None = None,
) -> PagedModel:
    """Blocks: weights are read. `context` lowers the model's own."""
    of_a_position = sum(math.prod(shape.shape) * shape.dtype.itemsize for shape in _leaves(rows.pool_shapes(1, 1)))
    limit = memory_limit(jax.devices()[0].memory_stats()) if cache_bytes is None else cache_bytes
    pages = budget(facts.context, ROWS, of_a_position * functions.layers, limit)
    most = min(-(-facts.context // pages.page), pages.pages)
    programs = PagedPrograms(source.key, functions, rows, pages.page, most, keep)
    weights = _placed(source.weights())
    return PagedModel(facts, tokenizer, programs, weights, pages, context, _places(source, programs, functions, away))


def _places(
    source: ChatModelSource, programs: PagedPrograms, functions: ModelFunctions, away: Away | None
) -> Places | None:
    """Where pages go that make way: how many, and the folder. None where there is no room for one."""
    if away is None:
        return None
    heads, page, width = programs.cache_shape
    shape = (functions.layers, 2, heads, page, width)
    size = 4 * math.prod(shape)
    host, disk = int(away.host_bytes // size), int(away.disk_bytes // size)
    folder = None
    if disk:
        # They go there by way of the memory, whatever it is said to hold.
        host = max(host, min(disk, LEAST))
        named = identity(source)
        try:
            folder = None if named is None else folder_of(named, "f32", shape)
        except (OSError, OutsideError):
            # A home that cannot be written costs prompts their time, and no answer.
            folder = None
    return Places(shape, host, disk if folder is not None else 0, folder, away.disk_bytes) if host else None


def identity(source: ChatModelSource) -> str | None:
    """Names the weights and the mathematics: how the source is made again, with the state of its file. None where
    nothing says which weights they are."""
    if not isinstance(source, Remade):
        return None
    recipe, file = source.recipe, file_of(source)
    state: tuple[int, ...] = ()
    if file is not None:
        stat = file.stat()
        state = stat.st_size, stat.st_mtime_ns, stat.st_ino
    return repr((source.key, recipe.maker, sorted(recipe.arguments.items()), state))


def _placed(weights: Any) -> DeviceWeights:
    """Weights `(outer, (layer, …))` on the device, flat: a CPU shares the mapped pages, others get a copy."""
    outer, layers = weights
    on_device = cast("list[list[Any]]", jax.device_put([_leaves(part) for part in (outer, *layers)]))
    return DeviceWeights(on_device[0], on_device[1:])


def _leaves(tree: Any) -> list[Any]:
    return jax.tree.leaves(tree)
