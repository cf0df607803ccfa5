"""Weights as the model wants them, in a file that is mapped rather than read.

A checkpoint is dequantised, turned and fused once; later starts map the result and hand the pages to XLA without a
copy. The copy is keyed by what the source file is (size, time, first and last mebibyte), so a changed source is
prepared again; files appear whole or not at all, `index.json` last. Nothing is pickled.
"""

from __future__ import annotations

import errno
import hashlib
import json
import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from math import prod
from pathlib import Path
from typing import Any, cast

from ...base import paths
from ...base.store import atomic_file, write_atomic
from .checkpoint import Checkpoint, Float32
from .llama_config import LlamaConfig
from .tokenizer import TokenizerParts

_FORMAT = 3
_ALIGNMENT = 4096
_SAMPLE = 1 << 20
_TYPES = {"f32": "float32", "i8": "int8"}
_NAMES = {dtype: name for name, dtype in _TYPES.items()}
_BYTES = {"f32": 4, "i8": 1}
_QUANTISED = ("values", "scales")
_LEAST = 1e-30
"""Outputs of zeros alone have a step too."""
_INDEX, _WEIGHTS, _LIBRARY, _PARTS = "index.json", "weights.bin", "tokenizer.json", "parts.json"


@dataclass(frozen=True, slots=True)
class Prepared:
    """A prepared model on disk."""

    folder: Path
    config: LlamaConfig
    key: str
    _tensors: Mapping[str, tuple[int, str, tuple[int, ...]]]
    """Where each begins, its type and its shape."""
    _tokenizer: Mapping[str, Any]

    def tokenizer_parts(self) -> TokenizerParts:
        return _parts((self.folder / _LIBRARY).read_text("utf-8"), self._tokenizer)

    def arrays(self) -> dict[str, Any]:
        """All tensors by name, mapped read-only and aligned to pages."""
        import numpy as np

        mapped = np.memmap(self.folder / _WEIGHTS, np.uint8, "r")
        return {
            name: mapped[start : start + _size(dtype, shape)].view(_TYPES[dtype]).reshape(shape)
            for name, (start, dtype, shape) in self._tensors.items()
        }


def prepared_folder(source: Path, weights: str = "f32") -> Path:
    """Where the prepared copy of `source` is kept, with its `weights` in f32 or int8: beside a model of the store (and
    removed with it), else apart."""
    key = _source_key(source) + ("" if weights == "f32" else f"-{weights}")
    inside = source.absolute().is_relative_to(paths.models_home())
    home = (source.parent if source.is_file() else source) if inside else paths.home()
    return home / "prepared" / key


def open_prepared(source: Path, weights: str = "f32") -> Prepared | None:
    """The prepared copy of `source`, or None if there is none that can be used. `OSError` if `source` is missing."""
    folder = prepared_folder(source, weights)
    try:
        index = cast("dict[str, Any]", json.loads((folder / _INDEX).read_text("utf-8")))
        tensors = {
            str(n): (int(at), str(dtype), tuple(map(int, shape))) for n, (at, dtype, shape) in index["tensors"].items()
        }
        sound = (
            index["format"] == _FORMAT
            and (folder / _WEIGHTS).stat().st_size == index["bytes"]
            and (folder / _LIBRARY).stat().st_size == index["library_bytes"]
            and all(at + _size(dtype, shape) <= index["bytes"] for at, dtype, shape in tensors.values())
        )
        config = LlamaConfig.from_data(index["config"])
        return Prepared(folder, config, folder.name, tensors, index["tokenizer"]) if sound else None
    except (OSError, ValueError, KeyError, TypeError):
        # Whatever is wrong with a copy, the answer is to make it again.
        return None


