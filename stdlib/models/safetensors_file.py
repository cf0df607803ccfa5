"""Llama models in the folder form of Hugging Face: `config.json`, `model.safetensors`, `tokenizer.json`.

Weights may be split over several files with an index. Queries and keys are in halves already.

All of it is data from outside. What the settings say is held against the bytes of the weights before anything is made
of it, and shapes before a tensor is read, so a folder that lies takes no more memory than its files have.
"""

from __future__ import annotations

import json
from math import inf
from pathlib import Path
from typing import Any, cast

from .checkpoint import DamagedFile, Float32, hold_shape, reading
from .llama_config import LlamaConfig, UnsupportedModel
from .tokenizer import TokenizerParts, UnsupportedTokenizer

WEIGHTS, INDEX = "model.safetensors", "model.safetensors.index.json"
_MOST_LAYERS = 4096
_LARGEST = {"tokenizer.json": 128 << 20, INDEX: 64 << 20}
_LARGEST_OTHER = 16 << 20  # bytes of a file of settings


class SafetensorsCheckpoint:
    """A `Checkpoint`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._settings = self._json("config.json")
        self._files: dict[str, str] = {}
        if (folder / INDEX).is_file():
            self._files = self._weight_map()
        self._open: dict[str, Any] = {}
        self._config = self._read_config()
        self._hold_size()

    @property
    def config(self) -> LlamaConfig:
        return self._config

    def _weight_map(self) -> dict[str, str]:
        given: Any = self._json(INDEX).get("weight_map", {})
        if not isinstance(given, dict):
            raise DamagedFile(f"{INDEX} of {self._folder.name} has no map of its weights")
        files = cast("dict[str, Any]", given)
        for file in set(map(str, files.values())):
            # An index may name files of this folder only.
            if not file or Path(file).name != file:
                raise DamagedFile(f"{INDEX} of {self._folder.name} names a file elsewhere: {file[:80]}")
        return {name: str(file) for name, file in files.items()}

    def _hold_size(self) -> None:
        """A number takes a byte at least: figures that say more numbers than that lie."""
        files = {self._folder / file for file in self._files.values()} or {self._folder / WEIGHTS}
        size = sum(file.stat().st_size for file in files if file.is_file())
        numbers = self._config.matrix_parameters + self._config.vocab * self._config.d_model
        if size and numbers > size:
            held, folder = f"{size:,} bytes for the {numbers:,} numbers", self._folder.name
            raise DamagedFile(f"{WEIGHTS} of {folder} has {held} that config.json says: it is cut off, or that lies")

    def _read_config(self) -> LlamaConfig:
        get = self._settings.get
        kind = get("model_type")
        if kind != "llama":
            raise UnsupportedModel(f"{self._folder.name} holds a {kind or 'nameless'} model; Llama models run")
        given: Any = get("rope_scaling") or get("rope_parameters") or {}
        rope = cast("dict[str, Any]", given if isinstance(given, dict) else {"rope_type": "nameless"})
        if rope.get("rope_type", rope.get("type", "default")) != "default":
            raise UnsupportedModel(f"{self._folder.name} scales its rotary positions, which is not implemented")
        if get("attention_bias") or get("mlp_bias"):
            raise UnsupportedModel(f"{self._folder.name} has biases, which are not implemented")
        if get("hidden_act", "silu") != "silu":
            raise UnsupportedModel(f"{self._folder.name} uses {get('hidden_act')}, which is not implemented")
        try:
            heads, d_model = int(self._settings["num_attention_heads"]), int(self._settings["hidden_size"])
            config = LlamaConfig(
                layers=int(self._settings["num_hidden_layers"]),
                d_model=d_model,
                heads=heads,
                kv_heads=int(get("num_key_value_heads") or heads),
                head_dim=int(get("head_dim") or d_model // max(1, heads)),
                ffn=int(self._settings["intermediate_size"]),
                vocab=int(self._settings["vocab_size"]),
                context=int(self._settings["max_position_embeddings"]),
                rope_base=float(get("rope_theta") or rope.get("rope_theta") or 10000.0),
                norm_epsilon=float(get("rms_norm_eps") or 1e-6),
                tied_embeddings=bool(get("tie_word_embeddings", False)),
            )
        except UnsupportedModel:
            raise
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            why = str(error)[:200]
            raise DamagedFile(f"config.json of {self._folder.name} lacks or garbles a figure: {why}") from error
        if config.layers > _MOST_LAYERS:
            raise DamagedFile(f"config.json of {self._folder.name} says {config.layers} layers, more than any model")
        if not (0 < config.rope_base < inf and 0 < config.norm_epsilon < inf):
            raise DamagedFile(f"config.json of {self._folder.name} has a rope_theta or rms_norm_eps that cannot be")
        return config

    def tensor(self, name: str) -> Float32:
        import numpy as np

        file = self._tensors(self._files.get(name, WEIGHTS))
        with reading(f"{self._folder.name} has no tensor {name} that can be read"):
            hold_shape(self._config, name, file.get_slice(name).get_shape())
            return np.asarray(file.get_tensor(name), dtype=np.float32)

    def _tensors(self, file: str) -> Any:
        from safetensors import safe_open

        if file not in self._open:
            with reading(f"{file} of {self._folder.name} cannot be read"):
                # NumPy has no bfloat16 of its own; ml_dtypes, which JAX brings, registers it.
                import ml_dtypes  # noqa: F401  # pyright: ignore[reportUnusedImport]

                self._open[file] = safe_open(self._folder / file, framework="numpy")
        return self._open[file]

    def tokenizer_parts(self) -> TokenizerParts:
        try:
            return self._tokenizer_parts()
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
            why = f"{type(error).__name__}: {str(error)[:200]}"
            raise DamagedFile(
                f"the tokenizer of {self._folder.name} is not in the form that it should be ({why})"
            ) from error

    def _tokenizer_parts(self) -> TokenizerParts:
        library = self._json("tokenizer.json")
        decoder = cast("dict[str, Any]", library.get("decoder") or {})
        if decoder.get("type") != "ByteLevel":
            raise UnsupportedTokenizer(f"the tokenizer of {self._folder.name} is not byte-level BPE")
        added = cast("list[dict[str, Any]]", library.get("added_tokens") or [])
        special = {str(token["content"]): int(token["id"]) for token in added if token.get("special")}
        verbatim = {int(token["id"]): str(token["content"]) for token in added if not token.get("special")}
        # Special tokens are split off before the library sees a text, so it must not know them; nor add any.
        library["added_tokens"] = [token for token in added if not token.get("special")]
        library["post_processor"] = None
        vocabulary = cast("dict[str, int]", library["model"]["vocab"])
        library["model"]["vocab"] = {text: i for text, i in vocabulary.items() if text not in special}
        settings = self._json("tokenizer_config.json", {})
        constants = {
            name: text
            for name in ("bos_token", "eos_token", "unk_token", "pad_token")
            if (text := _token_text(settings.get(name)))
        }
        begin = special.get(constants.get("bos_token", "")) if settings.get("add_bos_token") else None
        return TokenizerParts(
            library=json.dumps(library, ensure_ascii=False, separators=(",", ":")),
            special=special,
            end_tokens=self._end_tokens(special, constants),
            template=self._template(settings),
            constants=constants,
            verbatim=verbatim,
            begin_token=begin,
        )

    def _end_tokens(self, special: dict[str, int], constants: dict[str, str]) -> tuple[int, ...]:
        ends: set[int] = set()
        for settings in (self._json("generation_config.json", {}), self._settings):
            given = settings.get("eos_token_id")
            several = cast("list[int | None]", given if isinstance(given, list) else [given])
            ends |= {int(end) for end in several if end is not None}
        if constants.get("eos_token", "") in special:
            ends.add(special[constants["eos_token"]])
        return tuple(sorted(ends))

    def _template(self, settings: dict[str, Any]) -> str:
        path = self._folder / "chat_template.jinja"
        if path.is_file():
            return self._read("chat_template.jinja")
        given: Any = settings.get("chat_template") or ""
        if isinstance(given, list):
            named = cast("list[dict[str, str]]", given)
            return next((entry["template"] for entry in named if entry.get("name") == "default"), "")
        return str(given)

    def _json(self, name: str, default: dict[str, Any] | None = None) -> dict[str, Any]:
        path = self._folder / name
        if default is not None and not path.is_file():
            return default
        try:
            data: Any = json.loads(self._read(name))
        except RecursionError:
            raise DamagedFile(f"{name} of {self._folder.name} is nested too deep") from None
        except (OSError, ValueError) as error:
            raise DamagedFile(f"{name} of {self._folder.name} cannot be read ({str(error)[:200]})") from error
        if not isinstance(data, dict):
            raise DamagedFile(f"{name} of {self._folder.name} does not hold an object")
        return cast("dict[str, Any]", data)

    def _read(self, name: str) -> str:
        """The text of a file that is no larger than such files are."""
        most = _LARGEST.get(name, _LARGEST_OTHER)
        with (self._folder / name).open("rb") as file:
            data = file.read(most + 1)
        if len(data) > most:
            raise DamagedFile(f"{name} of {self._folder.name} has more than {most >> 20} MiB")
        return data.decode("utf-8")


def _token_text(given: Any) -> str:
    """A token in `tokenizer_config.json`: its text, or an object that holds it."""
    return str(cast("dict[str, Any]", given).get("content", "")) if isinstance(given, dict) else str(given or "")
