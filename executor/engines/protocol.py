"""The seam between the executor and what runs a model.

An engine loads a model and offers its work as separate operations, tokenize ─ prefill ─ decode ─ detokenize, because
the executor runs them as separate stages (and a planner may put them on different tiers). `generation.py` composes
them for callers that want text from messages.

All operations are per sequence, never per batch: an engine that takes many requests batches inside `decode`, where it
can see who is waiting. What the executor holds of a running sequence is only a handle.

Nothing here knows JAX. An engine of ours receives the model's mathematics as a value (`ChatModelSource`), which
`stdlib.models` implements, because the executor may not import the standard library.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from .requests import (
    MOST_LOGPROBS,
    SERVICE,
    Finish,
    Message,
    Sampling,
    SequenceStats,
    Service,
    TokenLogprob,
    Tokens,
)

__all__ = [
    "MOST_LOGPROBS",
    "SERVICE",
    "WHOLE",
    "Capabilities",
    "ChatModel",
    "ChatModelSource",
    "ChatTokenizer",
    "Detokenizer",
    "Engine",
    "Finish",
    "Message",
    "ModelFacts",
    "ModelFunctions",
    "ModelSpec",
    "Prepares",
    "Sampling",
    "SequenceHandle",
    "SequenceStats",
    "Service",
    "Spread",
    "StoppingDetokenizer",
    "TokenLogprob",
    "Tokens",
]


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What an engine can do, for those who place and schedule."""

    sequences_per_step: int
    """How many sequences one device step advances. More may be open; they take turns."""
    virtual_time: bool = False
    """Whether timings are invented and nothing is computed."""
    finds_prefixes: bool = False
    """Whether a prompt finds what earlier ones computed of it by itself, also of sequences that were released."""
    exact: bool = True
    """Whether a sequence's numbers are the same to the last bit whatever shares its steps and wherever its cache comes
    from. Where they are not, one of two tokens that are almost as likely may be chosen for the other."""
    dtypes: tuple[str, ...] = ()
    """What it can have the weights of a source's functions stored in. None where it reads files by itself."""
    spreads: bool = False
    """Whether it runs models in shards (`ModelSpec.spread`)."""
    logprobs: bool = False
    """Whether it tells how likely tokens were. One that does not leaves `SequenceHandle.logprobs` empty."""


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """Figures of a loaded or loadable model. Sizes in bytes."""

    name: str
    context: int
    """The most positions (prompt and reply together) of a sequence."""
    vocabulary: int
    weight_bytes: int
    """Weights read for each decoded token."""
    cache_bytes_per_position: int
    end_tokens: frozenset[int] = frozenset()


class Detokenizer(Protocol):
    """Turns token ids into text, holding back what may still change.

    The texts of `push` and the final `finish`, joined, are the text of all tokens; no text ends inside a character.
    """

    def push(self, token: int) -> str: ...

    def finish(self) -> str: ...


class StoppingDetokenizer(Detokenizer, Protocol):
    """A detokenizer that ends before a stop text."""

    @property
    def stopped(self) -> bool:
        """Whether a stop text was met. Nothing more comes then, and whoever feeds it may end."""
        ...


class ChatTokenizer(Protocol):
    """Text to token ids and back, for one model. Pure and thread-safe."""

    @property
    def end_tokens(self) -> frozenset[int]:
        """Tokens that end a reply."""
        ...

    def encode(self, text: str, special: bool = False) -> Tokens:
        """Token ids of `text`. Markup such as `<|im_end|>` counts as markup only if `special`."""
        ...

    def decode(self, tokens: Sequence[int]) -> str:
        """The text of `tokens`; markup is left out, broken UTF-8 becomes U+FFFD."""
        ...

    def token_bytes(self, token: int) -> bytes:
        """The bytes that a token stands for; none for markup and for ids without a meaning."""
        ...

    def chat(self, messages: Sequence[Message]) -> Tokens:
        """The prompt of a conversation, ready for the reply. Nothing inside a message acts as markup."""
        ...

    def detokenizer(self) -> Detokenizer: ...


class ModelFunctions(Protocol):
    """A model's mathematics as pure functions that an engine may compile (JAX values, hence `Any`).

    A step is `enter ─ layer × layers ─ leave`, and all layers have the same shapes: an engine may compile one layer
    and call it for each, or take the whole step. Weights are `(outer, (layer, …))`, a cache is `(layer's cache, …)`.
    """

    @property
    def layers(self) -> int: ...

    def outer_shapes(self) -> Any:
        """The tree of shapes of the weights outside the layers."""
        ...

    def layer_shapes(self) -> Any:
        """The tree of shapes of one layer's weights."""
        ...

    def cache_shapes(self, length: int) -> Any:
        """The tree of shapes of one layer's cache for `length` positions; an empty one holds zeros."""
        ...

    def enter(self, outer: Any, tokens: Any, start: Any) -> tuple[Any, Any]:
        """Hidden states of `tokens[n]` (int32) from position `start` on, and a tree that tells layers their places."""
        ...

    def prefill_layer(self, layer: Any, cache: Any, hidden: Any, places: Any) -> tuple[Any, Any]:
        """One layer for a chunk of tokens: hidden states and the cache."""
        ...

    def decode_layer(self, layer: Any, cache: Any, hidden: Any, places: Any) -> tuple[Any, Any]:
        """One layer for one token: hidden state and the cache."""
        ...

    def leave(self, outer: Any, hidden: Any, count: Any) -> Any:
        """The logits `[vocabulary]` behind the first `count` tokens of a step; the rest is padding."""
        ...

    def prefill(self, weights: Any, cache: Any, tokens: Any, start: Any, count: Any) -> tuple[Any, Any]:
        """The whole step for a chunk: logits and the cache."""
        ...

    def decode(self, weights: Any, cache: Any, token: Any, position: Any) -> tuple[Any, Any]:
        """The whole step for one token: logits and the cache."""
        ...

    def grow(self, cache: Any, length: int) -> Any:
        """One layer's cache with room for `length` positions, the new ones zero."""
        ...


