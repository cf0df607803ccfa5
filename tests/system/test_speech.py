"""Speech on real recordings, real weights and real voices: what is written down, where turns are cut, what is spoken,
and what becomes of an answer that is spoken over."""

from __future__ import annotations

import math
import subprocess
import sys
from collections.abc import AsyncIterator, Iterable
from pathlib import Path
from typing import Any

import anyio
import numpy as np
import pytest
from cli_runs import EXAMPLES, agentlang, models_here
from program_runs import compiled
from speech_clips import Clip, clips, errors, files, recognizer, voice, words

from agentlang.api import Compiled, run
from agentlang.base.audio import Audio, wav, whole
from agentlang.executor.engines.families import Segment
from agentlang.executor.engines.speech.resampling import Resampler
from agentlang.executor.engines.xla.transcribing import XlaRecognizer, load
from agentlang.executor.frames import End, Item
from agentlang.stdlib.models.silero import STEP, Hearing, Silero

pytestmark = pytest.mark.models
PROGRAM = Path(__file__).with_name("speech.agent")
RATE = 16_000


@pytest.fixture(scope="module")
def program() -> Compiled:
    recognizer()
    files("silero-vad")
    voice("flite-kal")
    return compiled(PROGRAM)


def silence(seconds: float) -> bytes:
    # No microphone gives nothing at all.
    draw = np.random.default_rng(4)
    return draw.integers(-20, 20, int(seconds * RATE)).astype("<i2").tobytes()


async def transcribed(model: XlaRecognizer, audio: Audio) -> list[Segment]:
    async def pieces() -> AsyncIterator[bytes]:
        for at in range(0, len(audio.pcm), 9_999):
            yield audio.pcm[at : at + 9_999]

    return [segment async for segment in model.transcribe(pieces(), audio.rate)]


def written(name: str, recordings: Iterable[Audio]) -> list[list[Segment]]:
    """What a model of the catalogue writes down."""
    spec = recognizer(name)

    async def main() -> list[list[Segment]]:
        model = await load(spec)
        found = [await transcribed(model, audio) for audio in recordings]
        await model.close()
        return found

    return anyio.run(main)


def said(segments: Iterable[Segment]) -> tuple[str, ...]:
    return words("".join(segment.text for segment in segments))


def wrong_words(name: str) -> list[int]:
    found = written(name, [clip.audio for clip in clips()])
    return [errors(clip.words, said(segments)) for clip, segments in zip(clips(), found, strict=True)]


def test_tiny_writes_the_clips_down() -> None:
    """Of 70 words, `ill disposed` is wrong, which CTranslate2 has wrong as well."""
    found = wrong_words("whisper-tiny.en")
    assert sum(found) <= 3, found
    assert found.count(0) >= 3, found


@pytest.mark.slow
def test_base_writes_the_clips_down_without_a_fault() -> None:
    assert sum(wrong_words("whisper-base")) == 0


def test_a_recording_longer_than_a_window() -> None:
    """Twice all clips: 50 s, cut into windows where a text ended; no word is lost or said twice at a seam."""
    every = tuple(word for clip in clips() for word in clip.words)
    pcm = b"".join(clip.audio.pcm for clip in clips())
    (found,) = written("whisper-tiny.en", [Audio(pcm + pcm)])
    assert errors((*every, *every), said(found)) <= 6
    times = [time for segment in found for time in (segment.start, segment.end)]
    assert times == sorted(times)
    assert 45 < times[-1] <= len(pcm) / RATE


def test_silence_says_nothing() -> None:
    assert written("whisper-tiny.en", [Audio(silence(3.0))]) == [[]]


def test_sound_of_another_rate_is_heard_alike() -> None:
    clip = clips()[4]
    samples = np.frombuffer(clip.audio.pcm, "<i2").astype(np.float32)
    resampler = Resampler(RATE, 44_100)
    there = np.concatenate([resampler.push(samples), resampler.end()])
    pcm = np.clip(there, -32768, 32767).astype("<i2").tobytes()
    (found,) = written("whisper-tiny.en", [Audio(pcm, 44_100)])
    assert said(found) == clip.words


# Turns.


def test_somebody_speaks() -> None:
    """Likely while the clip speaks, unlikely in silence, whatever was heard before."""
    heard = Hearing(Silero(files("silero-vad")["weights"], "silero-vad"))

    def likely(pcm: bytes) -> list[float]:
        samples = np.frombuffer(pcm, "<i2").astype(np.float32) / 32768
        return [heard.step(samples[at : at + STEP]) for at in range(0, len(samples) - STEP + 1, STEP)]

    for clip in clips():
        assert max(likely(silence(1.0))[10:]) < 0.3
        assert np.median(likely(clip.audio.pcm)) > 0.9
    assert all(math.isfinite(value) for value in likely(b"\xff\x7f" * RATE))


async def microphone(pieces: Iterable[Audio]) -> AsyncIterator[Audio]:
    for piece in pieces:
        for at in range(0, len(piece.pcm), 3_200):
            yield Audio(piece.pcm[at : at + 3_200], piece.rate)
            await anyio.lowlevel.checkpoint()


