"""Chat models: a call is tokenize ─ prefill ─ transfer ─ decode ─ detokenize, five stages that may be placed apart.

The engine does the work; this file turns arguments into its calls and its ends into reasons that a program can name.
"""

from __future__ import annotations

import math
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import cast

import anyio.to_thread

from ...base.problems import OutsideError
from ...executor.engines.beginnings import common_beginning
from ...executor.engines.problems import model_does_not_load
from ...executor.engines.protocol import (
    WHOLE,
    ChatModel,
    Engine,
    Finish,
    Message,
    ModelSpec,
    Prepares,
    Sampling,
    SequenceHandle,
    Service,
    Spread,
    Tokens,
)
from ...executor.kinds import Context, Kind, Opener, StageFailure
from .. import problems, store
from ..extras import need_models_on
from ..tool_problems import bad_value
from . import Environment


def stages(environment: Environment) -> Mapping[str, Kind]:

    async def prefill_here(context: Context, arguments: Mapping[str, object]) -> Cache | None:
        return await prefill(context, arguments, context.stage not in environment.unlabelled)

    return {
        "tokenize": tokenize,
        "prefill": prefill_here,
        "transfer": transfer,
        "sample": sample,
        "decode": decode,
        "detokenize": detokenize,
    }


def repeatable(name: str, arguments: Mapping[str, object]) -> bool:
    """A greedy answer is the same each time, and one by a seed that the program states. Who states a temperature and
    leaves the seed as it is wants answers that differ, as far as a model gives them."""
    if name not in ("chat", "tokenize"):
        return False
    temperature, seed = arguments.get("temperature", 0.0), arguments.get("seed", 0)
    return temperature == 0 or (isinstance(seed, int) and seed != 0)


def openers(environment: Environment) -> Mapping[str, Opener]:
    async def open_model(name: str, arguments: Mapping[str, object]) -> ChatModel:
        from ..models import open_chat

        del name
        wanted = cast(str, arguments["name"])
        if wanted in environment.endpoints:
            from ..served import open_served

            return open_served(environment, wanted)
        engine = environment.engine(cast(str, arguments.get("engine", "")))
        need_models_on(engine.name)
        engine = served_as(environment, wanted, engine)
        entry = store.entry(wanted)
        if entry.role != "chat":
            raise OutsideError(problems.wrong_role(wanted, entry.role, "chat"))
        files = await anyio.to_thread.run_sync(store.obtain, entry, environment.progress)
        spread = spread_of(arguments)
        if spread != WHOLE and not engine.capabilities.spreads:
            why = f"the engine {engine.name!r} runs no model in shards"
            raise OutsideError(model_does_not_load(wanted, why))
        stored = stored_in(wanted, engine, arguments)
        return await engine.load(ModelSpec(wanted, open_chat(files["weights"], wanted, stored), spread=spread))

    return {"model": open_model}


def served_as(environment: Environment, wanted: str, engine: Engine) -> Engine:
    """The engine as the settings have it serve a model: in several instances, with room for what makes way. Raises
    `OutsideError` for what an engine has not."""
    serving = environment.settings.serving(wanted)
    room = serving.memory or serving.disk
    if serving.instances < 2 and not room:
        return engine
    if wanted in environment.packages:
        raise OutsideError(model_does_not_load(wanted, "the functions of its package run in one instance, on no pages"))
    if room and engine.name != "xla":
        hint = f"leave out `cache` under [models.{wanted}]"
        raise OutsideError(model_does_not_load(wanted, f"the engine {engine.name!r} puts no pages away", hint=hint))
    if serving.instances < 2:
        from ...executor.engines.xla.engine import XlaEngine

        return XlaEngine(host_bytes=serving.memory, disk_bytes=serving.disk)
    from ...executor.engines.routed.engine import RoutedEngine
    from ...executor.engines.routed.settings import RoutedSettings

    own = RoutedSettings(serving.instances, engine.name, serving.routing)
    return RoutedEngine(replace(own, host_bytes=serving.memory, disk_bytes=serving.disk))


