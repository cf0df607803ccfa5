"""The cache of a prompt as bytes: what `export_cache` gives and `import_cache` takes.

Keys and values of all layers in f32, `[layers, 2, kv_heads, tokens, head_dim]`, then the logits `[vocabulary]` behind
the last token, then a SHA-256 of what is before it, all little-endian. So a reply goes on to the same tokens wherever
the model is the same. What does not fit is refused: bytes that were damaged would else become a strange reply.
"""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np

from .....base.problems import OutsideError
from ...families import CacheState
from ...protocol import ModelFacts
from ...workers.problems import cache_unusable
from .pool import Floats, KeysValues

FORM = "xla f32 pages 1"
_DIGEST = 32


def carried(layers: list[KeysValues], logits: Any) -> bytes:
    together = np.stack([np.stack(both) for both in layers])
    body = together.astype("<f4").tobytes() + np.asarray(logits, "<f4").tobytes()
    return body + hashlib.sha256(body).digest()


def unpacked(
    state: CacheState, facts: ModelFacts, layers: int, shape: tuple[int, int, int]
) -> tuple[list[KeysValues], Floats]:
    """Keys and values by layer, and the logits. OutsideError (cache-unusable) for what is none of this model."""
    heads, _, width = shape
    count = len(state.tokens)
    body, digest = state.data[:-_DIGEST], state.data[-_DIGEST:]
    sizes = (layers, 2, heads, count, width)
    fits = state.form == FORM and 0 < count < facts.context
    if not fits or len(body) != 4 * (int(np.prod(sizes)) + facts.vocabulary) or hashlib.sha256(body).digest() != digest:
        raise OutsideError(cache_unusable(facts.name))
    numbers = np.frombuffer(body, "<f4").astype(np.float32, copy=False)
    together = numbers[: -facts.vocabulary].reshape(sizes)
    return [(both[0], both[1]) for both in together], numbers[-facts.vocabulary :]
