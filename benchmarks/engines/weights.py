"""One set of weights in the forms that engines read: GGUF in f32, and a folder of Hugging Face's in f32.

Both are what our reader makes of the quantised file, so all engines but the one that runs the file as it lies compute
with the same numbers. Written for a run and removed after it.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import gguf
import numpy as np
from safetensors.numpy import save_file  # pyright: ignore[reportUnknownVariableType]

from agentlang.stdlib.models.chat_source import open_checkpoint
from agentlang.stdlib.models.llama_config import LlamaConfig

_LAYER = (
    "input_layernorm",
    "post_attention_layernorm",
    "self_attn.q_proj",
    "self_attn.k_proj",
    "self_attn.v_proj",
    "self_attn.o_proj",
    "mlp.gate_proj",
    "mlp.up_proj",
    "mlp.down_proj",
)


def write_gguf(file: Path, out: Path) -> None:
    """A copy of a GGUF file with all weights as f32."""
    reader: Any = gguf.GGUFReader(file)
    writer: Any = gguf.GGUFWriter(out, "llama")
    for name, field in reader.fields.items():
        if name.startswith("GGUF.") or name in ("general.architecture", "general.file_type"):
            continue
        inner = field.types[-1] if field.types[0] is gguf.GGUFValueType.ARRAY else None
        writer.add_key_value(name, field.contents(), field.types[0], sub_type=inner)
    for tensor in reader.tensors:
        values: Any = gguf.dequantize(tensor.data, tensor.tensor_type)
        writer.add_tensor(tensor.name, np.ascontiguousarray(values, np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def write_folder(file: Path, out: Path) -> None:
    """The same weights as `config.json` and `model.safetensors`, as transformers reads them."""
    checkpoint = open_checkpoint(file)
    config = checkpoint.config
    names = ["model.embed_tokens.weight", "model.norm.weight"]
    names += [f"model.layers.{layer}.{part}.weight" for layer in range(config.layers) for part in _LAYER]
    if not config.tied_embeddings:
        names.append("lm_head.weight")
    out.mkdir()
    tensors = {name: np.ascontiguousarray(checkpoint.tensor(name), np.float32) for name in names}
    save_file(tensors, out / "model.safetensors", {"format": "pt"})
    (out / "config.json").write_text(json.dumps(_settings(config)), "utf-8")


def _settings(config: LlamaConfig) -> dict[str, Any]:
    return {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "hidden_act": "silu",
        "num_hidden_layers": config.layers,
        "hidden_size": config.d_model,
        "num_attention_heads": config.heads,
        "num_key_value_heads": config.kv_heads,
        "head_dim": config.head_dim,
        "intermediate_size": config.ffn,
        "vocab_size": config.vocab,
        "max_position_embeddings": config.context,
        "rope_theta": config.rope_base,
        "rms_norm_eps": config.norm_epsilon,
        "tie_word_embeddings": config.tied_embeddings,
        "dtype": "float32",
    }
