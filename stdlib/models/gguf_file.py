"""Llama models in GGUF files, the format of llama.cpp: weights (often quantised), tokenizer and template in one file.

GGUF stores queries and keys so that rotary pairs are neighbours; they are put back into halves here, so that the model
has one form to compute with.
"""

from __future__ import annotations

import json
from collections.abc import Generator, Iterable
from contextlib import contextmanager
from math import isfinite, prod
from pathlib import Path
from typing import Any, TypeVar, cast

from ...executor.engines.gguf_header import TensorEntry, Unsound, read_header
from .checkpoint import DamagedFile, Float32, hold_shape, reading
from .llama_config import LlamaConfig, UnsupportedModel
from .tokenizer import TokenizerParts, UnsupportedTokenizer, byte_letters

_N = TypeVar("_N", int, float)
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
    """What a GGUF file of any architecture says of itself. Raises `DamagedFile`, at once or when it is asked."""

    def __init__(self, path: Path) -> None:
        self._path = path
        with self._sound():
            self._header = read_header(path)
        self._architecture = self._text("general.architecture", "")

    def tokenizer_parts(self) -> TokenizerParts:
        kind, pre = self._text("tokenizer.ggml.model", ""), self._text("tokenizer.ggml.pre", "")
        if kind != "gpt2" or pre not in _PRE_TOKENIZERS:
            known = ", ".join(_PRE_TOKENIZERS)
            raise UnsupportedTokenizer(f"the tokenizer is {kind[:40]}/{pre[:40]}; byte-level BPE is known as {known}")
        with self._sound():
            texts = self._header.texts("tokenizer.ggml.tokens")
            kinds = self._header.wholes("tokenizer.ggml.token_type")
            merges = self._header.texts("tokenizer.ggml.merges") or []
            starts = self._header.flag("tokenizer.ggml.add_bos_token")
        if texts is None or kinds is None or len(texts) != len(kinds):
            counts = f"{len(texts or ())} tokens and {len(kinds or ())} kinds of tokens"
            raise DamagedFile(f"{self._path.name} has {counts}")
        special = {text: i for i, (text, kind) in enumerate(zip(texts, kinds, strict=True)) if kind == _CONTROL}
        verbatim = {i: text for i, (text, kind) in enumerate(zip(texts, kinds, strict=True)) if kind == _USER_DEFINED}
        ordinary = (
            (text, i)
            for i, (text, kind) in enumerate(zip(texts, kinds, strict=True))
            if kind not in (_CONTROL, _USER_DEFINED, _UNUSED)
        )
        marks = {name: self._token(name, len(texts)) for name in ("eos", "eot", "bos", *_CONSTANTS.values())}
        ends = [marks[name] for name in ("eos", "eot")]
        return TokenizerParts(
            library=library_json(ordinary, merges, _PRE_TOKENIZERS[pre], verbatim),
            special=special,
            end_tokens=tuple([end for end in ends if end is not None]),
            template=self._text("tokenizer.chat_template", ""),
            constants={name: texts[at] for name, of in _CONSTANTS.items() if (at := marks[of]) is not None},
            verbatim=verbatim,
            begin_token=marks["bos"] if starts else None,
        )

    def _token(self, name: str, vocabulary: int) -> int | None:
        """The id of a token that has a name."""
        with self._sound():
            found = self._header.whole(f"tokenizer.ggml.{name}_token_id")
        if found is not None and not 0 <= found < vocabulary:
            raise DamagedFile(f"{self._path.name} names token {found:,} of {vocabulary:,} its {name}")
        return found

    def _text(self, name: str, default: str) -> str:
        with self._sound():
            found = self._header.text(name)
        return default if found is None else found

    @contextmanager
    def _sound(self) -> Generator[None]:
        try:
            yield
        except Unsound as error:
            raise DamagedFile(f"{self._path.name} {error}") from error


