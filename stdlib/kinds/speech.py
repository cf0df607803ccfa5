"""Speech: a microphone's sound to turns, turns to text, texts to sound. The engines do the work; this file turns
arguments into its calls and its ends into values of the language.

A stage that reads sound computes in threads, so that the event loop hears an interruption at once.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import aclosing
from typing import TYPE_CHECKING, Any, cast

import anyio
import anyio.to_thread

from ...base.audio import Audio
from ...executor.kinds import Context, Kind, Opener
from . import Environment

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ...executor.engines.families import SynthesisingModel, TranscribingModel
    from ..models.silero import Silero
    from ..speech import LiveTurn

_LISTENED = 16_000
"""Bytes of sound that are listened to at once: half a second."""
_PIECE_SECONDS = 1.0
"""Sound that goes to a recogniser in one piece."""


def stages(environment: Environment) -> Mapping[str, Kind]:
    return {"utterances": Utterances(environment), "transcribe": transcribe, "speak": speak}


def openers(environment: Environment) -> Mapping[str, Opener]:
    async def open_recognizer(name: str, arguments: Mapping[str, object]) -> TranscribingModel:
        from ..speech.models import load_recognizer

        del name
        return await load_recognizer(environment, cast(str, arguments["name"]), cast(str, arguments.get("engine", "")))

    async def open_voice(name: str, arguments: Mapping[str, object]) -> SynthesisingModel:
        from ..speech.models import load_voice

        del name
        return await load_voice(environment, cast(str, arguments["name"]), cast(str, arguments.get("engine", "")))

    return {"recognizer": open_recognizer, "voice": open_voice}


class Utterances:
    """`speech:utterances`. What tells when somebody speaks is read once. A turn is given out when it has ended, or with
    `live` when it has begun: then it is a `LiveTurn`, which `transcribe` listens to."""

    def __init__(self, environment: Environment) -> None:
        self._environment = environment
        self._listener: Silero | None = None
        self._lock = anyio.Lock()

    async def __call__(self, context: Context, arguments: Mapping[str, object]) -> AsyncIterator[Audio | LiveTurn]:
        """Each turn once its speaker has paused, with a little before and behind."""
        from ..models.silero import RATE, STEP, Hearing
        from ..speech import Cutter, LiveTurn

        del context
        async with self._lock:
            if self._listener is None:
                from ..speech.models import load_listener

                self._listener = await load_listener(self._environment)
        heard = Hearing(self._listener)
        cutter = Cutter(lambda step: heard.step(_samples(step)), STEP / RATE)
        live = LiveTurn(RATE) if arguments.get("live") else None
        given = False

        def cut(data: bytes) -> tuple[list[tuple[bytes, bytes | None]], bytes]:
            """Each step, with the turn that ended in it; and what is left for the next."""
            whole = len(data) // (2 * STEP) * 2 * STEP
            steps = [data[at : at + 2 * STEP] for at in range(0, whole, 2 * STEP)]
            return [(step, cutter.feed(step)) for step in steps], data[whole:]

        rest = b""
        try:
            async with aclosing(_at_rate(cast("AsyncIterator[Audio]", arguments["microphone"]), RATE)) as sound:
                async for pcm in sound:
                    # Half a second at most: an interruption is to be seen while it is spoken.
                    rest += pcm
                    while len(rest) >= 2 * STEP:
                        taken, behind = rest[:_LISTENED], rest[_LISTENED:]
                        steps, left = await anyio.to_thread.run_sync(cut, taken)
                        rest = left + behind
                        for step, turn in steps:
                            if live is None:
                                if turn is not None:
                                    yield Audio(turn, RATE)
                                continue
                            if given:
                                live.add(step)
                            if turn is not None:
                                if not given:
                                    live.add(turn)
                                    yield live
                                live.end()
                                live, given = LiveTurn(RATE), False
                        if live is not None and not given and cutter.speaking:
                            live.add(cutter.spoken)
                            given = True
                            yield live
            last = cutter.end()
            if live is None and last is not None:
                yield Audio(last + rest, RATE)
        finally:
            if live is not None:
                live.end()


async def transcribe(context: Context, arguments: Mapping[str, object]) -> str:
    """What was said. Silence is an empty text."""
    model = cast("TranscribingModel", arguments["self"])
    audio = cast("Audio | LiveTurn", arguments["audio"])
    before = getattr(model, "compiled", 0)

    async def pieces() -> AsyncIterator[bytes]:
        assert isinstance(audio, Audio)
        size = int(audio.rate * _PIECE_SECONDS) * 2
        for at in range(0, len(audio.pcm), size):
            yield audio.pcm[at : at + size]

    said: list[str] = []
    # An iterator that is dropped stops the work: so does a call that is cancelled.
    segments = model.transcribe(pieces() if isinstance(audio, Audio) else audio.pieces(), audio.rate)
    try:
        async for segment in segments:
            said.append(segment.text)
    finally:
        await _closed(segments)
    context.usage.add("audio_seconds_in", audio.seconds)
    if getattr(model, "compiled", 0) > before:
        context.usage.add("programs_compiled", getattr(model, "compiled", 0) - before)
    return "".join(said).strip()


async def speak(context: Context, arguments: Mapping[str, object]) -> AsyncIterator[Audio]:
    """The texts, spoken: sentence by sentence, each as soon as it is there."""
    from ..text import Sentences

    voice = cast("SynthesisingModel", arguments["self"])
    cutter = Sentences()
    seconds = 0.0

    async def spoken(text: str) -> AsyncGenerator[Audio]:
        nonlocal seconds
        pieces = voice.synthesise(text)
        try:
            async for pcm in pieces:
                piece = Audio(pcm, voice.rate)
                seconds += piece.seconds
                yield piece
        finally:
            await _closed(pieces)

    try:
        async for text in cast("AsyncIterator[str]", arguments["text"]):
            whole = cutter.feed(text)
            # An item that ends a sentence is no part of a longer one: it need not wait for what follows.
            if text.rstrip().endswith((".", "!", "?", "…")) and len(text) > _TOKEN:
                whole += cutter.end()
            for sentence in whole:
                async with aclosing(spoken(sentence)) as pieces:
                    async for piece in pieces:
                        yield piece
        for sentence in cutter.end():
            async with aclosing(spoken(sentence)) as pieces:
                async for piece in pieces:
                    yield piece
    finally:
        context.usage.add("audio_seconds_out", seconds)


_TOKEN = 16
"""Characters of what may be a piece of a reply, and says nothing of where a sentence ends ("Mr.")."""


async def _at_rate(sound: AsyncIterator[Audio], rate: int) -> AsyncGenerator[bytes]:
    """Sound of any rate as samples of one; where the rate changes on the way, so does what is around a sample."""
    from ...executor.engines.speech.resampling import Resampler

    resampler, given = Resampler(rate, rate), rate
    async for piece in sound:
        if piece.rate != given:
            resampler, given = Resampler(piece.rate, rate), piece.rate
        if given == rate:
            yield piece.pcm
        else:
            yield _pcm(await anyio.to_thread.run_sync(resampler.push, _samples(piece.pcm)))
    if given != rate:
        yield _pcm(resampler.end())


def _samples(pcm: bytes) -> NDArray[Any]:
    import numpy as np

    return np.frombuffer(pcm, "<i2", len(pcm) // 2).astype(np.float32) / 32768.0


def _pcm(samples: object) -> bytes:
    import numpy as np

    return np.clip(np.asarray(samples) * 32768.0, -32768, 32767).astype("<i2").tobytes()


async def _closed(stream: AsyncIterator[object]) -> None:
    close = getattr(stream, "aclose", None)
    if close is not None:
        with anyio.CancelScope(shield=True):
            await close()