@dataclass(frozen=True, slots=True)
class Spread:
    """Over how many devices a model is spread: `tensor` shards of each layer, `expert` groups of its experts."""

    tensor: int = 1
    expert: int = 1


WHOLE = Spread()


@runtime_checkable
class ChatModelSource(Protocol):
    """Where an engine gets a chat model from. Methods may block; they run in worker threads.

    Raises `base.problems.OutsideError` where files are missing or damaged.
    """

    @property
    def key(self) -> str:
        """Names the mathematics (not the weights): equal keys may share compiled code."""
        ...

    def facts(self) -> ModelFacts: ...

    def tokenizer(self) -> ChatTokenizer: ...

    def functions(self) -> ModelFunctions: ...

    def weights(self) -> Any:
        """The weights `(outer, (layer, …))` as NumPy arrays, memory-mapped where that is possible."""
        ...


@dataclass(frozen=True, slots=True)
class ModelSpec:
    """What to load. `context` lowers the model's own limit; it cannot raise it. `spread` has layers run in shards."""

    name: str
    source: ChatModelSource | None = None
    context: int | None = None
    spread: Spread = WHOLE


class SequenceHandle(Protocol):
    """A sequence on an engine: its cache and the logits behind its last token."""

    @property
    def prompt_tokens(self) -> int: ...

    @property
    def finish(self) -> Finish | None:
        """Why it ended; None while it may go on."""
        ...

    @property
    def stats(self) -> SequenceStats: ...

    @property
    def logprobs(self) -> Sequence[TokenLogprob]:
        """Of the tokens handed out so far, in order, where the sampling asks for them and the engine tells them."""
        ...


class ChatModel(Protocol):
    """A model that an engine has loaded."""

    @property
    def facts(self) -> ModelFacts: ...

    @property
    def compiled(self) -> int:
        """Programs compiled here since it was loaded, rather than found: what they cost is no part of the work."""
        ...

    @property
    def open_sequences(self) -> int:
        """Sequences whose cache is held."""
        ...

    async def tokenize(self, messages: Sequence[Message]) -> Tokens: ...

    async def prefill(
        self, tokens: Sequence[int], prefix: SequenceHandle | None = None, service: Service = SERVICE
    ) -> SequenceHandle:
        """Fill a new sequence's cache with a prompt. `service` says how it is served beside others, to its end.

        `prefix` is a sequence of this model whose prompt may begin as `tokens` do. What both begin with (in tokens,
        up to the last but one of `tokens`) need not be computed again: its cache is copied, and
        `stats.cached_tokens` says how much of it was. The prefix stays as it is, for any number of others; one that
        was released, or is of another kind, is as none. The tokens of the reply are those of a prefill without it.

        Raises `PromptTooLong` if no token would fit behind it. Cancelling the caller stops after the running chunk and
        frees the cache.
        """
        ...

    def decode(self, sequence: SequenceHandle, sampling: Sampling) -> AsyncIterator[int]:
        """The reply's token ids, each as soon as it is there; `sequence.finish` says why they end.

        An engine is at most one step ahead of its consumer, so back-pressure reaches it. End tokens are not
        yielded; with `stop` texts, the token that completes one is the last (the detokenizer cuts the text).
        Cancelling the consumer stops within one step and frees the cache. Only one `decode` per sequence.

        Raises `base.problems.OutsideError` (schema-unsupported) at once for a schema that is not understood.
        """
        ...

    def detokenizer(self, stop: tuple[str, ...] = ()) -> StoppingDetokenizer:
        """A fresh detokenizer; with `stop`, its text ends before the first of them."""
        ...

    async def cancel(self, sequence: SequenceHandle) -> None:
        """Make a running `decode` end within one step. Does nothing for a sequence that has ended."""
        ...

    async def release(self, sequence: SequenceHandle) -> None:
        """Free the cache. Idempotent; a decode that still runs ends as by `cancel`."""
        ...

    async def close(self) -> None:
        """Free everything. No operation may follow."""
        ...


@runtime_checkable
class Prepares(Protocol):
    """A model that can make ready what a sampling takes (a grammar, a program) before a decode asks for it. It may
    be called while a prompt is prefilled, and again for what is ready; a decode works without it as well."""

    async def prepare(self, sampling: Sampling) -> None:
        """Raises `base.problems.OutsideError` (schema-unsupported) for a schema that is not understood."""
        ...


class Engine(Protocol):
    """What runs models."""

    @property
    def name(self) -> str: ...

    @property
    def capabilities(self) -> Capabilities: ...

    async def load(self, spec: ModelSpec) -> ChatModel:
        """Raises `base.problems.OutsideError` (slug `model-does-not-load`) if the model cannot be loaded."""
        ...
