"""How to make something again in another process: the name of what makes it, and plain arguments.

A process of ours is given the recipe of a model's source and not the source: what opens files is said in a line, and
nothing is pickled.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Protocol, cast, runtime_checkable


@dataclass(frozen=True, slots=True)
class Recipe:
    """`maker` is `module:function`; `arguments` are texts, numbers, truth values, and lists and mappings of them."""

    maker: str
    arguments: Mapping[str, Any]


@runtime_checkable
class Remade(Protocol):
    """What can be made again elsewhere."""

    @property
    def recipe(self) -> Recipe: ...


def made(recipe: Recipe) -> Any:
    """What the recipe makes. Raises as the import and the function do."""
    module, _, name = recipe.maker.partition(":")
    return cast("Callable[..., Any]", getattr(import_module(module), name))(**recipe.arguments)
