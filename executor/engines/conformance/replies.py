"""Promises about replies: what comes, when it ends, and that it comes again."""

from __future__ import annotations

from ..problems import PromptTooLong
from ..protocol import Engine, Finish, ModelSpec, Sampling
from .promises import ASK, SHORT, loaded, promised, refuses, reply, reply_tokens, sees_tokens


async def check_streams(engine: Engine, spec: ModelSpec) -> None:
    """Pieces are never empty, and joined they are the text of the tokens."""
    async with loaded(engine, spec) as model:
        pieces, _ = await reply(model, SHORT)
        tokens = await reply_tokens(model, SHORT)
        promised(pieces and all(pieces), "a reply comes in pieces, none of them empty", pieces)
        promised(len(tokens) >= 2, "the model's replies have several tokens", tokens)
        detokenizer = model.detokenizer()
        whole = "".join(map(detokenizer.push, tokens)) + detokenizer.finish()
        promised("".join(pieces) == whole, "the pieces are the text of the tokens", "".join(pieces), whole)


async def check_repeats(engine: Engine, spec: ModelSpec) -> None:
    """Greedy replies repeat; sampled ones repeat with their seed and differ between seeds."""
    async with loaded(engine, spec) as model:
        first, second = await reply_tokens(model, SHORT), await reply_tokens(model, SHORT)
        promised(first == second, "greedy replies repeat", first, second)
        seeds = (1, 1, 2, 3, 2**64 - 1)
        drawn = [await reply_tokens(model, Sampling(max_tokens=16, temperature=1.5, seed=seed)) for seed in seeds]
        promised(drawn[0] == drawn[1], "a reply repeats with its seed", drawn[0], drawn[1])
        promised(len({tuple(tokens) for tokens in drawn}) > 2, "replies differ between seeds", drawn)
        narrow = [Sampling(max_tokens=8, temperature=2.0, seed=seed, top_k=1) for seed in (1, 2)]
        greedy = await reply_tokens(model, Sampling(max_tokens=8))
        for sampling in narrow:
            kept = await reply_tokens(model, sampling)
            promised(kept == greedy, "of one most likely token the draw has no choice", kept, greedy)


async def check_length(engine: Engine, spec: ModelSpec) -> None:
    """`max_tokens` bounds the reply, and what happened is counted."""
    async with loaded(engine, spec) as model:
        prompt = await model.tokenize(ASK)
        sequence = await model.prefill(prompt)
        promised(sequence.finish is None, "a sequence that may go on has no finish", sequence.finish)
        promised(sequence.prompt_tokens == len(prompt), "the prompt is counted", sequence.prompt_tokens, len(prompt))
        tokens = [token async for token in model.decode(sequence, Sampling(max_tokens=2))]
        promised(len(tokens) == 2, "max_tokens bounds the reply", tokens)
        promised(sequence.finish is Finish.LENGTH, "a reply of max_tokens ends as LENGTH", sequence.finish)
        stats = sequence.stats
        counted = (stats.prompt_tokens, stats.generated_tokens, len(stats.gaps))
        promised(counted == (len(prompt), 2, 1), "tokens and gaps are counted", counted)
        first = stats.first_token_seconds
        promised(first is not None and first >= stats.prefill_seconds >= 0, "times are in order", stats)
        await model.release(sequence)
        promised(sequence.finish is Finish.LENGTH, "the first reason to end stays", sequence.finish)


async def check_stop_texts(engine: Engine, spec: ModelSpec) -> None:
    """A stop text ends the reply before it, also where it crosses tokens, and nothing behind it is computed."""
    async with loaded(engine, spec) as model:
        full = "".join((await reply(model, SHORT))[0])
        stop = full[4:8]
        pieces, running = await reply(model, Sampling(max_tokens=24, stop=("never said", stop)))
        shown = "".join(pieces)
        promised(shown == full[: full.index(stop)], "a reply ends before its stop text", shown, full, stop)
        promised(running.finish is Finish.STOP, "a stop text ends the reply as STOP", running.finish)
        stats = running.stats
        most = len(full[:8].encode())
        made = stats.generated_tokens if stats is not None else 0
        promised(0 < made <= most, "nothing is made behind the stop text", made, most)


async def check_characters(engine: Engine, spec: ModelSpec) -> None:
    """No piece ends inside a character, whatever the tokens; what is no UTF-8 becomes U+FFFD."""
    async with loaded(engine, spec) as model:
        for seed in range(4):
            sampling = Sampling(max_tokens=48, temperature=2.0, seed=seed)
            tokens = await reply_tokens(model, sampling)
            pieces, _ = await reply(model, sampling)
            text = "".join(pieces)
            # A lone surrogate, or half a character, cannot be written.
            promised(text.encode("utf-8").decode("utf-8") == text, "pieces are text", pieces)
            detokenizer = model.detokenizer()
            whole = "".join(map(detokenizer.push, tokens)) + detokenizer.finish()
            promised(text == whole, "the pieces are the text of the tokens", text, whole)


async def check_prompt_too_long(engine: Engine, spec: ModelSpec) -> None:
    """A prompt that leaves no room is refused with figures, never cut. (Where tokens are seen.)"""
    async with loaded(engine, spec, context=64) as model:
        if not sees_tokens(model):
            return
        with refuses(PromptTooLong, "a prompt of 70 tokens for a context of 64") as caught:
            await model.prefill(tuple(range(5, 5 + 70)))
        error = caught.error
        figures = (error.tokens, error.limit) if isinstance(error, PromptTooLong) else ()
        promised(figures == (70, 63), "the refusal has the figures", figures)
        promised(model.open_sequences == 0, "what is refused is not held", model.open_sequences)
        with refuses(ValueError, "a prompt of no tokens"):
            await model.prefill(())


async def check_context_ends(engine: Engine, spec: ModelSpec) -> None:
    """A reply that fills the context ends there, with its own reason. (Where tokens are seen.)"""
    async with loaded(engine, spec, context=64) as model:
        if not sees_tokens(model):
            return
        promised(model.facts.context == 64, "a smaller context is taken", model.facts.context)
        sequence = await model.prefill(tuple(range(5, 5 + 60)))
        tokens = [token async for token in model.decode(sequence, Sampling(max_tokens=50))]
        promised(len(tokens) == 4, "a reply fills the context and no more", tokens)
        promised(sequence.finish is Finish.TRUNCATED, "it ends as TRUNCATED", sequence.finish)
        await model.release(sequence)


async def check_misuse(engine: Engine, spec: ModelSpec) -> None:
    """A sequence is decoded once."""
    async with loaded(engine, spec) as model:
        sequence = await model.prefill(await model.tokenize(ASK))
        model.decode(sequence, SHORT)
        with refuses(ValueError, "a second decode of a sequence"):
            model.decode(sequence, SHORT)
        await model.release(sequence)
