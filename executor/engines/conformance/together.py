"""Promises about many sequences at once: none sees the others, whether they share a step, a prefix or a model."""

from __future__ import annotations

from collections.abc import Sequence

import anyio

from ....base.problems import OutsideError
from ..families import CacheState, TransferableModel
from ..protocol import ChatModel, Engine, Message, ModelSpec, Sampling
from .promises import (
    ASK,
    OTHER,
    SHORT,
    at_once,
    continued,
    loaded,
    promised,
    prompt_of,
    refuses,
    reply_tokens,
    same,
    sees_tokens,
)


async def check_two_at_once(engine: Engine, spec: ModelSpec) -> None:
    """Sequences that run at once do not disturb each other."""
    async with loaded(engine, spec) as model:
        alone = [await reply_tokens(model, SHORT), await reply_tokens(model, SHORT, OTHER)]
        found = await _at_once(model, [(ASK, SHORT), (OTHER, SHORT)])
        promised(same(engine, found, alone), "each reply is what it is alone", found, alone)


async def check_many_at_once(engine: Engine, spec: ModelSpec) -> None:
    """More sequences than a step takes all come to their end, each with the reply that it has alone, whatever they ask
    for: greedy and sampled, short and long. (Of an engine that is not exact, the greedy ones are compared: a draw among
    many tokens that are about as likely falls on another one for the least difference.)"""
    async with loaded(engine, spec) as model:
        asked: list[tuple[Sequence[Message], Sampling]] = []
        for number in range(24):
            ask = (Message("user", f"{number} " + "and more " * (number % 5)),)
            asked.append((ask, Sampling(max_tokens=4 + number % 3, temperature=float(number % 2), seed=number)))
        alone = [await reply_tokens(model, sampling, ask) for ask, sampling in asked]
        found = await _at_once(model, asked)
        for (_, sampling), reply in zip(asked, found, strict=True):
            promised(len(reply) <= sampling.max_tokens, "no reply is longer than was asked for", reply)
        if not engine.capabilities.exact:
            greedy = [number for number, (_, sampling) in enumerate(asked) if sampling.temperature == 0]
            found, alone = [found[number] for number in greedy], [alone[number] for number in greedy]
        promised(same(engine, found, alone), "each reply is what it is alone", found, alone)


async def check_hundreds_at_once(engine: Engine, spec: ModelSpec) -> None:
    """Five hundred requests at once are all served: those that are cancelled on the way too, or never begun, and the
    replies of those that ask the same are the same. (Where an engine takes many in a step; the others take turns.)"""
    if engine.capabilities.sequences_per_step < 2:
        return
    async with loaded(engine, spec) as model:
        numbers = [(*range(5, 25), 30 + kind, *range(40, 40 + kind)) for kind in range(10)]
        prompts = [await prompt_of(model, each) for each in numbers]
        alone = [(await continued(model, prompt, None, Sampling(max_tokens=3)))[0] for prompt in prompts]
        found: dict[int, list[int]] = {}

        async def one(number: int) -> None:
            sequence = await model.prefill(prompts[number % 10])
            try:
                steps = model.decode(sequence, Sampling(max_tokens=3))
                if number % 7 == 0:
                    await anext(aiter(steps), None)
                elif number % 11:
                    found[number] = [token async for token in steps]
            finally:
                await model.release(sequence)

        with anyio.fail_after(300):
            async with anyio.create_task_group() as group:
                for number in range(500):
                    group.start_soon(one, number)
        wanted = [number for number in range(500) if number % 7 and number % 11]
        promised(sorted(found) == wanted, "everybody is served", len(found), len(wanted))
        replies = [found[number] for number in wanted]
        ones = [alone[number % 10] for number in wanted]
        promised(same(engine, replies, ones), "each reply is what it is alone", replies[:3], ones[:3])


async def _at_once(model: ChatModel, asked: Sequence[tuple[Sequence[Message], Sampling]]) -> list[list[int]]:
    return await at_once(len(asked), lambda number: reply_tokens(model, asked[number][1], asked[number][0]))


