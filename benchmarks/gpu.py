"""What a GPU gives a model of Llama-3-8B's shape, beside what the card itself can do. Needs JAX and numpy alone.

    python gpu.py --out gpu.json      # on a machine with a GPU: two to four minutes, 20 GB of its memory
    python gpu.py --small             # a tiny shape on any device, to try the script itself

The weights are random, in bf16. Prefill is measured in operations a second beside large matrix products, decode in
bytes a second beside large reads and copies, all on this card in this run. Numbers are checked: a layer beside numpy in
float64, and a decode step beside the prefill that it continues. Without a GPU it says so and ends well.
"""

# JAX's own annotations leave parts of its functions' types unknown.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# pyright: reportUnknownLambdaType=false, reportUnknownParameterType=false

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

# The card may be shared: memory is taken as it is needed.
os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")

import jax
import jax.numpy as jnp
import numpy as np


@dataclass(frozen=True)
class Shape:
    layers: int = 32
    d_model: int = 4096
    heads: int = 32
    kv_heads: int = 8
    head_dim: int = 128
    ffn: int = 14336
    vocab: int = 128256
    rope_base: float = 500_000.0
    prompts: tuple[int, ...] = (2048, 8192)
    """Tokens of prompts whose prefill is measured."""
    context: int = 2048
    """Positions of the caches of a decode step, all of them read."""
    batches: tuple[int, ...] = (1, 16, 64)
    steps: int = 16
    """Of decode, timed together."""
    square: int = 8192
    """Side of the matrices of the peak."""
    stretch: int = 1 << 32
    """Bytes of the array of the peak."""

    def layer_weights(self) -> int:
        qkv = self.d_model * (self.heads + 2 * self.kv_heads) * self.head_dim
        return qkv + self.heads * self.head_dim * self.d_model + 3 * self.d_model * self.ffn

    def weights(self) -> int:
        """Of matrices that a token is multiplied with: the table of embeddings is only looked up."""
        return self.layers * self.layer_weights() + self.d_model * self.vocab

    def bytes_needed(self) -> int:
        cache = 2 * self.layers * max(self.batches) * self.context * self.kv_heads * self.head_dim * 2
        return 2 * (self.weights() + self.d_model * self.vocab) + cache + 2 * self.stretch


SMALL = Shape(2, 128, 4, 2, 32, 256, 512, 1e4, (64,), 64, (4,), 4, 256, 1 << 22)


class Layer(NamedTuple):
    """Matrices `[in, out]`. Queries, keys and values are one, gate and up are one, as the engine has them."""

    norm: jax.Array
    qkv: jax.Array
    out: jax.Array
    ffn_norm: jax.Array
    gate_up: jax.Array
    down: jax.Array


class Outer(NamedTuple):
    embedding: jax.Array
    norm: jax.Array
    head: jax.Array


class Cache(NamedTuple):
    """Of a layer: `[batch, positions, kv_heads, head_dim]` each."""

    keys: jax.Array
    values: jax.Array


# ── the model ──


def random_layer(shape: Shape, dtype: Any, key: jax.Array) -> Layer:
    width, keys = shape.heads * shape.head_dim, jax.random.split(key, 6)

    def matrix(number: int, rows: int, columns: int) -> jax.Array:
        return (jax.random.normal(keys[number], (rows, columns), jnp.float32) / rows**0.5).astype(dtype)

    def scale(number: int) -> jax.Array:
        return (1 + 0.1 * jax.random.normal(keys[number], (shape.d_model,), jnp.float32)).astype(dtype)

    qkv = width + 2 * shape.kv_heads * shape.head_dim
    return Layer(
        scale(0),
        matrix(1, shape.d_model, qkv),
        matrix(2, width, shape.d_model),
        scale(3),
        matrix(4, shape.d_model, 2 * shape.ffn),
        matrix(5, shape.ffn, shape.d_model),
    )


def random_outer(shape: Shape, dtype: Any, key: jax.Array) -> Outer:
    first, second = jax.random.split(key)
    embedding = jax.random.normal(first, (shape.vocab, shape.d_model), jnp.bfloat16).astype(dtype)
    head = (jax.random.normal(second, (shape.d_model, shape.vocab), jnp.bfloat16) / shape.d_model**0.5).astype(dtype)
    return Outer(embedding, jnp.ones((shape.d_model,), dtype), head)