class GgufCheckpoint(GgufMetadata):
    """A `Checkpoint`."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        if self._architecture != "llama":
            named = self._architecture[:40] or "nameless"
            raise UnsupportedModel(f"{path.name} holds a {named} model; Llama models run")
        self._config = self._read_config()

    @property
    def config(self) -> LlamaConfig:
        return self._config

    def _read_config(self) -> LlamaConfig:
        if "rope_freqs.weight" in self._header.tensors or self._text("llama.rope.scaling.type", "none") != "none":
            raise UnsupportedModel(f"{self._path.name} scales its rotary positions, which is not implemented")
        if self._whole("expert_count", 0):
            raise UnsupportedModel(f"{self._path.name} is a mixture of experts, which is not implemented")
        heads, d_model = self._whole("attention.head_count"), self._whole("embedding_length")
        head_dim = self._whole("attention.key_length", d_model // heads if heads > 0 else 0)
        if self._whole("rope.dimension_count", head_dim) != head_dim:
            raise UnsupportedModel(f"{self._path.name} rotates a part of each head only, which is not implemented")
        table = self._tensor_entry("token_embd.weight")
        if len(table.sizes) != 2:
            raise DamagedFile(f"{self._path.name} has a table of embeddings of {len(table.sizes)} dimensions")
        return LlamaConfig(
            layers=self._whole("block_count"),
            d_model=d_model,
            heads=heads,
            kv_heads=self._whole("attention.head_count_kv", heads),
            head_dim=head_dim,
            ffn=self._whole("feed_forward_length"),
            vocab=table.sizes[1],
            context=self._whole("context_length"),
            rope_base=self._number("rope.freq_base", 10000.0),
            norm_epsilon=self._number("attention.layer_norm_rms_epsilon"),
            tied_embeddings="output.weight" not in self._header.tensors,
        )

    def _whole(self, name: str, default: int | None = None) -> int:
        with self._sound():
            return self._known(name, self._header.whole(f"llama.{name}"), default)

    def _number(self, name: str, default: float | None = None) -> float:
        with self._sound():
            found = self._known(name, self._header.number(f"llama.{name}"), default)
        if not isfinite(found) or found <= 0:
            raise DamagedFile(f"{self._path.name} says {found} for llama.{name}, which cannot be")
        return found

    def _known(self, name: str, found: _N | None, default: _N | None) -> _N:
        if found is None and default is None:
            raise DamagedFile(f"{self._path.name} has no llama.{name}")
        return cast("_N", default if found is None else found)

    def _tensor_entry(self, name: str) -> TensorEntry:
        if name not in self._header.tensors:
            raise DamagedFile(f"{self._path.name} has no tensor {name}")
        return self._header.tensors[name]

    def tensor(self, name: str) -> Float32:
        found = self._tensor_entry(_gguf_name(name))
        hold_shape(self._config, name, found.sizes[::-1])
        values = self._dequantised(found)
        if "q_proj" in name or "k_proj" in name:
            dim = self._config.head_dim
            rows, columns = values.shape
            pairs = values.reshape(rows // dim, dim // 2, 2, columns)
            values = pairs.swapaxes(1, 2).reshape(rows, columns)
        return values

    def _dequantised(self, entry: TensorEntry) -> Float32:
        """Mapped and turned into numbers: as much memory as the tensor has in f32."""
        import numpy as np
        from gguf import GGMLQuantizationType, dequantize

        if entry.size is None:
            raise DamagedFile(f"tensor {entry.name} of {self._path.name} is of type {entry.kind}, which is not known")
        shape = tuple(reversed(entry.sizes))
        with reading(f"tensor {entry.name} of {self._path.name} cannot be read"):
            raw = np.memmap(self._path, np.uint8, "r", entry.at, (entry.size,))
            rows = raw.reshape(*shape[:-1], entry.size // prod(shape[:-1]))
            return dequantize(rows, GGMLQuantizationType(entry.kind)).reshape(shape)


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
