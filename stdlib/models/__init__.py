"""Models in plain JAX, their files and their tokenizers. Nothing here imports JAX before it is needed."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ...executor.engines.protocol import ChatModelSource


def open_chat(path: Path, name: str, weights: str = "f32") -> ChatModelSource:
    """A chat model for an engine: a GGUF file, or a folder with `config.json`, `model.safetensors`, `tokenizer.json`.
    Its `weights` are stored in `f32`, or in `int8` for engines that compute by its functions.

    Nothing is read here; what is wrong with the files shows as an `OutsideError` when an engine loads the model.
    """
    from .chat_source import LlamaFile

    return LlamaFile(path, name, weights)
