"""A runner that is moved: old runs end where they are, new ones go to the new place, none is dropped; and a program
that is planned again when it drifts."""

import sys
from pathlib import Path

import anyio
import pytest
from test_simulate_programs import machine

from agentlang.adapting import adapting
from agentlang.api import Compiled, check, compile, decode
from agentlang.executor.backends.local import LocalBackend
from agentlang.executor.deployment import Deployment
from agentlang.executor.moving import Moving
from agentlang.executor.shell import Shell, open_shell
from agentlang.stdlib.library import Library

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    """Tools are processes, on the clock of the world."""
    return "asyncio"


TOOLS = """stage first(text: Text) -> Text = python("drifting:nap") needs [cpu 10 ms]

pipeline one(text: Text) -> Text { return first(text) }

goal one { finish p95 <= 5 s }
"""


async def test_no_run_is_dropped_while_it_moves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "drifting.py").write_text(
        "import time\nSECONDS = [0.01]\n\n\ndef nap(text):\n    time.sleep(SECONDS[0])\n    return text\n"
    )
    compiled = compiled_in(tmp_path, monkeypatch)
    opened: list[int] = []

    def opens(number: int) -> Shell:
        opened.append(number)
        return open_shell(Deployment(compiled.graph), LocalBackend(compiled.library))

    async with Moving(lambda: opens(1)) as runner:
        old = [runner.start("one", {"text": str(number)}) for number in range(5)]
        await runner.move(lambda: opens(2))
        new = [runner.start("one", {"text": str(number)}) for number in range(5, 10)]
        ends = [await running.result() for running in (*old, *new)]
        assert [end.outcome.value for end in ends] == [str(number) for number in range(10)]
        assert opened == [1, 2] and runner.moves == 1

        def broken() -> Shell:
            raise OSError("no")

        with pytest.raises(OSError, match="no"):
            await runner.move(broken)
        last = await runner.start("one", {"text": "x"}).result()
        assert last.outcome.value == "x"
    with pytest.raises(RuntimeError):
        runner.start("one", {"text": "x"})


def compiled_in(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Compiled:
    monkeypatch.setenv("AGENTLANG_HOME", str(folder / "home"))
    monkeypatch.chdir(folder)
    sys.modules.pop("drifting", None)
    source, _ = decode("one.agent", TOOLS.encode())
    assert source is not None
    program = check(source).program
    assert program is not None
    compiled, found = compile(program, Library(folder))
    assert compiled is not None, found
    return compiled


async def test_what_drifts_is_planned_again_beside_the_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "drifting.py").write_text(
        "import pathlib, time\n\n\ndef nap(text):\n"
        "    time.sleep(float(pathlib.Path('seconds').read_text()))\n    return text\n"
    )
    (tmp_path / "seconds").write_text("0.01")
    compiled = compiled_in(tmp_path, monkeypatch)
    told: list[str] = []
    async with adapting(compiled, "one", machine(), told=told.append) as served:
        before = served.plan
        (tmp_path / "seconds").write_text("0.08")
        ends = [await served.start({"text": str(number)}).result() for number in range(14)]
        assert {end.outcome.status for end in ends} == {"done"}
        with anyio.fail_after(20):
            while served.runner.moves == 0:
                await anyio.sleep(0.02)
        assert served.said[0].stage == "one.first"
        assert served.said[0].factor == pytest.approx(8.0, rel=0.4)
        assert served.said[0].action == "replan"
        stage = served.plan.stages[0].time
        assert served.plan is not before and stage.value == pytest.approx(0.08, rel=0.4)
        assert (await served.start({"text": "last"}).result()).outcome.value == "last"
    assert any("new runs go to the new plan" in text for text in told)
