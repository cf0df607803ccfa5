"""Our backends keep to `check_backend`, on virtual time on both event loops."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Any

import anyio
import pytest
from check_backend import STAGES, check_backend
from trio.testing import MockClock

from agentlang.base.problems import Problem
from agentlang.executor.backends import Backend
from agentlang.executor.backends.local import LocalBackend
from agentlang.executor.backends.null import Answer, NullBackend, by_name
from agentlang.executor.backends.recording import RecordingBackend
from agentlang.executor.clock import VirtualEventLoop
from agentlang.executor.kinds import Context, Kind, Opener, StageFailure

pytestmark = pytest.mark.anyio
Arguments = Mapping[str, object]


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, dict[str, Any]]:
    if request.param == "trio":
        return "trio", {"clock": MockClock(autojump_threshold=0)}
    return "asyncio", {"loop_factory": VirtualEventLoop}


class Checked:
    """The stages of `check_backend.STAGES` as kinds."""

    def kind(self, entry: str) -> Kind:
        kinds = {"check:value": value, "check:five": five, "check:fail": fail, "check:long": long, "check:quick": quick}
        return kinds[entry]

    def opener(self, entry: str) -> Opener:
        return {"check:thing": thing}[entry]


async def value(context: Context, _: Arguments) -> str:
    await anyio.sleep(1)
    context.usage.add("tokens_out", 3)
    return "value"


async def quick(context: Context, _: Arguments) -> str:
    context.usage.add("tokens_out", 1)
    return "quick"


async def five(_context: Context, _: Arguments) -> AsyncIterator[int]:
    for number in range(5):
        yield number


async def fail(_context: Context, _: Arguments) -> str:
    raise StageFailure("tool_error", Problem("it-broke", "it broke"))


async def long(_context: Context, _: Arguments) -> AsyncIterator[int]:
    for number in range(1000):
        await anyio.sleep(1)
        yield number


async def thing(_name: str, _: Arguments) -> object:
    return object()


def local() -> Backend:
    return LocalBackend(Checked())


def null() -> Backend:
    answers = {
        "check:value": Answer("value", seconds=1, usage={"tokens_out": 3}),
        "check:quick": Answer("quick", usage={"tokens_out": 1}),
        "check:five": Answer(items=(0, 1, 2, 3, 4)),
        "check:long": Answer(items=tuple(range(1000)), seconds=1, gap=1),
    }
    assert set(answers) == set(STAGES) - {"check:fail"}
    return NullBackend(by_name(answers), opening={"thing": 0.5})


def recording() -> Backend:
    return RecordingBackend(local(), lambda _: None)


@pytest.mark.parametrize("make", [local, null, recording])
async def test_backend(make: Any) -> None:
    await check_backend(make)
