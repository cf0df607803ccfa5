"""The split engine keeps every promise of an engine, and says on the real model what one process says."""

from __future__ import annotations

import subprocess
import sys
from functools import partial
from pathlib import Path

import anyio
import pytest

from agentlang.base import paths
from agentlang.executor.engines.conformance.promises import same
from agentlang.executor.engines.protocol import ChatModel, Message, ModelSpec, Sampling
from agentlang.executor.engines.split.engine import SplitEngine
from agentlang.executor.engines.split.settings import SplitSettings, Transport
from agentlang.executor.engines.xla.engine import XlaEngine
from agentlang.stdlib.models import open_chat
from agentlang.stdlib.models.tiny import TinyLlama
from agentlang.testing import check_engine

NAME = "smollm2-135m-instruct"
PATH = paths.models_home() / NAME / "SmolLM2-135M-Instruct.Q4_1.gguf"


@pytest.mark.slow
@pytest.mark.parametrize(("backend", "transport"), [("asyncio", "memory"), ("trio", "socket")])
def test_every_promise(backend: str, transport: Transport, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AGENTLANG_HOME", str(tmp_path))
    engine = partial(SplitEngine, SplitSettings(transport, prefill_niceness=0))
    anyio.run(check_engine, engine, ModelSpec("tiny", TinyLlama(seed=1)), backend=backend)


@pytest.mark.slow
@pytest.mark.models
@pytest.mark.skipif(not PATH.is_file(), reason=f"{NAME} is not here; `agentlang models pull {NAME}` fetches it")
@pytest.mark.parametrize("transport", ["memory", "socket"])
def test_the_real_model_says_the_same(transport: Transport) -> None:
    pages = "A page says: refunds take three days, returns are free, and parcels leave each morning. "
    asks = [
        (Message("user", text),)
        for text in ("Name three rivers.", pages * 12 + "How long do refunds take?", "Why is the sky blue?")
    ]
    samplings = [Sampling(max_tokens=32), Sampling(max_tokens=32, temperature=0.8, seed=5, top_p=0.9)]

    async def reply(model: ChatModel, ask: tuple[Message, ...], sampling: Sampling) -> list[int]:
        sequence = await model.prefill(await model.tokenize(ask))
        try:
            return [token async for token in model.decode(sequence, sampling)]
        finally:
            await model.release(sequence)

    async def main() -> None:
        spec, engine = ModelSpec(NAME, open_chat(PATH, NAME)), SplitEngine(SplitSettings(transport, prefill_niceness=0))
        one, two = await XlaEngine().load(spec), await engine.load(spec)
        asked = [(ask, sampling) for ask in asks for sampling in samplings]
        alone = [await reply(one, *each) for each in asked]
        assert [await reply(two, *each) for each in asked] == alone
        together: dict[int, list[int]] = {}

        async def at_once(number: int) -> None:
            together[number] = await reply(two, *asked[number])

        async with anyio.create_task_group() as group:
            for number in range(len(asked)):
                group.start_soon(at_once, number)
        greedy = range(0, len(asked), 2)
        assert same(engine, [together[number] for number in greedy], [alone[number] for number in greedy])
        await one.close()
        await two.close()

    anyio.run(main)


@pytest.mark.slow
@pytest.mark.models
@pytest.mark.skipif(not PATH.is_file(), reason=f"{NAME} is not here; `agentlang models pull {NAME}` fetches it")
def test_a_program_may_ask_for_it(tmp_path: Path) -> None:
    program = """\
use std/llm

model writer = llm.chat("smollm2-135m-instruct", engine: "ENGINE")

pipeline hello(name: Text = "world") -> stream Text {
  return writer.chat("Greet {name} in one short sentence.", max_tokens: 32)
}
"""
    said: dict[str, str] = {}
    for engine in ("xla", "split"):
        (tmp_path / "hello.agent").write_text(program.replace("ENGINE", engine))
        command = [sys.executable, "-m", "agentlang", "run", "hello.agent", "name=Ada"]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=True)
        said[engine] = done.stdout
    assert "Ada" in said["split"]
    assert said["split"] == said["xla"]
