"""A model in two processes: it says what one process says, and whichever process dies, at whatever moment, is a problem
with a name; the next call works, and nothing is left behind."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from threading import Thread, Timer
from time import monotonic, sleep

import anyio
import pytest

from agentlang.base.problems import OutsideError
from agentlang.executor.engines.conformance.promises import same
from agentlang.executor.engines.conformance.schemas import MAIL
from agentlang.executor.engines.protocol import ChatModel, Finish, ModelSpec, Sampling, TokenLogprob
from agentlang.executor.engines.split.engine import SplitEngine, joined_by_memory
from agentlang.executor.engines.split.model import SplitModel
from agentlang.executor.engines.split.settings import SplitSettings
from agentlang.executor.engines.workers.recipes import Recipe
from agentlang.executor.engines.xla.engine import XlaEngine
from agentlang.stdlib.models.tiny import CONFIG, TinyLlama

Reply = tuple[list[int], Finish | None, list[TokenLogprob]]

PROMPTS = [tuple(5 + place * place % 200 for place in range(count)) for count in (3, 100, 400)]
SAMPLINGS = [
    Sampling(max_tokens=24),
    Sampling(max_tokens=24, temperature=1.0, seed=7, top_k=20, top_p=0.9),
    Sampling(max_tokens=120, schema=MAIL),
    Sampling(max_tokens=24, temperature=1.5, seed=3, stop=("e", "x")),
    Sampling(max_tokens=8, logprobs=2),
]
EAGER = SplitSettings(prefill_niceness=0)
"""Tests run where other programs do; a process that gives way to all of them would not come to its turn."""
LONG = TinyLlama(config=replace(CONFIG, layers=6, context=2048))
LONG_PROMPT = tuple(5 + place * place % 200 for place in range(1500))


@pytest.fixture(autouse=True)
def home(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    # One for the module: each program compiles once.
    monkeypatch.setenv("AGENTLANG_HOME", str(tmp_path_factory.getbasetemp() / "split home"))


def tiny() -> ModelSpec:
    return ModelSpec("tiny", TinyLlama(seed=1))


async def reply(model: ChatModel, prompt: Sequence[int], sampling: Sampling) -> Reply:
    sequence = await model.prefill(prompt)
    try:
        tokens = [token async for token in model.decode(sequence, sampling)]
        return tokens, sequence.finish, list(sequence.logprobs)
    finally:
        with anyio.CancelScope(shield=True):
            await model.release(sequence)


@asynccontextmanager
async def split(
    spec: ModelSpec | None = None, settings: SplitSettings | None = None, engine: SplitEngine | None = None
) -> AsyncGenerator[SplitModel]:
    """A model whose processes are gone afterwards, and which held nothing by then."""
    model = await (engine or SplitEngine(settings or EAGER)).load(spec or tiny())
    processes = model.pair.prefill.process, model.pair.decode.process
    try:
        yield model
        assert model.open_sequences == 0
        await settled(model)
    finally:
        await model.close()
    for process in (*processes, model.pair.prefill.process, model.pair.decode.process):
        assert not runs(process)


async def settled(model: SplitModel) -> None:
    """Both engines have let go of all, and no cache is in shared memory any more."""
    with anyio.fail_after(10):
        while (await model.halves())[0].open_sequences or (await model.halves())[1].open_sequences:
            await anyio.sleep(0.02)
        for worker in (model.pair.prefill, model.pair.decode):
            while shared(worker.process):
                await anyio.sleep(0.02)


def shared(process: int) -> list[str]:
    """Caches in shared memory that a process has mapped or holds open."""
    held = [line for line in Path(f"/proc/{process}/maps").read_text().splitlines() if "agentlang-cache" in line]
    for entry in Path(f"/proc/{process}/fd").iterdir():
        try:
            held += [name for name in (str(entry.readlink()),) if "agentlang-cache" in name]
        except FileNotFoundError:
            continue
    return held


def runs(process: int) -> bool:
    try:
        state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


@pytest.mark.parametrize(
    "settings",
    [
        EAGER,
        pytest.param(SplitSettings(page=16, overlap=False, prefill_niceness=0), marks=pytest.mark.slow),
        SplitSettings("socket", page=32, prefill_niceness=0),
    ],
    ids=["memory", "memory, pages, afterwards", "socket, pages"],
)
def test_two_processes_say_what_one_says(settings: SplitSettings) -> None:
    async def main() -> None:
        one, engine = await XlaEngine().load(tiny()), SplitEngine(settings)
        async with split(engine=engine) as two:
            assert one.facts == two.facts
            assert engine.capabilities.exact == XlaEngine().capabilities.exact
            asked = [(prompt, sampling) for prompt in PROMPTS for sampling in SAMPLINGS]
            alone = [await reply(one, *each) for each in asked]
            for each, (tokens, finish, likely) in zip(asked, alone, strict=True):
                found = await reply(two, *each)
                assert found[:2] == (tokens, finish)
                assert [told.token for told in found[2]] == [told.token for told in likely]
                for mine, theirs in zip(found[2], likely, strict=True):
                    assert mine.logprob == pytest.approx(theirs.logprob, abs=1e-4)
                    assert [token for token, _ in mine.top] == [token for token, _ in theirs.top]
            together: dict[int, list[int]] = {}

            async def ask(number: int) -> None:
                together[number] = (await reply(two, *asked[number]))[0]

            greedy = [number for number, (_, sampling) in enumerate(asked) if not sampling.temperature]
            async with anyio.create_task_group() as group:
                for number in range(len(asked)):
                    group.start_soon(ask, number)
            assert same(engine, [together[number] for number in greedy], [alone[number][0] for number in greedy])
            prefill, decode = await two.halves()
            assert prefill.decoded_tokens == 0
            assert prefill.prefilled_tokens >= max(map(len, PROMPTS))
            assert decode.decoded_tokens >= sum(len(tokens) for tokens, _, _ in alone)
        await one.close()

    anyio.run(main)


def test_what_traveled_is_counted() -> None:
    async def main() -> None:
        async with split() as model:
            sequence = await model.prefill(PROMPTS[1])
            transfer = sequence.transfer
            assert transfer is not None
            assert transfer.bytes == 100 * model.facts.cache_bytes_per_position
            assert min(transfer.copying, transfer.behind, transfer.adopting) >= 0
            # What prompts have in common is computed once, where they are prefilled, and travels each time.
            again = await model.prefill((*PROMPTS[1], 9))
            assert 64 <= again.stats.cached_tokens <= 100
            assert again.transfer is not None
            assert again.transfer.bytes == 101 * model.facts.cache_bytes_per_position
            for one in (sequence, again):
                await model.release(one)

    anyio.run(main)


@pytest.mark.slow
def test_fewer_digits_travel_where_that_is_wanted() -> None:
    async def main() -> None:
        for dtype in ("bfloat16", "float16"):
            engine = SplitEngine(SplitSettings(dtype=dtype, prefill_niceness=0))
            assert not engine.capabilities.exact
            async with split(engine=engine) as model:
                sequence = await model.prefill(PROMPTS[1])
                assert sequence.transfer is not None
                assert sequence.transfer.bytes == 50 * model.facts.cache_bytes_per_position
                await model.release(sequence)
                one = await XlaEngine().load(tiny())
                found = [(await reply(model, prompt, SAMPLINGS[0]))[0] for prompt in PROMPTS]
                assert same(engine, found, [(await reply(one, prompt, SAMPLINGS[0]))[0] for prompt in PROMPTS])
                await one.close()

    anyio.run(main)


@pytest.mark.parametrize("moment", [pytest.param("idle", marks=pytest.mark.slow), "prompt", "reply"])
@pytest.mark.parametrize("half", ["prefill", "decode"])
def test_a_killed_process_is_a_problem_and_the_next_call_works(half: str, moment: str) -> None:
    async def main() -> None:
        async with split() as model:
            prompt, sampling = PROMPTS[1], Sampling(max_tokens=200)
            alone = await reply(model, prompt, sampling)
            worker = model.pair.prefill if half == "prefill" else model.pair.decode
            if moment == "idle":
                os.kill(worker.process, signal.SIGKILL)
                await anyio.sleep(0.2)
            elif moment == "prompt":
                # Stopped, it is in the middle of the prompt for as long as it takes.
                os.kill(worker.process, signal.SIGSTOP)
                Timer(0.2, os.kill, (worker.process, signal.SIGKILL)).start()
                with pytest.raises(OutsideError) as caught:
                    await model.prefill(prompt)
                assert caught.value.problem.slug == "engine-gone"
                assert "SIGKILL" in caught.value.problem.title
            else:
                sequence = await model.prefill(prompt)
                found: list[int] = []
                steps = aiter(model.decode(sequence, sampling))
                found.append(await anext(steps))
                os.kill(worker.process, signal.SIGKILL)
                if half == "prefill":
                    # Its prompt is here already: a reply does not care.
                    found += [token async for token in steps]
                    assert found == alone[0]
                else:
                    with pytest.raises(OutsideError) as caught:
                        async for _ in steps:
                            pass
                    assert caught.value.problem.slug == "engine-gone"
                await model.release(sequence)
            if moment == "reply" and half == "decode":
                # What it held is gone, also once there is another process.
                again, worker = await model.prefill(prompt), model.pair.decode
                os.kill(worker.process, signal.SIGKILL)
                while worker.alive:
                    await anyio.sleep(0.01)
                await model.pair.ready()
                with pytest.raises(OutsideError) as caught:
                    async for _ in model.decode(again, sampling):
                        pass
                assert caught.value.problem.slug == "engine-gone"
            assert model.open_sequences == 0
            assert await reply(model, prompt, sampling) == alone
            now = model.pair.prefill if half == "prefill" else model.pair.decode
            assert now.process != worker.process

    anyio.run(main)


@pytest.mark.slow
@pytest.mark.parametrize("half", ["prefill", "decode"])
def test_killed_at_every_point_of_a_prompt(half: str) -> None:
    async def main() -> None:
        spec = ModelSpec("long", LONG)
        async with split(spec) as model:
            alone = await reply(model, LONG_PROMPT, Sampling(max_tokens=4))
            whole, gone = 60.0, 0
            for begin in (20, 21, 22):
                # Another beginning each time: nothing of it is cached.
                began = monotonic()
                sequence = await model.prefill((begin, *LONG_PROMPT))
                whole = min(whole, monotonic() - began)
                await model.release(sequence)
            for point in range(4):
                workers = await model.pair.ready()
                worker = workers[half == "decode"]
                timer = Timer(whole * (point + 0.5) / 4, os.kill, (worker.process, signal.SIGKILL))
                timer.start()
                try:
                    await model.release(await model.prefill((5 + point, *LONG_PROMPT)))
                except OutsideError as error:
                    gone += 1
                    assert error.problem.slug == "engine-gone"
                timer.join()
                while worker.alive:
                    await anyio.sleep(0.01)
                assert model.open_sequences == 0
            assert gone >= 1
            assert await reply(model, LONG_PROMPT, Sampling(max_tokens=4)) == alone

    anyio.run(main)


class Cutting(SplitEngine):
    """Its first link lets so many bytes through and breaks."""

    def __init__(self, lets: int) -> None:
        super().__init__(SplitSettings("socket", prefill_niceness=0))
        self.lets = lets
        self.links = 0

    def connect(self) -> tuple[socket.socket, socket.socket]:
        self.links += 1
        if self.links > 1:
            return super().connect()
        near, into = joined_by_memory()
        out, far = joined_by_memory()

        def pass_on() -> None:
            with into, out:
                while self.lets and (data := into.recv(min(self.lets, 1 << 16))):
                    out.sendall(data)
                    self.lets -= len(data)

        Thread(target=pass_on, daemon=True).start()
        return near, far


SLOW = pytest.mark.slow


@pytest.mark.parametrize("lets", [0, *(pytest.param(count, marks=SLOW) for count in (5, 300, 52_000)), 20_000])
def test_a_transfer_that_is_cut_is_a_problem_and_the_next_works(lets: int) -> None:
    async def main() -> None:
        engine = Cutting(lets)
        async with split(engine=engine) as model:
            before = model.pair.prefill, model.pair.decode
            with pytest.raises(OutsideError) as caught:
                await model.prefill(PROMPTS[1])
            assert caught.value.problem.slug == "engine-gone"
            assert "on its way" in caught.value.problem.title
            one = await XlaEngine().load(tiny())
            assert await reply(model, PROMPTS[1], SAMPLINGS[0]) == await reply(one, PROMPTS[1], SAMPLINGS[0])
            await one.close()
            # Another link, and the same processes.
            assert engine.links == 2
            assert (model.pair.prefill, model.pair.decode) == before

    anyio.run(main)


@pytest.mark.slow
def test_whoever_leaves_leaves_nothing() -> None:
    async def main() -> None:
        async with split(ModelSpec("long", LONG)) as model:
            sampling = Sampling(max_tokens=24)
            await reply(model, LONG_PROMPT, sampling)
            began = monotonic()
            await reply(model, (4, *LONG_PROMPT), sampling)
            whole = monotonic() - began
            for point in range(12):
                with anyio.move_on_after(whole * point / 12):
                    await reply(model, (5 + point, *LONG_PROMPT), sampling)
                assert model.open_sequences == 0
            await settled(model)
            assert (await reply(model, (5, 6, 7), SAMPLINGS[0]))[0]

    anyio.run(main)


def test_the_processes_end_with_whoever_started_them() -> None:
    code = (
        "import anyio, os\n"
        "from agentlang.executor.engines import engine\n"
        "from agentlang.executor.engines.protocol import ModelSpec\n"
        "from agentlang.stdlib.models.tiny import TinyLlama\n"
        "async def main():\n"
        "    model = await engine('split').load(ModelSpec('tiny', TinyLlama(seed=1)))\n"
        "    await model.prefill((5, 6, 7))\n"
        "    print(model.pair.prefill.process, model.pair.decode.process, flush=True)\n"
        "    os.kill(os.getpid(), 9)\n"
        "anyio.run(main)\n"
    )
    names = set(Path("/dev/shm").iterdir())
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    workers = [int(word) for word in done.stdout.split()]
    assert len(workers) == 2
    ends = monotonic() + 5
    while monotonic() < ends and any(map(runs, workers)):
        sleep(0.02)
    assert not any(map(runs, workers))
    assert set(Path("/dev/shm").iterdir()) == names


def test_a_model_that_cannot_be_opened_elsewhere_is_refused() -> None:
    class Missing(TinyLlama):
        @property
        def recipe(self) -> Recipe:
            return Recipe(
                "agentlang.stdlib.models.chat_source:llama_file",
                {"path": "/nowhere.gguf", "name": "nowhere", "weights": "f32"},
            )

    async def main() -> None:
        for spec in (ModelSpec("none"), ModelSpec("nowhere", Missing())):
            with pytest.raises(OutsideError) as caught:
                await SplitEngine().load(spec)
            assert caught.value.problem.slug == "model-does-not-load"

    anyio.run(main)
