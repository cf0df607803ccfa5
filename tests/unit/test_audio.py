"""Sound as a value: WAV files of every form in and out, at any rate, cut anywhere; and turns out of likelihoods."""

from __future__ import annotations

import struct
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agentlang.base.audio import Audio, NotSound, Reader, decoded, encoded, header, wav, whole
from agentlang.executor.engines.speech.resampling import Resampler
from agentlang.executor.values import NO_SHAPES, from_json, to_json
from agentlang.lang.types import Primitive
from agentlang.stdlib.speech import Cutter, Turns

AUDIO = Primitive("Audio")
SAMPLES = st.lists(st.integers(-32768, 32767), max_size=200)


def pcm(samples: list[int]) -> bytes:
    return struct.pack(f"<{len(samples)}h", *samples)


@given(samples=SAMPLES, rate=st.integers(4_000, 384_000))
def test_a_file_is_read_as_it_was_written(samples: list[int], rate: int) -> None:
    audio = Audio(pcm(samples), rate)
    assert whole(wav((audio,))) == audio
    assert decoded(encoded(audio)) == audio


@given(samples=SAMPLES, cuts=st.lists(st.integers(1, 50), min_size=1))
def test_where_a_file_is_cut_changes_nothing(samples: list[int], cuts: list[int]) -> None:
    data = wav((Audio(pcm(samples), 8_000),))
    reader, at, found = Reader(), 0, b""
    while at < len(data):
        size = cuts[at % len(cuts)]
        found += b"".join(piece.pcm for piece in reader.feed(data[at : at + size]))
        at += size
    assert found + b"".join(piece.pcm for piece in reader.end()) == pcm(samples)


def form(kind: int, channels: int, bits: int, data: bytes, extra: bytes = b"") -> bytes:
    block = channels * bits // 8
    told = struct.pack("<HHIIHH", kind, channels, 16_000, 16_000 * block, block, bits) + extra
    junk = b"LIST" + struct.pack("<I", 3) + b"abc\0"
    return (
        b"RIFF\0\0\0\0WAVE"
        + junk
        + b"fmt "
        + struct.pack("<I", len(told))
        + told
        + b"data"
        + struct.pack("<I", len(data))
        + data
    )


@pytest.mark.parametrize(
    ("kind", "channels", "bits", "data"),
    [
        (1, 1, 8, bytes([128, 228, 28])),
        (1, 1, 16, pcm([0, 25600, -25600])),
        (1, 2, 16, pcm([100, -100, 25500, 25700, -25600, -25600])),
        (1, 1, 24, b"\0\0\0" + b"\x07" + pcm([25600]) + b"\xff" + pcm([-25600])),
        (1, 1, 32, struct.pack("<3i", 0, 25600 << 16, -25600 << 16)),
        (3, 1, 32, struct.pack("<3f", 0.0, 25600 / 32767, -25600 / 32767)),
        (3, 1, 64, struct.pack("<3d", 0.0, 25600 / 32767, -25600 / 32767)),
    ],
)
def test_samples_of_every_form(kind: int, channels: int, bits: int, data: bytes) -> None:
    found = np.frombuffer(whole(form(kind, channels, bits, data)).pcm, "<i2")
    assert np.abs(found - np.array([0, 25600, -25600])).max() <= 1
    extensible = struct.pack("<HHI", 22, bits, 0) + struct.pack("<H", kind) + bytes(14)
    assert np.array_equal(np.frombuffer(whole(form(0xFFFE, channels, bits, data, extensible)).pcm, "<i2"), found)


def test_what_is_no_number_is_silence() -> None:
    data = struct.pack("<4f", float("nan"), float("inf"), 7.0, -7.0)
    assert np.frombuffer(whole(form(3, 1, 32, data)).pcm, "<i2").tolist() == [0, 32767, 32767, -32767]


def test_samples_alone_are_sound() -> None:
    assert whole(pcm([1, 2, 3])) == Audio(pcm([1, 2, 3]), 16_000)
    assert whole(b"") == Audio(b"", 16_000)
    assert whole(b"R\0") == Audio(b"R\0", 16_000)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"RIFF\0\0\0\0AVI LIST", "no WAV"),
        (b"RIFF\0\0\0\0WAVE", "ends before its samples"),
        (b"RIFF\0\0\0\0WAVEdata\0\0\0\0", "before it says"),
        (form(0x55, 1, 16, b""), "compressed"),
        (form(1, 1, 12, b""), "12 bits"),
        (form(1, 0, 16, b""), "0 channels"),
        (header(1, 2), "1 samples a second"),
        (b"RIFF\0\0\0\0WAVEjunk" + struct.pack("<I", 2**31) + bytes(2 << 20), "within its first 1 MiB"),
        (b"RIFF\0\0\0\0WAVEfmt " + struct.pack("<I", 2**31), "does not say what its samples are"),
    ],
)
def test_files_that_are_no_sound(data: bytes, words: str) -> None:
    with pytest.raises(NotSound, match=words):
        whole(data)


