"""How well times of served models are predicted: each group of rows (one model on as many devices) by a fit that saw
none of it.

    python -m benchmarks.fit           # errors, and the coefficients of fits on all rows
"""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from agentlang.planner.serving.terms import Beside, bound, decode_parts, prefill_parts

from .least import fit, left_out
from .rows import Row, home, silicon, splitwise


@dataclass(frozen=True)
class Fit:
    """A fit on some rows. `errors` are relative, of rows left out; `coefficients` of the fit on all."""

    name: str
    rows: tuple[Row, ...]
    parts: tuple[str, ...]
    errors: Any
    coefficients: Any

    @property
    def mean(self) -> float:
        return float(np.abs(self.errors).mean())


def decode(row: Row) -> dict[str, float]:
    """The parts of a row's steps, at half of its reply."""
    beside = Beside(row.prompt, row.reply) if row.shared else None
    return decode_parts(row.shape, row.group, row.batch, row.prompt + row.reply / 2, beside)


def prefill(row: Row) -> dict[str, float]:
    return prefill_parts(row.shape, row.group, row.batch, row.prompt)


def decode_bound(row: Row) -> float:
    return bound(row.shape, row.group, row.batch, row.batch * (row.prompt + row.reply / 2))


def prefill_bound(row: Row) -> float:
    return bound(row.shape, row.group, row.batch * row.prompt)


def fitted(name: str, rows: Sequence[Row], of_prefill: bool = False) -> Fit:
    made = [(prefill if of_prefill else decode)(row) for row in rows]
    names = tuple(made[0])
    parts = np.array([[one[part] for part in names] for one in made])
    measured = np.array([(row.prefill or 0.0) if of_prefill else row.step for row in rows])
    least = np.array([(prefill_bound if of_prefill else decode_bound)(row) for row in rows])

    def predict(inside: Any, coefficients: Any) -> Any:
        return np.maximum(parts[inside] @ coefficients, least[inside])

    errors = left_out(parts, measured, [row.left_out_with for row in rows], predict)
    return Fit(name, tuple(rows), names, errors, fit(parts, measured))


def all_fits() -> list[Fit]:
    alone, shared = splitwise(), silicon()
    a100, h100 = ([row for row in alone if row.device == device] for device in ("a100", "h100"))
    return [
        fitted("decode, A100, batches alone", a100),
        fitted("decode, H100, batches alone", h100),
        fitted("decode, H100, prompts between steps", shared),
        fitted("prefill, A100", a100, of_prefill=True),
        fitted("prefill, H100", h100, of_prefill=True),
        fitted("prefill, both", alone, of_prefill=True),
    ]


def main() -> int:
    if not home().is_dir():
        print("left out: the published measurements are not here (AGENTLANG_DATA)")
        return 0
    for found in all_fits():
        worst = max(
            (float(np.abs(found.errors[[row.left_out_with == key for row in found.rows]]).mean()), key)
            for key in {row.left_out_with for row in found.rows}
        )
        print(f"{found.name}: mean error {found.mean:.1%} of {len(found.rows)} rows, each left out with its group")
        print(f"  worst group: {worst[1][0]} on {worst[1][1]}: {worst[0]:.1%}")
        print("  " + ", ".join(f"{n} {c:.3g}" for n, c in zip(found.parts, found.coefficients, strict=True)))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
