"""Opening models that hear and speak on the engine that runs them, as `text_models` does for texts."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import anyio
import anyio.to_thread

from ...base.problems import OutsideError
from ...executor.engines.families import Operation, operations
from ...executor.engines.speech.sources import TranscribingSpec, VoiceSpec
from .. import problems, store
from ..extras import need_models

if TYPE_CHECKING:
    from ...executor.engines.families import (
        SynthesisingEngine,
        SynthesisingModel,
        TranscribingEngine,
        TranscribingModel,
    )
    from ...executor.engines.protocol import Engine
    from ..catalogue import Entry
    from ..kinds import Environment
    from ..models.silero import Silero

LISTENER = "silero-vad"
_OURS = {Operation.TRANSCRIBE: "xla", Operation.SYNTHESISE: "process"}
_WHAT = {Operation.TRANSCRIBE: "a recogniser of speech", Operation.SYNTHESISE: "a voice"}


async def load_recognizer(environment: Environment, name: str, engine: str) -> TranscribingModel:
    """The recogniser of speech of that name. Raises `OutsideError`: engine-unknown, engine-unsuitable, wrong-role,
    what the store and the engine raise."""
    from ..models.opening import open_transcriber

    if not engine:
        need_models(_WHAT[Operation.TRANSCRIBE])
    chosen = _engine(environment, Operation.TRANSCRIBE, engine)
    entry = _entry(name, "transcribe")
    files = await anyio.to_thread.run_sync(store.obtain, entry, environment.progress)
    source = open_transcriber(entry, files)
    return await cast("TranscribingEngine", chosen).load_transcribing(TranscribingSpec(name, source))


async def load_voice(environment: Environment, name: str, engine: str) -> SynthesisingModel:
    """The voice of that name. Raises as `load_recognizer`."""
    chosen = _engine(environment, Operation.SYNTHESISE, engine)
    entry = _entry(name, "speak")
    files = await anyio.to_thread.run_sync(store.obtain, entry, environment.progress)
    spec = VoiceSpec(name, entry.program, entry.voice, {role: str(path) for role, path in files.items()})
    return await cast("SynthesisingEngine", chosen).load_synthesising(spec)


async def load_listener(environment: Environment) -> Silero:
    """What tells when somebody speaks. Raises what the store raises, and model-does-not-load."""
    need_models("telling when somebody speaks")
    entry = store.entry(LISTENER)
    files = await anyio.to_thread.run_sync(store.obtain, entry, environment.progress)

    def read() -> Silero:
        from ..models.silero import Silero

        return Silero(files["weights"], LISTENER)

    return await anyio.to_thread.run_sync(read)


def _entry(name: str, role: str) -> Entry:
    entry = store.entry(name)
    if entry.role != role:
        raise OutsideError(problems.wrong_role(name, entry.role, role))
    return entry


def _engine(environment: Environment, operation: Operation, name: str) -> Engine:
    found = environment.engine(name)
    if operation in operations(found):
        return found
    if name:
        raise OutsideError(problems.engine_unsuitable(name, _WHAT[operation], _OURS[operation]))
    return environment.engine(_OURS[operation])
