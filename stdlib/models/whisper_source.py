"""A Whisper model as an engine wants it: functions, weights, features and how a window is read."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from ...base.problems import OutsideError
from ...executor.engines.problems import model_does_not_load
from .checkpoint import DamagedFile
from .ctranslate2_file import CTranslate2File
from .whisper_config import RATE, WINDOW, WhisperConfig, read_config, read_weights

if TYPE_CHECKING:
    from types import ModuleType

    from numpy.typing import NDArray

    from .whisper_reading import WhisperReading, WhisperWords

T = TypeVar("T")


class WhisperFile:
    """A `TranscribingSource` on the files of a CTranslate2 model: `weights`, `tokenizer` and `config`.

    Opening costs nothing. Raises `OutsideError` (model-does-not-load) at the first question, if files are damaged.
    """

    rate = RATE
    window = WINDOW

    def __init__(self, files: Mapping[str, Path], name: str) -> None:
        self._files = files
        self._name = name

    @property
    def key(self) -> str:
        return functions_key(self._config)

    def functions(self) -> WhisperFunctions:
        return WhisperFunctions(self._config)

    def weights(self) -> Any:
        return self._sound(lambda: read_weights(self._opened, self._config))

    def features(self, samples: NDArray[Any]) -> NDArray[Any]:
        from .mel import features

        return features(samples, self._config.mels)

    def reading(self, samples: int, language: str | None) -> WhisperReading:
        from .whisper_reading import WhisperReading

        return WhisperReading(self._words, samples, language)

    @cached_property
    def _opened(self) -> CTranslate2File:
        return self._sound(lambda: CTranslate2File(self._files["weights"]))

    @cached_property
    def _config(self) -> WhisperConfig:
        return self._sound(lambda: read_config(self._opened))

    @cached_property
    def _words(self) -> WhisperWords:
        from .whisper_reading import WhisperWords

        return self._sound(lambda: WhisperWords(self._files["tokenizer"], self._files["config"], self._config))

    def _sound(self, ask: Callable[[], T]) -> T:
        """What is wrong with the files, as a problem."""
        try:
            return ask()
        except (DamagedFile, OSError) as error:
            raise OutsideError(model_does_not_load(self._name, str(error))) from error


@dataclass(frozen=True, slots=True)
class WhisperFunctions:
    """`TranscribingFunctions` of one configuration. Methods import JAX."""

    config: WhisperConfig

    @property
    def context(self) -> int:
        return self.config.context

    def weight_shapes(self) -> Any:
        return _whisper().weight_shapes(self.config)

    def feature_shape(self) -> Any:
        import jax
        import jax.numpy as jnp

        return jax.ShapeDtypeStruct((self.config.frames, self.config.mels), jnp.float32)

    def cache_shapes(self) -> Any:
        return _whisper().cache_shapes(self.config, self.config.context)

    def encode(self, weights: Any, features: Any) -> Any:
        return _whisper().encode(self.config, weights, features)

    def step(self, weights: Any, heard: Any, cache: Any, token: Any, position: Any) -> tuple[Any, Any]:
        return _whisper().step(self.config, weights, heard, cache, token, position)


def functions_key(config: WhisperConfig) -> str:
    """Changes with the figures and with the code that writes the mathematics down."""
    code = Path(__file__).with_name("whisper.py").read_bytes()
    return f"whisper {config} {hashlib.sha256(code).hexdigest()}"


def _whisper() -> ModuleType:
    from . import whisper

    return whisper
