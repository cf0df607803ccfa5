"""What the compiler asks of the library: model shapes, and what its stages need and give.

The compiler never imports the library; it is handed a `Library` value. What the library does not know is None, and the
compiler then assumes: a stage without a demand counts as free, a result without a size becomes a size of its own with
basis `assumed`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Protocol, TypeAlias

from ..lang.types import Type
from .formula import Formula
from .graph import Demand, Handle


@dataclass(frozen=True, slots=True)
class ModelShape:
    """The figures of one transformer, as it runs here.

    `parameters` are all weights, `active_parameters` those that one token's step multiplies with (idle experts and the
    looked-up input table left out, the output table of `vocab * d_model` included). `weight_bytes` is of one parameter
    and `cache_bytes` of one number in the KV cache, as the engine holds them in memory; `file_bytes` is what opening
    reads from disk. `sliding_layers` of the layers attend to the last `sliding_window` tokens only. `overhead_tokens`
    is what the chat template adds to a prompt (its markup, and the system text it puts in when none is given). Where
    each token goes to `active_experts` of `experts`, `ffn` is the inner width of one of them.
    """

    name: str
    layers: int
    d_model: int
    heads: int
    kv_heads: int
    head_dim: int
    ffn: int
    vocab: int
    context: int
    parameters: int
    active_parameters: int
    weight_bytes: float = 4.0
    cache_bytes: float = 4.0
    file_bytes: float = 0.0
    sliding_window: int = 0
    sliding_layers: int = 0
    overhead_tokens: int = 0
    experts: int = 0
    active_experts: int = 0


@dataclass(frozen=True, slots=True)
class Sized:
    """How big a value is, as far as the compiler knows.

    `tokens` is of a text (of all of it, where the text is a stream); `items` and `element` are of lists and streams;
    `fields` of records; `number` is the value of a number that the program states; `handle` is the declaration behind
    a model or resource. None, or a missing field: not known.
    """

    tokens: Formula | None = None
    items: Formula | None = None
    element: Sized | None = None
    fields: Mapping[str, Sized] = field(default_factory=dict[str, "Sized"])
    number: float | None = None
    handle: Handle | None = None
    bound: Formula | None = None
    """The greatest `tokens` (of a text) or `items` (of a list), where it is known."""


class Unknown:
    """An argument that is not known before the program runs."""

    def __repr__(self) -> str:
        return "UNKNOWN"


UNKNOWN: Final = Unknown()


@dataclass(frozen=True, slots=True)
class Called:
    """A call of a stage, as far as the compiler knows it: its declared result and effects, and the declarations of the
    handles among its arguments."""

    entry: str
    parameters: tuple[str, ...]
    result: Type | None
    effects: tuple[str, ...] = ()
    handles: Mapping[str, Handle] = field(default_factory=dict[str, Handle])


Source: TypeAlias = str | int | tuple[str, str]
"""Where a part has an argument from: a parameter of the call, what an earlier part gives (by its place), or what the
handle of a parameter was declared with (`("self", "encoder")`)."""


@dataclass(frozen=True, slots=True)
class Part:
    """A part of a call that can run on its own. `operator` says what it does (`embed`, `lookup`, …), `result` is what
    it gives to later parts: None for the last, which gives what the call does. The part that `acts` does to the world
    what the call is declared to do, and has its settings."""

    operator: str
    entry: str
    arguments: Mapping[str, Source]
    result: Type | None = None
    acts: bool = False


@dataclass(frozen=True, slots=True)
class Batch:
    """A stage that does for a list what another does for one item: `entry`, which has the list in its parameter `items`
    where the other has one item in `parameter`, and gives a list of what that gives, in order. The other parameters are
    those of the other, by the same names."""

    entry: str
    parameter: str
    items: str


class Library(Protocol):
    """What the compiler asks. All answers are values; nothing is loaded or opened."""

    def model_shape(self, handle: Handle) -> ModelShape | None:
        """The shape behind a declared model (`llm:model`, `embed:model`, `search:reranker`); None if unknown."""
        ...

    def stage_demand(self, entry: str, operands: Mapping[str, Sized], result: Type) -> Demand | None:
        """What one execution of a leaf stage needs (`text:redact`, `search:rerank`), or None if that is not known.
        Asked with a handle's constructor too (`search:index`), for what opening it needs."""
        ...

    def stage_size(self, entry: str, operands: Mapping[str, Sized], result: Type) -> Sized | None:
        """How big its result is: the usual size, with `bound` where there is one; None if that is not known."""
        ...

    def repeatable(self, entry: str, arguments: Mapping[str, object]) -> bool:
        """Whether a call gives the same answer each time that it gets equal arguments, and does nothing else to the
        world: then one call may do the work of two. `arguments` are the constant values by parameter, `UNKNOWN` where
        one is not known."""
        ...

    def harmless(self, entry: str) -> bool:
        """Whether a stage is repeatable, always has an answer, and costs next to nothing: then it may also run where
        nobody asks for what it gives."""
        ...

    def batched(self, entry: str) -> Batch | None:
        """The stage that does in one call what calls of a repeatable stage do in several, and cheaper; None where there
        is none. It gives the same for each item whatever the others are, and no item fails it that would not have
        failed its own call, or any other item's."""
        ...

    def parts(self, call: Called) -> tuple[Part, ...]:
        """What a stage is made of, in the order in which it runs: one part names what it does, several can be placed
        apart. They give what the call gives, and fail as it does. No parts where there is no more to know of it."""
        ...


class NoLibrary:
    """A library that knows nothing: everything is assumed. For tests and for lowering alone."""

    def model_shape(self, handle: Handle) -> ModelShape | None:
        del handle
        return None

    def stage_demand(self, entry: str, operands: Mapping[str, Sized], result: Type) -> Demand | None:
        del entry, operands, result
        return None

    def stage_size(self, entry: str, operands: Mapping[str, Sized], result: Type) -> Sized | None:
        del entry, operands, result
        return None

    def repeatable(self, entry: str, arguments: Mapping[str, object]) -> bool:
        del entry, arguments
        return False

    def harmless(self, entry: str) -> bool:
        del entry
        return False

    def batched(self, entry: str) -> Batch | None:
        del entry
        return None

    def parts(self, call: Called) -> tuple[Part, ...]:
        del call
        return ()