def stored_in(wanted: str, engine: Engine, arguments: Mapping[str, object]) -> str:
    """What the weights are stored in: f32, or what the declaration says. Raises `OutsideError` for what cannot be."""
    dtype = cast(str, arguments.get("dtype", "")) or "f32"
    if not engine.capabilities.dtypes:
        if arguments.get("dtype"):
            why = f"the engine {engine.name!r} runs it as its file has it"
            raise OutsideError(model_does_not_load(wanted, why, hint="leave out `dtype`"))
    elif dtype not in engine.capabilities.dtypes:
        known = " or ".join(engine.capabilities.dtypes)
        why = f"its weights are stored in {known}, not in {dtype!r}"
        raise OutsideError(model_does_not_load(wanted, why, hint=f"give `dtype` as {known}, or leave it out"))
    return dtype


def spread_of(arguments: Mapping[str, object]) -> Spread:
    """Over how many devices the module has a model spread (see `ir.spreading`)."""
    return Spread(cast(int, arguments.get("tensor", 1)), cast(int, arguments.get("expert", 1)))


async def tokenize(context: Context, arguments: Mapping[str, object]) -> Tokens:
    """The prompt's token ids, chat markup included. `prompt` is a text, which is one turn of the user, or messages.

    Ahead, it is the beginning of several prompts: the tokens are those that go before whatever follows its last text.
    """
    model = cast(ChatModel, arguments["self"])
    prompt = cast("str | Sequence[Mapping[str, str]]", arguments["prompt"])
    turns = conversation(prompt, cast(str, arguments.get("system", "")))
    if context.settings.get("ahead"):
        return await _beginning(model, turns)
    tokens = await model.tokenize(turns)
    context.usage.add("tokens_in", len(tokens))
    return tokens


async def _beginning(model: ChatModel, turns: tuple[Message, ...]) -> Tokens:
    """The tokens with which a conversation begins that ends as `turns` do, or goes on in the last of them: what it has
    in common with one that does go on. (A template is a program; nobody but the model knows where in it a text ends.)
    """
    if not turns:
        return ()
    whole = await model.tokenize(turns)
    last = turns[-1]
    longer = await model.tokenize((*turns[:-1], Message(last.role, last.text + _MORE)))
    return whole[: common_beginning(whole, longer)]


_MORE = "a"
"""A letter: it joins a space or a word before it, as most of what follows would, so that no token is counted that would
become another."""


def conversation(prompt: str | Sequence[Mapping[str, str]], system: str) -> tuple[Message, ...]:
    """The turns that a model's template shows: `system` first, unless it is empty, then the messages as they stand.

    Nothing is added, merged or put in another order. A `Tool` message is a turn of the role `tool`; a template that
    writes roles as they come shows it so.
    """
    first = (Message("system", system),) if system else ()
    if isinstance(prompt, str):
        return (*first, Message("user", prompt))
    return (*first, *(Message(turn["role"].lower(), turn["text"]) for turn in prompt))


@dataclass(frozen=True, slots=True)
class Cache:
    """A KV cache between prefill and decode. The executor lets go of it when its run is over: a run that is cancelled
    in between never comes to a decode that would."""

    model: ChatModel
    sequence: SequenceHandle

    async def release(self) -> None:
        await self.model.release(self.sequence)


_LINE = 1e-3
"""Seconds below which a prompt that waited for its turn was in no line."""


async def prefill(context: Context, arguments: Mapping[str, object], private: bool = True) -> Cache | None:
    """Fill a KV cache with the prompt; from the cache of what it begins with, where that was filled ahead. Of nothing,
    ahead, there is no cache. What is `private` leaves none on a disk."""
    model = cast(ChatModel, arguments["self"])
    prefix = cast("Cache | None", arguments.get("prefix"))
    before = model.compiled
    if context.settings.get("ahead") and not arguments["tokens"]:
        return None
    try:
        # A cache of another tier's model is of no use here.
        begun = prefix.sequence if prefix is not None and prefix.model is model else None
        # Sessions are served fairly beside each other, and those that are due first go first.
        service = Service(context.needed, context.session or "", private=private)
        sequence = await model.prefill(cast(Tokens, arguments["tokens"]), begun, service)
    except OutsideError as error:
        if error.problem.slug == "prompt-too-long":
            raise StageFailure("too_long", error.problem) from error
        raise
    context.usage.add("cached_tokens", sequence.stats.cached_tokens)
    queued = sequence.stats.queued_seconds
    if queued >= _LINE:
        context.usage.add("seconds_in_line", queued)
    _count_compiled(context, model, before)
    return Cache(model, sequence)


