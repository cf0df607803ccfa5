"""Five hundred requests at once, on engines that run sixteen: all end, in about the order in which they came, and what
waits takes no more memory than it may."""

from __future__ import annotations

import random
from pathlib import Path

import anyio
import anyio.lowlevel
import pytest
import trio
from tiny_gguf import write_gguf
from trio.testing import MockClock

from agentlang.executor.engines.conformance.promises import same
from agentlang.executor.engines.llamacpp.engine import LlamaCppEngine
from agentlang.executor.engines.null import NullEngine, NullTimings
from agentlang.executor.engines.protocol import ChatModel, Engine, Finish, ModelSpec, Sampling
from agentlang.stdlib.models import open_chat

REQUESTS, ROWS = 500, 16


def prompts(longest: int) -> list[tuple[int, ...]]:
    draw = random.Random(1)
    return [tuple(draw.randrange(3, 250) for _ in range(draw.randint(longest // 2, longest))) for _ in range(REQUESTS)]


async def asked(model: ChatModel, longest: int, most: int) -> tuple[list[int], dict[int, int]]:
    """The requests in the order in which they began to be answered, and how many tokens each got."""
    begun: list[int] = []
    made: dict[int, int] = {}

    async def one(number: int, prompt: tuple[int, ...]) -> None:
        sequence = await model.prefill(prompt)
        count = 0
        async for _ in model.decode(sequence, Sampling(max_tokens=most, temperature=1.0, seed=number)):
            if not count:
                begun.append(number)
            count += 1
        assert sequence.finish in (Finish.LENGTH, Finish.STOP)
        made[number] = count
        await model.release(sequence)

    async with anyio.create_task_group() as group:
        for number, prompt in enumerate(prompts(longest)):
            group.start_soon(one, number, prompt)
            await anyio.lowlevel.checkpoint()
    assert model.open_sequences == 0
    return begun, made


def overtaken(order: list[int]) -> int:
    """By how many that came later the unluckiest request was overtaken."""
    return max(sum(other > number for other in order[:place]) for place, number in enumerate(order))


def test_the_null_engine_on_virtual_time() -> None:
    async def main() -> None:
        model = await NullEngine(NullTimings(prefill_per_token=0.001, gap=0.02)).load(ModelSpec("null"))
        order, made = await asked(model, 100, 12)
        assert len(made) == REQUESTS and overtaken(order) <= 2 * ROWS

    trio.run(main, clock=MockClock(autojump_threshold=0))


def resident(process: int) -> int:
    """Bytes of memory that a process has."""
    status = Path(f"/proc/{process}/status").read_text()
    return 1024 * int(status.partition("VmRSS:")[2].split()[0])


def test_llama_cpp(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("xllamacpp", reason="llama.cpp is not installed")
    monkeypatch.setenv("AGENTLANG_HOME", str(tmp_path / "home"))
    write_gguf(tmp_path / "tiny.gguf")

    async def main() -> None:
        engine = LlamaCppEngine(slots=ROWS, room=1 << 20)
        model = await engine.load(ModelSpec("tiny", open_chat(tmp_path / "tiny.gguf", "tiny")))
        await asked_of_one(model)
        before = resident(model.worker.process)
        most = before

        async def watch() -> None:
            nonlocal most
            while True:
                most = max(most, resident(model.worker.process))
                await anyio.sleep(0.02)

        order: list[int] = []
        made: dict[int, int] = {}
        with anyio.fail_after(120):
            async with anyio.create_task_group() as group:
                group.start_soon(watch)
                order, made = await asked(model, 120, 12)
                group.cancel_scope.cancel()
        assert len(made) == REQUESTS and overtaken(order) <= 4 * ROWS
        assert most - before < 64 << 20
        # Nothing was computed twice, and steps were shared.
        counts = await model.stats()
        assert counts.prefilled_tokens == sum(map(len, prompts(120))) + 197
        assert counts.steps < counts.decoded_tokens / 2
        await model.close()

    anyio.run(main)


def test_caches_that_find_no_room_are_computed_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("xllamacpp", reason="llama.cpp is not installed")
    monkeypatch.setenv("AGENTLANG_HOME", str(tmp_path / "home"))
    write_gguf(tmp_path / "tiny.gguf")
    spec = ModelSpec("tiny", open_chat(tmp_path / "tiny.gguf", "tiny"))
    greedy = Sampling(max_tokens=16)

    async def replies(room: int | None) -> list[list[int]]:
        """Of forty prompts that are all in the cache before the first is answered, and answered in turn."""
        model = await LlamaCppEngine(slots=4, room=room).load(spec)
        sequences = [await model.prefill(prompt) for prompt in prompts(60)[:40]]
        steps = [aiter(model.decode(sequence, greedy)) for sequence in sequences]
        found: list[list[int]] = [[] for _ in steps]
        for _ in range(16):
            for place, each in enumerate(steps):
                try:
                    found[place].append(await anext(each))
                except StopAsyncIteration:
                    continue
        state = await model.export_cache(await model.prefill(prompts(60)[41]))
        assert len(state.tokens) == len(prompts(60)[41])
        await model.close()
        return found

    async def main() -> None:
        with anyio.fail_after(120):
            much, little, none = [await replies(room) for room in (None, 40_000, 0)]
        assert same(LlamaCppEngine(), little, much) and same(LlamaCppEngine(), none, much)

    anyio.run(main)


@pytest.mark.parametrize("kind", ["null", "llamacpp"])
def test_whoever_is_cancelled_at_whatever_moment_leaves_nothing(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While it waits for its turn, in its prompt, between its tokens, at its end, and after it."""
    if kind == "llamacpp":
        pytest.importorskip("xllamacpp", reason="llama.cpp is not installed")
    monkeypatch.setenv("AGENTLANG_HOME", str(tmp_path / "home"))
    write_gguf(tmp_path / "tiny.gguf")
    moments = random.Random(3)

    async def main() -> None:
        engine = NullEngine(NullTimings(prefill_per_token=0.0001, gap=0.005))
        made: Engine = LlamaCppEngine(slots=3) if kind == "llamacpp" else engine
        spec = ModelSpec("tiny", open_chat(tmp_path / "tiny.gguf", "tiny") if kind == "llamacpp" else None)
        model = await made.load(spec)
        ends: dict[str, int] = {"never began": 0, "prompt": 0, "reply": 0, "over": 0}

        async def one(number: int, prompt: tuple[int, ...], patience: float | None) -> None:
            where = "never began"
            with anyio.move_on_after(patience):
                where = "prompt"
                sequence = await model.prefill(prompt)
                try:
                    where = "reply"
                    async for _ in model.decode(sequence, Sampling(max_tokens=20, temperature=1.0, seed=number)):
                        pass
                    where = "over"
                    await anyio.sleep(moments.choice((0, 0.2)))
                finally:
                    with anyio.CancelScope(shield=True):
                        await model.release(sequence)
                        await model.cancel(sequence)
            ends[where] += 1
            assert patience is not None or where == "over"

        with anyio.fail_after(100):
            for _ in range(3):
                async with anyio.create_task_group() as group:
                    for number, prompt in enumerate(prompts(150)[:60]):
                        patience = None if number % 4 == 0 else moments.uniform(0, 0.6)
                        group.start_soon(one, number, prompt, patience)
                assert model.open_sequences == 0
        assert min(ends["prompt"], ends["reply"], ends["over"]) > 3, ends
        await model.close()

    anyio.run(main)


async def asked_of_one(model: ChatModel) -> None:
    sequence = await model.prefill(tuple(range(3, 200)))
    async for _ in model.decode(sequence, Sampling(max_tokens=20)):
        pass
    await model.release(sequence)
