"""How fast an engine runs a model on this machine, by the protocol alone: the same measurement for every engine.

Rates are of the engine as its callers meet it, batching and the way to the device included. The prompts are the same
for all engines, and none begins like another, so that nothing is found instead of computed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median

import anyio

from .protocol import ChatModel, Sampling, Tokens


@dataclass(frozen=True, slots=True)
class MeasuredProfile:
    """Rates in tokens a second, times in seconds, all medians of some turns.

    `decode` is by the number of sequences at once, all of them together, from each one's first token on;
    `first_token` is from the beginning of a prompt to the first token of the reply, alone.
    """

    engine: str
    prompt_tokens: int
    prefill: float
    first_token: float
    decode: Mapping[int, float]


async def measure(
    engine: str,
    model: ChatModel,
    *,
    prompt_tokens: int = 512,
    behind: int = 128,
    tokens: int = 64,
    at_once: Sequence[int] = (1, 4, 16),
    turns: int = 3,
) -> MeasuredProfile:
    """Measure a loaded model: prefill of `prompt_tokens`, then replies of `tokens` behind prompts of `behind`."""
    fills: list[float] = []
    firsts: list[float] = []
    decode: dict[int, list[float]] = {count: [] for count in at_once}
    for turn in range(turns + 1):
        prompt = _prompt(model, turn, prompt_tokens)
        began = anyio.current_time()
        sequence = await model.prefill(prompt)
        filled = anyio.current_time() - began
        async for _ in model.decode(sequence, Sampling(max_tokens=1)):
            pass
        first = anyio.current_time() - began
        await model.release(sequence)
        if not turn:
            # The first turn compiles and warms; sequences at once need what one needs.
            await _decode(model, turn, 1, behind, tokens)
            continue
        fills.append(filled)
        firsts.append(first)
        for count in at_once:
            decode[count].append(await _decode(model, turn, count, behind, tokens))
    return MeasuredProfile(
        engine,
        prompt_tokens,
        prompt_tokens / median(fills),
        median(firsts),
        {count: median(rates) for count, rates in decode.items()},
    )


async def _decode(model: ChatModel, turn: int, count: int, behind: int, tokens: int) -> float:
    """Tokens a second of `count` replies at once, their prompts being filled before."""
    sequences = [await model.prefill(_prompt(model, 1000 * turn + number, behind)) for number in range(count)]
    times: list[float] = []

    async def one(number: int) -> None:
        # A reply that ends by itself ends the measurement early; drawn tokens hardly ever do.
        sampling = Sampling(max_tokens=tokens, temperature=1.0, seed=number)
        times.extend([anyio.current_time() async for _ in model.decode(sequences[number], sampling)])

    try:
        async with anyio.create_task_group() as group:
            for number in range(count):
                group.start_soon(one, number)
    finally:
        with anyio.CancelScope(shield=True):
            for sequence in sequences:
                await model.release(sequence)
    times.sort()
    # The first of each comes without a step of its own.
    return (len(times) - count) / max(times[-1] - times[count - 1], 1e-9) if len(times) > count else 0.0


def _prompt(model: ChatModel, number: int, length: int) -> Tokens:
    """Tokens of the middle of the vocabulary, from a place of their own."""
    low, high = model.facts.vocabulary // 8, model.facts.vocabulary // 2
    return tuple(low + (number * 7919 + place * 31) % (high - low) for place in range(length))