async def check_prefix(engine: Engine, spec: ModelSpec) -> None:
    """A prefill with a prefix replies as one without it, wherever the two prompts part, to any number of others at once
    and after the prefix is released too. Not more is cached than both begin with, unless the engine finds prefixes by
    itself, and one token is always computed."""
    finds = engine.capabilities.finds_prefixes
    async with loaded(engine, spec) as model:
        begin = tuple(5 + place * place % 200 for place in range(100))
        prefix = await model.prefill(await prompt_of(model, begin))
        plainly: list[list[int]] = []
        continuing: list[list[int]] = []
        for shared, more in ((100, 3), (100, 60), (99, 1), (70, 70), (33, 5), (17, 0), (100, 0), (1, 1), (0, 8)):
            prompt = await prompt_of(model, (*begin[:shared], *(7 + 3 * place for place in range(more))))
            plain, _ = await continued(model, prompt, None)
            found, stats = await continued(model, prompt, prefix)
            plainly.append(plain)
            continuing.append(found)
            most = len(prompt) - 1 if finds else min(shared, len(prompt) - 1)
            few = 0 <= stats.cached_tokens <= most or not sees_tokens(model)
            promised(few, "no more is cached than both begin with", stats, most)
            promised(stats.prompt_tokens == len(prompt), "the whole prompt is counted", stats, len(prompt))
        promised(same(engine, continuing, plainly), "a prefix does not change the reply", continuing, plainly)
        prompts = [await prompt_of(model, (*begin, 9, last)) for last in range(20, 24)]
        alone = [(await continued(model, prompt, None))[0] for prompt in prompts]
        found_by: dict[int, list[int]] = {}

        async def one(number: int) -> None:
            found_by[number] = (await continued(model, prompts[number], prefix))[0]

        async with anyio.create_task_group() as group:
            for number in range(len(prompts)):
                group.start_soon(one, number)
            # Letting go of it now disturbs nobody: who comes too late computes all.
            group.start_soon(model.release, prefix)
        together = [found_by[number] for number in range(len(prompts))]
        promised(same(engine, together, alone), "a prefix serves any number of others", together, alone)
        found, stats = await continued(model, prompts[0], prefix)
        promised(same(engine, [found], alone[:1]), "a prefix that was released does not change the reply", found, alone)
        promised(finds or stats.cached_tokens == 0, "a prefix that was released is as none", stats)


async def check_prefix_of_a_reply(engine: Engine, spec: ModelSpec) -> None:
    """A prefix may be decoded itself: others continue its prompt, and it goes on undisturbed."""
    async with loaded(engine, spec) as model:
        numbers = tuple(5 + place for place in range(40))
        begin, more = await prompt_of(model, numbers), await prompt_of(model, (*numbers, 9))
        alone, _ = await continued(model, begin, None)
        other, _ = await continued(model, more, None)
        prefix = await model.prefill(begin)
        decoding = aiter(model.decode(prefix, SHORT))
        found = [await anext(decoding), await anext(decoding)]
        branched = (await continued(model, more, prefix))[0]
        promised(
            same(engine, [branched], [other]), "what was decoded behind a prefix is no part of it", branched, other
        )
        found += [token async for token in decoding]
        promised(same(engine, [found], [alone]), "a prefix goes on undisturbed", found, alone)
        await model.release(prefix)


async def check_cache_moves(engine: Engine, spec: ModelSpec) -> None:
    """A cache that is taken out and brought back, here or to a second model, goes on to the same reply; one that was
    damaged on the way, or is of another form, is refused. (Where caches can leave.)"""
    async with loaded(engine, spec) as model:
        if not isinstance(model, TransferableModel):
            return
        prompt = tuple(5 + place for place in range(60))
        for sampling in (SHORT, Sampling(max_tokens=12, temperature=1.0, seed=7)):
            alone, _ = await continued(model, prompt, None, sampling)
            sequence = await model.prefill(prompt)
            state = await model.export_cache(sequence)
            async with loaded(engine, spec) as elsewhere:
                if not isinstance(elsewhere, TransferableModel):
                    raise TypeError("an engine loads models of one kind")
                moved = await elsewhere.import_cache(state)
                there = [token async for token in elsewhere.decode(moved, sampling)]
                promised(there == alone, "a cache that moved goes on to the same reply", there, alone)
                await elsewhere.release(moved)
            here = [token async for token in model.decode(sequence, sampling)]
            promised(here == alone, "what was exported stays as it is", here, alone)
            await model.release(sequence)
            for form, data in ((state.form, state.data[: len(state.data) // 2]), ("another form", state.data)):
                with refuses(OutsideError, "a cache that is none of this model"):
                    await model.import_cache(CacheState(state.model, form, state.tokens, data))
            promised(await continued(model, prompt, None, sampling), "the model goes on after a refusal")
