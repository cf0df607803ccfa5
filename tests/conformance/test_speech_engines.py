"""Engines that hear and engines that speak keep their promises."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from speech_clips import recognizer, voice

from agentlang.executor.engines import engine
from agentlang.executor.engines.conformance import SYNTHESISING_CHECKS, TRANSCRIBING_CHECKS, PromiseBroken
from agentlang.executor.engines.conformance.speech import check_sound
from agentlang.executor.engines.families import Operation
from agentlang.executor.engines.protocol import Engine
from agentlang.executor.engines.speech.processes import ProcessEngine
from agentlang.executor.engines.speech.sources import VoiceSpec

Checked = Callable[[Engine, Any], Awaitable[None]]


@pytest.fixture(params=["asyncio", pytest.param("trio", marks=pytest.mark.slow)])
def anyio_backend(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def names(check: Checked) -> str:
    return check.__name__.removeprefix("check_")


@pytest.mark.models
@pytest.mark.anyio
@pytest.mark.parametrize("check", TRANSCRIBING_CHECKS, ids=names)
async def test_hearing_on_xla(check: Checked) -> None:
    await check(engine("xla"), recognizer())


@pytest.mark.anyio
@pytest.mark.parametrize("name", ["flite-kal", "espeak-en-us"])
@pytest.mark.parametrize("check", SYNTHESISING_CHECKS, ids=names)
async def test_speaking_by_processes(check: Checked, name: str) -> None:
    await check(engine("process"), voice(name))


class Hoarse(ProcessEngine):
    """A voice that gives half samples."""

    async def load_synthesising(self, spec: VoiceSpec) -> Any:
        class Voice:
            rate = 16_000

            async def synthesise(self, text: str) -> Any:
                yield b"\0" * 3

            async def close(self) -> None: ...

        return Voice()


@pytest.mark.anyio
async def test_a_broken_promise_is_seen() -> None:
    with pytest.raises(PromiseBroken, match="whole samples"):
        await check_sound(Hoarse(), VoiceSpec("hoarse"))


def test_engines_name_what_they_do() -> None:
    assert Operation.TRANSCRIBE in engine("xla").operations  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType]
    assert ProcessEngine().operations == {Operation.SYNTHESISE}