def normed(hidden: jax.Array, scale: jax.Array) -> jax.Array:
    wide = hidden.astype(jnp.float32)
    level = jax.lax.rsqrt(jnp.mean(wide * wide, axis=-1, keepdims=True) + 1e-5)
    return (wide * level).astype(hidden.dtype) * scale


def turned(vectors: jax.Array, positions: jax.Array, base: float) -> jax.Array:
    """Rotary positions: `vectors[batch, n, heads, head_dim]` at `positions[n]`, in halves."""
    half = vectors.shape[-1] // 2
    angles = positions[:, None] * base ** (-jnp.arange(half, dtype=jnp.float32) / half)
    cos, sin = jnp.cos(angles)[:, None, :], jnp.sin(angles)[:, None, :]
    left, right = jnp.split(vectors.astype(jnp.float32), 2, axis=-1)
    return jnp.concatenate([left * cos - right * sin, right * cos + left * sin], axis=-1).astype(vectors.dtype)


def projected(
    shape: Shape, layer: Layer, hidden: jax.Array, positions: jax.Array
) -> tuple[jax.Array, jax.Array, jax.Array]:
    batch, count, _ = hidden.shape
    joined = normed(hidden, layer.norm) @ layer.qkv
    width, narrow = shape.heads * shape.head_dim, shape.kv_heads * shape.head_dim
    q, k, v = jnp.split(joined, [width, width + narrow], axis=-1)
    q = turned(q.reshape(batch, count, shape.heads, shape.head_dim), positions, shape.rope_base)
    k = turned(k.reshape(batch, count, shape.kv_heads, shape.head_dim), positions, shape.rope_base)
    return q, k, v.reshape(batch, count, shape.kv_heads, shape.head_dim)


def fed(layer: Layer, hidden: jax.Array) -> jax.Array:
    gate, up = jnp.split(normed(hidden, layer.ffn_norm) @ layer.gate_up, 2, axis=-1)
    return hidden + (jax.nn.silu(gate) * up) @ layer.down


def prefill_layer(shape: Shape, how: str, layer: Layer, hidden: jax.Array) -> tuple[jax.Array, Cache]:
    """One layer for a whole prompt `hidden[batch, n, d_model]`."""
    batch, count, _ = hidden.shape
    q, k, v = projected(shape, layer, hidden, jnp.arange(count, dtype=jnp.float32))
    seen = jax.nn.dot_product_attention(q, k, v, is_causal=True, implementation="cudnn" if how == "cudnn" else "xla")
    hidden = hidden + seen.reshape(batch, count, -1) @ layer.out
    return fed(layer, hidden), Cache(k, v)


