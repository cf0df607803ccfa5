"""Sentence encoders on XLA: texts to vectors, in batches of a few static shapes.

Texts are sorted by length, so that little is spent on padding; each shape is compiled once on a machine and kept. A
text that is longer than the model reads at once comes in windows, whose vectors are averaged by length.

A small model keeps one core busy, so many texts run as many batches at once as there are cores; a caller that is
stopped waits for the batches at hand alone.
"""

# JAX's own annotations leave parts of its functions' types unknown.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import anyio
import anyio.to_thread

from ..families import TextModelSource

if TYPE_CHECKING:
    from pathlib import Path

    from ..families import Vectors
    from ..packaged import PackagedModel
    from .kept import KeptPrograms
    from .native import NativeFunctions

_BATCHES_AT_ONCE = 2  # of the largest size, in a run between two looks at whether the caller has gone


class EncoderFunctions(Protocol):
    """An encoder's mathematics as functions that an engine may compile (JAX values, hence `Any`), and its way of
    reading texts. Thread-safe."""

    @property
    def key(self) -> str:
        """Names the mathematics (not the weights): equal keys may share compiled code."""
        ...

    @property
    def dimensions(self) -> int: ...

    @property
    def lengths(self) -> tuple[int, ...]:
        """The tokens of a window, markers included, that programs are made for, ascending."""
        ...

    @property
    def batches(self) -> tuple[int, ...]:
        """The windows that go through a program together, ascending."""
        ...

    def windows(self, texts: Sequence[str]) -> Iterator[tuple[int, list[int]]]:
        """The number of a text and the tokens of a window of it, markers included. Each text has one at least."""
        ...

    def inputs(self, windows: Sequence[Sequence[int]], size: int, length: int) -> tuple[Any, ...]:
        """What a program takes behind the weights, for up to `size` windows of up to `length` tokens."""
        ...

    def weights(self) -> list[Any]:
        """The leaves of the weights, on the host. Raises `base.problems.OutsideError` (model-does-not-load)."""
        ...

    def program(self, size: int, length: int) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        """A function of the weights' leaves and the inputs, which gives vectors of length one `[size, dimensions]`; and
        the shapes of its arguments."""
        ...


@runtime_checkable
class EncoderSource(TextModelSource, Protocol):
    """A source whose encoder XLA can run."""

    def functions(self) -> EncoderFunctions: ...


class XlaEncoder:
    """An `EmbeddingModel`. Opened when first used, or by `open`; `keep` False writes no programs."""

    def __init__(
        self, name: str, key: str, functions: EncoderFunctions, package: PackagedModel | None = None, keep: bool = True
    ) -> None:
        self._name = name
        self._functions = functions
        self._package = package
        self._keep = keep
        self.key = key
        self.dimensions = functions.dimensions

    @property
    def compiled(self) -> int:
        """How many programs were compiled here rather than loaded, for tests and reports."""
        return self._programs.compiled

    def open(self) -> None:
        """Read the model, and what a short question needs, now instead of at the first text."""
        self.vectors([""])

    async def embed(self, texts: Sequence[str]) -> Vectors:
        import numpy as np

        out = np.zeros((len(texts), self.dimensions), np.float32)
        # Two texts are no batch worth its padding: each is a run.
        size = self._functions.batches[-1] * _BATCHES_AT_ONCE if len(texts) > 2 else 1
        order = sorted(range(len(texts)), key=lambda number: len(texts[number]))
        failures: list[Exception] = []
        cores = anyio.CapacityLimiter(os.cpu_count() or 1)

        async def embedded(run: list[int]) -> None:
            try:
                out[run] = await anyio.to_thread.run_sync(self.vectors, [texts[each] for each in run], limiter=cores)
            except Exception as failure:  # raised below, as it is: a group would hide what it is
                failures.append(failure)
                group.cancel_scope.cancel()

        async with anyio.create_task_group() as group:
            for start in range(0, len(order), size):
                group.start_soon(embedded, order[start : start + size])
        if failures:
            raise failures[0]
        return out

    async def close(self) -> None:
        for name in ("_weights", "_programs", "_native"):
            self.__dict__.pop(name, None)

    def vectors(self, texts: Sequence[str]) -> Vectors:
        """As `embed`, in this thread. Raises `OutsideError` (model-does-not-load)."""
        import numpy as np

        out = np.zeros((len(texts), self.dimensions), dtype=np.float32)
        windows = sorted(self._functions.windows(texts), key=lambda window: len(window[1]))
        for batch in self._batches(windows):
            for (number, tokens), vector in zip(batch, self._run([tokens for _, tokens in batch]), strict=True):
                out[number] += vector * len(tokens)
        lengths = np.linalg.norm(out, axis=1, keepdims=True)
        return out / np.maximum(lengths, 1e-12)

    def _run(self, batch: Sequence[Sequence[int]]) -> Vectors:
        import numpy as np

        functions = self._functions
        longest = max(map(len, batch))
        length = next(length for length in functions.lengths if longest <= length)
        size = next(size for size in functions.batches if len(batch) <= size)
        weights = self._weights
        if self._native is not None:
            program = self._native.get(f"encode_{size}_{length}")
        else:
            program = self._programs.get(f"encode-{size}-{length}", lambda: self._program(size, length))
        return np.asarray(program(weights, *functions.inputs(batch, size, length)))[: len(batch)]

    def _batches(self, windows: list[tuple[int, list[int]]]) -> Iterator[list[tuple[int, list[int]]]]:
        """Windows of like length. The last few go one by one where a batch would be padding for the most part."""
        size = self._functions.batches[-1]
        for start in range(0, len(windows), size):
            batch = windows[start : start + size]
            if len(batch) > size // 4:
                yield batch
            else:
                yield from ([window] for window in batch)

    def _program(self, size: int, length: int) -> tuple[Any, tuple[Any, ...]]:
        import jax

        function, shapes = self._functions.program(size, length)
        if self._package is not None:
            from .load import callable_of

            call = callable_of(self._package.functions[f"encode_{size}_{length}"])

            def packaged(leaves: Any, *inputs: Any) -> Any:
                return call(*leaves, *inputs)[0]

            function = packaged
        return jax.jit(function), shapes

    @cached_property
    def _weights(self) -> list[Any]:
        import jax

        put: Callable[[Any], Any] = jax.device_put if self._native is None else self._native.put
        return [put(leaf) for leaf in self._functions.weights()]

    @cached_property
    def _native(self) -> NativeFunctions | None:
        """The functions where they came as machine code."""
        if self._package is None or self._package.kind != "iree":
            return None
        from .native import NativeFunctions

        return NativeFunctions(self._name, self._package)

    @cached_property
    def _programs(self) -> KeptPrograms:
        from .kept import KeptPrograms

        key = self._functions.key if self._package is None else f"package {self._package.digest}"
        return KeptPrograms(key, self._place())

    def _place(self) -> Path | None:
        from .kept import kept_programs

        try:
            return kept_programs() if self._keep else None
        except OSError:
            # A home that cannot be written costs each start a compilation, and no answer.
            return None
