"""A model's declaration says over how many devices the stages of a module spread it, so that whoever opens it does."""

from __future__ import annotations

from typing import Any

from . import _mlir
from .dialect.types import from_mlir
from .graph import KvType

SPREAD = ("tensor", "expert")
"""Arguments of a model's handle that no program states, but a module that `split_parallel` has been through."""

STAGES = ("agent.prefill", "agent.decode")


def model_of(stage: Any) -> str:
    """The name of the handle whose cache a prefill makes or a decode takes."""
    types = [from_mlir(value.type) for value in (*stage.results, *stage.operands)]
    return next(given.model for given in types if isinstance(given, KvType))


def tell_handles(module: Any) -> None:
    """Each model's handle gets what its stages say, if they all say the same: on several tiers it may be spread in
    several ways, and each tier's island then says its own."""
    said: dict[str, set[tuple[int, int]]] = {}
    for stage in _mlir.walk(module):
        if stage.name in STAGES:
            given = _mlir.attributes_of(stage)
            spread = (given["tensor"], given["expert"]) if "step" in given else (1, 1)
            said.setdefault(model_of(stage), set()).add(spread)
    for handle in _mlir.operations(_mlir.body(module)):
        if handle.name != "agent.handle":
            continue
        found = said.get(handle.attributes["name"].value, set())
        arguments = {
            name: value for name, value in _mlir.plain(handle.attributes["arguments"]).items() if name not in SPREAD
        }
        if len(found) == 1 and found != {(1, 1)}:
            arguments |= zip(SPREAD, *found, strict=True)
        handle.attributes["arguments"] = _mlir.attribute(arguments)
