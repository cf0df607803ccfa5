"""A Llama of random weights, seeded: the same code path as a real model, in a few hundred kilobytes.

Its tokens are the 256 bytes and three pieces of chat markup, so any text is a prompt, and replies are noise.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from ...executor.engines.protocol import ModelFacts
from ...executor.engines.workers.recipes import Recipe
from .chat_source import LlamaFunctions, assembled, functions_key, model_facts
from .checkpoint import Float32
from .gguf_file import BYTE_LEVEL, library_json
from .llama_config import LlamaConfig
from .prepared import fused_tensors
from .tokenizer import BytePairTokenizer, TokenizerParts, byte_letters

if TYPE_CHECKING:
    from .llama import Weights

TEMPLATE = (
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
SPECIAL = {"<|endoftext|>": 0, "<|im_start|>": 1, "<|im_end|>": 2}
CONFIG = LlamaConfig(
    layers=2,
    d_model=64,
    heads=4,
    kv_heads=2,
    head_dim=16,
    ffn=96,
    vocab=len(SPECIAL) + 256,
    context=512,
    rope_base=10000.0,
    norm_epsilon=1e-5,
    tied_embeddings=True,
)


class RandomCheckpoint:
    """A `Checkpoint` whose tensors are drawn by their names, so that their order does not matter."""

    def __init__(self, config: LlamaConfig = CONFIG, seed: int = 0) -> None:
        self._config = config
        self._seed = seed

    @property
    def config(self) -> LlamaConfig:
        return self._config

    def shape(self, name: str) -> tuple[int, ...]:
        """The shape of a tensor, `[out, in]`. KeyError for a name that Llama does not have."""
        config = self._config
        width = config.d_model
        part = name.removesuffix(".weight").split(".", 3)[-1] if ".layers." in name else name
        return {
            "model.embed_tokens.weight": (config.vocab, width),
            "lm_head.weight": (config.vocab, width),
            "model.norm.weight": (width,),
            "input_layernorm": (width,),
            "post_attention_layernorm": (width,),
            "self_attn.q_proj": (config.query_width, width),
            "self_attn.k_proj": (config.kv_width, width),
            "self_attn.v_proj": (config.kv_width, width),
            "self_attn.o_proj": (width, config.query_width),
            "mlp.gate_proj": (config.ffn, width),
            "mlp.up_proj": (config.ffn, width),
            "mlp.down_proj": (width, config.ffn),
        }[part]

    def names(self) -> tuple[str, ...]:
        """All tensors of the model."""
        parts = ("q_proj", "k_proj", "v_proj", "o_proj")
        mlp = ("gate_proj", "up_proj", "down_proj")
        layer = (*(f"self_attn.{p}" for p in parts), *(f"mlp.{p}" for p in mlp), "input_layernorm")
        layers = [
            f"model.layers.{i}.{part}.weight"
            for i in range(self._config.layers)
            for part in (*layer, "post_attention_layernorm")
        ]
        head = () if self._config.tied_embeddings else ("lm_head.weight",)
        return ("model.embed_tokens.weight", "model.norm.weight", *head, *layers)

    def tensor(self, name: str) -> Float32:
        import numpy as np

        shape = self.shape(name)
        drawn: Float32 = np.random.default_rng([self._seed, zlib.crc32(name.encode())]).standard_normal(shape)
        # Scaled so that activations neither vanish nor explode and logits differ by several units.
        scaled = 1 + 0.1 * drawn if len(shape) == 1 else drawn * (1.0 if "embed" in name else 1.5 * shape[1] ** -0.5)
        return scaled.astype(np.float32)

    def tokenizer_parts(self) -> TokenizerParts:
        letters = ((letter, len(SPECIAL) + byte) for byte, letter in enumerate(byte_letters()))
        return TokenizerParts(
            library=library_json(letters, [], BYTE_LEVEL, {}),
            special=SPECIAL,
            end_tokens=(SPECIAL["<|im_end|>"],),
            template=TEMPLATE,
            constants={},
            verbatim={},
        )


class TinyLlama:
    """A `ChatModelSource` without files."""

    def __init__(self, name: str = "tiny", config: LlamaConfig = CONFIG, seed: int = 0) -> None:
        self._name = name
        self._config = config
        self._seed = seed
        self._checkpoint = RandomCheckpoint(config, seed)
        self._tokenizer = BytePairTokenizer(self._checkpoint.tokenizer_parts())

    @property
    def recipe(self) -> Recipe:
        """How another process makes it."""
        made = {"name": self._name, "config": asdict(self._config), "seed": self._seed}
        return Recipe(f"{__name__}:tiny_llama", made)

    @property
    def key(self) -> str:
        return functions_key(self._config)

    def facts(self) -> ModelFacts:
        return model_facts(self._name, self._config, self._tokenizer.end_tokens)

    def tokenizer(self) -> BytePairTokenizer:
        return self._tokenizer

    def functions(self) -> LlamaFunctions:
        return LlamaFunctions(self._config)

    def weights(self) -> Weights:
        return assembled(self._config, dict(fused_tensors(self._checkpoint, self._config.weights)))


def tiny_llama(name: str, config: Mapping[str, Any], seed: int) -> TinyLlama:
    """What a recipe makes."""
    return TinyLlama(name, LlamaConfig(**config), seed)
