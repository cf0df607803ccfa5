"""Sound at another rate: a windowed sinc, in phases that repeat (Smith, "Digital Audio Resampling", 2002).

Samples come in pieces of any size and leave as soon as what is around them is there; the result does not depend on how
they were cut.
"""

from __future__ import annotations

from math import ceil, gcd
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from numpy.typing import NDArray

_REACH = 16
"""Zero crossings of the sinc on either side."""
_KAISER = 8.6
"""The window's shape: 90 dB down."""


class Resampler:
    """From `given` to `wanted` samples a second. Equal rates pass through."""

    def __init__(self, given: int, wanted: int) -> None:
        import numpy as np

        shared = gcd(given, wanted)
        self._up, self._down = wanted // shared, given // shared
        self._same = given == wanted
        # Below the smaller of both rates' limits, so that nothing folds back.
        width = max(1.0, self._down / self._up)
        self._reach = ceil(_REACH * width)
        taps = 2 * self._reach
        phases = np.arange(self._up)[:, None] / self._up
        places = (np.arange(taps)[None, :] - self._reach + 1 - phases) / width
        shape = np.i0(_KAISER * np.sqrt(np.maximum(0.0, 1.0 - (places / _REACH) ** 2))) / np.i0(_KAISER)
        self._table = (np.sinc(places) * shape / width).astype(np.float32)
        # Silence before the first sample, so that the first one has what is around it.
        self._held = np.zeros(self._reach - 1, np.float32)
        self._first = 1 - self._reach  # Which sample the first one held is.
        self._made = 0

    def push(self, samples: NDArray[Any]) -> NDArray[Any]:
        """What is certain now, f32, of samples in f32."""
        import numpy as np

        if self._same:
            return samples
        self._held = np.concatenate([self._held, samples])
        # The output at `n` stands at the input's `n * down / up`, and needs `reach` samples behind that.
        last = self._first + len(self._held) - 1 - self._reach
        stop = 0 if last < 0 else (last * self._up + self._up - 1) // self._down + 1
        if stop <= self._made:
            return np.zeros(0, np.float32)
        at = np.arange(self._made, stop, dtype=np.int64) * self._down
        whole, phase = at // self._up, at % self._up
        starts = whole - self._reach + 1 - self._first
        looks = np.lib.stride_tricks.sliding_window_view(self._held, 2 * self._reach)
        out = np.einsum("nt,nt->n", looks[starts], self._table[phase])
        self._made = stop
        keep = stop * self._down // self._up - self._reach + 1 - self._first
        if keep > 0:
            self._held, self._first = self._held[keep:], self._first + keep
        return out.astype(np.float32)

    def end(self) -> NDArray[Any]:
        """The rest, with silence behind it."""
        import numpy as np

        return np.zeros(0, np.float32) if self._same else self.push(np.zeros(self._reach, np.float32))
