"""How likely a token was, from logits on the host: for sequences that are computed one after the other."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..protocol import TokenLogprob


def likelihood(logits: Any, token: int, most: int) -> TokenLogprob:
    """Of a token chosen behind `[vocabulary]` logits, with the likeliest `most` beside it."""
    shifted = np.asarray(logits, np.float64)
    shifted = shifted - shifted.max()
    shares = shifted - np.log(np.exp(shifted).sum())
    likeliest = np.argsort(-shares, kind="stable")[:most]
    return TokenLogprob(token, float(shares[token]), tuple((int(one), float(shares[one])) for one in likeliest))