def items(program: Compiled, pipeline: str, inputs: dict[str, object]) -> list[Any]:
    async def main() -> list[Any]:
        found: list[Any] = []
        with anyio.fail_after(100):
            async with run(program, pipeline, inputs) as frames:
                last: Any = None
                async for last in frames:
                    if isinstance(last, Item):
                        found.append(last.output)
        assert isinstance(last, End)
        assert last.outcome.status == "done", last.outcome
        return found

    return anyio.run(main)


def conversation(recordings: Iterable[Clip]) -> list[Audio]:
    return [part for clip in recordings for part in (Audio(silence(1.0)), clip.audio)] + [Audio(silence(1.0))]


def test_a_microphone_is_cut_into_turns(program: Compiled) -> None:
    found = items(program, "cut", {"microphone": microphone(conversation(clips()))})
    assert len(found) == len(clips())
    for turn, clip in zip(found, clips(), strict=True):
        assert isinstance(turn, Audio)
        assert clip.audio.seconds - 0.8 < turn.seconds < clip.audio.seconds + 0.8


def test_what_is_heard_is_text(program: Compiled) -> None:
    found = items(program, "listen", {"microphone": microphone(conversation(clips()[:2]))})
    assert [errors(clip.words, words(text)) <= 2 for clip, text in zip(clips(), found, strict=False)] == [True, True]


# The command.


def test_a_file_in_and_text_out() -> None:
    recognizer()
    voice("flite-kal")
    clip = clips()[0]
    done = agentlang("run", f"{PROGRAM}:hear", f"clip=@{clip.path}", "--quiet")
    assert done.code == 0, done.err
    assert words(done.out) == clip.words


def test_text_in_and_a_file_out(tmp_path: Path) -> None:
    recognizer()
    voice("flite-kal")
    out = tmp_path / "said.wav"
    text = b"The train leaves at nine. Please be on time.\n"
    done = agentlang("run", f"{PROGRAM}:say", "text=@-", "--out", out, "--quiet", stdin=text)
    assert done.code == 0, done.err
    sound = whole(out.read_bytes())
    assert sound.rate == 8_000
    assert 2.0 < sound.seconds < 6.0
    heard = agentlang("run", f"{PROGRAM}:hear", f"clip=@{out}", "--quiet")
    assert errors(words("the train leaves at 9 please be on time"), words(heard.out.replace("nine", "9"))) <= 2


@pytest.mark.parametrize(
    ("pipeline", "given", "slug"),
    [
        ("hear", b"RIFF\0\0\0\0WAVEfmt \x10\0\0\0\x55\0" + bytes(14), "not-sound"),
        ("cut", b"RIFF\0\0\0\0AVI " + bytes(40), "not-sound"),
    ],
)
def test_what_is_no_sound_is_a_problem(tmp_path: Path, pipeline: str, given: bytes, slug: str) -> None:
    recognizer()
    voice("flite-kal")
    bad = tmp_path / "bad.wav"
    bad.write_bytes(given)
    name = {"hear": "clip", "cut": "microphone"}[pipeline]
    done = agentlang("run", f"{PROGRAM}:{pipeline}", f"{name}=@{bad}", "--quiet")
    assert done.code in (2, 3)
    assert slug in done.err


def test_out_is_for_sound(tmp_path: Path) -> None:
    recognizer()
    done = agentlang("run", f"{PROGRAM}:hear", f"clip=@{clips()[0].path}", "--out", tmp_path / "x.wav")
    assert (done.code, "no-sound" in done.err) == (2, True)
    done = agentlang("run", f"{PROGRAM}:say", "text=@-", "--out", "-", "--json", stdin=b"Yes.")
    assert (done.code, "sound-and-frames" in done.out) == (2, True)


def test_a_voice_whose_program_is_missing() -> None:
    recognizer()
    done = agentlang("run", f"{PROGRAM}:say", "text=@-", stdin=b"Yes.", PATH="/nowhere")
    assert done.code == 3
    assert "voice-program-missing" in done.err
    assert "apt install flite" in done.err


# Spoken over.


def spoken(program: Compiled, over: bool) -> float:
    """Seconds of sound that a listener hears of two answers: to a first clip, and to a second one that comes when the
    first answer has begun, or when it is over."""

    async def main() -> float:
        begun, ended = anyio.Event(), anyio.Event()
        heard: list[Audio] = []

        async def mic() -> AsyncIterator[Audio]:
            async for piece in microphone([Audio(silence(0.5)), clips()[1].audio, Audio(silence(1.0))]):
                yield piece
            await begun.wait()
            if not over:
                await ended.wait()
            async for piece in microphone([clips()[4].audio, Audio(silence(1.0))]):
                yield piece

        with anyio.fail_after(100):
            async with run(program, "answer", {"microphone": mic()}) as frames:
                last: Any = None

                async def watch() -> None:
                    # An answer is over when nothing of it came for a while.
                    while len(heard) < 3:
                        await anyio.sleep(0.05)
                    begun.set()
                    count = -1
                    while count != len(heard):
                        count = len(heard)
                        await anyio.sleep(2.0)
                    ended.set()

                async with anyio.create_task_group() as group:
                    group.start_soon(watch)
                    async for last in frames:
                        if isinstance(last, Item):
                            heard.append(last.output)  # pyright: ignore[reportArgumentType]
                            # A loudspeaker: four times as fast as life.
                            await anyio.sleep(heard[-1].seconds / 4)
                    group.cancel_scope.cancel()
        assert isinstance(last, End)
        assert last.outcome.status == "done", last.outcome
        return sum(piece.seconds for piece in heard)

    return anyio.run(main)