def prepare(source: Path, checkpoint: Checkpoint, weights: str = "f32") -> Prepared:
    """Write the prepared copy. Raises `OSError` (ENOSPC before writing, where the room is known to be too small)."""
    folder = prepared_folder(source, weights)
    folder.mkdir(parents=True, exist_ok=True)
    config, parts = replace(checkpoint.config, weights=weights), checkpoint.tokenizer_parts()
    size = sum(_aligned(_size(dtype, shape)) for _, dtype, shape in tensor_shapes(config))
    if shutil.disk_usage(folder).free < size:
        raise OSError(errno.ENOSPC, "No space left on device", str(folder))
    tensors: dict[str, tuple[int, str, list[int]]] = {}
    with atomic_file(folder / _WEIGHTS) as file:
        at = 0
        for name, values in fused_tensors(checkpoint, weights):
            tensors[name] = (at, _NAMES[values.dtype.name], list(values.shape))
            file.write(memoryview(values).cast("B"))
            file.write(b"\0" * (_aligned(values.nbytes) - values.nbytes))
            at += _aligned(values.nbytes)
    library = parts.library.encode("utf-8")
    write_atomic(folder / _LIBRARY, library)
    index = {
        "format": _FORMAT,
        "config": config.as_data(),
        "bytes": at,
        "library_bytes": len(library),
        "tensors": tensors,
        "tokenizer": _data(parts),
    }
    write_atomic(folder / _INDEX, json.dumps(index, ensure_ascii=False).encode("utf-8"))
    _forget_older(folder)
    done = open_prepared(source, weights)
    if done is None:
        raise OSError(errno.EIO, "what was just written cannot be read back", str(folder))
    return done


def keep_tokenizer(source: Path, parts: TokenizerParts) -> None:
    """Keep the tokenizer alone, for engines that read the weights themselves: reading it from a GGUF file takes two
    seconds. What cannot be kept is read again."""
    data = {"format": _FORMAT, "library": parts.library, "tokenizer": _data(parts)}
    with suppress(OSError):
        write_atomic(prepared_folder(source) / _PARTS, json.dumps(data, ensure_ascii=False).encode("utf-8"))


def kept_tokenizer(source: Path) -> TokenizerParts | None:
    """What `keep_tokenizer` kept, or None. `OSError` if `source` is missing."""
    folder = prepared_folder(source)
    try:
        data = cast("dict[str, Any]", json.loads((folder / _PARTS).read_text("utf-8")))
        return _parts(str(data["library"]), data["tokenizer"]) if data["format"] == _FORMAT else None
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def _data(parts: TokenizerParts) -> dict[str, Any]:
    """A tokenizer without its library."""
    return {
        "special": dict(parts.special),
        "end_tokens": list(parts.end_tokens),
        "template": parts.template,
        "constants": dict(parts.constants),
        "verbatim": {str(i): text for i, text in parts.verbatim.items()},
        "begin_token": parts.begin_token,
    }


def _parts(library: str, data: Mapping[str, Any]) -> TokenizerParts:
    return TokenizerParts(
        library=library,
        special=cast("dict[str, int]", data["special"]),
        end_tokens=tuple(cast("list[int]", data["end_tokens"])),
        template=str(data["template"]),
        constants=cast("dict[str, str]", data["constants"]),
        verbatim={int(i): str(text) for i, text in data["verbatim"].items()},
        begin_token=cast("int | None", data["begin_token"]),
    )


def fused_tensors(checkpoint: Checkpoint, weights: str = "f32") -> Iterator[tuple[str, Any]]:
    """The weights in the order and form of `tensor_shapes`."""
    for name, values in _fused(checkpoint):
        if weights == "f32" or not _is_matrix(name):
            yield name, values
        else:
            yield from zip((f"{name}.{part}" for part in _QUANTISED), _quantised(values), strict=True)


def _quantised(values: Float32) -> tuple[Any, Float32]:
    """A matrix `[in, out]` as int8 `[out, in]`, and what one step of each output is."""
    import numpy as np

    steps: Float32 = np.maximum(np.abs(values).max(axis=0), _LEAST) / np.float32(127)
    return np.rint(values.T / steps[:, None], order="C").astype(np.int8), steps


