"""What rounding the weights of SmolLM2-135M to int8 does to its predictions. (What it does for speed and memory is in
`benchmarks.engines`.)

Of the predictions behind each of 512 tokens of a page: how often the likeliest token is the same, the mean
Kullback-Leibler divergence from f32, and the mean negative log-likelihood of the page by both.
"""

# JAX's own annotations leave parts of its functions' types unknown.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from agentlang.base import paths
from agentlang.stdlib.models import llama, open_chat
from agentlang.stdlib.models.products import product

NAME = "smollm2-135m-instruct"
FILE = paths.models_home() / NAME / "SmolLM2-135M-Instruct.Q4_1.gguf"
STORED = ("f32", "int8")
PAGE = Path(__file__).parents[1] / "docs" / "execution.md"
TOKENS = 512


def likelihoods(stored: str) -> tuple[Any, Any]:
    """Log-probabilities `[tokens, vocabulary]` behind each token of the page, and the tokens."""
    source = open_chat(FILE, NAME, stored)
    functions: Any = source.functions()
    config, (outer, layers) = functions.config, source.weights()
    print(f"{stored}: {config.decode_weight_bytes / 2**20:.0f} MiB of weights read by each decode step")
    tokens = np.asarray(source.tokenizer().encode(PAGE.read_text("utf-8"))[:TOKENS], np.int32)
    hidden, places = llama.enter(config, outer, jnp.asarray(tokens), jnp.int32(0))
    cache = llama.LayerCache(*(jnp.zeros(s.shape, s.dtype) for s in llama.cache_shapes(config, TOKENS)))
    for layer in layers:
        hidden, _ = llama.prefill_layer(config, layer, cache, hidden, places)
    rows = [product(llama.norm(config, hidden[at : at + 1], outer.norm), outer.head) for at in range(TOKENS)]
    return np.asarray(jax.nn.log_softmax(jnp.concatenate(rows))), tokens


def main() -> int:
    if not FILE.is_file():
        print(f"{NAME} is not here; `agentlang models pull {NAME}` fetches it", file=sys.stderr)
        return 3
    (whole, tokens), (rounded, _) = (likelihoods(stored) for stored in STORED)
    divergence = float((np.exp(whole) * (whole - rounded)).sum(axis=1).mean())
    same = float((whole.argmax(axis=1) == rounded.argmax(axis=1)).mean())
    surprise = [float(-each[np.arange(TOKENS - 1), tokens[1:]].mean()) for each in (whole, rounded)]
    print(f"likeliest token the same: {same:.1%}; mean KL divergence {divergence:.4f}")
    print(f"mean negative log-likelihood of the page: {surprise[0]:.4f} in f32, {surprise[1]:.4f} in int8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
