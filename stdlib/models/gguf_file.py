"""Llama models in GGUF files, the format of llama.cpp: weights (often quantised), tokenizer and template in one file.

GGUF stores queries and keys so that rotary pairs are neighbours; they are put back into halves here, so that the model
has one form to compute with.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any, cast

from .checkpoint import DamagedFile, Float32
from .llama_config import LlamaConfig, UnsupportedModel
from .tokenizer import TokenizerParts, UnsupportedTokenizer, byte_letters

_CONTROL, _USER_DEFINED, _UNUSED = 3, 4, 5
BYTE_LEVEL = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
_PRE_TOKENIZERS = {
    "smollm": {
        "type": "Sequence",
        "pretokenizers": [
            {"type": "Digits", "individual_digits": True},
            BYTE_LEVEL,
        ],
    },
    "gpt-2": BYTE_LEVEL,
}
"""How text is cut before merging, by the name that GGUF gives it; each tried against llama.cpp."""

_NAMES = {
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
_TOP_NAMES = {
    "model.embed_tokens.weight": "token_embd.weight",
    "model.norm.weight": "output_norm.weight",
    "lm_head.weight": "output.weight",
}


class GgufMetadata:
    """What a GGUF file of any architecture says of itself. Opening takes two seconds for a vocabulary of 49,152."""

    def __init__(self, path: Path) -> None:
        from gguf import GGUFReader

        try:
            reader: Any = GGUFReader(path)
            self._fields: dict[str, Any] = dict(reader.fields)
            self._tensors = {tensor.name: tensor for tensor in reader.tensors}
            self._architecture = str(self._field("general.architecture", ""))
        except (ValueError, KeyError, IndexError, TypeError, OverflowError) as error:
            # The reader trusts what it reads; lengths that lie surface as any of these.
            raise DamagedFile(f"{path.name} is not a sound GGUF file ({error})") from error
        self._path = path

    def tokenizer_parts(self) -> TokenizerParts:
        kind, pre = self._field("tokenizer.ggml.model", ""), self._field("tokenizer.ggml.pre", "")
        if kind != "gpt2" or pre not in _PRE_TOKENIZERS:
            known = ", ".join(_PRE_TOKENIZERS)
            raise UnsupportedTokenizer(f"the tokenizer is {kind}/{pre}; byte-level BPE is known as {known}")
        texts = cast("list[str]", self._field("tokenizer.ggml.tokens"))
        kinds = cast("list[int]", self._field("tokenizer.ggml.token_type"))
        if len(texts) != len(kinds):
            raise DamagedFile(f"{self._path.name} has {len(texts)} tokens and {len(kinds)} kinds of tokens")
        merges = cast("list[str]", self._field("tokenizer.ggml.merges", []))
        special = {text: i for i, (text, kind) in enumerate(zip(texts, kinds, strict=True)) if kind == _CONTROL}
        verbatim = {i: text for i, (text, kind) in enumerate(zip(texts, kinds, strict=True)) if kind == _USER_DEFINED}
        ordinary = (
            (text, i)
            for i, (text, kind) in enumerate(zip(texts, kinds, strict=True))
            if kind not in (_CONTROL, _USER_DEFINED, _UNUSED)
        )
        ends = [self._field(f"tokenizer.ggml.{end}_token_id", None) for end in ("eos", "eot")]
        starts = self._field("tokenizer.ggml.add_bos_token", False)
        begin = self._field("tokenizer.ggml.bos_token_id", None) if starts else None
        constants: dict[str, str] = {}
        for name, written in _CONSTANTS.items():
            number = self._field(f"tokenizer.ggml.{written}_token_id", None)
            if number is not None:
                constants[name] = texts[int(number)]
        return TokenizerParts(
            library=library_json(ordinary, merges, _PRE_TOKENIZERS[pre], verbatim),
            special=special,
            end_tokens=tuple(int(end) for end in ends if end is not None),
            template=cast("str", self._field("tokenizer.chat_template", "")),
            constants=constants,
            verbatim=verbatim,
            begin_token=None if begin is None else int(begin),
        )

    def _field(self, name: str, *default: Any) -> Any:
        found = self._fields.get(name)
        if found is not None:
            return found.contents()
        if default:
            return default[0]
        raise DamagedFile(f"{self._path.name} has no {name}")

    def _tensor_entry(self, name: str) -> Any:
        if name not in self._tensors:
            raise DamagedFile(f"{self._path.name} has no tensor {name}")
        return self._tensors[name]


class GgufCheckpoint(GgufMetadata):
    """A `Checkpoint`."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        if self._architecture != "llama":
            raise UnsupportedModel(f"{path.name} holds a {self._architecture or 'nameless'} model; Llama models run")
        self._config = self._read_config()

    @property
    def config(self) -> LlamaConfig:
        return self._config

    def _read_config(self) -> LlamaConfig:
        if "rope_freqs.weight" in self._tensors or self._field("llama.rope.scaling.type", "none") != "none":
            raise UnsupportedModel(f"{self._path.name} scales its rotary positions, which is not implemented")
        if self._field("llama.expert_count", 0):
            raise UnsupportedModel(f"{self._path.name} is a mixture of experts, which is not implemented")
        heads = int(self._field("llama.attention.head_count"))
        d_model = int(self._field("llama.embedding_length"))
        head_dim = int(self._field("llama.attention.key_length", d_model // heads))
        if int(self._field("llama.rope.dimension_count", head_dim)) != head_dim:
            raise UnsupportedModel(f"{self._path.name} rotates a part of each head only, which is not implemented")
        layers = int(self._field("llama.block_count"))
        if not 0 < layers <= len(self._tensors):
            raise DamagedFile(f"{self._path.name} says {layers:,} layers, and has {len(self._tensors)} tensors")
        return LlamaConfig(
            layers=layers,
            d_model=d_model,
            heads=heads,
            kv_heads=int(self._field("llama.attention.head_count_kv", heads)),
            head_dim=head_dim,
            ffn=int(self._field("llama.feed_forward_length")),
            vocab=int(self._tensor_entry("token_embd.weight").shape[1]),
            context=int(self._field("llama.context_length")),
            rope_base=float(self._field("llama.rope.freq_base", 10000.0)),
            norm_epsilon=float(self._field("llama.attention.layer_norm_rms_epsilon")),
            tied_embeddings="output.weight" not in self._tensors,
        )

    def tensor(self, name: str) -> Float32:
        from gguf import dequantize

        found = self._tensor_entry(_gguf_name(name))
        try:
            values: Float32 = dequantize(found.data, found.tensor_type)
        except (ValueError, NotImplementedError) as error:
            raise DamagedFile(f"tensor {found.name} of {self._path.name} cannot be read ({error})") from error
        if "q_proj" in name or "k_proj" in name:
            rows, columns = values.shape
            heads = rows // self._config.head_dim
            pairs = values.reshape(heads, self._config.head_dim // 2, 2, columns)
            values = pairs.swapaxes(1, 2).reshape(rows, columns)
        return values


_CONSTANTS = {"bos_token": "bos", "eos_token": "eos", "unk_token": "unknown", "pad_token": "padding"}


def _gguf_name(name: str) -> str:
    if name in _TOP_NAMES:
        return _TOP_NAMES[name]
    _, _, number, rest = name.split(".", 3)
    return f"blk.{number}.{_NAMES[rest.removesuffix('.weight')]}.weight"


def library_json(
    vocabulary: Iterable[tuple[str, int]], merges: list[str], pre: dict[str, Any], verbatim: dict[int, str]
) -> str:
    """The `tokenizers` file of a byte-level BPE without special tokens. `merges` are pairs with a space between."""
    table = dict(vocabulary)
    # User-defined tokens are found before anything else, in whoever's text.
    added = [
        {"id": i, "content": text, "special": False, "single_word": False, "lstrip": False, "rstrip": False}
        | {"normalized": False}
        for i, text in sorted(verbatim.items())
    ]
    # The library cannot add a token whose id is taken by position, so its vocabulary has to hold it too.
    table |= {text: i for i, text in verbatim.items()}
    if not set(byte_letters()) & table.keys():
        raise UnsupportedTokenizer("the vocabulary does not stand on bytes")
    model = {"type": "BPE", "vocab": table, "merges": [merge.split(" ", 1) for merge in merges]}
    parts = {"version": "1.0", "added_tokens": added, "pre_tokenizer": pre, "decoder": BYTE_LEVEL}
    return json.dumps(parts | {"model": model}, ensure_ascii=False, separators=(",", ":"))
