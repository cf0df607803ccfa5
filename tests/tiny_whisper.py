"""A Whisper of few layers and random weights, as the files that a catalogue entry has: `model.bin` in the form of
CTranslate2, `tokenizer.json` and `config.json`. And its mathematics once more, slowly and in NumPy, to compare with."""

from __future__ import annotations

import json
import math
import struct
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
_erf = np.vectorize(math.erf)

D, HEADS, FFN, MELS, POSITIONS, CONTEXT = 16, 2, 32, 8, 1500, 24
WORDS = [f"w{number}" for number in range(40)]
SPECIALS = [
    "<|endoftext|>",
    "<|startoftranscript|>",
    "<|en|>",
    "<|de|>",
    "<|translate|>",
    "<|transcribe|>",
    "<|startofprev|>",
    "<|nospeech|>",
    "<|notimestamps|>",
]
VOCAB = len(WORDS) + len(SPECIALS) + POSITIONS + 1


def tensors(seed: int = 3, layers: int = 1) -> dict[str, Array]:
    """All tensors by their names in the file, f32."""
    draw = np.random.default_rng(seed)

    def some(*shape: int) -> Array:
        return (draw.standard_normal(shape) / np.sqrt(shape[-1])).astype(np.float32)

    out: dict[str, Array] = {
        "encoder/conv1/weight": some(D, MELS, 3),
        "encoder/conv1/bias": some(D),
        "encoder/conv2/weight": some(D, D, 3),
        "encoder/conv2/bias": some(D),
        "encoder/position_encodings/encodings": some(POSITIONS, D),
        "encoder/num_heads": np.array(HEADS, np.int16),
        "decoder/num_heads": np.array(HEADS, np.int16),
        "encoder/activation": np.array(3, np.int8),
        "decoder/embeddings/weight": some(VOCAB, D),
        "decoder/position_encodings/encodings": some(CONTEXT, D),
    }

    def norm(name: str) -> None:
        out[f"{name}/layer_norm/gamma"] = 1.0 + 0.1 * some(D)
        out[f"{name}/layer_norm/beta"] = 0.1 * some(D)

    def linear(name: str, wide: int, deep: int) -> None:
        out[f"{name}/weight"], out[f"{name}/bias"] = some(wide, deep), 0.1 * some(wide)

    for side in ("encoder", "decoder"):
        norm(side)
        for number in range(layers):
            layer = f"{side}/layer_{number}"
            norm(f"{layer}/self_attention")
            linear(f"{layer}/self_attention/linear_0", 3 * D, D)
            linear(f"{layer}/self_attention/linear_1", D, D)
            if side == "decoder":
                norm(f"{layer}/attention")
                linear(f"{layer}/attention/linear_0", D, D)
                linear(f"{layer}/attention/linear_1", 2 * D, D)
                linear(f"{layer}/attention/linear_2", D, D)
            norm(f"{layer}/ffn")
            linear(f"{layer}/ffn/linear_0", FFN, D)
            linear(f"{layer}/ffn/linear_1", D, FFN)
    return out


_TYPES = {"float32": 0, "int8": 1, "int16": 2, "int32": 3, "float16": 4}


def ctranslate2(held: dict[str, Array], kind: str = "WhisperSpec") -> bytes:
    """The tensors as a file, those of f32 in f16."""

    def text(word: str) -> bytes:
        data = word.encode() + b"\0"
        return struct.pack("<H", len(data)) + data

    out = struct.pack("<I", 6) + text(kind) + struct.pack("<II", 3, len(held))
    for name, values in held.items():
        stored = values.astype(np.float16) if values.dtype == np.float32 else values
        sizes = b"".join(struct.pack("<I", size) for size in stored.shape)
        out += text(name) + struct.pack("<B", stored.ndim) + sizes
        out += struct.pack("<BI", _TYPES[str(stored.dtype)], stored.nbytes) + stored.tobytes()
    return out + struct.pack("<I", 1) + text("decoder/projection/weight") + text("decoder/embeddings/weight")


