"""The programs of a model whose functions came in a package: compiled by XLA from StableHLO, or machine code by IREE.

Nothing of the model's source is used: shapes come from the functions' entries, and a cache grows by zeros along the one
axis that is longer.
"""

# JAX's own annotations leave parts of its functions' types unknown.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import jax
import jax.numpy as jnp

from ....base.problems import OutsideError
from ....ir.artifact import CACHE, INPUT, WEIGHT, Artifact
from ..packaged import IREE, PackagedModel
from ..problems import model_does_not_load
from ..protocol import ModelFunctions
from .export import named_leaves
from .load import callable_of
from .programs import Lowerable, Programs


def open_programs(name: str, package: PackagedModel, weights: Any, keep: Path | None) -> PackagedPrograms:
    """The programs of a package's model for its weights `(outer, (layer, …))`. Raises `OutsideError`
    (model-does-not-load) where they do not fit, or the machine code does not run here."""
    if package.kind == IREE:
        from .native import NativePrograms

        made: PackagedPrograms = NativePrograms(name, package, keep)
    else:
        made = PackagedPrograms(package, keep)
    made.fit(name, *weights)
    return made


class PackagedPrograms(Programs):
    """As `Programs`. Sizes that the package does not have raise KeyError: who loads it lowers the context to them."""

    def __init__(self, package: PackagedModel, keep: Path | None) -> None:
        # What would ask the model's own functions is replaced below.
        super().__init__(f"package {package.digest}", cast("ModelFunctions", None), keep)
        self._package = package

    def fit(self, name: str, outer: Any, layers: Sequence[Any]) -> None:
        """Raise `OutsideError` (model-does-not-load) unless the functions take these weights."""
        if not any(made.stage == "layer" for made in self._package.functions.values()):
            raise OutsideError(model_does_not_load(name, "the package has no functions of a chat model"))
        for made in self._package.functions.values():
            given = named_leaves("layer", layers[0]) if made.stage == "layer" else named_leaves("", outer)
            has = {leaf: (tuple(array.shape), str(array.dtype)) for leaf, array in given.items()}
            wants = {tensor.name: (tensor.shape, tensor.dtype) for tensor in made.of(WEIGHT)}
            if has != wants:
                wrong = sorted(set(has.items()) ^ set(wants.items()))[0][0]
                raise OutsideError(model_does_not_load(name, f"its weights do not fit {made.name} ({wrong})"))

    def _create(self, length: int) -> Lowerable:
        shapes = self._package.cache(length)
        return jax.jit(lambda: [jnp.zeros(shape, dtype) for shape, dtype in shapes]), ()

    def _grow(self, length: int, longer: int) -> Lowerable:
        shapes, wanted = self._package.cache(length), self._package.cache(longer)

        def grow(cache: Any) -> Any:
            return [
                jnp.pad(array, [(0, after - before) for before, after in zip(array.shape, shape, strict=True)])
                for array, (shape, _) in zip(cache, wanted, strict=True)
            ]

        return jax.jit(grow), ([jax.ShapeDtypeStruct(*each) for each in shapes],)

    def _enter(self, count: int) -> Lowerable:
        made = self._package.functions[f"enter_{count}"]
        call = callable_of(made)

        def enter(outer: Any, tokens: Any, start: Any) -> Any:
            hidden, *places = call(*outer, tokens, start)
            return hidden, places

        return jax.jit(enter), (_shapes(made, WEIGHT), *_shapes(made, INPUT))

    def _layer(self, count: int, length: int) -> Lowerable:
        made = self._package.layer(count, length)
        call = callable_of(made)

        def layer(weights: Any, cache: Any, hidden: Any, places: Any) -> Any:
            hidden, *filled = call(*weights, *cache, hidden, *places)
            return hidden, filled

        hidden, *places = _shapes(made, INPUT)
        return jax.jit(layer, donate_argnums=(1, 2)), (_shapes(made, WEIGHT), _shapes(made, CACHE), hidden, places)

    def _leave(self, count: int) -> Lowerable:
        made = self._package.functions[f"leave_{count}"]
        call = callable_of(made)

        def leave(outer: Any, hidden: Any, real: Any) -> Any:
            return call(*outer, hidden, real)[0]

        return jax.jit(leave), (_shapes(made, WEIGHT), *_shapes(made, INPUT))


def _shapes(made: Artifact, role: str) -> list[jax.ShapeDtypeStruct]:
    return [jax.ShapeDtypeStruct(tensor.shape, tensor.dtype) for tensor in made.of(role)]
