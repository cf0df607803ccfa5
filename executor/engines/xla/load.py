"""Artifacts back to functions that run: from bytes and their entry alone, with no source of the model.

JAX calls what it exported; its `Exported` holds the bytes and, as Python values, the shapes around them. So a function
of the same shapes is exported that computes nothing, and the bytes are put in its place: only public parts of JAX, and
the same XLA that compiles the model's own functions.
"""

# JAX's own annotations leave parts of its functions' types unknown.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import jax
import jax.export
import jax.numpy as jnp

from ....ir.artifact import WEIGHT, Artifact
from .kept import KeptPrograms

QUICKLY: Mapping[str, Any] = {"xla_backend_optimization_level": 0, "xla_llvm_disable_expensive_passes": True}
"""XLA's options for compiling fast: the same program and buffers, and machine code that was not worked on."""


class UnloadableArtifact(ValueError):
    """The bytes are no function of the shapes that their entry says. The text says why."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """A compiled artifact. Called with flat arguments, it gives a tuple of results; donated arguments are used up."""

    artifact: Artifact
    compiled: Any
    """JAX's compiled function: its `cost_analysis()` and `memory_analysis()` say what it needs."""

    def __call__(self, *arguments: Any) -> tuple[Any, ...]:
        return self.compiled(*arguments)

    def weights(self, file: Mapping[str, Any]) -> tuple[Any, ...]:
        """The weights among a file's tensors, on the device, in the order of the arguments.

        KeyError for one that the file does not have, ValueError for one of another shape or type.
        """
        found: list[Any] = []
        for tensor in self.artifact.of(WEIGHT):
            given = file[tensor.name]
            if tuple(given.shape) != tensor.shape or str(given.dtype) != tensor.dtype:
                raise ValueError(f"{tensor.name} is {given.dtype} {given.shape}, not {tensor.dtype} {tensor.shape}")
            found.append(jax.device_put(given))
        return tuple(found)


def load(artifact: Artifact, keep: Path | None = None) -> Loaded:
    """Compile for the device that JAX finds, which takes some seconds for a whole step of a chat model; blocks.

    With `keep` (`kept.kept_programs()`), what was compiled before on this machine is loaded from there instead, by the
    hash of the bytes. Raises `UnloadableArtifact`.
    """
    programs = KeptPrograms(f"artifact {artifact.sha256}", keep)
    try:
        return Loaded(artifact, programs.get(artifact.name, lambda: _lowerable(artifact)))
    except Exception as error:  # JAX and XLA have no common base for what they raise
        raise _unloadable(artifact, error) from error


def load_to_ask(artifact: Artifact) -> Loaded:
    """Compile with less work on machine code, for questions about the program (`cost_analysis`, `memory_analysis`).

    The answers are the same. It runs slower, and results differ in their last digits. Raises `UnloadableArtifact`.
    """
    try:
        jitted, shapes = _lowerable(artifact)
        return Loaded(artifact, jitted.lower(*shapes).compile(compiler_options=dict(QUICKLY)))
    except Exception as error:  # as above
        raise _unloadable(artifact, error) from error


def _unloadable(artifact: Artifact, error: Exception) -> UnloadableArtifact:
    said = str(error).splitlines()
    return UnloadableArtifact(f"{artifact.name}: {said[0] if said else repr(error)}")


def _lowerable(artifact: Artifact) -> tuple[Any, tuple[Any, ...]]:
    """A jitted function that calls the bytes, and the shapes of its arguments."""
    called = jax.jit(callable_of(artifact), donate_argnums=artifact.donated, keep_unused=True)
    return called, _shapes(artifact.inputs)


def callable_of(artifact: Artifact) -> Any:
    """What calls the artifact's bytes: an `Exported` of the right shapes, with the bytes in it."""
    outputs = artifact.outputs

    def shell(*arguments: Any) -> tuple[Any, ...]:
        del arguments
        return tuple(jnp.zeros(tensor.shape, tensor.dtype) for tensor in outputs)

    made = jax.export.export(jax.jit(shell, keep_unused=True))(*_shapes(artifact.inputs))
    return replace(made, mlir_module_serialized=artifact.data).call


def _shapes(tensors: Sequence[Any]) -> tuple[jax.ShapeDtypeStruct, ...]:
    return tuple(jax.ShapeDtypeStruct(tensor.shape, tensor.dtype) for tensor in tensors)