@pytest.mark.slow
def test_an_answer_that_is_spoken_over_ends(program: Compiled) -> None:
    """What was not heard of the first answer is dropped; the second is heard whole."""
    whole_of_both, cut = spoken(program, over=False), spoken(program, over=True)
    one = whole_of_both / 2
    assert whole_of_both > 30
    assert cut < whole_of_both - one / 2, (cut, whole_of_both)
    assert cut > one * 0.7, (cut, whole_of_both)


@pytest.mark.slow
def test_a_live_turn_interrupts_at_its_first_words(program: Compiled) -> None:
    """The answer ends while the one who interrupts still speaks, and goes on with what they said in full."""

    async def main() -> tuple[int, int, float]:
        begun = anyio.Event()
        heard: list[Audio] = []
        counts: list[int] = []
        second = clips()[4].audio.pcm

        async def mic() -> AsyncIterator[Audio]:
            async for piece in microphone([Audio(silence(0.5)), clips()[1].audio, Audio(silence(1.0))]):
                yield piece
            await begun.wait()
            async for piece in microphone([Audio(second[: 2 * RATE])]):
                yield piece
            # They go on speaking; nothing is said to them meanwhile.
            for _ in range(2):
                await anyio.sleep(2.0)
                counts.append(len(heard))
            async for piece in microphone([Audio(second[2 * RATE :]), Audio(silence(1.0))]):
                yield piece

        with anyio.fail_after(100):
            async with run(program, "answer_live", {"microphone": mic()}) as frames:
                last: Any = None
                async for last in frames:
                    if isinstance(last, Item):
                        heard.append(last.output)  # pyright: ignore[reportArgumentType]
                        if len(heard) == 3:
                            begun.set()
                        await anyio.sleep(heard[-1].seconds / 4)
        assert isinstance(last, End)
        assert last.outcome.status == "done", last.outcome
        return counts[0], counts[1], sum(piece.seconds for piece in heard)

    before, behind, seconds = anyio.run(main)
    assert before == behind
    assert before * 0.2 < 12
    assert seconds > 15


def test_live_turns_are_heard_whole(program: Compiled) -> None:
    found = items(program, "listen_live", {"microphone": microphone(conversation(clips()[3:]))})
    assert [errors(clip.words, words(text)) <= 2 for clip, text in zip(clips()[3:], found, strict=True)] == [True, True]


COMPANION = ("whisper-tiny.en", "silero-vad", "smollm2-135m-instruct", "all-minilm-l6-v2")


@pytest.mark.slow
@pytest.mark.skipif(
    not models_here(*COMPANION), reason="needs the models: agentlang models pull --for examples/voice/voice.agent"
)
def test_the_companion_hears_thinks_and_speaks(tmp_path: Path) -> None:
    voice("flite-slt")
    question = tmp_path / "question.wav"
    question.write_bytes(wav([Audio(silence(0.5)), clips()[1].audio, Audio(silence(1.0))]))
    out = tmp_path / "answer.wav"
    program = EXAMPLES / "voice" / "voice.agent"
    done = agentlang("run", f"{program}:companion", f"microphone=@{question}", "--out", out, "--quiet")
    assert done.code == 0, done.err
    answer = whole(out.read_bytes())
    assert answer.seconds > 2.0
    (found,) = written("whisper-tiny.en", [answer])
    assert len(said(found)) > 5


@pytest.mark.slow
@pytest.mark.skipif(
    not models_here(*COMPANION), reason="needs the models: agentlang models pull --for examples/voice/voice.agent"
)
def test_the_companion_is_interrupted_over_three_processes(tmp_path: Path) -> None:
    voice("flite-slt")
    spoken = []
    for number, clip in enumerate(clips()[1:3]):
        spoken.append(tmp_path / f"{number}.wav")
        spoken[-1].write_bytes(wav([clip.audio]))
    talk = [sys.executable, EXAMPLES / "voice" / "talk.py", *spoken, "--interrupt", "1", "--program", "apart.agent"]
    words = [*talk, "--out", tmp_path / "answer.wav"]
    done = subprocess.run(words, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stderr
    assert "speak over it" in done.stdout
    first, second = (whole((tmp_path / f"answer-{number}.wav").read_bytes()) for number in (1, 2))
    # The first stopped soon after it was spoken over; of the second all was heard.
    assert 0.5 < first.seconds < 4.0
    assert second.seconds > 2.0
    (found,) = written("whisper-tiny.en", [second])
    assert len(said(found)) > 5
