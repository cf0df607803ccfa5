"""How long a step of a served model takes that a scheduler put together.

Where the model's shape and the devices' rates are known, by the fitted parts of `planner.serving`: rows by those of a
decode step, prompts alone by the difference that they make to a prefill, prompts beside rows by what they add to a
decode step. Elsewhere by the plan's own options: so much for each token of a prompt, so much for each step of rows.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Protocol

from ...ir.library import ModelShape
from ...planner.serving.terms import Beside, Group, bound, decode_parts, prefill_parts
from ...planner.serving.times import DECODE, PREFILL, Fitted

Part = tuple[int, int]
"""Of a prompt: the position it begins at, and its tokens."""


class StepTimes(Protocol):
    """Seconds of a step's two halves, which add up."""

    def rows(self, count: int, context: int) -> float:
        """Of `count` sequences that decode, with `context` positions in all."""
        ...

    def prompts(self, parts: Iterable[Part], beside: bool) -> float:
        """Of parts of prompts, `beside` rows or alone."""
        ...


@dataclass(frozen=True, slots=True)
class Flat:
    """`token` seconds for each of a prompt, `step` for each step with rows, whatever is in it."""

    token: float
    step: float

    def rows(self, count: int, context: int) -> float:
        del context
        return self.step if count else 0.0

    def prompts(self, parts: Iterable[Part], beside: bool) -> float:
        del beside
        return self.token * sum(count for _, count in parts)


@dataclass(frozen=True, slots=True)
class Modelled:
    """By the parts of `planner.serving`. Where groups stand one behind the other (`pipeline`), each has its part of the
    rows. `more_rows` and `more_prompts` are factors for what the parts leave out."""

    shape: ModelShape
    group: Group
    pipeline: int = 1
    more_rows: float = 1.0
    more_prompts: float = 1.0
    decode: Fitted = DECODE
    prefill: Fitted = PREFILL
    _known: dict[int, tuple[float, float, float, float]] = field(
        default_factory=dict[int, tuple[float, float, float, float]], repr=False, compare=False
    )

    def rows(self, count: int, context: int) -> float:
        if not count:
            return 0.0
        known = self._known.get(count)
        if known is None:
            known = self._known[count] = self._fixed(count)
        fixed, each, read, compute = known
        # No step is faster than physics: reading weights and cache, or computing.
        reading = read + each * context / self.decode.coefficients["cache"]
        return max(fixed + each * context, reading, compute) * self.more_rows

    def _fixed(self, count: int) -> tuple[float, float, float, float]:
        """Seconds of so many rows, of each position that they have, and what physics allows without those."""
        shape, group = self.shape, self.group
        mine = count / self.pipeline
        fixed = _seconds(self.decode, decode_parts(shape, group, mine, 0.0))
        one = decode_parts(shape, group, 1.0, 1.0)["cache"] * self.decode.coefficients["cache"] / self.pipeline
        weights = shape.active_parameters * shape.weight_bytes / group.tensor / group.bandwidth
        return fixed, one, weights, bound(shape, group, mine)

    def prompts(self, parts: Iterable[Part], beside: bool) -> float:
        shape, group, found = self.shape, self.group, list(parts)
        if not found:
            return 0.0
        tokens = sum(count for _, count in found)
        if beside:
            return sum(self._added(start + count) - self._added(start) for start, count in found) * self.more_prompts
        whole = prefill_parts(shape, group, 1.0, float(tokens))
        whole["attention"] = sum(_attention(shape, group, start, count) for start, count in found)
        return max(_seconds(self.prefill, whole), bound(shape, group, tokens)) * self.more_prompts

    def _added(self, tokens: int) -> float:
        """What the first tokens of a prompt add to steps of rows."""
        if not tokens:
            return 0.0
        parts = decode_parts(self.shape, self.group, 1.0, 0.0, Beside(float(tokens), 1.0))
        return sum(parts[name] * self.decode.coefficients[name] for name in ("prompts", "prompts_all_reduce"))


def _attention(shape: ModelShape, group: Group, start: int, count: int) -> float:
    """Of a part of a prompt: that of the prompt up to its end without that up to its start."""
    end = start + count
    whole = prefill_parts(shape, group, 1.0, float(end))["attention"]
    return whole - (prefill_parts(shape, group, 1.0, float(start))["attention"] if start else 0.0)


def _seconds(fitted: Fitted, parts: dict[str, float]) -> float:
    return sum(value * fitted.coefficients[part] for part, value in parts.items())
