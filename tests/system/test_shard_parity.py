"""A real model in shards says what it says whole."""

from __future__ import annotations

import anyio
import numpy as np
import pytest
from shard_runs import whole_and_sharded

from agentlang.base import paths
from agentlang.executor.engines.protocol import Message, ModelSpec, Sampling, Spread
from agentlang.executor.engines.xla.engine import XlaEngine
from agentlang.stdlib.models import open_chat

NAME = "smollm2-135m-instruct"
PATH = paths.models_home() / NAME / "SmolLM2-135M-Instruct.Q4_1.gguf"

pytestmark = [
    pytest.mark.models,
    pytest.mark.skipif(not PATH.is_file(), reason=f"{NAME} is not here; `agentlang models pull {NAME}` fetches it"),
]

ASKED = [Message("user", "Name three fruits that grow on trees, and say what colour each of them is.")]


def test_three_shards_say_what_the_whole_says() -> None:
    source = open_chat(PATH, NAME)
    prompt = np.asarray(source.tokenizer().chat(ASKED), np.int32)
    whole, parts = whole_and_sharded(source, Spread(3), prompt, 16)
    assert np.abs(whole.logits - parts.logits).max() < 1e-5 * np.abs(whole.logits).max()
    assert whole.tokens == parts.tokens


def test_the_engine_gives_the_same_tokens() -> None:
    async def reply(spread: Spread) -> list[int]:
        model = await XlaEngine(keep_programs=False).load(ModelSpec(NAME, open_chat(PATH, NAME), spread=spread))
        sequence = await model.prefill(await model.tokenize(ASKED))
        tokens = [token async for token in model.decode(sequence, Sampling(max_tokens=48))]
        await model.release(sequence)
        await model.close()
        return tokens

    async def main() -> None:
        tokens = await reply(Spread())
        assert len(tokens) > 10 and tokens == await reply(Spread(3))

    anyio.run(main)
