"""Promises about log-probabilities: told of each token that is handed out, of the model's own distribution, and of the
same one whatever is drawn from it."""

from __future__ import annotations

import math
from collections.abc import Sequence

from ..protocol import ChatModel, Engine, ModelSpec, Sampling, TokenLogprob
from .promises import ASK, loaded, promised, reply_tokens, sees_tokens
from .schemas import MAIL

_NEAR = 1e-3


async def check_logprobs(engine: Engine, spec: ModelSpec) -> None:
    """Who asks is told how likely each token was, with the likeliest beside it, as they come; nobody else is told, and
    the reply is the same. (An engine that tells nothing says so, and replies all the same.)"""
    tells = engine.capabilities.logprobs
    async with loaded(engine, spec) as model:
        plain = await reply_tokens(model, Sampling(max_tokens=12))
        for most in (None, 0, 3, 20):
            tokens, told = await _told(model, Sampling(max_tokens=12, logprobs=most), tells and most is not None)
            promised(tokens == plain, "who asks how likely tokens are gets the same reply", tokens, plain)
            if not tells or most is None:
                promised(told == (), "nothing is told that is not asked for, or not known", told)
                continue
            for one in told:
                _sound(model, one, most)
                # A token may be as likely as the likeliest.
                likeliest = not one.top or one.logprob > one.top[0][1] - _NEAR
                promised(likeliest, "a greedy reply takes the likeliest token", one)


async def check_logprobs_of_the_model(engine: Engine, spec: ModelSpec) -> None:
    """What is told is of the model's own distribution: no temperature, no choice among few and no schema changes it."""
    if not engine.capabilities.logprobs:
        return
    async with loaded(engine, spec) as model:
        _, greedy = await _told(model, Sampling(max_tokens=1, logprobs=5), True)
        wanted = dict(greedy[0].top)
        for seed, temperature in ((1, 0.2), (2, 2.0), (3, 2.0)):
            drawn = Sampling(max_tokens=12, temperature=temperature, seed=seed, top_k=40, top_p=0.95, logprobs=5)
            _, told = await _told(model, drawn, True)
            for one in told:
                _sound(model, one, 5)
            found = dict(told[0].top)
            near = all(abs(found[token] - wanted[token]) < _NEAR for token in found.keys() & wanted.keys())
            promised(near and found.keys() & wanted.keys(), "a temperature changes nothing that is told", found, wanted)
        sampling = Sampling(max_tokens=200, schema=MAIL, logprobs=2)
        tokens, told = await _told(model, sampling, True)
        for one in told:
            _sound(model, one, 2)
        promised(len(tokens) > 3, "each token of a document is told of", tokens)


async def _told(model: ChatModel, sampling: Sampling, tells: bool) -> tuple[list[int], tuple[TokenLogprob, ...]]:
    """The tokens of a reply and what was told of them, which grows with them."""
    sequence = await model.prefill(await model.tokenize(ASK))
    tokens: list[int] = []
    try:
        async for token in model.decode(sequence, sampling):
            tokens.append(token)
            if tells:
                told: Sequence[TokenLogprob] = sequence.logprobs
                promised(len(told) == len(tokens), "each token is told of when it comes", len(told), len(tokens))
                promised(told[-1].token == token, "what is told is of this token", told[-1], token)
        return tokens, tuple(sequence.logprobs)
    finally:
        await model.release(sequence)


def _sound(model: ChatModel, one: TokenLogprob, most: int) -> None:
    """What is told of a token can be. (A piece of text of an API may be several tokens: nothing is likeliest there.)"""
    promised(one.logprob <= _NEAR and math.isfinite(one.logprob), "a logarithm of a share is at most 0", one)
    promised(
        len(one.top) <= most and (one.top or not most or not sees_tokens(model)),
        "as many of the likeliest are told as asked for",
        one,
    )
    figures = [likely for _, likely in one.top]
    promised(figures == sorted(figures, reverse=True), "the likeliest comes first", one)
    promised(len({token for token, _ in one.top}) == len(one.top), "no token is told twice", one)
    promised(sum(map(math.exp, figures)) < 1 + _NEAR, "shares sum to one at most", one)
    same = [likely for token, likely in one.top if token == one.token]
    promised(all(abs(likely - one.logprob) < _NEAR for likely in same), "a token has one likelihood", one)
