"""Stages in processes of their own: what one process gives, and what becomes of runs when workers are killed, stop,
are drained or replaced."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path
from typing import Any

import pytest
from placed_runs import heard, placing, ready

from agentlang.base.problems import Problem
from agentlang.executor.scaling import Rule
from agentlang.following import following

pytestmark = pytest.mark.slow


def log(folder: Path) -> str:
    return (folder / "log").read_text()


def kill(coordinator: object, tier: str, number: int = signal.SIGKILL) -> int:
    name = coordinator.workers(tier)[0]  # type: ignore[attr-defined]
    process = coordinator.process(name)  # type: ignore[attr-defined]
    os.kill(process, number)
    return process


def test_three_processes_give_what_one_does_and_leave_nothing(tmp_path: Path) -> None:
    made = placing(tmp_path, "clean")
    processes: list[int] = []

    async def work() -> None:
        async with ready(made) as placed:
            processes.extend(placed.process(placed.workers(tier)[0]) or 0 for tier in ("far", "beyond"))
            texts = ("a@b.org", "c", "d")
            assert await heard(placed.start("clean", {"texts": texts})) == (
                "done",
                ("[email] or [email]!", "c or [email]!", "d or [email]!"),
                None,
                [],
            )
            status, _, _, items = await heard(placed.start("passed", {"n": 50, "pause": 0}))
            assert (status, items) == ("done", [f"{n}!" for n in range(50)])
            status, _, _, items = await heard(placed.start("counted", {"n": 50, "pause": 0}))
            assert (status, items) == ("done", [str(n) for n in range(50)])
            several = await asyncio.gather(*(heard(placed.start("clean", {"texts": texts})) for _ in range(20)))
            assert {status for status, *_ in several} == {"done"}

    asyncio.run(work())
    assert len(processes) == 2
    for process in processes:
        with pytest.raises(ProcessLookupError):
            os.kill(process, 0)


def test_a_run_of_which_nothing_has_left_is_done_again(tmp_path: Path) -> None:
    made = placing(tmp_path, "sure")
    told: list[Problem] = []

    async def work() -> None:
        async with ready(made, tell=told.append) as placed:
            run = placed.start("sure", {"n": 1, "pause": 0})
            reading = asyncio.ensure_future(heard(run))
            while "slow" not in log(tmp_path):
                await asyncio.sleep(0.01)
            kill(placed, "far")
            assert (await reading)[:2] == ("done", "a")
            assert run.again == 1

    asyncio.run(work())
    assert log(tmp_path).split() == ["slow", "slow"]
    assert [problem.slug for problem in told] == ["worker-gone"]


def test_what_has_left_is_not_given_twice_and_the_run_fails_by_name(tmp_path: Path) -> None:
    made = placing(tmp_path, "counted")

    async def work() -> None:
        async with ready(made) as placed:
            run = placed.start("counted", {"n": 1000, "pause": 20})
            items: list[str] = []
            async for frame in run:
                if hasattr(frame, "output"):
                    items.append(frame.output)
                    if len(items) == 5:
                        kill(placed, "far")
                elif hasattr(frame, "outcome"):
                    assert (frame.outcome.status, frame.outcome.reason) == ("failed", "unreachable")
            assert items == [str(number) for number in range(len(items))]
            assert 5 <= len(items) < 1000
            # Its place is taken by another.
            assert (await heard(placed.start("counted", {"n": 3, "pause": 0})))[3] == ["0", "1", "2"]

    asyncio.run(work())


@pytest.mark.parametrize(
    ("pipeline", "expected"),
    [("caught", ("done", "nobody answers paid x")), ("fallen", ("failed", None))],
)
def test_what_has_acted_is_not_done_again_and_the_program_decides(
    tmp_path: Path, pipeline: str, expected: tuple[str, object]
) -> None:
    made = placing(tmp_path, pipeline)

    async def work() -> None:
        async with ready(made) as placed:
            reading = asyncio.ensure_future(heard(placed.start(pipeline, {"word": "x"})))
            while "slow" not in log(tmp_path):
                await asyncio.sleep(0.01)
            kill(placed, "far")
            status, value, reason, _ = await reading
            assert (status, value) == expected
            assert reason == (None if status == "done" else "unreachable")

    asyncio.run(work())
    assert log(tmp_path).split() == ["paid", "slow"]


def test_what_may_have_acted_on_a_worker_that_is_gone_is_not_done_again(tmp_path: Path) -> None:
    made = placing(tmp_path, "paid_there")

    async def work() -> None:
        async with ready(made) as placed:
            reading = asyncio.ensure_future(heard(placed.start("paid_there", {"word": "x"})))
            while "paid" not in log(tmp_path):
                await asyncio.sleep(0.01)
            kill(placed, "far")
            assert (await reading)[::2] == ("failed", "unreachable")

    asyncio.run(work())
    assert log(tmp_path).split() == ["paid"]


def test_a_worker_that_stands_still_is_given_up_after_the_silence(tmp_path: Path) -> None:
    made = placing(tmp_path, "sure")

    async def work() -> None:
        async with ready(made) as placed:
            run = placed.start("sure", {"n": 1, "pause": 0})
            reading = asyncio.ensure_future(heard(run))
            while "slow" not in log(tmp_path):
                await asyncio.sleep(0.01)
            process = kill(placed, "far", signal.SIGSTOP)
            assert (await reading)[:2] == ("done", "a")
            assert run.again == 1
        with pytest.raises(ProcessLookupError):
            os.kill(process, 0)

    asyncio.run(work())


def test_workers_are_drained_replaced_and_resized_without_losing_a_run(tmp_path: Path) -> None:
    made = placing(tmp_path, "counted")

    async def work() -> None:
        async with ready(made) as placed:
            runs = [asyncio.ensure_future(heard(placed.start("counted", {"n": 40, "pause": 20}))) for _ in range(3)]
            await asyncio.sleep(0.2)
            before = placed.workers("far")[0]
            await placed.replace("far", 0)
            after = placed.workers("far")[0]
            assert before != after
            await placed.resize("far", 2)
            assert len(placed.workers("far")) == 2
            runs += [asyncio.ensure_future(heard(placed.start("counted", {"n": 20, "pause": 20}))) for _ in range(4)]
            await asyncio.sleep(0.1)
            await placed.drain("far", 0)
            assert list(placed.workers("far")) == [1]
            for status, _, _, items in await asyncio.gather(*runs):
                assert status == "done"
                assert items == [str(number) for number in range(len(items))]

    asyncio.run(work())


def test_workers_follow_the_load_without_losing_a_run(tmp_path: Path) -> None:
    made = placing(tmp_path, "sure")
    rule = Rule("far", low=1, high=3, slots=1, service=0.5, wait=0.3, opening=0.5, calm=2.0)

    async def work() -> None:
        async with ready(made) as placed, following(placed, {"far": rule}, every=0.2) as followed:
            runs: list[asyncio.Future[Any]] = []
            most = 1
            for _ in range(20):
                runs.append(asyncio.ensure_future(heard(placed.start("sure", {"n": 1, "pause": 0}))))
                await asyncio.sleep(0.2)
                most = max(most, len(placed.workers("far")))
            assert {(await run)[:2] for run in runs} == {("done", "a")}
            assert 1 < most <= 3
            assert followed.said[0].instances > 1
            async with asyncio.timeout(30.0):
                while len(placed.workers("far")) == most:
                    await asyncio.sleep(0.2)
            assert len(placed.workers("far")) < most

    asyncio.run(work())


def test_cancelling_stops_every_process_at_once(tmp_path: Path) -> None:
    made = placing(tmp_path, "passed")

    async def work() -> None:
        async with ready(made) as placed:
            run = placed.start("counted", {"n": 100_000, "pause": 1})
            late: list[float] = []
            loop = asyncio.get_running_loop()
            since = 0.0
            seen = 0
            async for frame in run:
                if hasattr(frame, "output"):
                    seen += 1
                    if since:
                        late.append(loop.time() - since)
                    elif seen == 20:
                        since = loop.time()
                        run.cancel()
                elif hasattr(frame, "outcome"):
                    assert frame.outcome.status == "cancelled"
            assert max(late, default=0.0) < 0.005
            assert loop.time() - since < 2.0

    asyncio.run(work())