def decode_layer(
    shape: Shape, layer: Layer, cache: Cache, hidden: jax.Array, position: jax.Array
) -> tuple[jax.Array, Cache]:
    """One layer for one token of each sequence, all at `position`; the whole cache is read."""
    batch = hidden.shape[0]
    q, k, v = projected(shape, layer, hidden, position[None].astype(jnp.float32))
    keys = jax.lax.dynamic_update_slice_in_dim(cache.keys, k, position, axis=1)
    values = jax.lax.dynamic_update_slice_in_dim(cache.values, v, position, axis=1)
    groups = q.reshape(batch, shape.kv_heads, shape.heads // shape.kv_heads, shape.head_dim)
    scores = jnp.einsum("bkgd,bnkd->bkgn", groups, keys, preferred_element_type=jnp.float32)
    there = jnp.arange(keys.shape[1]) <= position
    shares = jax.nn.softmax(jnp.where(there, scores / shape.head_dim**0.5, -jnp.inf), axis=-1).astype(values.dtype)
    seen = jnp.einsum("bkgn,bnkd->bkgd", shares, values)
    hidden = hidden + seen.reshape(batch, 1, -1) @ layer.out
    return fed(layer, hidden), Cache(keys, values)


def enter(outer: Outer, tokens: jax.Array) -> jax.Array:
    return outer.embedding[tokens]


def leave(outer: Outer, hidden: jax.Array) -> jax.Array:
    """Logits `[batch, vocab]` behind the last token."""
    return (normed(hidden[:, -1], outer.norm) @ outer.head).astype(jnp.float32)


def decode_step(
    shape: Shape, outer: Outer, layers: Sequence[Layer], caches: list[Cache], tokens: jax.Array, position: jax.Array
) -> tuple[list[Cache], jax.Array, jax.Array]:
    """One token more for each of `tokens[batch]`: the caches, the likeliest tokens, the position behind."""
    hidden = enter(outer, tokens[:, None])
    filled: list[Cache] = []
    for layer, cache in zip(layers, caches, strict=True):
        hidden, after = decode_layer(shape, layer, cache, hidden, position)
        filled.append(after)
    return filled, jnp.argmax(leave(outer, hidden), axis=-1).astype(jnp.int32), position + 1


# ── measuring ──


def best(work: Callable[[], Any], repeats: int = 5) -> float:
    """The least seconds of some runs, after one that compiles and warms."""
    jax.block_until_ready(work())
    times: list[float] = []
    for _ in range(repeats):
        began = time.perf_counter()
        jax.block_until_ready(work())
        times.append(time.perf_counter() - began)
    return min(times)


def peaks(shape: Shape) -> dict[str, float]:
    """Operations a second of a chain of square products in bf16; bytes a second of a sum and of a copy."""
    side, chain = shape.square, 4
    keys = jax.random.split(jax.random.key(1))
    left, right = (jax.random.normal(key, (side, side), jnp.float32).astype(jnp.bfloat16) for key in keys)
    left = left * jnp.bfloat16(side**-0.5)

    @jax.jit
    def products(a: jax.Array, b: jax.Array) -> jax.Array:
        for _ in range(chain):
            b = a @ b
        return b

    operations = 2 * side**3 * chain / best(partial(products, left, right))
    flat = jnp.ones((shape.stretch // 2,), jnp.bfloat16)
    rows = flat.reshape(-1, 1024)
    summed = jax.jit(lambda array: array.astype(jnp.float32).sum())
    copied = jax.jit(lambda array: array + jnp.bfloat16(1))
    read = shape.stretch / best(lambda: summed(rows))
    return {"flops": operations, "read": read, "copy": 2 * shape.stretch / best(lambda: copied(flat))}


def measure_prefill(shape: Shape, outer: Outer, layers: Sequence[Layer], tokens: int, how: str) -> dict[str, Any]:
    prompt = jnp.arange(tokens, dtype=jnp.int32)[None] % shape.vocab
    first, one, last = jax.jit(enter), jax.jit(partial(prefill_layer, shape, how)), jax.jit(leave)

    def work() -> jax.Array:
        hidden = first(outer, prompt)
        for layer in layers:
            hidden, _ = one(layer, hidden)
        return last(outer, hidden)

    seconds = best(work, 3)
    # The output table is multiplied with the last token alone; half of the scores are behind the diagonal.
    products = 2 * (tokens * len(layers) * shape.layer_weights() + shape.d_model * shape.vocab)
    scores = 2 * len(layers) * tokens**2 * shape.heads * shape.head_dim
    operations = products + scores
    return {
        "tokens": tokens,
        "seconds": seconds,
        "flops": operations / seconds,
        "tokens_per_second": tokens / seconds,
        "attention": how,
    }


def measure_decode(shape: Shape, outer: Outer, layers: Sequence[Layer], batch: int) -> dict[str, Any]:
    size = (batch, shape.context, shape.kv_heads, shape.head_dim)
    caches = [Cache(jnp.zeros(size, jnp.bfloat16), jnp.zeros(size, jnp.bfloat16)) for _ in layers]
    step = jax.jit(partial(decode_step, shape), donate_argnums=(2,))
    tokens = jnp.arange(batch, dtype=jnp.int32)
    at = shape.context - shape.steps - 1
    times: list[float] = []
    for _ in range(4):  # the first one compiles
        position = jnp.asarray(at, jnp.int32)
        jax.block_until_ready((caches, tokens, position))
        began = time.perf_counter()
        for _ in range(shape.steps):
            caches, tokens, position = step(outer, layers, caches, tokens, position)
        jax.block_until_ready(tokens)
        times.append((time.perf_counter() - began) / shape.steps)
    seconds = min(times[1:])
    cache = 2 * len(layers) * batch * shape.context * shape.kv_heads * shape.head_dim * 2
    moved = 2 * (len(layers) * shape.layer_weights() + shape.d_model * shape.vocab) + cache
    return {
        "batch": batch,
        "positions": shape.context,
        "seconds": seconds,
        "bytes": moved,
        "bytes_per_second": moved / seconds,
        "tokens_per_second": batch / seconds,
    }


# ── checking ──


def check_layer(shape: Shape, layer: Layer, how: str, tokens: int = 16) -> float:
    """How far a layer for some tokens is from float64: the root of the mean square, of that of what it adds."""
    given = jax.random.normal(jax.random.key(7), (1, tokens, shape.d_model), jnp.float32).astype(jnp.bfloat16)
    found, _ = jax.jit(partial(prefill_layer, shape, how))(layer, given)
    start = np.asarray(given[0].astype(jnp.float32), np.float64)
    wanted = reference_layer(shape, layer, start)
    error = np.asarray(found[0].astype(jnp.float32), np.float64) - wanted
    return float(np.sqrt(np.mean(error**2) / np.mean((wanted - start) ** 2)))


def reference_layer(shape: Shape, layer: Layer, hidden: Any) -> Any:
    """A layer for `hidden[n, d_model]`, in numpy and float64, written apart from the other."""
    norm, qkv, out, ffn_norm, gate_up, down = (np.asarray(part.astype(jnp.float32), np.float64) for part in layer)
    count, half, group = len(hidden), shape.head_dim // 2, shape.heads // shape.kv_heads

    def rms(x: Any, scale: Any) -> Any:
        return x / np.sqrt((x**2).mean(-1, keepdims=True) + 1e-5) * scale

    joined = rms(hidden, norm) @ qkv
    q, k, v = np.split(joined, [shape.heads * shape.head_dim, (shape.heads + shape.kv_heads) * shape.head_dim], axis=1)
    angles = np.arange(count)[:, None] * shape.rope_base ** (-np.arange(half) / half)

    def rotate(x: Any) -> Any:
        number = x[:, :half] + 1j * x[:, half:]
        number = number * np.exp(1j * angles)
        return np.concatenate([number.real, number.imag], axis=1)

    heads: list[Any] = []
    for head in range(shape.heads):
        mine, theirs = (slice(n * shape.head_dim, (n + 1) * shape.head_dim) for n in (head, head // group))
        scores = rotate(q[:, mine]) @ rotate(k[:, theirs]).T / shape.head_dim**0.5
        scores[np.triu_indices(count, 1)] = -np.inf
        shares = np.exp(scores - scores.max(-1, keepdims=True))
        heads.append(shares / shares.sum(-1, keepdims=True) @ v[:, theirs])
    hidden = hidden + np.concatenate(heads, axis=1) @ out
    gate, up = np.split(rms(hidden, ffn_norm) @ gate_up, 2, axis=1)
    return hidden + gate / (1 + np.exp(-gate)) * up @ down


def check_decode(shape: Shape, outer: Outer, layers: Sequence[Layer], how: str, tokens: int = 32) -> float:
    """How far decode's hidden state behind a prefill is from that of a prefill of one token more, by two layers."""
    prompt = (jnp.arange(tokens, dtype=jnp.int32) * 7919 % shape.vocab)[None]
    fill = jax.jit(partial(prefill_layer, shape, how))
    step = jax.jit(partial(decode_layer, shape))
    whole, before, last = (enter(outer, part) for part in (prompt, prompt[:, :-1], prompt[:, -1:]))
    for layer in layers[:2]:
        whole, _ = fill(layer, whole)
        before, cache = fill(layer, before)
        room = ((0, 0), (0, 1), (0, 0), (0, 0))
        last, _ = step(layer, Cache(*(jnp.pad(part, room) for part in cache)), last, jnp.int32(tokens - 1))
    wanted, found = (np.asarray(part[0, -1].astype(jnp.float32), np.float64) for part in (whole, last))
    return float(np.sqrt(np.mean((wanted - found) ** 2) / np.mean(wanted**2)))


TOLERANCE = 0.03
"""Of bf16, which keeps 8 bits: a layer's sums of thousands of products stay within a few parts in a hundred."""


# ── the whole ──


def attention_of(shape: Shape, layer: Layer) -> str:
    """`cudnn` where the card has fused attention for this shape, else `xla`."""
    if jax.default_backend() != "gpu":
        return "xla"
    try:
        hidden = jnp.zeros((1, 128, shape.d_model), jnp.bfloat16)
        jax.block_until_ready(jax.jit(partial(prefill_layer, shape, "cudnn"))(layer, hidden))
        return "cudnn"
    except Exception as error:
        say(f"no fused attention ({str(error).splitlines()[0][:100]}): XLA's own")
        return "xla"


def run(shape: Shape, budget: float) -> dict[str, Any]:
    began = time.monotonic()
    device = jax.devices()[0]
    found: dict[str, Any] = {
        "date": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "device": device.device_kind,
        "platform": device.platform,
        "jax": jax.__version__,
        "left_out": [],
    }
    limit = (device.memory_stats() or {}).get("bytes_limit", 0)
    found["memory"] = limit
    while limit and shape.bytes_needed() > 0.85 * limit and shape.layers > 1:
        shape = replace(shape, layers=shape.layers - 1)
    if limit and shape.bytes_needed() > limit:
        raise SystemExit(f"{device.device_kind} has {limit / 1e9:.1f} GB, too little for one layer")
    found["shape"] = asdict(shape)
    size = f"{shape.layers} layers, {2 * shape.weights() / 1e9:.1f} GB in bf16"
    say(f"{device.device_kind}, JAX {jax.__version__}; {size}")
    peak = found["peaks"] = peaks(shape)
    say(f"peaks: {peak['flops'] / 1e12:.1f} TFLOP/s in bf16, reads {_gb(peak['read'])}, copies {_gb(peak['copy'])}")
    keys = jax.random.split(jax.random.key(0), shape.layers + 1)
    make = jax.jit(partial(random_layer, shape, jnp.bfloat16))
    layers = [make(key) for key in keys[1:]]
    outer = jax.jit(partial(random_outer, shape, jnp.bfloat16))(keys[0])
    how = attention_of(shape, layers[0])
    errors = found["errors"] = {
        "layer_beside_float64": check_layer(shape, layers[0], how),
        "decode_beside_prefill": check_decode(shape, outer, layers, how),
        "tolerance": TOLERANCE,
    }
    found["sound"] = all(not errors[name] > TOLERANCE for name in errors) and not np.isnan(sum(errors.values()))
    say(f"errors: {errors['layer_beside_float64']:.1e} of a layer, {errors['decode_beside_prefill']:.1e} of a step")
    most = max(peak["read"], peak["copy"])
    found["prefill"], found["decode"] = [], []

    def tried(what: str, work: Callable[[], dict[str, Any]]) -> dict[str, Any] | None:
        """None, and a word of it, where the time or the memory does not do."""
        if time.monotonic() - began > budget:
            why = "the time is used up"
        else:
            try:
                return work()
            except jax.errors.JaxRuntimeError as error:
                if "RESOURCE_EXHAUSTED" not in str(error):
                    raise
                why = "it does not fit the memory"
        found["left_out"].append(f"{what}: {why}")
        say(f"{what}: left out, {why}")
        return None

    for tokens in shape.prompts:
        part = tried(f"prefill of {tokens}", partial(measure_prefill, shape, outer, layers, tokens, how))
        if part is not None:
            part["of_peak"] = part["flops"] / peak["flops"]
            found["prefill"].append(part)
            rate = f"{part['flops'] / 1e12:.1f} TFLOP/s, {part['of_peak']:.0%} of the peak"
            say(f"prefill of {tokens}: {rate}; {part['tokens_per_second']:.0f} tokens/s")
    for batch in shape.batches:
        step = tried(f"decode of {batch}", partial(measure_decode, shape, outer, layers, batch))
        if step is not None:
            step["of_peak"] = step["bytes_per_second"] / most
            found["decode"].append(step)
            rate = f"{_gb(step['bytes_per_second'])}, {step['of_peak']:.0%} of the peak"
            say(f"decode of {batch} at {shape.context} positions: {rate}; {step['tokens_per_second']:.0f} tokens/s")
    found["seconds"] = time.monotonic() - began
    return found


def _gb(rate: float) -> str:
    return f"{rate / 1e9:.0f} GB/s"


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def main(given: Sequence[str] | None = None) -> int:
    """Ends with 1 only where the numbers are wrong."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--small", action="store_true", help="a tiny shape, on whatever device there is")
    parser.add_argument("--layers", type=int, help="fewer layers than the shape has")
    parser.add_argument("--budget", type=float, default=200.0, help="seconds after which no measurement begins")
    parser.add_argument("--out", type=Path, help="write JSON there rather than to the standard output")
    options = parser.parse_args(given)
    platform = jax.default_backend()
    if platform == "cpu" and not options.small:
        needs = "a GPU needs JAX's plug-in, such as `pip install jax[cuda13]`, and a driver"
        why = f"no GPU here: JAX finds the CPU alone ({needs})"
        say(f"{why}. Nothing was measured; --small tries the script")
        found: dict[str, Any] = {"device": None, "why": why}
    else:
        shape = SMALL if options.small else Shape()
        found = run(replace(shape, layers=options.layers or shape.layers), options.budget)
    text = json.dumps(found, indent=2)
    if options.out:
        options.out.write_text(text + "\n", "utf-8")
    else:
        print(text)
    return 0 if found.get("sound", True) else 1


if __name__ == "__main__":
    sys.exit(main())
