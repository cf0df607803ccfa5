"""A Llama model as an engine wants it: facts, tokenizer, functions and weights, each when it is asked for."""

from __future__ import annotations

import errno
import hashlib
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any

from ...base.problems import OutsideError
from ...executor.engines.problems import model_does_not_load
from ...executor.engines.protocol import ModelFacts
from ...executor.engines.workers.recipes import Recipe
from ..problems import disk_full
from .chat_template import UnsupportedTemplate
from .checkpoint import Checkpoint, DamagedFile
from .llama_config import LlamaConfig, UnsupportedModel
from .prepared import Prepared, keep_tokenizer, kept_tokenizer, open_prepared, prepare
from .tokenizer import BytePairTokenizer, TokenizerParts, UnsupportedTokenizer

if TYPE_CHECKING:
    from types import ModuleType

    from .llama import Layer, LayerCache, Outer, Weights
    from .llama_pages import LlamaOnPages
    from .llama_shards import LlamaShards

_UNUSABLE = (DamagedFile, UnsupportedModel, UnsupportedTokenizer, UnsupportedTemplate)


class LlamaFile:
    """A `ChatModelSource` on a GGUF file, or on a folder with `config.json`, `model.safetensors` and `tokenizer.json`.

    Opening costs nothing; the first question prepares the weights if that was not done before. `weights` is what they
    are stored in: `f32` or `int8` (see `products`).
    """

    def __init__(self, path: Path, name: str, weights: str = "f32") -> None:
        self._path = path
        self._name = name
        self._weights = weights
        self._lock = Lock()
        self._opened: Prepared | None = None
        self._tokenizer: BytePairTokenizer | None = None

    @property
    def file(self) -> Path:
        """The GGUF file or the folder, for engines that read weights themselves."""
        return self._path

    @property
    def recipe(self) -> Recipe:
        """How another process opens it."""
        return Recipe(f"{__name__}:llama_file", {"path": str(self._path), "name": self._name, "weights": self._weights})

    @property
    def key(self) -> str:
        return functions_key(self._prepared().config)

    def facts(self) -> ModelFacts:
        return model_facts(self._name, self._prepared().config, self.tokenizer().end_tokens)

    def tokenizer(self) -> BytePairTokenizer:
        """From the prepared copy where there is one; none is made for the tokenizer alone."""
        with self._lock:
            if self._tokenizer is None:
                with self._reading():
                    self._tokenizer = BytePairTokenizer(self._tokenizer_parts())
            return self._tokenizer

    def _tokenizer_parts(self) -> TokenizerParts:
        self._opened = self._opened or open_prepared(self._path, self._weights)
        if self._opened is not None:
            return self._opened.tokenizer_parts()
        if self._path.is_dir():
            return open_checkpoint(self._path).tokenizer_parts()
        kept = kept_tokenizer(self._path)
        if kept is None:
            from .gguf_file import GgufMetadata

            kept = GgufMetadata(self._path).tokenizer_parts()
            BytePairTokenizer(kept)
            keep_tokenizer(self._path, kept)
        return kept

    def functions(self) -> LlamaFunctions:
        return LlamaFunctions(self._prepared().config)

    def weights(self) -> Weights:
        prepared = self._prepared()
        try:
            return assembled(prepared.config, prepared.arrays())
        except (OSError, ValueError) as error:
            raise self._fails(f"its prepared weights in {prepared.folder} cannot be mapped ({error})") from error

    def _prepared(self) -> Prepared:
        with self._lock:
            if self._opened is None:
                with self._reading():
                    self._opened = open_prepared(self._path, self._weights) or self._prepare()
            return self._opened

    @contextmanager
    def _reading(self) -> Generator[None]:
        """What is wrong with the files, as a problem."""
        try:
            yield
        except FileNotFoundError as error:
            raise self._fails(f"{error.filename or self._path} is missing") from error
        except _UNUSABLE as error:
            raise self._fails(str(error)) from error
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                size = self._path.stat().st_size if self._path.is_file() else 0
                raise OutsideError(disk_full(self._name, str(self._path.parent), 6 * size, None)) from error
            raise self._fails(f"{self._path} cannot be read ({error})") from error

    def _prepare(self) -> Prepared:
        checkpoint = open_checkpoint(self._path)
        # A template that will not be understood is refused before half a gigabyte is written.
        BytePairTokenizer(checkpoint.tokenizer_parts())
        return prepare(self._path, checkpoint, self._weights)

    def _fails(self, why: str) -> OutsideError:
        return OutsideError(model_does_not_load(self._name, why))


