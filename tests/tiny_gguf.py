"""A Llama of random weights as a GGUF file, for engines that read files themselves."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from agentlang.stdlib.models.llama_config import LlamaConfig
from agentlang.stdlib.models.tiny import CONFIG, SPECIAL, TEMPLATE, RandomCheckpoint
from agentlang.stdlib.models.tokenizer import byte_letters

MERGED = "th"
GGUF_CONFIG = replace(CONFIG, vocab=CONFIG.vocab + 1)
"""The bytes, the markup, and one token of two letters: llama.cpp wants a vocabulary with merges."""

_TOP = {"model.embed_tokens.weight": "token_embd", "model.norm.weight": "output_norm"}
_PARTS = {
    "input_layernorm": "attn_norm",
    "post_attention_layernorm": "ffn_norm",
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
}


def write_gguf(path: Path, seed: int = 1, config: LlamaConfig = GGUF_CONFIG, endless: bool = False) -> None:
    """The model of `RandomCheckpoint(config, seed)`, with weights in f32. An `endless` one hardly ever ends a reply."""
    import gguf

    writer: Any = gguf.GGUFWriter(path, "llama")
    writer.add_context_length(config.context)
    writer.add_embedding_length(config.d_model)
    writer.add_block_count(config.layers)
    writer.add_feed_forward_length(config.ffn)
    writer.add_head_count(config.heads)
    writer.add_head_count_kv(config.kv_heads)
    writer.add_layer_norm_rms_eps(config.norm_epsilon)
    writer.add_rope_freq_base(config.rope_base)
    writer.add_rope_dimension_count(config.head_dim)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    letters = byte_letters()
    writer.add_token_list([*SPECIAL, *letters, MERGED])
    writer.add_token_types([3] * len(SPECIAL) + [1] * (len(letters) + 1))
    writer.add_token_merges([" ".join(MERGED)])
    writer.add_eos_token_id(SPECIAL["<|im_end|>"])
    writer.add_bos_token_id(SPECIAL["<|endoftext|>"])
    writer.add_add_bos_token(False)
    writer.add_chat_template(TEMPLATE)
    checkpoint = RandomCheckpoint(config, seed)
    for name in checkpoint.names():
        values = checkpoint.tensor(name)
        if endless and name == "model.embed_tokens.weight":
            values = values.copy()
            values[list(SPECIAL.values())] = 0
        writer.add_tensor(_name(name), _in_pairs(name, values, config))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _name(name: str) -> str:
    if name in _TOP:
        return f"{_TOP[name]}.weight"
    _, _, number, part = name.removesuffix(".weight").split(".", 3)
    return f"blk.{number}.{_PARTS[part]}.weight"


def _in_pairs(name: str, values: Any, config: LlamaConfig) -> Any:
    """Queries and keys as GGUF has them: rotary pairs are neighbours."""
    if "q_proj" not in name and "k_proj" not in name:
        return values
    rows, columns = values.shape
    halves = values.reshape(rows // config.head_dim, 2, config.head_dim // 2, columns)
    return np.ascontiguousarray(halves.swapaxes(1, 2).reshape(rows, columns))
