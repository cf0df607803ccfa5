"""What the checks share: asking a model in the ways that an executor does, and saying what is not as promised."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Generator, Sequence
from contextlib import asynccontextmanager, contextmanager
from typing import Protocol, TypeVar

import anyio

from ..families import Operation, operations
from ..generation import Generation, generate
from ..protocol import ChatModel, Engine, Message, ModelSpec, Sampling, SequenceHandle, SequenceStats

T = TypeVar("T")

ASK = (Message("system", "Say something."), Message("user", "Grüße, 你好 👋 — what is `x += 1`?"))
OTHER = (Message("user", "Something else entirely"),)
SHORT = Sampling(max_tokens=24)
LONG = Sampling(max_tokens=200)


class PromiseBroken(AssertionError):
    """An engine does not do what the protocol promises. The text says what, and what was seen."""


def promised(holds: object, what: str, *seen: object) -> None:
    """Raise `PromiseBroken` unless it holds."""
    if not holds:
        raise PromiseBroken(": ".join((what, ", ".join(map(repr, seen)))) if seen else what)


def same(engine: Engine, found: Sequence[Sequence[int]], wanted: Sequence[Sequence[int]]) -> bool:
    """Whether replies are those that are wanted. Where an engine is not exact, a reply may leave its way at a token
    that was almost as likely; then more than half of all tokens must come before that. (Replies from a cache that is
    another's have nothing in common.)"""
    if list(map(list, found)) == list(map(list, wanted)) or engine.capabilities.exact:
        return list(map(list, found)) == list(map(list, wanted))
    common = sum(_common(*pair) for pair in zip(found, wanted, strict=True))
    return common > sum(map(len, wanted)) / 2


def _common(one: Sequence[int], other: Sequence[int]) -> int:
    """How many tokens two replies begin with alike."""
    return next((at for at, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))


class Caught:
    """The error that a block raised."""

    error: BaseException


@contextmanager
def refuses(kind: type[BaseException], what: str) -> Generator[Caught]:
    """The block raises an error of that kind."""
    caught = Caught()
    try:
        yield caught
    except kind as error:
        caught.error = error
    else:
        raise PromiseBroken(f"{what} is refused by {kind.__name__}")


@asynccontextmanager
async def loaded(engine: Engine, spec: ModelSpec, context: int | None = None) -> AsyncGenerator[ChatModel]:
    """The model, closed afterwards; nothing may be held by then."""
    model = await engine.load(spec if context is None else ModelSpec(spec.name, spec.source, context))
    try:
        yield model
        promised(model.open_sequences == 0, "no sequence is held once all are released", model.open_sequences)
    finally:
        await model.close()


class Closing(Protocol):
    async def close(self) -> None: ...


M = TypeVar("M", bound=Closing)


@asynccontextmanager
async def opened(engine: Engine, operation: Operation, load: Callable[[], Awaitable[M]]) -> AsyncGenerator[M]:
    """What `load` gives of an engine that must name the operation; closed afterwards, also where the caller is
    cancelled."""
    promised(operation in operations(engine), "an engine names the families that it implements")
    model = await load()
    try:
        yield model
    finally:
        with anyio.CancelScope(shield=True):
            await model.close()


async def at_once(count: int, ask: Callable[[int], Awaitable[T]]) -> list[T]:
    """What `ask` gives of each number below `count`, all asked at the same time."""
    found: dict[int, T] = {}

    async def one(number: int) -> None:
        found[number] = await ask(number)

    async with anyio.create_task_group() as group:
        for number in range(count):
            group.start_soon(one, number)
    return [found[number] for number in range(count)]


def sees_tokens(model: ChatModel) -> bool:
    """Whether the model's own tokens are seen here, so that a prompt can be of so many of them. An API takes texts."""
    return model.facts.vocabulary > 0


async def prompt_of(model: ChatModel, numbers: Sequence[int]) -> Sequence[int]:
    """A prompt of these tokens; where they are not seen, of as many letters."""
    if sees_tokens(model):
        return tuple(numbers)
    return await model.tokenize((Message("user", "".join(chr(97 + number % 26) for number in numbers)),))


async def reply(model: ChatModel, sampling: Sampling, ask: Sequence[Message] = ASK) -> tuple[list[str], Generation]:
    """The texts of a reply, and how it went."""
    async with generate(model, ask, sampling) as running:
        return [text async for text in running], running


async def reply_tokens(model: ChatModel, sampling: Sampling, ask: Sequence[Message] = ASK) -> list[int]:
    """The tokens of a reply."""
    return (await continued(model, await model.tokenize(ask), None, sampling))[0]


async def continued(
    model: ChatModel, tokens: Sequence[int], prefix: SequenceHandle | None, sampling: Sampling = SHORT
) -> tuple[list[int], SequenceStats]:
    """The reply behind a prompt that is prefilled with a prefix, and what happened."""
    sequence = await model.prefill(tokens, prefix)
    try:
        return [token async for token in model.decode(sequence, sampling)], sequence.stats
    finally:
        await model.release(sequence)