def llama_file(path: str, name: str, weights: str) -> LlamaFile:
    """What a recipe makes."""
    return LlamaFile(Path(path), name, weights)


@dataclass(frozen=True, slots=True)
class LlamaFunctions:
    """`ModelFunctions` of one configuration. Methods import JAX."""

    config: LlamaConfig

    @property
    def layers(self) -> int:
        return self.config.layers

    def outer_shapes(self) -> Outer:
        return _llama().outer_shapes(self.config)

    def layer_shapes(self) -> Layer:
        return _llama().layer_shapes(self.config)

    def cache_shapes(self, length: int) -> LayerCache:
        return _llama().cache_shapes(self.config, length)

    def enter(self, outer: Any, tokens: Any, start: Any) -> tuple[Any, Any]:
        return _llama().enter(self.config, outer, tokens, start)

    def prefill_layer(self, layer: Any, cache: Any, hidden: Any, places: Any) -> tuple[Any, Any]:
        return _llama().prefill_layer(self.config, layer, cache, hidden, places)

    def decode_layer(self, layer: Any, cache: Any, hidden: Any, places: Any) -> tuple[Any, Any]:
        return _llama().decode_layer(self.config, layer, cache, hidden, places)

    def leave(self, outer: Any, hidden: Any, count: Any) -> Any:
        return _llama().leave(self.config, outer, hidden, count)

    def prefill(self, weights: Any, cache: Any, tokens: Any, start: Any, count: Any) -> tuple[Any, Any]:
        return _llama().prefill(self.config, _llama().Weights(*weights), cache, tokens, start, count)

    def decode(self, weights: Any, cache: Any, token: Any, position: Any) -> tuple[Any, Any]:
        return _llama().decode(self.config, _llama().Weights(*weights), cache, token, position)

    def grow(self, cache: Any, length: int) -> Any:
        return _llama().grow(cache, length)

    def in_shards(self, tensor: int, expert: int = 1) -> LlamaShards:
        """The layers in `tensor` shards. Raises `UnsupportedModel` where they cannot be divided so."""
        from .llama_shards import LlamaShards

        if expert != 1:
            raise UnsupportedModel("it has no experts to spread")
        return LlamaShards(self.config, tensor)

    def on_pages(self) -> LlamaOnPages | None:
        """The functions for many sequences at once; None where a model like this has none."""
        from .llama_pages import LlamaOnPages

        return LlamaOnPages(self.config)


def _llama() -> ModuleType:
    from . import llama

    return llama


def open_checkpoint(path: Path) -> Checkpoint:
    """A GGUF file, or a folder in the form of Hugging Face."""
    if path.is_dir():
        from .safetensors_file import SafetensorsCheckpoint

        return SafetensorsCheckpoint(path)
    from .gguf_file import GgufCheckpoint

    return GgufCheckpoint(path)


_CODE = ("llama.py", "llama_pages.py", "llama_rows.py", "llama_shards.py", "products.py")


def functions_key(config: LlamaConfig) -> str:
    """Changes with the figures and with the code of the functions."""
    here = Path(__file__)
    code = b"".join(here.with_name(name).read_bytes() for name in _CODE)
    return hashlib.sha256(repr(config).encode() + code).hexdigest()[:32]


def model_facts(name: str, config: LlamaConfig, end_tokens: frozenset[int]) -> ModelFacts:
    return ModelFacts(
        name=name,
        context=config.context,
        vocabulary=config.vocab,
        weight_bytes=config.decode_weight_bytes,
        cache_bytes_per_position=config.cache_bytes_per_position,
        end_tokens=end_tokens,
    )


def assembled(config: LlamaConfig, arrays: dict[str, Any]) -> Weights:
    """The tree of weights from tensors by name."""
    from .llama import Layer, Outer, Weights
    from .products import Quantised

    def matrix(name: str) -> Any:
        return arrays[name] if name in arrays else Quantised(*(arrays[f"{name}.{part}"] for part in Quantised._fields))

    layers = tuple(Layer(*(matrix(f"layers.{i}.{part}") for part in Layer._fields)) for i in range(config.layers))
    return Weights(Outer(matrix("head"), arrays.get("embedding"), arrays["norm"]), layers)
