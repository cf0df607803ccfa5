"""How long a step of a served model takes on accelerators: the parts of `terms`, each by its fitted coefficient.

The coefficients come from published measurements (`python -m benchmarks.fit`, which refits them and prints these
errors): decode from 572 rows of Llama-3.1 8B and 70B and Qwen3 32B on one to eight H100 with TensorRT-LLM, vLLM and
SGLang, prompts computed between the steps; prefill from 150 rows of Llama 2 70B and BLOOM 176B on A100 and H100. An
error is the mean of rows whose model, on as many devices, the fit had not seen. On other devices the same coefficients
stand beside those devices' own rates, which nothing here has measured.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from ...ir.library import ModelShape
from ..figures import Basis, Prediction, Term, predicted, show_value
from .terms import Beside, Group, bound, decode_parts, prefill_parts


@dataclass(frozen=True, slots=True)
class Fitted:
    """Coefficients by part: a factor on seconds, or seconds for each of what is counted. `error` is relative."""

    coefficients: Mapping[str, float]
    error: float
    source: str


DECODE = Fitted(
    MappingProxyType(
        {
            "matrices": 1.073,
            "cache": 1.198,
            "layers": 6.15e-5,
            "spreading": 1.27e-6,
            "all_reduce": 5.75,
            "sequences": 4.90e-7,
            "prompts": 1.10,
            "prompts_all_reduce": 1.50,
        }
    ),
    0.113,
    "572 published rows of three models on H100",
)
PREFILL = Fitted(
    MappingProxyType(
        {"matrices": 1.51, "attention": 6.02, "layers": 1.73e-4, "spreading": 1.46e-5, "all_reduce": 4.11}
    ),
    0.119,
    "150 published rows of two models on A100 and H100",
)
COUNTED = frozenset({"layers", "spreading", "sequences"})
"""Parts that are counts; the others are seconds of physics."""


def decode_step(
    shape: ModelShape, group: Group, batch: float, context: float, beside: Beside | None = None
) -> Prediction:
    """Seconds of a decode step; see `terms.decode_parts`."""
    parts = decode_parts(shape, group, batch, context, beside)
    return _predicted("decode step", DECODE, parts, bound(shape, group, batch, batch * context))


def prefill(shape: ModelShape, group: Group, prompts: float, tokens: float) -> Prediction:
    """Seconds of the prefill of so many prompts of `tokens` each, at once."""
    parts = prefill_parts(shape, group, prompts, tokens)
    return _predicted("prefill", PREFILL, parts, bound(shape, group, prompts * tokens))


def _predicted(name: str, fitted: Fitted, parts: Mapping[str, float], least: float) -> Prediction:
    terms = [
        Term(part, value * fitted.coefficients[part], "s", Basis.PUBLISHED, _detail(part, value, fitted))
        for part, value in parts.items()
        if value
    ]
    short = least - sum(term.value for term in terms)
    if short > 0:
        # Coefficients of a fit may be below one; physics is not.
        terms.append(Term("up to the roofline", short, "s", Basis.DERIVED))
    return predicted(name, "s", terms, fitted.error)


def _detail(part: str, value: float, fitted: Fitted) -> str:
    coefficient = fitted.coefficients[part]
    if part in COUNTED:
        return f"{value:.4g} x {show_value(coefficient, 's')}, fitted to {fitted.source}"
    return f"{show_value(value, 's')} x {coefficient:.3g}, fitted to {fitted.source}"