async def transfer(context: Context, arguments: Mapping[str, object]) -> Cache:
    """Move a KV cache to the tier that decodes; on one tier it is there already."""
    del context
    return cast(Cache, arguments["kv"])


async def sample(context: Context, arguments: Mapping[str, object]) -> Mapping[str, object]:
    """How a decode is to choose, as plain data: it may run elsewhere. What that takes is made ready here, where it runs
    mostly; the model keeps it by what it is for."""
    model = cast(ChatModel, arguments["self"])
    chosen = {name: value for name, value in arguments.items() if name != "self"}
    if isinstance(model, Prepares):
        await model.prepare(_sampling(context, 1, chosen))
    return chosen


def _sampling(context: Context, most: int, chosen: Mapping[str, object]) -> Sampling:
    """Fails as `bad_value` for figures that cannot be: those that are stated were checked with the program."""
    temperature = cast(float, chosen.get("temperature", 0.0))
    if not math.isfinite(temperature):
        raise _bad_value(context, "temperature must be a number")
    try:
        return Sampling(
            max_tokens=most,
            temperature=temperature,
            seed=cast(int, chosen.get("seed", 0)),
            top_k=cast(int, chosen.get("top_k", 0)),
            top_p=cast(float, chosen.get("top_p", 1.0)),
            schema=cast("str | None", context.settings.get("schema")),
        )
    except ValueError as error:
        raise _bad_value(context, str(error)) from None


def _bad_value(context: Context, why: str) -> StageFailure:
    hint = "the figure was computed in the run: hold it within its range before the chat"
    return StageFailure("bad_value", bad_value(context.stage, why, hint))


async def decode(context: Context, arguments: Mapping[str, object]) -> AsyncIterator[int]:
    """The reply's token ids. Lets go of the cache however it ends.

    With a schema among the stage's settings the reply is a document of it; one that ends before the document does fails
    as `truncated`.
    """
    model = cast(ChatModel, arguments["self"])
    sequence = cast(Cache, arguments["kv"]).sequence
    chosen = cast("Mapping[str, object]", arguments.get("sampler", arguments))
    count, before = 0, model.compiled
    try:
        sampling = _sampling(context, cast(int, arguments["max_tokens"]), chosen)
        async for token in model.decode(sequence, sampling):
            count += 1
            yield token
        if sampling.schema is not None and sequence.finish is Finish.LENGTH:
            raise StageFailure("truncated", problems.reply_truncated(model.facts.name, count))
        if sequence.finish is Finish.TRUNCATED:
            raise StageFailure("truncated", problems.context_full(model.facts.name, model.facts.context, count))
    finally:
        _count_tokens(context, sequence, count)
        _count_compiled(context, model, before)
        with anyio.CancelScope(shield=True):
            await model.release(sequence)


def _count_tokens(context: Context, sequence: SequenceHandle, count: int) -> None:
    """What was counted as it came is corrected by whoever else serves the model, and says what it cost."""
    stats = sequence.stats
    if stats.billed is None:
        context.usage.add("tokens_out", count)
        return
    taken, made = stats.billed
    context.usage.add("tokens_in", taken - sequence.prompt_tokens)
    context.usage.add("cached_tokens", stats.cached_tokens)
    context.usage.add("tokens_out", made)
    if stats.dollars:
        context.usage.add("dollars", stats.dollars)


def _count_compiled(context: Context, model: ChatModel, before: int) -> None:
    if model.compiled > before:
        context.usage.add("programs_compiled", model.compiled - before)


async def detokenize(context: Context, arguments: Mapping[str, object]) -> AsyncIterator[str]:
    """The reply's text in whole characters. Ends before a stop text; closing its input then stops the decode."""
    model = cast(ChatModel, arguments["self"])
    stop = tuple(cast("tuple[str, ...]", arguments.get("stop", ())))
    if not all(stop):
        raise _bad_value(context, "a stop text must not be empty")
    detokenizer = model.detokenizer(stop)
    async for token in cast(AsyncIterator[int], arguments["tokens"]):
        text = detokenizer.push(token)
        if text:
            yield text
        if detokenizer.stopped:
            return
    rest = detokenizer.finish()
    if rest:
        yield rest