def _fused(checkpoint: Checkpoint) -> Iterator[tuple[str, Float32]]:
    """The weights in f32: `[in, out]`, products that share an input fused."""
    import numpy as np

    config, tensor = replace(checkpoint.config, weights="f32"), checkpoint.tensor

    def turned(names: Iterable[str]) -> Float32:
        return np.ascontiguousarray(np.concatenate([tensor(name) for name in names], axis=0).T, dtype=np.float32)

    embedding = "model.embed_tokens.weight"
    for name, _, shape in tensor_shapes(config):
        prefix, _, part = name.rpartition(".")
        layer = f"model.{prefix}."
        if name == "head":
            values = turned([embedding if config.tied_embeddings else "lm_head.weight"])
        elif name == "embedding":
            values = np.ascontiguousarray(tensor(embedding), dtype=np.float32)
        elif name == "norm":
            values = np.ascontiguousarray(tensor("model.norm.weight"), dtype=np.float32)
        elif part == "norms":
            both = ("input_layernorm", "post_attention_layernorm")
            values = np.stack([tensor(f"{layer}{norm}.weight") for norm in both]).astype(np.float32)
        else:
            values = turned([f"{layer}{source}.weight" for source in _FUSED[part]])
        if values.shape != shape:
            from .checkpoint import DamagedFile

            raise DamagedFile(f"{name} has the shape {values.shape}; the figures of the model say {shape}")
        yield name, values


_FUSED = {
    "qkv": ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"),
    "out": ("self_attn.o_proj",),
    "gate_up": ("mlp.gate_proj", "mlp.up_proj"),
    "down": ("mlp.down_proj",),
}


def tensor_shapes(config: LlamaConfig) -> Iterator[tuple[str, str, tuple[int, ...]]]:
    """The prepared tensors by name, with type and shape: `head`, perhaps `embedding`, `norm`, then `layers.<i>.<part>`.
    Matrices are f32 `[in, out]`, or two tensors: `values`, int8 `[out, in]`, and `scales`, f32 `[out]`."""
    for name, shape in _shapes(config):
        if config.weights == "f32" or not _is_matrix(name):
            yield name, "f32", shape
        else:
            yield f"{name}.values", "i8", shape[::-1]
            yield f"{name}.scales", "f32", shape[1:]


def _shapes(config: LlamaConfig) -> Iterator[tuple[str, tuple[int, ...]]]:
    yield "head", (config.d_model, config.vocab)
    if not config.tied_embeddings:
        yield "embedding", (config.vocab, config.d_model)
    yield "norm", (config.d_model,)
    for i in range(config.layers):
        yield f"layers.{i}.norms", (2, config.d_model)
        yield f"layers.{i}.qkv", (config.d_model, config.query_width + 2 * config.kv_width)
        yield f"layers.{i}.out", (config.query_width, config.d_model)
        yield f"layers.{i}.gate_up", (config.d_model, 2 * config.ffn)
        yield f"layers.{i}.down", (config.ffn, config.d_model)


def _is_matrix(name: str) -> bool:
    """Whether a tensor is one that steps multiply with. (An input table is only looked up.)"""
    return name.rpartition(".")[2] in (*_FUSED, "head")


def _source_key(source: Path) -> str:
    digest = hashlib.sha256(f"prepared {_FORMAT}".encode())
    for file in [source] if source.is_file() else sorted(p for p in source.iterdir() if p.is_file()):
        info = file.stat()
        digest.update(f"\0{file.name}\0{info.st_size}\0{info.st_mtime_ns}\0".encode())
        with file.open("rb") as opened:
            digest.update(opened.read(_SAMPLE))
            opened.seek(max(0, info.st_size - _SAMPLE))
            digest.update(opened.read(_SAMPLE))
    return digest.hexdigest()[:32]


def _forget_older(folder: Path) -> None:
    """Remove copies of what the source was before. Only beside the source: elsewhere others' copies lie there too."""
    if folder.is_relative_to(paths.models_home()):
        source = folder.name.partition("-")[0]
        for other in folder.parent.iterdir():
            if other.name.partition("-")[0] != source:
                shutil.rmtree(other, ignore_errors=True)


def _aligned(size: int) -> int:
    return -(-size // _ALIGNMENT) * _ALIGNMENT


def _size(dtype: str, shape: tuple[int, ...]) -> int:
    """Bytes of a tensor. KeyError for a type that is none."""
    return _BYTES[dtype] * prod(shape)
