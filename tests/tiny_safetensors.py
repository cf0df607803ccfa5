"""A Llama of random weights as a folder in the form of Hugging Face."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from agentlang.stdlib.models.tiny import SPECIAL, TEMPLATE, RandomCheckpoint


def write_safetensors(folder: Path, checkpoint: RandomCheckpoint, **changes: Any) -> None:
    from safetensors.numpy import save_file

    config = checkpoint.config
    folder.mkdir(parents=True, exist_ok=True)
    save_file({name: checkpoint.tensor(name) for name in checkpoint.names()}, folder / "model.safetensors")
    settings = {
        "model_type": "llama",
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
        "eos_token_id": SPECIAL["<|im_end|>"],
    }
    (folder / "config.json").write_text(json.dumps(settings | changes))
    library = json.loads(checkpoint.tokenizer_parts().library)
    flags = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}
    library["added_tokens"] = [{"id": i, "content": text, **flags} for text, i in SPECIAL.items()]
    (folder / "tokenizer.json").write_text(json.dumps(library))
    (folder / "tokenizer_config.json").write_text(json.dumps({"chat_template": TEMPLATE, "eos_token": "<|im_end|>"}))