def tiny_whisper(folder: Path, layers: int = 1) -> dict[str, Path]:
    """The files by their role."""
    from tokenizers import AddedToken, Tokenizer, decoders, models

    library = Tokenizer(models.WordLevel({word: number for number, word in enumerate(WORDS)}, unk_token="w0"))
    library.add_special_tokens([AddedToken(word, special=True) for word in SPECIALS])
    library.decoder = decoders.Metaspace()
    out = {
        role: folder / name
        for role, name in (("weights", "model.bin"), ("tokenizer", "tokenizer.json"), ("config", "config.json"))
    }
    out["weights"].write_bytes(ctranslate2(tensors(layers=layers)))
    library.save(str(out["tokenizer"]))
    out["config"].write_text(json.dumps({"suppress_ids": [1, 2, 41], "suppress_ids_begin": [3, 40]}), "utf-8")
    return out


# The same once more, in f64 and word by word.


def plain_logits(held: dict[str, Array], features: Array, tokens: list[int], layers: int = 1) -> Array:
    """The logits behind the last of `tokens`, for features `[3000, MELS]`: no cache, no fusing."""
    of = {name: values.astype(np.float16).astype(np.float64) for name, values in held.items() if values.ndim}
    hidden = _gelu(_convolved(features.astype(np.float64), of["encoder/conv1/weight"], 1) + of["encoder/conv1/bias"])
    hidden = _gelu(_convolved(hidden, of["encoder/conv2/weight"], 2) + of["encoder/conv2/bias"])
    hidden = hidden + of["encoder/position_encodings/encodings"]
    for number in range(layers):
        name = f"encoder/layer_{number}"
        hidden = hidden + _own(of, f"{name}/self_attention", hidden, causal=False)
        hidden = hidden + _fed(of, f"{name}/ffn", hidden)
    heard = _norm(of, "encoder", hidden)
    hidden = of["decoder/embeddings/weight"][tokens] + of["decoder/position_encodings/encodings"][: len(tokens)]
    for number in range(layers):
        name = f"decoder/layer_{number}"
        hidden = hidden + _own(of, f"{name}/self_attention", hidden, causal=True)
        asked = _linear(of, f"{name}/attention/linear_0", _norm(of, f"{name}/attention", hidden))
        keys, values = np.split(_linear(of, f"{name}/attention/linear_1", heard), 2, axis=1)
        hidden = hidden + _linear(of, f"{name}/attention/linear_2", _attended(asked, keys, values, False))
        hidden = hidden + _fed(of, f"{name}/ffn", hidden)
    return (_norm(of, "decoder", hidden) @ of["decoder/embeddings/weight"].T)[-1]


def _own(of: dict[str, Array], name: str, hidden: Array, causal: bool) -> Array:
    parts = np.split(_linear(of, f"{name}/linear_0", _norm(of, name, hidden)), 3, axis=1)
    return _linear(of, f"{name}/linear_1", _attended(*parts, causal))


def _attended(asked: Array, keys: Array, values: Array, causal: bool) -> Array:
    out: list[Array] = []
    for at in range(HEADS):
        part = slice(at * D // HEADS, (at + 1) * D // HEADS)
        scores = asked[:, part] @ keys[:, part].T / np.sqrt(D // HEADS)
        if causal:
            scores = np.where(np.tri(len(asked), dtype=bool), scores, -np.inf)
        shares = np.exp(scores - scores.max(axis=1, keepdims=True))
        out.append(shares / shares.sum(axis=1, keepdims=True) @ values[:, part])
    return np.concatenate(out, axis=1)


def _fed(of: dict[str, Array], name: str, hidden: Array) -> Array:
    return _linear(of, f"{name}/linear_1", _gelu(_linear(of, f"{name}/linear_0", _norm(of, name, hidden))))


def _linear(of: dict[str, Array], name: str, hidden: Array) -> Array:
    return hidden @ of[f"{name}/weight"].T + of[f"{name}/bias"]


def _norm(of: dict[str, Array], name: str, hidden: Array) -> Array:
    centred = hidden - hidden.mean(axis=1, keepdims=True)
    scaled = centred / np.sqrt((centred**2).mean(axis=1, keepdims=True) + 1e-5)
    return scaled * of[f"{name}/layer_norm/gamma"] + of[f"{name}/layer_norm/beta"]


def _gelu(values: Array) -> Array:
    return values * 0.5 * (1.0 + _erf(values / np.sqrt(2.0)))


def _convolved(columns: Array, weight: Array, stride: int) -> Array:
    padded = np.pad(columns, ((1, 1), (0, 0)))
    return np.stack([np.einsum("ki,oik->o", padded[at : at + 3], weight) for at in range(0, len(columns), stride)])
