"""The programs of a model whose functions are IREE's machine code, on the device of its driver.

Arrays stay on IREE's device from call to call. Choosing a token is not in the package: logits come to the host, and XLA
chooses there, as everywhere. IREE's runtime is imported here alone, and has no types.
"""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from threading import Lock
from typing import Any

import jax
import numpy as np

from ....base.problems import OutsideError
from ....ir.artifact import Artifact
from ..packaged import PackagedModel
from ..problems import model_does_not_load
from .kept import Program
from .packaged import PackagedPrograms
from .programs import DeviceWeights, Step


class NativeFunctions:
    """The functions of a package, opened when first used; thread-safe. Raises `OutsideError` (model-does-not-load)
    where IREE has no such device here."""

    def __init__(self, name: str, package: PackagedModel) -> None:
        if find_spec("iree") is None:
            raise OutsideError(model_does_not_load(name, "its machine code needs IREE: the extra [iree]"))
        self._runtime: Any = import_module("iree.runtime")
        self._name = name
        self._package = package
        try:
            self._config: Any = self._runtime.Config(package.driver)
        except Exception as error:  # what drivers raise has no common base
            why = f"IREE has no device {package.driver!r} here ({error})"
            raise OutsideError(model_does_not_load(name, why)) from error
        self._opened: dict[str, Callable[..., Any]] = {}
        self._lock = Lock()

    def put(self, array: Any) -> Any:
        """An array on the device."""
        return self._runtime.asdevicearray(self._config.device, np.asarray(array))

    def flat(self, name: str) -> Callable[..., Any]:
        """A function of flat arguments, arrays on the device or on the host. Its results stay on the device."""
        with self._lock:
            found = self._opened.get(name)
            if found is None:
                found = self._opened[name] = self._open(self._package.functions[name])
            return found

    def get(self, name: str) -> Callable[..., Any]:
        """A function of a list of weights and of arrays, with one result, on the host."""
        function = self.flat(name)

        def call(weights: Any, *arrays: Any) -> Any:
            return function(*weights, *(np.asarray(array) for array in arrays)).to_host()

        return call

    def _open(self, made: Artifact) -> Callable[..., Any]:
        config, runtime = self._config, self._runtime
        try:
            module = runtime.VmModule.copy_buffer(config.vm_instance, made.data)
            context = runtime.SystemContext(config=config)
            context.add_vm_module(module)
            return context.modules[module.name]["main"]
        except Exception as error:
            raise OutsideError(model_does_not_load(self._name, f"{made.name} does not load ({error})")) from error


class NativePrograms(PackagedPrograms):
    """As `Programs`, on IREE."""

    def __init__(self, name: str, package: PackagedModel, keep: Path | None) -> None:
        super().__init__(package, keep)
        self._native = NativeFunctions(name, package)

    def placed(self, weights: Any) -> DeviceWeights:
        outer, layers = weights
        return DeviceWeights(
            [self._native.put(leaf) for leaf in jax.tree.leaves(outer)],
            [[self._native.put(leaf) for leaf in jax.tree.leaves(layer)] for layer in layers],
        )

    def create(self, length: int) -> Program:
        shapes = self._package.cache(length)
        return lambda: [self._native.put(np.zeros(shape, dtype)) for shape, dtype in shapes]

    def grow(self, length: int, longer: int) -> Program:
        del length
        wanted = self._package.cache(longer)

        def grow(cache: Any) -> Any:
            grown: list[Any] = []
            for array, (shape, dtype) in zip(cache, wanted, strict=True):
                bigger = np.zeros(shape, dtype)
                had = array.to_host()
                bigger[tuple(slice(extent) for extent in had.shape)] = had
                grown.append(self._native.put(bigger))
            return grown

        return grow

    def copy(self, length: int) -> Program:
        del length

        def copy(cache: Any) -> Any:
            return [self._native.put(array.to_host()) for array in cache]

        return copy

    def prefill(self, chunk: int, length: int) -> Step:
        return Step(
            partial(_enter, self._native.flat(f"enter_{chunk}")),
            partial(_layer, self._native.flat(f"layer_{chunk}_{length}")),
            partial(_leave, self._native.flat(f"leave_{chunk}")),
        )

    def decode(self, length: int) -> Step:
        return self.prefill(1, length)


def _enter(function: Callable[..., Any], outer: Any, tokens: Any, start: Any) -> Any:
    hidden, *places = function(*outer, np.asarray(tokens, np.int32), np.asarray(start, np.int32))
    return hidden, places


def _layer(function: Callable[..., Any], weights: Any, cache: Any, hidden: Any, places: Any) -> Any:
    hidden, *filled = function(*weights, *cache, hidden, *places)
    return hidden, filled


def _leave(function: Callable[..., Any], outer: Any, hidden: Any, count: Any) -> Any:
    return function(*outer, hidden, np.asarray(count, np.int32)).to_host()
