"""What a compiled function needs, read from its compiler, beside what our formulas say of the same call.

The compiler counts what it emitted; the formula counts what the mathematics cannot do without. So they agree on
operations, and differ in known ways on bytes:

- XLA counts each kernel's operands and results as read and written. What one kernel leaves in a cache for the next
  (scores of attention, halves of the feed-forward block) is counted twice, where the formula counts each matrix
  product's input and result once. The formula is the lower bound, XLA's count the upper one.
- A gather from a table counts the whole table. With tied embeddings a prefill gathers columns of the output table.
- A bucket is computed whole: attention over all positions of the cache at decode, and over whole blocks of queries at
  prefill, of which the mask then forgets a half.
- A loop whose number of turns is not known counts as one turn: the part of a prefill that attends to what was there
  before, a block of positions at a time. The formula is therefore asked for a prompt behind one such block.
- Norms, rotations, activation functions: one to four hundredths of the operations. An encoder on 8-bit numbers rounds
  and scales at each product, and sums its columns: another tenth, and XLA widens its matrices for the product.

Knows no compiler: it reads what JAX's compiled functions offer.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, cast

from ..artifact import CACHE, WEIGHT, Artifact
from ..formula import constant
from ..graph import Demand
from ..library import ModelShape
from . import llm

KEY_BLOCK = 512
"""Positions that one turn of a prefill's loop over the past takes, or fewer so that the cache is a multiple of it."""


@dataclass(frozen=True, slots=True)
class Needs:
    """One call, by its compiler. Operations, and bytes."""

    compute: float
    traffic: float
    """Read and written by all kernels, as if nothing stayed in a cache between two."""
    temporary: float
    """The most that intermediate results occupy at once."""
    arguments: float
    outputs: float
    aliased: float
    """Of the outputs, what takes the place of donated arguments."""

    @property
    def footprint(self) -> float:
        """What must be in memory during a call."""
        return self.arguments + self.outputs - self.aliased + self.temporary

    def data(self) -> dict[str, float]:
        return asdict(self)


def needs(compiled: Any) -> Needs:
    """Of a compiled function of JAX. ValueError if this platform's compiler says nothing."""
    costs = cast("Mapping[str, float] | None", compiled.cost_analysis())
    memory = compiled.memory_analysis()
    if not costs or memory is None:
        raise ValueError("the compiler of this platform does not say what its functions need")
    return Needs(
        compute=float(costs["flops"]),
        traffic=float(costs["bytes accessed"]),
        temporary=float(memory.temp_size_in_bytes),
        arguments=float(memory.argument_size_in_bytes),
        outputs=float(memory.output_size_in_bytes),
        aliased=float(memory.alias_size_in_bytes),
    )


def needs_from(data: Mapping[str, Any]) -> Needs:
    """The inverse of `Needs.data`. ValueError for anything else."""
    try:
        return Needs(**{field.name: float(data[field.name]) for field in fields(Needs)})
    except (KeyError, TypeError) as error:
        raise ValueError(f"not what a function needs: {error}") from error


@dataclass(frozen=True, slots=True)
class Compared:
    """One term (`compute`, `traffic`, `weights`, `cache`, `temporary`) by formula and as compiled.

    `formula` is None where there is none: temporaries are small beside weights and cache.
    """

    term: str
    formula: float | None
    compiled: float

    @property
    def ratio(self) -> float | None:
        """Compiled, of the formula's."""
        return self.compiled / self.formula if self.formula else None


def compare(shape: ModelShape, artifact: Artifact, found: Needs) -> tuple[Compared, ...]:
    """The formulas of a model at a function's bucket beside what its compiler says. KeyError for another stage."""
    expected = _FORMULAS[artifact.stage](shape, *artifact.bucket)
    weights = sum(tensor.size for tensor in artifact.of(WEIGHT))
    rows = [
        Compared("compute", expected.compute.value({}), found.compute),
        Compared("traffic", expected.traffic.value({}), found.traffic),
        Compared("weights", _weights(shape, artifact.stage), float(weights)),
    ]
    if cache := sum(tensor.size for tensor in artifact.of(CACHE)):
        rows.append(Compared("cache", artifact.bucket[-1] * llm.cache_bytes_per_token(shape), float(cache)))
    return (*rows, Compared("temporary", None, found.temporary))


def _prefill(shape: ModelShape, chunk: int, length: int) -> Demand:
    past = math.gcd(KEY_BLOCK, length) if length > chunk else 0
    return llm.prefill(shape, constant(float(chunk)), constant(float(past)))


def _decode(shape: ModelShape, length: int) -> Demand:
    """The step that fills the last position: a reply's second token."""
    return llm.decode(shape, constant(length - 1.0), constant(2.0))


def _encode(shape: ModelShape, texts: int, tokens: int) -> Demand:
    return llm.encode(shape, constant(float(tokens)), float(texts))


def _score(shape: ModelShape, tokens: int) -> Demand:
    return llm.encode(shape, constant(float(tokens)))


_FORMULAS: Mapping[str, Any] = {"prefill": _prefill, "decode": _decode, "encode": _encode, "score": _score}


def _weights(shape: ModelShape, stage: str) -> float:
    """What opening the model keeps, but for an encoder's table, whose rows the host looks up."""
    table = shape.vocab * shape.d_model if stage == "encode" else 0
    return (shape.parameters - table) * shape.weight_bytes
