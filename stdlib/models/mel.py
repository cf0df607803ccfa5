"""Sound as a speech model hears it: how loud each band of pitches is, every 10 ms. NumPy alone.

The features of Whisper: power of a 25 ms Hann window every 10 ms, in bands that are as wide as the ear's (Slaney's mel
scale, as librosa has it), as logarithms between the loudest and what is 80 dB below it.
"""

from __future__ import annotations

from functools import lru_cache
from math import exp, log
from typing import TYPE_CHECKING, Any

from .whisper_config import HOP, RATE, WINDOW

if TYPE_CHECKING:
    from numpy.typing import NDArray

_SPAN = 400
"""Samples of one look: 25 ms."""


def features(samples: NDArray[Any], mels: int) -> NDArray[Any]:
    """`[3000, mels]`, f32, of up to 30 s of samples (f32 in -1 to 1, 16 kHz); silence behind them to the full 30 s."""
    import numpy as np

    padded = np.zeros(WINDOW + _SPAN, np.float32)
    count = min(len(samples), WINDOW)
    middle = _SPAN // 2
    padded[middle : middle + count] = samples[:count]
    # Mirrored at the beginning, as a window that stands on the first sample would look before it.
    padded[:middle] = padded[2 * middle : middle : -1]
    looks = np.lib.stride_tricks.sliding_window_view(padded, _SPAN)[::HOP][: WINDOW // HOP]
    power = np.abs(np.fft.rfft(looks * _hann(), axis=1)).astype(np.float32) ** 2
    loud = np.log10(np.maximum(power @ bands(mels), 1e-10))
    return ((np.maximum(loud, loud.max() - 8.0) + 4.0) / 4.0).astype(np.float32)


@lru_cache(maxsize=1)
def _hann() -> NDArray[Any]:
    import numpy as np

    return (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(_SPAN) / _SPAN)).astype(np.float32)


@lru_cache(maxsize=2)
def bands(mels: int) -> NDArray[Any]:
    """`[201, mels]`: how much of each frequency is in each band. Each band is a triangle of area one over mels."""
    import numpy as np

    frequencies = np.linspace(0, RATE / 2, _SPAN // 2 + 1)
    # Linear up to 1000 Hz (15 mels), logarithmic above it: 27 mels for a factor of 6.4.
    step, knee, log_step = 200.0 / 3, 15.0, log(6.4) / 27.0
    highest = knee + log(RATE / 2 / 1000.0) / log_step
    points = [highest * number / (mels + 1) for number in range(mels + 2)]
    edges = np.array([at * step if at < knee else 1000.0 * exp(log_step * (at - knee)) for at in points])
    rising: NDArray[Any] = (frequencies[:, None] - edges[None, :-2]) / (edges[1:-1] - edges[:-2])
    falling: NDArray[Any] = (edges[None, 2:] - frequencies[:, None]) / (edges[2:] - edges[1:-1])
    triangles: NDArray[Any] = np.maximum(0.0, np.minimum(rising, falling)) * (2.0 / (edges[2:] - edges[:-2]))
    return triangles.astype(np.float32)
