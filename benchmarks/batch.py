"""A decode step of SmolLM2-135M in f32 for 1, 4 and 16 sequences on pages of KV cache, beside the engine's for one.

One step reads the weights once, however many rows it has, so rows are cheap until the multiplications or the caches
cost more than the weights. Measured in turns, at caches of 256 and 1,024 positions, half full and more; each row at a
position and on pages of its own. Both steps end with the token: the likeliest of each row.
"""

# JAX's own annotations leave parts of its functions' types unknown.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable
from functools import partial
from typing import Any, cast

import jax
import jax.numpy as jnp
import numpy as np

from agentlang.base import paths
from agentlang.executor.engines.xla.kept import kept_programs
from agentlang.executor.engines.xla.programs import Programs
from agentlang.stdlib.models import llama, llama_rows, open_chat
from agentlang.stdlib.models.chat_source import LlamaFunctions

NAME = "smollm2-135m-instruct"
PAGE = 128
LENGTHS = (256, 1024)
ROWS = (1, 4, 16)


class One:
    """The engine's step for one sequence."""

    def __init__(self, programs: Programs, weights: Any, length: int, vocabulary: int) -> None:
        self._weights = programs.placed(weights)
        self._step, self._choose = programs.decode(length), programs.greedy(vocabulary)
        create = programs.create(length)
        self._cache = [create() for _ in self._weights.layers]
        self._token: Any = np.array([5], np.int32)
        self._length = length
        self._position = length // 2

    def __call__(self) -> float:
        began = time.perf_counter()
        self._token = self._choose(self._step(self._weights, self._cache, self._token, self._position, 1))
        int(self._token[0])
        self._position = self._position + 1 if self._position + 1 < self._length else self._length // 2
        return time.perf_counter() - began


class Many:
    """The step of `rows` sequences on pages, in any order."""

    def __init__(self, functions: LlamaFunctions, weights: llama.Weights, length: int, rows: int) -> None:
        config = functions.config
        shapes = llama_rows.pool_shapes(config, rows * length // PAGE, PAGE)
        self._pools = [llama_rows.Pool(*(jnp.zeros(s.shape, s.dtype) for s in shapes)) for _ in weights.layers]
        self._weights, self._length = weights, length
        order = np.random.default_rng(0).permutation(rows * length // PAGE).astype(np.int32)
        self._table = jnp.asarray(order.reshape(rows, length // PAGE))
        self._tokens: Any = jnp.full(rows, 5, jnp.int32)
        self._positions = np.asarray([length // 2 + 7 * row for row in range(rows)], np.int32)
        self._enter: Any = jax.jit(partial(llama_rows.enter_rows, config))
        layer = jax.jit(partial(llama_rows.decode_rows_layer, config), donate_argnums=1)
        hidden, places = jax.eval_shape(
            partial(llama_rows.enter_rows, config), weights.outer, self._tokens, self._positions, self._table
        )
        compiled = layer.lower(weights.layers[0], self._pools[0], hidden, places).compile()
        self._layer: Any = compiled
        self.temporary = cast("Any", compiled.memory_analysis()).temp_size_in_bytes
        self._leave: Any = jax.jit(lambda outer, x: llama_rows.likeliest(llama_rows.leave_rows(config, outer, x)))

    def __call__(self) -> float:
        began = time.perf_counter()
        hidden, rows = self._enter(self._weights.outer, self._tokens, self._positions, self._table)
        for number, layer in enumerate(self._weights.layers):
            hidden, self._pools[number] = self._layer(layer, self._pools[number], hidden, rows)
        self._tokens = self._leave(self._weights.outer, hidden)
        np.asarray(self._tokens)
        self._positions = (self._positions + 1) % self._length
        return time.perf_counter() - began


def measure(turns: int = 30) -> None:
    path = next(iter((paths.models_home() / NAME).glob("*.gguf")), None)
    if path is None:
        print(f"left out: {NAME} is not here; `agentlang models pull {NAME}` fetches it")
        return
    source = open_chat(path, NAME)
    functions = source.functions()
    weights = source.weights()
    on_device = cast("llama.Weights", jax.device_put(llama.Weights(*weights)))
    programs = Programs(source.key, functions, kept_programs())
    for length in LENGTHS:
        many = {rows: Many(functions, on_device, length, rows) for rows in ROWS}
        steps: dict[int, Callable[[], float]] = {
            0: One(programs, weights, length, source.facts().vocabulary),
            **many,
        }
        times: dict[int, list[float]] = {name: [] for name in steps}
        for turn in range(turns + 2):
            for name, step in steps.items():
                seconds = step()
                if turn > 1:
                    times[name].append(seconds)
        print(f"cache of {length} positions")
        print(f"  one sequence     {1e3 * statistics.median(times[0]):6.1f} ms a step (best {1e3 * min(times[0]):.1f})")
        for rows in ROWS:
            ratio = statistics.median(a / b for a, b in zip(times[rows], times[0], strict=True))
            best = min(times[rows]) / min(times[0])
            print(
                f"  {rows:2} rows on pages {1e3 * statistics.median(times[rows]):6.1f} ms a step "
                f"(best {1e3 * min(times[rows]):.1f}): {ratio:.2f} x the step of one (best {best:.2f}), "
                f"{rows / ratio:.1f} x its tokens/s (best {rows / best:.1f}); "
                f"temporary {many[rows].temporary / 2**20:.1f} MiB"
            )


def main() -> None:
    measure()


if __name__ == "__main__":
    sys.exit(main())
