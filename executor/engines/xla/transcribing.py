"""Speech to text on XLA: a recogniser's encoder once for each window, its decoder token by token.

Two programs, compiled once on a machine and kept. What a window needs of the device (features, the encoder, a step)
runs in a thread, one at a time for all who are heard at once: they take turns after each step, and who goes away is
gone within one.
"""

# JAX's own annotations leave parts of its functions' types unknown.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio
import anyio.to_thread
import jax
import jax.numpy as jnp
import numpy as np

from ....base.problems import OutsideError
from ..families import Segment
from ..problems import model_does_not_load
from ..speech.resampling import Resampler
from ..speech.sources import Reading, TranscribingSource, TranscribingSpec
from .kept import KeptPrograms, Program, kept_programs

if TYPE_CHECKING:
    from numpy.typing import NDArray

_INAUDIBLE = 0.002
"""Of a full scale of one: 54 dB below it."""
_LEAST_REST = 0.5
"""Seconds: what is left behind a window and shorter is no window of its own, for nothing is said in it."""


async def load(spec: TranscribingSpec, keep_programs: bool = True) -> XlaRecognizer:
    """Raises `OutsideError` (model-does-not-load)."""
    source = spec.source
    if source is None:
        raise OutsideError(model_does_not_load(spec.name, "the XLA engine needs the model's files"))

    def build() -> XlaRecognizer:
        try:
            keep = kept_programs() if keep_programs else None
        except OSError:
            # A home that cannot be written costs each start a compilation, and no answer.
            keep = None
        recognizer = XlaRecognizer(source, keep)
        recognizer.open()
        return recognizer

    return await anyio.to_thread.run_sync(build)


class XlaRecognizer:
    """A `TranscribingModel`."""

    def __init__(self, source: TranscribingSource, keep: Path | None) -> None:
        self._source = source
        self._functions = source.functions()
        self._kept = KeptPrograms(f"{source.key}\0{_code()}", keep)
        self._weights: list[Any] | None = None
        self._turns = anyio.CapacityLimiter(1)

    def open(self) -> None:
        """Put the weights on the device and have the programs there. Blocks."""
        weights = self._source.weights()
        self._source.reading(0, None)
        self._weights = jax.device_put(jax.tree.leaves(weights))
        self._encode_program()
        self._step_program()

    @property
    def compiled(self) -> int:
        """Programs compiled here since it was loaded, rather than found."""
        return self._kept.compiled

    async def transcribe(self, audio: AsyncIterator[bytes], rate: int) -> AsyncIterator[Segment]:
        source = self._source
        resampler = Resampler(rate, source.rate)
        held = np.zeros(0, np.float32)
        offset, language, odd = 0, None, b""

        async def window(samples: NDArray[Any]) -> Reading:
            reading = source.reading(len(samples), language)
            # Of silence some models say what is said most; nobody could have heard anything there.
            if float(np.abs(samples).max()) >= _INAUDIBLE:
                await self._read(samples, reading)
            return reading

        def timed(reading: Reading) -> list[Segment]:
            start = offset / source.rate
            return [
                Segment(round(start + part.start, 6), round(start + part.end, 6), part.text)
                for part in reading.segments()
            ]

        async for piece in audio:
            data = odd + piece
            odd = data[len(data) // 2 * 2 :]
            samples = np.frombuffer(data, "<i2", len(data) // 2).astype(np.float32) / 32768.0
            held = np.concatenate([held, resampler.push(samples)])
            while len(held) >= source.window:
                reading = await window(held[: source.window])
                for segment in timed(reading):
                    yield segment
                offset, language, held = offset + reading.heard, reading.language, held[reading.heard :]
        held = np.concatenate([held, resampler.end()])
        while len(held) >= (_LEAST_REST * source.rate if offset else 1):
            reading = await window(held[: source.window])
            for segment in timed(reading):
                yield segment
            offset, language, held = offset + reading.heard, reading.language, held[reading.heard :]

    async def close(self) -> None:
        self._weights = None

    async def _read(self, samples: NDArray[Any], reading: Reading) -> None:
        """Write a window down."""
        heard, cache = await self._turn(self._hear, samples)
        token: int | None = reading.prompt[0]
        for position in range(self._functions.context):
            token, cache = await self._turn(self._step, heard, cache, token, position, reading)
            if token is None:
                return

    async def _turn(self, function: Any, *arguments: Any) -> Any:
        return await anyio.to_thread.run_sync(function, *arguments, limiter=self._turns)

    def _hear(self, samples: NDArray[Any]) -> tuple[list[Any], list[Any]]:
        heard = self._encode_program()(self._held(), self._source.features(samples))
        return heard, self._create_program()()

    def _step(
        self, heard: list[Any], cache: list[Any], token: int, position: int, reading: Reading
    ) -> tuple[int | None, list[Any]]:
        logits, cache = self._step_program()(self._held(), heard, cache, np.int32(token), np.int32(position))
        return reading.choose(np.asarray(logits), position), cache

    def _held(self) -> list[Any]:
        if self._weights is None:
            raise RuntimeError("the model was closed")
        return self._weights

    # What is compiled: a jitted function and the shapes of its arguments, flat, since trees are kept as plain lists.

    def _create_program(self) -> Program:
        shapes = jax.tree.leaves(self._functions.cache_shapes())
        zeros = jax.jit(lambda: [jnp.zeros(shape.shape, shape.dtype) for shape in shapes])
        return self._kept.get("create", lambda: (zeros, ()))

    def _encode_program(self) -> Program:
        def make() -> tuple[Any, tuple[Any, ...]]:
            leaves, tree = jax.tree.flatten(self._functions.weight_shapes())

            def encode(weights: Any, features: Any) -> Any:
                return jax.tree.leaves(self._functions.encode(jax.tree.unflatten(tree, weights), features))

            return jax.jit(encode), (leaves, self._functions.feature_shape())

        return self._kept.get("transcribe-encode", make)

    def _step_program(self) -> Program:
        def make() -> tuple[Any, tuple[Any, ...]]:
            functions = self._functions
            shapes = functions.weight_shapes()
            leaves, tree = jax.tree.flatten(shapes)
            heard = jax.eval_shape(functions.encode, shapes, functions.feature_shape())
            heard_leaves, heard_tree = jax.tree.flatten(heard)
            cache_leaves, cache_tree = jax.tree.flatten(functions.cache_shapes())
            number = jax.ShapeDtypeStruct((), jnp.int32)

            def step(weights: Any, heard: Any, cache: Any, token: Any, position: Any) -> Any:
                trees = (jax.tree.unflatten(heard_tree, heard), jax.tree.unflatten(cache_tree, cache))
                logits, filled = functions.step(jax.tree.unflatten(tree, weights), *trees, token, position)
                return logits, jax.tree.leaves(filled)

            return jax.jit(step, donate_argnums=2), (leaves, heard_leaves, cache_leaves, number, number)

        return self._kept.get("transcribe-step", make)


@cache
def _code() -> str:
    """The code that stands around the model's functions."""
    return hashlib.sha256(Path(__file__).read_bytes()).hexdigest()
