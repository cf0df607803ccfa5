"""A Llama whose steps are the scheduler's, on pages: `llama_rows` as an engine calls it, greedy, one step at a time."""

# JAX's own annotations leave parts of its functions' types unknown.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from agentlang.executor.scheduler import (
    Admitted,
    Arrived,
    Chunk,
    Copy,
    Preempted,
    Released,
    Row,
    Scheduler,
    Settings,
    Step,
    StepDone,
    StepWanted,
)
from agentlang.stdlib.models import llama, llama_rows
from agentlang.stdlib.models.llama_config import LlamaConfig

BUCKETS = (1, 4, 16)


class PagedLlama:
    """Runs requests to their ends. `pages` of the settings are those that sequences may have; one more is scratch."""

    def __init__(self, config: LlamaConfig, weights: llama.Weights, settings: Settings, context: int) -> None:
        self.config, self.weights, self.settings = config, weights, settings
        self.most = settings.pages_for(context)
        self.scratch = settings.pages
        shapes = llama_rows.pool_shapes(config, settings.pages + 1, settings.page)
        self.pools = [
            llama_rows.Pool(*(jnp.zeros(shape.shape, shape.dtype) for shape in shapes)) for _ in weights.layers
        ]
        self.enter = jax.jit(partial(llama.enter, config))
        self.enter_rows = jax.jit(partial(llama_rows.enter_rows, config))
        self.chunk_layer = jax.jit(partial(llama_rows.prefill_pages_layer, config), donate_argnums=1)
        self.rows_layer = jax.jit(partial(llama_rows.decode_rows_layer, config), donate_argnums=1)
        self.leave = jax.jit(lambda outer, hidden, count: llama.leave(config, outer, hidden, count)[None])
        self.leave_rows = jax.jit(partial(llama_rows.leave_rows, config))
        self.choose = jax.jit(llama_rows.likeliest)
        self.copy = jax.jit(llama_rows.copy_page, donate_argnums=0)
        self.seen = Counter[str]()

    def run(self, prompts: list[tuple[int, ...]], tokens: int) -> list[list[int]]:
        """The next `tokens` greedy tokens of each prompt, all at once."""
        scheduler = Scheduler(self.settings)
        made: dict[int, list[int]] = {number: [] for number in range(len(prompts))}
        for number, prompt in enumerate(prompts):
            scheduler.handle(Arrived(0.0, number, prompt))
        while True:
            step = None
            for order in scheduler.handle(StepWanted(0.0)):
                self.seen[type(order).__name__] += 1
                if isinstance(order, Copy):
                    pages = np.int32(order.source), np.int32(order.target)
                    self.pools = [self.copy(pool, *pages) for pool in self.pools]
                elif isinstance(order, Step):
                    step = order
                else:
                    assert isinstance(order, Admitted | Preempted) or type(order).__name__ == "Drop"
            if step is None:
                break
            out = {chunk.sequence: self.prefill(chunk) for chunk in step.prefill}
            ended = [chunk.sequence for chunk in step.prefill if chunk.last] + [row.sequence for row in step.decode]
            if step.decode:
                out |= dict(zip([row.sequence for row in step.decode], self.decode(step.decode).tolist(), strict=True))
            goes_on: list[tuple[int, tuple[int, ...]]] = []
            for sequence in ended:
                made[sequence].append(out[sequence])
                if len(made[sequence]) < tokens:
                    goes_on.append((sequence, (out[sequence],)))
            scheduler.handle(StepDone(0.0, step.number, tuple(goes_on)))
            for sequence in ended:
                if len(made[sequence]) >= tokens:
                    scheduler.handle(Released(0.0, sequence))
        assert scheduler.free_pages + scheduler.cached_pages == self.settings.pages
        return [made[number] for number in range(len(prompts))]

    def prefill(self, chunk: Chunk) -> int:
        size = next(size for size in (16, 64, 256, 1024) if size >= chunk.count)
        tokens = np.zeros(size, np.int32)
        tokens[: chunk.count] = chunk.tokens
        table = self.table(chunk.pages)
        hidden, places = self.enter(self.weights.outer, tokens, np.int32(chunk.start))
        count = np.int32(chunk.count)
        for number, layer in enumerate(self.weights.layers):
            hidden, self.pools[number] = self.chunk_layer(layer, self.pools[number], hidden, places, table, count)
        return int(self.choose(self.leave(self.weights.outer, hidden, count))[0])

    def decode(self, rows: tuple[Row, ...]) -> Any:
        """The tokens behind the rows."""
        count = next(size for size in BUCKETS if size >= len(rows))
        tokens, positions = np.zeros(count, np.int32), np.zeros(count, np.int32)
        table = np.full((count, self.most), self.scratch, np.int32)
        for index, row in enumerate(rows):
            assert row.token is not None
            tokens[index], positions[index] = row.token, row.position
            table[index] = self.table(row.pages)
        return np.asarray(self.step(tokens, positions, table))[: len(rows)]

    def step(self, tokens: Any, positions: Any, table: Any) -> Any:
        """One decode step: the next tokens, on the device."""
        hidden, rows = self.enter_rows(self.weights.outer, tokens, positions, table)
        for number, layer in enumerate(self.weights.layers):
            hidden, self.pools[number] = self.rows_layer(layer, self.pools[number], hidden, rows)
        return self.choose(self.leave_rows(self.weights.outer, hidden))

    def table(self, pages: tuple[int, ...]) -> Any:
        table = np.full(self.most, self.scratch, np.int32)
        table[: len(pages)] = pages
        return table


class SingleLlama:
    """The same by the step of one sequence: what the batch is compared with."""

    def __init__(self, config: LlamaConfig, weights: llama.Weights, length: int) -> None:
        self.config, self.weights, self.length = config, weights, length
        self.prefill: Callable[..., Any] = jax.jit(partial(llama.prefill, config))
        self.decode: Callable[..., Any] = jax.jit(partial(llama.decode, config), donate_argnums=1)

    def run(self, prompt: tuple[int, ...], tokens: int) -> list[int]:
        shapes = llama.cache_shapes(self.config, self.length)
        cache: Any = tuple(
            llama.LayerCache(*(jnp.zeros(shape.shape, shape.dtype) for shape in shapes)) for _ in self.weights.layers
        )
        padded = np.zeros(-(-len(prompt) // 64) * 64, np.int32)
        padded[: len(prompt)] = prompt
        logits, cache = self.prefill(self.weights, cache, padded, np.int32(0), np.int32(len(prompt)))
        made = [int(logits.argmax())]
        while len(made) < tokens:
            at = np.int32(len(prompt) + len(made) - 1)
            logits, cache = self.decode(self.weights, cache, np.int32(made[-1]), at)
            made.append(int(logits.argmax()))
        return made