@settings(max_examples=300)
@given(data=st.data())
def test_a_damaged_file_is_sound_or_none(data: st.DataObject) -> None:
    changed = bytearray(wav((Audio(pcm([1, -2, 3] * 9), 16_000),)))
    for _ in range(data.draw(st.integers(1, 4))):
        changed[data.draw(st.integers(0, 43))] = data.draw(st.integers(0, 255))
    try:
        found = whole(bytes(changed[: data.draw(st.integers(0, len(changed)))]))
    except NotSound:
        return
    assert len(found.pcm) <= 4 * len(changed)


def test_sound_is_a_file_in_json() -> None:
    audio = Audio(pcm([5, 6]), 22_050)
    value, found = from_json(to_json(audio), AUDIO, NO_SHAPES, "clip")
    assert (value, found) == (audio, ())
    assert from_json(audio, AUDIO, NO_SHAPES, "clip") == (audio, ())
    for wrong in ("no sound", 5, None):
        value, found = from_json(wrong, AUDIO, NO_SHAPES, "clip")
        assert [problem.slug for problem in found] == ["argument-type"]


# Rates.


@pytest.mark.parametrize(
    ("given_rate", "wanted"), [(8_000, 16_000), (22_050, 16_000), (44_100, 16_000), (48_000, 16_000)]
)
def test_a_tone_stays_a_tone(given_rate: int, wanted: int) -> None:
    time = np.arange(given_rate) / given_rate
    resampler = Resampler(given_rate, wanted)
    tone = np.sin(2 * np.pi * 440 * time).astype(np.float32)
    found = np.concatenate([resampler.push(tone), resampler.end()])
    assert abs(len(found) - wanted) <= 1
    wanted_tone = np.sin(2 * np.pi * 440 * np.arange(len(found)) / wanted)
    assert np.abs(found - wanted_tone)[300:-300].max() < 1e-4


def test_what_is_too_high_for_the_rate_is_gone() -> None:
    time = np.arange(48_000) / 48_000
    resampler = Resampler(48_000, 16_000)
    found = np.concatenate([resampler.push(np.sin(2 * np.pi * 12_000 * time).astype(np.float32)), resampler.end()])
    assert np.abs(found)[300:-300].max() < 1e-3


@given(cuts=st.lists(st.integers(0, 400), max_size=6), rates=st.sampled_from([(8_000, 16_000), (22_050, 16_000)]))
def test_where_sound_is_cut_changes_no_sample(cuts: list[int], rates: tuple[int, int]) -> None:
    sound = np.random.default_rng(0).standard_normal(400).astype(np.float32)
    alone, pieces = Resampler(*rates), Resampler(*rates)
    wanted = np.concatenate([alone.push(sound), alone.end()])
    places = sorted({0, 400, *cuts})
    found = np.concatenate([*(pieces.push(sound[a:b]) for a, b in pairwise(places)), pieces.end()])
    assert np.array_equal(found, wanted)


# Turns: a step is a letter, `S` somebody, `.` nobody, `-` in between.

_LIKELY = {"S": 0.9, "-": 0.4, ".": 0.1}


def turns(steps: str, **said: float) -> list[str]:
    """The turns of steps of a tenth of a second."""
    cutter = Cutter(lambda step: _LIKELY[step.decode()], 0.1, Turns(**said))
    found = [turn.decode() for step in steps if (turn := cutter.feed(step.encode())) is not None]
    last = cutter.end()
    return [*found, last.decode()] if last is not None else found


@pytest.mark.parametrize(
    ("steps", "wanted"),
    [
        ("..........", []),
        (".....SSSSS..........", ["...SSSSS.."]),
        (".....SSSSS", ["...SSSSS"]),
        (".....S..........", []),  # A click.
        ("..SSSS...SSSS........", ["..SSSS...SSSS.."]),  # A breath.
        ("..SSSS........SSSS........", ["..SSSS..", "...SSSS.."]),
        (".....SSS--------SSS........", ["...SSS--------SSS.."]),  # Neither: goes on.
        ("--------", []),
        ("S.......SSSS.......", ["...SSSS.."]),  # What came before a click may be a turn's beginning.
    ],
)
def test_turns(steps: str, wanted: list[str]) -> None:
    assert turns(steps) == wanted


def test_who_never_pauses_is_cut() -> None:
    found = turns("S" * 50, longest=2.0)
    assert [len(turn) for turn in found] == [20, 20, 10]


@given(steps=st.text("S-.", max_size=120))
def test_turns_are_parts_of_what_was_heard(steps: str) -> None:
    found = turns(steps)
    at = 0
    for turn in found:
        place = steps.find(turn, at)
        assert place >= 0
        assert turn.count("S") + turn.count("-") >= 2
        at = place + 1
    assert sum(turn.count("S") for turn in found) <= steps.count("S")
