"""A model in several processes: every promise of an engine, the tokens of one process, and a process that is killed."""

from __future__ import annotations

import os
import signal
from functools import partial
from pathlib import Path

import anyio
import pytest

from agentlang.base.problems import OutsideError
from agentlang.executor.engines.protocol import ModelSpec, Sampling
from agentlang.executor.engines.routed.engine import RoutedEngine
from agentlang.executor.engines.routed.process import ProcessModel
from agentlang.executor.engines.routed.settings import RoutedSettings
from agentlang.executor.engines.xla.engine import XlaEngine
from agentlang.stdlib.models.tiny import TinyLlama
from agentlang.testing import check_engine

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def home(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    # One for the module: each program compiles once.
    place = tmp_path_factory.getbasetemp() / "routed home"
    monkeypatch.setenv("AGENTLANG_HOME", str(place))
    return place


def test_every_promise_of_processes() -> None:
    anyio.run(check_engine, partial(RoutedEngine, RoutedSettings(2, threads=1)), ModelSpec("tiny", TinyLlama(seed=1)))


def test_it_says_what_one_process_says_and_outlives_one_of_its_own() -> None:
    spec, sampling = ModelSpec("tiny", TinyLlama(seed=1)), Sampling(max_tokens=12)
    prompts = [tuple(5 + (place * own) % 200 for place in range(100)) for own in range(1, 7)]

    async def main() -> None:
        alone, model = await XlaEngine().load(spec), await RoutedEngine(RoutedSettings(2, threads=1)).load(spec)
        said: dict[int, list[int]] = {}
        for number, prompt in enumerate(prompts):
            sequence = await alone.prefill(prompt)
            said[number] = [token async for token in alone.decode(sequence, sampling)]
            await alone.release(sequence)
        await alone.close()

        async def ask(number: int) -> None:
            sequence = await model.prefill(prompts[number])
            assert [token async for token in model.decode(sequence, sampling)] == said[number]
            await model.release(sequence)

        async with anyio.create_task_group() as group:
            for number in range(len(prompts)):
                group.start_soon(ask, number)
        # Both served: the prompts came at once.
        for instance in model.instances:
            assert isinstance(instance.model, ProcessModel)
            assert (await instance.model.stats()).decoded_tokens
        first = model.instances[0].model
        assert isinstance(first, ProcessModel)
        sequence = await first.prefill(prompts[0])
        os.kill(first.worker.process, signal.SIGKILL)
        with pytest.raises(OutsideError, match="is gone"):
            _ = [token async for token in first.decode(sequence, sampling)]
        async with anyio.create_task_group() as group:
            for number in range(len(prompts)):
                group.start_soon(ask, number)
        with anyio.fail_after(60):
            while model.router.up != (0, 1):
                await ask(1)
                await anyio.sleep(0.05)
        await model.close()
        assert model.open_sequences == 0

    anyio.run(main)
