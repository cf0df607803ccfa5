"""What a file of weights offers once its format is understood, whichever format that is."""

from __future__ import annotations

from typing import Any, Protocol

from .llama_config import LlamaConfig
from .tokenizer import TokenizerParts

Float32 = Any
"""A NumPy array of f32. NumPy's own types say nothing about shapes, so the docstrings do."""


class DamagedFile(Exception):
    """The file breaks its own format. The text says where."""


class Checkpoint(Protocol):
    """An opened model. Raises `DamagedFile`, or `UnsupportedModel` for another architecture."""

    @property
    def config(self) -> LlamaConfig: ...

    def tokenizer_parts(self) -> TokenizerParts: ...

    def tensor(self, name: str) -> Float32:
        """A tensor by the name that Hugging Face's Llama gives it, `[out, in]`, rotary halves apart."""
        ...
