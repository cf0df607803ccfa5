"""Promises of models that hear and of models that speak. A recogniser is asked with noise, for any model hears that; a
voice with sentences."""

from __future__ import annotations

import random
import struct
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import TYPE_CHECKING, TypeVar, cast

import anyio

from ..families import (
    Operation,
    Segment,
    SynthesisingEngine,
    SynthesisingModel,
    TranscribingEngine,
    TranscribingModel,
)
from ..protocol import Engine
from .promises import at_once, opened, promised

if TYPE_CHECKING:
    from ..speech.sources import TranscribingSpec, VoiceSpec

T = TypeVar("T")
RATE = 16_000
SENTENCE = "The mountain railway runs every hour from the valley to the top."
_LONGEST_PIECE = 0.5


def transcribing(engine: Engine, spec: TranscribingSpec) -> AbstractAsyncContextManager[TranscribingModel]:
    return opened(engine, Operation.TRANSCRIBE, lambda: cast(TranscribingEngine, engine).load_transcribing(spec))


def synthesising(engine: Engine, spec: VoiceSpec) -> AbstractAsyncContextManager[SynthesisingModel]:
    return opened(engine, Operation.SYNTHESISE, lambda: cast(SynthesisingEngine, engine).load_synthesising(spec))


@asynccontextmanager
async def dropped(sound: AsyncIterator[T]) -> AsyncGenerator[AsyncIterator[T]]:
    """The iterator, closed afterwards."""
    try:
        yield sound
    finally:
        close = getattr(sound, "aclose", None)
        if close is not None:
            with anyio.CancelScope(shield=True):
                await close()


def noise(seconds: float, loud: int = 3_000) -> bytes:
    """The same noise each time, 16-bit samples."""
    draw = random.Random(5)
    return b"".join(struct.pack("<h", draw.randint(-loud, loud)) for _ in range(int(seconds * RATE)))


async def heard(model: TranscribingModel, pcm: bytes, piece: int = 8_000, rate: int = RATE) -> list[Segment]:
    async def pieces() -> AsyncIterator[bytes]:
        for at in range(0, len(pcm), piece):
            yield pcm[at : at + piece]

    return [segment async for segment in model.transcribe(pieces(), rate)]


async def check_segments(engine: Engine, spec: TranscribingSpec) -> None:
    """Segments lie within the audio, in order, and have words; nothing at all is no segment."""
    async with transcribing(engine, spec) as model:
        promised(await heard(model, b"") == [], "no audio has no segments")
        found = await heard(model, noise(2.0))
        before = 0.0
        for segment in found:
            promised(
                before <= segment.start < segment.end <= 2.0 + 1e-6, "segments are in order, in the audio", segment
            )
            promised(segment.text.strip(), "a segment has words", segment)
            before = segment.end


async def check_pieces(engine: Engine, spec: TranscribingSpec) -> None:
    """How audio is cut into pieces changes nothing, not even in the middle of a sample."""
    async with transcribing(engine, spec) as model:
        sound = noise(1.0)
        whole = await heard(model, sound, len(sound))
        promised(await heard(model, sound, 777) == whole, "pieces of 777 bytes say what one piece says", whole)


async def check_two_heard(engine: Engine, spec: TranscribingSpec) -> None:
    """Two who are heard at once are each heard as alone."""
    async with transcribing(engine, spec) as model:
        sounds = (noise(1.0), noise(1.5, 200))
        alone = [await heard(model, sound) for sound in sounds]
        together = await at_once(2, lambda number: heard(model, sounds[number]))
        promised(together == alone, "who is heard beside another is heard as alone", together)


async def check_hearing_dropped(engine: Engine, spec: TranscribingSpec) -> None:
    """A call that is cancelled is over soon, and the model hears others."""
    async with transcribing(engine, spec) as model:
        with anyio.move_on_after(0.05):
            await heard(model, noise(3.0))
        with anyio.fail_after(20):
            await heard(model, noise(0.5))


async def check_sound(engine: Engine, spec: VoiceSpec) -> None:
    """Sound is whole samples, in pieces of at most half a second, and lasts about as long as one speaks."""
    async with synthesising(engine, spec) as model:
        promised(4_000 <= model.rate <= 384_000, "a voice has a rate", model.rate)
        seconds = 0.0
        async with dropped(model.synthesise(SENTENCE)) as sound:
            async for piece in sound:
                promised(piece and len(piece) % 2 == 0, "a piece is whole samples", len(piece))
                promised(len(piece) / 2 / model.rate <= _LONGEST_PIECE, "a piece is short", len(piece))
                seconds += len(piece) / 2 / model.rate
        promised(1.0 < seconds < 15.0, "a sentence of a dozen words takes some seconds", seconds)


async def check_wordless(engine: Engine, spec: VoiceSpec) -> None:
    """A text without words is no sound and no failure."""
    async with synthesising(engine, spec) as model:
        for text in ("", " \n", "…", "--"):
            said = [piece async for piece in model.synthesise(text)]
            promised(said == [], "nothing is said of what has no words", text)


async def check_only_text(engine: Engine, spec: VoiceSpec) -> None:
    """A text is nothing but text: no option, no command, no file."""
    async with synthesising(engine, spec) as model:
        for text in (
            "-o /tmp/never --help",
            "$(exit 3); `exit 3` | exit 3",
            "</speak> & 'quotes' \"too\"",
            "Grüße, 你好 👋 x\0y",
        ):
            with anyio.fail_after(20):
                async with dropped(model.synthesise(text)) as sound:
                    async for piece in sound:
                        promised(len(piece) % 2 == 0, "a piece is whole samples", len(piece))


async def check_speaking_dropped(engine: Engine, spec: VoiceSpec) -> None:
    """Who drops the sound stops the work; the voice speaks on for others."""
    async with synthesising(engine, spec) as model:
        with anyio.fail_after(20):
            async with dropped(model.synthesise(f"{SENTENCE} " * 8)) as sound:
                await anext(aiter(sound))
        promised([piece async for piece in model.synthesise("Yes.")], "a voice goes on after one was dropped")
