"""The llama.cpp engine where it differs from others: a process of its own, files that lie, slots that run out."""

from __future__ import annotations

import os
import random
import signal
import struct
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from time import monotonic

import anyio
import pytest
from damaged_files import GGUF
from tiny_gguf import write_gguf

from agentlang.base.problems import OutsideError
from agentlang.executor.engines.conformance.promises import same
from agentlang.executor.engines.gguf_header import Unsound, read_header
from agentlang.executor.engines.llamacpp.engine import LlamaCppEngine
from agentlang.executor.engines.llamacpp.model import LlamaCppModel
from agentlang.executor.engines.llamacpp.pace import Pace
from agentlang.executor.engines.protocol import ChatModel, Finish, Message, ModelSpec, Sampling, TokenLogprob
from agentlang.executor.engines.workers.frames import BrokenFrame, Decoder, encode
from agentlang.executor.engines.xla.engine import XlaEngine
from agentlang.stdlib.models import open_chat

pytest.importorskip("xllamacpp", reason="llama.cpp is not installed")

SHORT = Sampling(max_tokens=24)


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("model") / "tiny.gguf"
    write_gguf(path)
    return path


@pytest.fixture(autouse=True)
def home(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AGENTLANG_HOME", str(tmp_path_factory.getbasetemp() / "home"))


def spec(file: Path) -> ModelSpec:
    return ModelSpec("tiny", open_chat(file, "tiny"))


async def reply(model: LlamaCppModel, prompt: tuple[int, ...], sampling: Sampling = SHORT) -> list[int]:
    sequence = await model.prefill(prompt)
    try:
        return [token async for token in model.decode(sequence, sampling)]
    finally:
        with anyio.CancelScope(shield=True):
            await model.release(sequence)


def prompts(count: int, longest: int = 120) -> list[tuple[int, ...]]:
    draw = random.Random(count)
    return [tuple(draw.randrange(3, 259) for _ in range(draw.randint(1, longest))) for _ in range(count)]


def test_it_says_what_the_xla_engine_says(file: Path) -> None:
    async def main() -> None:
        ours, theirs = await XlaEngine().load(spec(file)), await LlamaCppEngine().load(spec(file))
        assert ours.facts.context == theirs.facts.context
        assert ours.facts.vocabulary == theirs.facts.vocabulary
        for prompt in prompts(3, 60):
            sequence = await ours.prefill(prompt)
            expected = [token async for token in ours.decode(sequence, SHORT)]
            assert await reply(theirs, prompt) == expected
        await ours.close()
        await theirs.close()

    anyio.run(main)


def test_it_finds_tokens_as_likely_as_the_xla_engine_does(file: Path) -> None:
    async def told(model: ChatModel, prompt: tuple[int, ...]) -> Sequence[TokenLogprob]:
        sequence = await model.prefill(prompt)
        _ = [token async for token in model.decode(sequence, Sampling(max_tokens=8, logprobs=4))]
        await model.release(sequence)
        return sequence.logprobs

    async def main() -> None:
        ours, theirs = await XlaEngine().load(spec(file)), await LlamaCppEngine().load(spec(file))
        for prompt in prompts(3, 60):
            mine, wanted = await told(theirs, prompt), await told(ours, prompt)
            for one, other in zip(mine, wanted, strict=True):
                assert one.token == other.token
                # llama.cpp keeps its cache in 16 bits.
                assert one.logprob == pytest.approx(other.logprob, abs=0.1)
                assert [likely for _, likely in one.top] == pytest.approx([likely for _, likely in other.top], abs=0.1)
        await ours.close()
        await theirs.close()

    anyio.run(main)


def test_many_sequences_take_turns_in_few_slots_and_little_room(file: Path) -> None:
    async def main() -> None:
        wanted = prompts(24, 160)
        plain = await LlamaCppEngine(slots=1).load(spec(file))
        alone = [await reply(plain, prompt) for prompt in wanted]
        await plain.close()
        for engine in (LlamaCppEngine(slots=2), LlamaCppEngine(slots=16, positions=512)):
            model = await engine.load(spec(file))
            found: dict[int, list[int]] = {}

            async def one(model: LlamaCppModel, found: dict[int, list[int]], number: int) -> None:
                found[number] = await reply(model, wanted[number])

            async with anyio.create_task_group() as group:
                for number in range(len(wanted)):
                    group.start_soon(one, model, found, number)
            assert same(engine, [found[number] for number in range(len(wanted))], alone)
            stats = await model.stats()
            assert stats.steps < stats.decoded_tokens + len(wanted)
            assert stats.open_sequences == 0
            await model.close()

    anyio.run(main)


def test_a_sequence_that_is_not_asked_gives_way_and_comes_back(file: Path) -> None:
    async def main() -> None:
        engine = LlamaCppEngine(slots=1)
        model = await engine.load(spec(file))
        first, second = prompts(2)
        alone = await reply(model, first), await reply(model, second)
        one, two = await model.prefill(first), await model.prefill(second)
        steps = aiter(model.decode(one, SHORT)), aiter(model.decode(two, SHORT))
        found: tuple[list[int], list[int]] = ([], [])
        for _ in range(24):
            for place in (0, 1):
                try:
                    found[place].append(await anext(steps[place]))
                except StopAsyncIteration:
                    continue
        assert same(engine, found, alone)
        await model.close()

    anyio.run(main)


@pytest.mark.parametrize("moment", ["prefill", "decode", "idle"])
def test_a_killed_process_is_a_problem_and_the_next_call_finds_another(file: Path, moment: str) -> None:
    async def main() -> None:
        model = await LlamaCppEngine().load(spec(file))
        prompt = prompts(1)[0]
        alone = await reply(model, prompt)
        first = model.worker.process
        if moment == "idle":
            os.kill(first, signal.SIGKILL)
            await anyio.sleep(0.2)
        else:
            with pytest.raises(OutsideError) as caught:
                sequence = await model.prefill(prompt)
                if moment == "prefill":
                    os.kill(first, signal.SIGKILL)
                    await model.prefill(prompt)
                async for _ in model.decode(sequence, Sampling(max_tokens=200)):
                    os.kill(first, signal.SIGKILL)
            assert caught.value.problem.slug == "engine-gone"
            assert "SIGKILL" in caught.value.problem.title
        assert await reply(model, prompt) == alone
        assert model.worker.process != first
        await model.close()

    anyio.run(main)


@pytest.mark.parametrize("ask", ["decode", "export"])
def test_what_a_dead_process_held_fails_by_name_though_another_runs(file: Path, ask: str) -> None:
    """A prompt that comes after the death was noticed has a new process begun; what the dead one held is still gone."""

    async def main() -> None:
        model = await LlamaCppEngine().load(spec(file))
        prompt = prompts(1)[0]
        alone = await reply(model, prompt)
        sequence = await model.prefill(prompt)
        waiting = await model.prefill(prompt[:4])
        caught: list[OutsideError] = []

        async def wait() -> None:
            # It reads from the process while that dies, and hears of it, whoever notices first.
            with pytest.raises(OutsideError) as error:
                async for _ in model.decode(waiting, Sampling(max_tokens=200)):
                    pass
            caught.append(error.value)

        first = model.worker
        async with anyio.create_task_group() as group:
            os.kill(first.process, signal.SIGSTOP)
            group.start_soon(wait)
            await anyio.wait_all_tasks_blocked()
            os.kill(first.process, signal.SIGKILL)
            while first.alive:
                pass  # nobody else may notice first
            again = await model.prefill(prompt)
        assert model.worker is not first
        with pytest.raises(OutsideError) as error:
            if ask == "decode":
                [token async for token in model.decode(sequence, Sampling(max_tokens=5))]
            else:
                await model.export_cache(sequence)
        for problem in (error.value.problem, caught[0].problem):
            assert problem.slug == "engine-gone"
            assert "SIGKILL" in problem.title
        await model.release(again)
        assert await reply(model, prompt) == alone
        await model.close()

    anyio.run(main)


def test_a_stopped_process_holds_nobody(file: Path) -> None:
    async def main() -> None:
        model = await LlamaCppEngine().load(spec(file))
        sequence = await model.prefill((5, 6, 7))
        steps = aiter(model.decode(sequence, Sampling(max_tokens=200)))
        await anext(steps)
        os.kill(model.worker.process, signal.SIGSTOP)
        began = monotonic()
        with anyio.move_on_after(0.3) as scope:
            while True:
                await anext(steps)
        assert scope.cancelled_caught
        with anyio.move_on_after(0.3):
            await model.prefill((5, 6, 7))
        # Cancelling by another task ends the wait too.
        assert sequence.finish is Finish.CANCELLED
        await model.close()
        assert monotonic() - began < 5
        assert model.open_sequences == 0

    anyio.run(main)


def test_the_worker_ends_with_whoever_started_it(file: Path) -> None:
    code = (
        "import anyio, os, sys\n"
        "from pathlib import Path\n"
        "from agentlang.executor.engines.llamacpp.engine import LlamaCppEngine\n"
        "from agentlang.executor.engines.protocol import ModelSpec\n"
        "from agentlang.stdlib.models import open_chat\n"
        "async def main():\n"
        "    model = await LlamaCppEngine().load(ModelSpec('tiny', open_chat(Path(sys.argv[1]), 'tiny')))\n"
        "    print(model.worker.process, flush=True)\n"
        "    os.kill(os.getpid(), 9)\n"
        "anyio.run(main)\n"
    )
    done = subprocess.run([sys.executable, "-c", code, str(file)], capture_output=True, text=True, timeout=60)
    worker = int(done.stdout)
    ends = monotonic() + 5
    while monotonic() < ends and Path(f"/proc/{worker}/cmdline").exists() and _runs(worker):
        pass
    assert not _runs(worker)


def _runs(process: int) -> bool:
    try:
        state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


@pytest.mark.parametrize("damage", GGUF)
def test_a_file_that_lies_is_a_problem(file: Path, tmp_path: Path, damage: str) -> None:
    broken = tmp_path / "broken.gguf"
    broken.write_bytes(GGUF[damage](file.read_bytes()))

    async def main() -> None:
        with pytest.raises(OutsideError) as caught:
            await LlamaCppEngine().load(spec(broken))
        assert caught.value.problem.slug == "model-does-not-load"
        assert len(caught.value.problem.title) < 500

    anyio.run(main)


def test_no_single_byte_of_a_header_breaks_the_check(file: Path, tmp_path: Path) -> None:
    data = file.read_bytes()
    end = data.index(b"token_embd.weight") + 2000
    broken = tmp_path / "broken.gguf"
    draw = random.Random(1)
    refused = 0
    for _ in range(400):
        place = draw.randrange(end)
        broken.write_bytes(data[:place] + bytes([draw.randrange(256)]) + data[place + 1 :])
        try:
            read_header(broken)
        except Unsound as error:
            refused += 1
            assert len(str(error)) < 300
    assert refused > 20


@pytest.mark.slow
def test_no_change_of_a_file_ends_more_than_a_worker(file: Path, tmp_path: Path) -> None:
    data = file.read_bytes()
    end = data.index(b"token_embd.weight") + 2000
    broken = tmp_path / "broken.gguf"
    draw = random.Random(2)

    async def main() -> tuple[int, int]:
        loaded = refused = 0
        for _ in range(150):
            changed = bytearray(data)
            for place in (draw.randrange(end) for _ in range(draw.randint(1, 3))):
                changed[place] = draw.randrange(256)
            broken.write_bytes(changed)
            try:
                model = await LlamaCppEngine().load(spec(broken))
                loaded += 1
                sequence = await model.prefill((5, 6, 7))
                async for _ in model.decode(sequence, Sampling(max_tokens=3)):
                    pass
                await model.close()
            except OutsideError as error:
                refused += 1
                assert error.problem.slug in ("model-does-not-load", "engine-gone")
        return loaded, refused

    assert min(anyio.run(main)) > 10


def test_what_is_no_frame_is_told() -> None:
    decoder = Decoder()
    whole = encode({"say": "x", "sequence": 1}, b"abc") + encode({"say": "y"})
    found = [frame for place in range(len(whole)) for frame in decoder.feed(whole[place : place + 1])]
    assert [(frame.words["say"], frame.data) for frame in found] == [("x", b"abc"), ("y", b"")]
    for garbage in (b"\xff" * 12, struct.pack("<IQ", 3, 0) + b"nul", struct.pack("<IQ", 4, 0) + b"null"):
        with pytest.raises(BrokenFrame):
            list(Decoder().feed(garbage))


def test_one_thread_where_all_are_slower() -> None:
    used: list[int] = []
    pace = Pace(4, used.append)
    for _ in range(10):
        pace.after(1, 0.01)
    pace.after(1, 0.07)
    assert pace.threads == 4
    pace.after(1, 0.09)
    assert (pace.threads, used) == (1, [4, 1])
    for _ in range(255):
        pace.after(1, 0.03)
    assert pace.threads == 1
    pace.after(1, 0.03)
    assert pace.threads == 4


def test_a_prompt_is_of_its_vocabulary(file: Path) -> None:
    async def main() -> None:
        model = await LlamaCppEngine().load(spec(file))
        for token in (-1, 260, 1 << 40):
            with pytest.raises(ValueError):
                await model.prefill((5, token))
        text = "".join([model.detokenizer().push(token) for token in await model.tokenize([Message("user", "th")])])
        assert "user" in text
        await model.close()
        with pytest.raises(RuntimeError):
            await model.prefill((5,))

    anyio.run(main)
