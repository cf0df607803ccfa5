"""Whether somebody speaks: Silero's voice activity model in NumPy, 32 ms at a time.

310,000 parameters: a Fourier transform as a convolution, four small convolutions, and an LSTM cell, whose state is what
was heard before. A step takes some 0.1 ms, so handing it to a compiler would cost more than it gives.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...base.problems import OutsideError
from ...executor.engines.problems import model_does_not_load

if TYPE_CHECKING:
    from numpy.typing import NDArray

RATE = 16_000
STEP = 512
"""Samples of one answer."""
_BEFORE = 64
"""Samples of the step before that are looked at again."""
_BINS = 129
_SPAN, _HOP = 256, 128
_WIDTH = 128

_SHAPES: dict[str, tuple[int, ...]] = {
    "stft_conv.weight": (2 * _BINS, 1, _SPAN),
    "conv1.weight": (128, _BINS, 3),
    "conv2.weight": (64, 128, 3),
    "conv3.weight": (64, 64, 3),
    "conv4.weight": (128, 64, 3),
    "lstm_cell.weight_ih": (4 * _WIDTH, _WIDTH),
    "lstm_cell.weight_hh": (4 * _WIDTH, _WIDTH),
    "final_conv.weight": (1, _WIDTH, 1),
}
_BIASES = {"conv1": 128, "conv2": 64, "conv3": 64, "conv4": 128, "final_conv": 1}
_STRIDES = {"conv1": 1, "conv2": 2, "conv3": 2, "conv4": 1}


class Silero:
    """The weights, ready to multiply. Raises `OutsideError` (model-does-not-load)."""

    def __init__(self, path: Path, model: str) -> None:
        import numpy as np
        from safetensors import SafetensorError
        from safetensors.numpy import load_file  # pyright: ignore[reportUnknownVariableType]

        try:
            tensors: Mapping[str, NDArray[Any]] = load_file(path)
        except (SafetensorError, OSError, ValueError) as error:
            raise OutsideError(model_does_not_load(model, f"{path.name}: {error}")) from error

        def tensor(name: str, shape: tuple[int, ...]) -> NDArray[Any]:
            found = tensors.get(name)
            if found is None or found.shape != shape:
                what = "no tensor" if found is None else f"shape {found.shape} for"
                raise OutsideError(model_does_not_load(model, f"{path.name} has {what} {name}"))
            return found.astype(np.float32)

        held = {name: tensor(name, shape) for name, shape in _SHAPES.items()}
        self.transform = np.ascontiguousarray(held["stft_conv.weight"][:, 0].T)
        # A convolution over three columns side by side is one product.
        self.convolutions = [
            (
                np.ascontiguousarray(held[f"{name}.weight"].transpose(2, 1, 0).reshape(-1, size)),
                tensor(f"{name}.bias", (size,)),
                _STRIDES[name],
            )
            for name, size in _BIASES.items()
            if name in _STRIDES
        ]
        self.cell = np.concatenate([held["lstm_cell.weight_ih"].T, held["lstm_cell.weight_hh"].T])
        size = (4 * _WIDTH,)
        self.cell_bias = tensor("lstm_cell.bias_ih", size) + tensor("lstm_cell.bias_hh", size)
        self.last = held["final_conv.weight"].reshape(_WIDTH)
        self.last_bias = float(tensor("final_conv.bias", (1,))[0])


class Hearing:
    """One stream of sound, step after step."""

    def __init__(self, model: Silero) -> None:
        import numpy as np

        self._model = model
        self._before = np.zeros(_BEFORE, np.float32)
        self._said = np.zeros(_WIDTH, np.float32)
        self._kept = np.zeros(_WIDTH, np.float32)

    def step(self, samples: NDArray[Any]) -> float:
        """How likely it is that somebody speaks in these `STEP` samples (f32, -1 to 1), after all before them."""
        import numpy as np

        model = self._model
        seen = np.concatenate([self._before, samples])
        self._before = seen[-_BEFORE:]
        seen = np.concatenate([seen, seen[-2 : -_BEFORE - 2 : -1]])  # Mirrored at the end.
        looks = np.lib.stride_tricks.sliding_window_view(seen, _SPAN)[::_HOP]
        parts = looks @ model.transform
        columns = np.sqrt(parts[:, :_BINS] ** 2 + parts[:, _BINS:] ** 2)
        for weight, bias, stride in model.convolutions:
            padded = np.pad(columns, ((1, 1), (0, 0)))
            count = len(columns)
            together = np.concatenate([padded[at : at + count : stride] for at in range(3)], axis=1)
            columns = np.maximum(together @ weight + bias, 0.0)
        gates = np.concatenate([columns[0], self._said]) @ model.cell + model.cell_bias
        enter, forget, new, leave = np.split(gates, 4)
        self._kept = _share(forget) * self._kept + _share(enter) * np.tanh(new)
        self._said = _share(leave) * np.tanh(self._kept)
        return float(_share(np.maximum(self._said, 0.0) @ model.last + model.last_bias))


def _share(values: Any) -> Any:
    import numpy as np

    return 1.0 / (1.0 + np.exp(-np.clip(values, -60.0, 60.0)))
