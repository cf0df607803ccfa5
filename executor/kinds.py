"""What stands behind a leaf stage: the seam between the executor and the standard library (or a stranger's package).

The executor never imports the library; it is handed a `Kinds` value and asks it for an entry by name (`text:redact`,
`llm:decode`). A kind is loaded when its first stage starts.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Mapping
from typing import Protocol, runtime_checkable

from ..base.frozen import EMPTY
from ..base.problems import Problem
from ..ir.graph import Attribute, ValueType
from .messages import message
from .promises import Due
from .values import NO_SHAPES, Shapes


class Usage:
    """What a stage counted while it ran; it adds, the executor reads. Keys are units: `tokens_in`, `tokens_out`,
    `cached_tokens`, `bytes`, `dollars`; `seconds_in_line` is how long it waited for its turn on a model."""

    __slots__ = ("counts",)

    def __init__(self) -> None:
        self.counts: dict[str, float] = {}

    def add(self, unit: str, amount: float) -> None:
        self.counts[unit] = self.counts.get(unit, 0.0) + amount


@message
class Context:
    """What a running stage may know about its run. `deadline` is on the executor's clock, seconds, or None:
    when it will be stopped. `due` is when the run needs it to keep its promises: who serves several at once serves the
    one that is due first (`needed`).

    `settings` are what its declaration gave it beside the arguments (`{"target": "shop:order"}`), with the `schema`
    of a decode, and `ahead` where a beginning is tokenized or prefilled ahead; `result` is the declared type of
    what it gives, and `shapes` the program's records and enums: together they check data from outside
    (`values.from_json`). `session` names whose run it is, `tool` the tool that it is, `effects` what that tool
    declares (`writes payments`, `network`). `began` is when the run began.
    `key` is given in a durable run: the same for the same call after a restart, and for no other."""

    stage: str
    usage: Usage
    deadline: float | None = None
    settings: Mapping[str, Attribute] = EMPTY
    result: ValueType | None = None
    shapes: Shapes = NO_SHAPES
    session: str | None = None
    tool: str | None = None
    effects: tuple[str, ...] = ()
    began: float | None = None
    due: Due | None = None
    key: str | None = None

    @property
    def needed(self) -> float | None:
        """When it should be over: by what is promised, and by its deadline."""
        promised, deadline = None if self.due is None else self.due.soonest, self.deadline
        if promised is None or deadline is None:
            return deadline if promised is None else promised
        return min(promised, deadline)


class StageFailure(Exception):
    """A stage failed with a reason that a program can name (`timeout`, `truncated`, `tool_error`, `too_long`, …)."""

    def __init__(self, reason: str, problem: Problem, blame: str | None = None) -> None:
        """`blame` is the id of the stage to blame, where that is another one, which failed elsewhere."""
        super().__init__(f"{reason}: {problem.title}")
        self.reason = reason
        self.problem = problem
        self.blame = blame


class Kind(Protocol):
    """Runs one leaf stage. `arguments` are by parameter name: plain values, opened handles, and async iterators where
    the parameter is a stream. Returns an awaitable value, or an async iterator where the result is a stream.

    Cancellation arrives as the cancellation of the awaiting task (or the closing of the iterator); a kind that holds
    something must let go of it then.
    """

    def __call__(
        self, context: Context, arguments: Mapping[str, object], /
    ) -> Awaitable[object] | AsyncIterator[object]: ...


@runtime_checkable
class Releasable(Protocol):
    """A stage's result that holds something, such as a KV cache. The executor releases it when its run is over,
    whatever became of it: a run that is cancelled between prefill and decode never starts the stage that would have.
    `release` may have been called before, and then does nothing."""

    def release(self) -> Awaitable[None]: ...


class Opener(Protocol):
    """Opens a declared handle (`llm:model`, `search:index`), once per executor; async, as it may load files."""

    def __call__(self, name: str, arguments: Mapping[str, object], /) -> Awaitable[object]: ...


class Kinds(Protocol):
    """The library, as the executor sees it. KeyError for an entry that it does not have."""

    def kind(self, entry: str) -> Kind: ...

    def opener(self, entry: str) -> Opener: ...
