"""A real model in shards says what it says whole."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import anyio
import numpy as np
import pytest
from agent_sources import checked
from program_runs import Ran, ran

from agentlang.api import Compiled
from agentlang.base import paths
from agentlang.executor.engines.null import NullEngine
from agentlang.executor.engines.protocol import Message, ModelSpec, Sampling, Spread
from agentlang.executor.engines.xla.engine import XlaEngine
from agentlang.ir import compile as irc
from agentlang.ir.passes import PASSES
from agentlang.stdlib.library import Library
from agentlang.stdlib.models import open_chat

NAME = "smollm2-135m-instruct"
PATH = paths.models_home() / NAME / "SmolLM2-135M-Instruct.Q4_1.gguf"

pytestmark = [
    pytest.mark.models,
    pytest.mark.skipif(not PATH.is_file(), reason=f"{NAME} is not here; `agentlang models pull {NAME}` fetches it"),
]

ASKED = [Message("user", "Name three fruits that grow on trees, and say what colour each of them is.")]


def test_three_shards_say_what_the_whole_says() -> None:
    """Nine heads, three of keys and values: the tokens, and how likely each and its likeliest rivals were."""

    async def said(spread: Spread) -> tuple[list[Any], list[int]]:
        model = await XlaEngine(keep_programs=False).load(ModelSpec(NAME, open_chat(PATH, NAME), spread=spread))
        sequence = await model.prefill(await model.tokenize(ASKED))
        tokens = [token async for token in model.decode(sequence, Sampling(max_tokens=48, logprobs=20))]
        likely = [[logprob for _, logprob in told.top] for told in sequence.logprobs]
        await model.release(sequence)
        await model.close()
        return likely, tokens

    async def main() -> None:
        whole, tokens = await said(Spread())
        parts, others = await said(Spread(3))
        assert len(tokens) > 10 and tokens == others
        assert len(whole) == len(parts) == len(tokens)
        # Sums in another order: some hundred-thousandths, where logits reach into the tens.
        assert np.abs(np.asarray(whole) - np.asarray(parts)).max() < 1e-3

    anyio.run(main)


PROGRAM = """use std/llm
model writer = llm.chat("smollm2-135m-instruct")

pipeline hello(name: Text = "world") -> stream Text {
  return writer.chat("Greet {name} in one short sentence.", max_tokens: 24)
}
"""


def test_a_program_runs_as_it_is_split(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same text, from the whole model and from the shards that the module has; they are what the engine loads."""
    loaded: list[Spread] = []
    load = XlaEngine.load

    async def watched(engine: XlaEngine, spec: ModelSpec) -> Any:
        loaded.append(spec.spread)
        return await load(engine, spec)

    monkeypatch.setattr(XlaEngine, "load", watched)
    whole = ran(compiled(), "hello", {"name": "Ada"})
    parts = ran(compiled("split_parallel"), "hello", {"name": "Ada"})
    assert len("".join(whole.items)) > 10 and "".join(parts.items) == "".join(whole.items)
    assert loaded == [Spread(), Spread(3)]


def test_an_engine_that_runs_no_shards_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    capabilities = NullEngine().capabilities
    monkeypatch.setattr(XlaEngine, "capabilities", replace(capabilities, spreads=False))
    failed: Ran = ran(compiled("split_parallel"), "hello", {"name": "Ada"})
    assert failed.failed is not None and failed.failed[1] == "model-does-not-load"


def compiled(*more: str) -> Compiled:
    program, _ = checked(PROGRAM, "hello.agent")
    assert program is not None
    library = Library(Path())
    module, problems = irc.lower(program)
    assert module is not None, problems
    options = {"split_parallel": {"tensor": 3}}
    module, problems = irc.run_passes(module, library, passes=[*PASSES, *more], options=options)
    assert module is not None, problems
    return Compiled(program, module.graph(), library)
