"""Where engines get speech models from: a recogniser's mathematics, and what a voice is spoken by.

A recogniser hears a window at a time: an encoder that runs once, and a decoder that makes token after token. What is
done with the tokens (which may follow, what they say, where the next window begins) is the model's own business, so an
engine asks a `Reading` for it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ..families import Segment


class TranscribingFunctions(Protocol):
    """A recogniser's mathematics as pure functions that an engine may compile (JAX values, hence `Any`)."""

    @property
    def context(self) -> int:
        """The most tokens of a window, those of its prompt among them."""
        ...

    def weight_shapes(self) -> Any: ...

    def feature_shape(self) -> Any:
        """The shape of a window's features."""
        ...

    def cache_shapes(self) -> Any:
        """The tree of shapes of the decoder's cache for `context` positions."""
        ...

    def encode(self, weights: Any, features: Any) -> Any:
        """What was heard: what the decoder attends to."""
        ...

    def step(self, weights: Any, heard: Any, cache: Any, token: Any, position: Any) -> tuple[Any, Any]:
        """Logits `[vocabulary]` behind `token` (int32) at `position` (int32), and the cache."""
        ...


class Reading(Protocol):
    """One window that is being written down. Its methods compute little; they run where the device is waited for."""

    @property
    def prompt(self) -> Sequence[int]:
        """The tokens that the decoder begins with. It may grow while it is read, by what logits tell."""
        ...

    def choose(self, logits: NDArray[Any], position: int) -> int | None:
        """The token behind `position`, by the logits there; within the prompt, the prompt's own. None: it is over."""
        ...

    def segments(self) -> Sequence[Segment]:
        """What was said; times from the beginning of the window."""
        ...

    @property
    def heard(self) -> int:
        """Samples that are done with: the next window begins behind them."""
        ...

    @property
    def language(self) -> str | None:
        """The language, once it is known."""
        ...


class TranscribingSource(Protocol):
    """Where an engine gets a recogniser from. Methods may block; they run in worker threads.

    Raises `base.problems.OutsideError` where files are missing or damaged.
    """

    @property
    def key(self) -> str:
        """Names the mathematics (not the weights): equal keys may share compiled code."""
        ...

    @property
    def rate(self) -> int:
        """Samples a second of what it hears."""
        ...

    @property
    def window(self) -> int:
        """Samples of a window."""
        ...

    def functions(self) -> TranscribingFunctions: ...

    def weights(self) -> Any:
        """The weights as NumPy arrays."""
        ...

    def features(self, samples: NDArray[Any]) -> NDArray[Any]:
        """What the encoder takes, of up to a window of samples (f32, -1 to 1)."""
        ...

    def reading(self, samples: int, language: str | None) -> Reading:
        """A window of so many samples, in a language that is known already or not."""
        ...


@dataclass(frozen=True, slots=True)
class TranscribingSpec:
    """What to load. Without a source, the engine has the model itself."""

    name: str
    source: TranscribingSource | None = None


@dataclass(frozen=True, slots=True)
class VoiceSpec:
    """Which voice: the program that speaks, and its own name for the voice. `files` are the voice's, by role."""

    name: str
    program: str = ""
    voice: str = ""
    files: Mapping[str, str] | None = None
