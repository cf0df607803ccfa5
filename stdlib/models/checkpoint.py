"""What a file of weights offers once its format is understood, whichever format that is."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import contextmanager
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


@contextmanager
def reading(what: str) -> Generator[None]:
    """Whatever a library makes of a file that lies, as `DamagedFile`: `what` begins its text. A library in Rust that
    panics raises what is no `Exception`."""
    try:
        yield
    except DamagedFile:
        raise
    except BaseException as error:
        if not isinstance(error, Exception) and type(error).__name__ != "PanicException":
            raise
        raise DamagedFile(f"{what} ({str(error)[:200]})") from error


def hold_shape(config: LlamaConfig, name: str, shape: Sequence[int]) -> None:
    """Raise `DamagedFile` unless a tensor has the shape that the model's figures give it. Asked before it is read."""
    wanted = _shape(config, name)
    if tuple(shape) != wanted:
        found = list(shape)[:8]
        raise DamagedFile(f"{name} has the shape {found}; the figures of the model say {list(wanted)}")


def _shape(config: LlamaConfig, name: str) -> tuple[int, ...]:
    model, query, kv = config.d_model, config.query_width, config.kv_width
    match name.removesuffix(".weight").rpartition(".")[2]:
        case "embed_tokens" | "lm_head":
            return config.vocab, model
        case "q_proj":
            return query, model
        case "k_proj" | "v_proj":
            return kv, model
        case "o_proj":
            return model, query
        case "gate_proj" | "up_proj":
            return config.ffn, model
        case "down_proj":
            return model, config.ffn
        case _:
            return (model,)
