"""Runs a model whole and in shards, and gives what each says: logits behind a prompt, and behind each token that it
chooses. Run as a script, this module is the process in which a layer runs on several devices."""

# JAX's own annotations leave parts of its functions' types unknown.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from typing import Any

import anyio
import jax
import jax.numpy as jnp
import numpy as np

from agentlang.executor.engines.protocol import ModelFunctions, ModelSpec, Sampling, Spread
from agentlang.executor.engines.xla.engine import XlaEngine
from agentlang.executor.engines.xla.load import QUICKLY
from agentlang.executor.engines.xla.sequence import XlaSequence
from agentlang.executor.engines.xla.shards import collective, sharded


@dataclass(frozen=True, slots=True)
class Said:
    """Logits `[steps, vocab]`: behind the prompt, then behind each token; `tokens` are the most likely of each."""

    logits: Any

    @property
    def tokens(self) -> list[int]:
        return [int(token) for token in np.argmax(self.logits, axis=-1)]


def empty(shapes: Any) -> Any:
    return jax.tree.map(lambda shape: jnp.zeros(shape.shape, shape.dtype), shapes)


def said(functions: ModelFunctions, weights: Any, prompt: Any, steps: int, length: int = 128) -> Said:
    """A prompt in two chunks, then the `steps` most likely tokens, one by one."""
    cache = tuple(empty(functions.cache_shapes(length)) for _ in range(functions.layers))
    half = len(prompt) // 2
    prefill, decode = (jax.jit(step, compiler_options=dict(QUICKLY)) for step in (functions.prefill, functions.decode))
    _, cache = prefill(weights, cache, prompt[:half], jnp.int32(0), jnp.int32(half))
    logits, cache = prefill(weights, cache, prompt[half:], jnp.int32(half), jnp.int32(len(prompt) - half))
    seen = [np.asarray(logits)]
    for step in range(steps):
        token = np.argmax(seen[-1])
        logits, cache = decode(weights, cache, jnp.int32(token), jnp.int32(len(prompt) + step))
        seen.append(np.asarray(logits))
    return Said(np.stack(seen))


def whole_and_sharded(source: Any, spread: Spread, prompt: Any, steps: int, length: int = 128) -> tuple[Said, Said]:
    """Both choose their own tokens."""
    functions, weights = source.functions(), source.weights()
    parts = sharded(functions, spread)
    return (
        said(functions, weights, prompt, steps, length),
        said(parts, parts.weights(weights), prompt, steps, length),
    )


def on_devices(source: Any, spread: Spread, prompt: Any, steps: int, length: int = 128) -> Said:
    """The layers as programs of several devices, with a collective between them."""
    functions = source.functions()
    parts = sharded(functions, spread)
    outer, layers = parts.weights(source.weights())
    together = collective(parts.parts)
    held = [together.placed(layer) for layer in layers]
    cache = [together.cache(length) for _ in layers]
    layer = together.layer()

    def step(tokens: Any, start: int) -> Any:
        hidden, places = functions.enter(outer, jnp.asarray(tokens, jnp.int32), jnp.int32(start))
        for number, weights in enumerate(held):
            hidden, cache[number] = layer(weights, cache[number], hidden, places)
        return np.asarray(functions.leave(outer, hidden, jnp.int32(len(tokens))))

    half = len(prompt) // 2
    step(prompt[:half], 0)
    seen = [step(prompt[half:], half)]
    for number in range(steps):
        seen.append(step([np.argmax(seen[-1])], len(prompt) + number))
    program = layer.lower(held[0], cache[0], *functions.enter(outer, jnp.zeros(1, jnp.int32), jnp.int32(0)))
    assert program.compile().as_text().count("all-reduce") >= 2, "no collective runs"
    devices = {shard.device for leaf in jax.tree.leaves(cache[0]) for shard in leaf.addressable_shards}
    assert len(devices) == parts.parts.attention_shards
    return Said(np.stack(seen))


async def by_engine(source: Any, spread: Spread, text: tuple[int, ...]) -> list[int]:
    """The engine's tokens, so many that its cache has to grow, of a prompt and of one that begins alike; on each shard
    a device, where there are as many."""
    model = await XlaEngine(keep_programs=False).load(ModelSpec("model", source, spread=spread))
    first = await model.prefill(text)
    if isinstance(first, XlaSequence):
        assert first.cache is not None
        devices = {one.device for leaf in first.cache[0] for one in leaf.addressable_shards}
        assert len(devices) == (max(spread.tensor, spread.expert) if len(jax.devices()) > 1 else 1)
    second = await model.prefill((*text, 7, 8, 9), first)
    assert second.stats.cached_tokens > 0
    made: list[int] = []
    for sequence, most in ((first, 16), (second, 4)):
        made += [token async for token in model.decode(sequence, Sampling(max_tokens=most))]
        await model.release(sequence)
    await model.close()
    return made


def prompt(count: int = 40, vocabulary: int = 259) -> Any:
    return np.random.default_rng(5).integers(3, vocabulary, count).astype(np.int32)


# --- another process, with several devices ---------------------------------------------------------------------------


def in_a_process(jobs: list[tuple[str, int, int]], steps: int) -> list[dict[str, Any]]:
    """Each job in a process whose CPU shows itself as four devices: the tokens of the whole model and of its shards,
    and how far their logits are apart. `llama` is run by the engine, `mixture` layer by layer."""
    flags = f"{os.environ.get('XLA_FLAGS', '')} --xla_force_host_platform_device_count=4"
    environment = {**os.environ, "XLA_FLAGS": flags, "JAX_PLATFORMS": "cpu"}
    command = [sys.executable, __file__, json.dumps({"jobs": jobs, "steps": steps})]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def _main() -> None:
    from mixture_model import TinyMixture

    from agentlang.stdlib.models.tiny import TinyLlama

    asked = json.loads(sys.argv[1])
    out: list[dict[str, Any]] = []
    for name, tensor, expert in asked["jobs"]:
        spread = Spread(tensor, expert)
        told: dict[str, Any] = {"devices": len(jax.devices())}
        if name == "llama":
            text = tuple(int(token) for token in prompt(245))
            whole, parts = (anyio.run(by_engine, TinyLlama(seed=2), each, text) for each in (Spread(), spread))
            told |= {"whole": whole, "parts": parts, "apart": 0.0}
        else:
            source = TinyMixture(seed=2)
            one = said(source.functions(), source.weights(), prompt(), asked["steps"])
            other = on_devices(source, spread, prompt(), asked["steps"])
            apart = float(np.abs(one.logits - other.logits).max())
            told |= {"whole": one.tokens, "parts": other.tokens, "apart": apart}
        out.append(told)
    print(json.dumps(out))


if __name__ == "__main__":
    _main()
