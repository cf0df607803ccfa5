"""Whisper without its weights: the mathematics against a slow copy, what may follow what, and files that lie."""

from __future__ import annotations

import struct
from collections.abc import AsyncIterator
from pathlib import Path

import anyio
import jax
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_whisper import CONTEXT, MELS, POSITIONS, VOCAB, WORDS, D, ctranslate2, plain_logits, tensors, tiny_whisper

from agentlang.base.problems import OutsideError
from agentlang.executor.engines.speech.sources import TranscribingSpec
from agentlang.executor.engines.xla.transcribing import XlaRecognizer, load
from agentlang.stdlib.models import mel, whisper
from agentlang.stdlib.models.checkpoint import DamagedFile
from agentlang.stdlib.models.ctranslate2_file import CTranslate2File
from agentlang.stdlib.models.whisper_config import WINDOW, WhisperConfig, read_config, read_weights
from agentlang.stdlib.models.whisper_reading import WhisperReading, WhisperWords
from agentlang.stdlib.models.whisper_source import WhisperFile


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return tiny_whisper(tmp_path_factory.mktemp("whisper"), layers=2)


@pytest.fixture(scope="module")
def config(files: dict[str, Path]) -> WhisperConfig:
    return read_config(CTranslate2File(files["weights"]))


@pytest.fixture(scope="module")
def words(files: dict[str, Path], config: WhisperConfig) -> WhisperWords:
    return WhisperWords(files["tokenizer"], files["config"], config)


def test_figures_are_read_off_the_tensors(config: WhisperConfig) -> None:
    assert (config.mels, config.d_model, config.heads, config.ffn) == (MELS, D, 2, 32)
    assert (config.encoder_layers, config.decoder_layers) == (2, 2)
    assert (config.vocab, config.positions, config.context) == (VOCAB, POSITIONS, CONTEXT)


def test_logits_are_those_of_the_slow_copy(files: dict[str, Path], config: WhisperConfig) -> None:
    """The encoder, and each step with its cache, against the whole computed anew in f64."""
    weights = read_weights(CTranslate2File(files["weights"]), config)
    features = np.random.default_rng(1).standard_normal((2 * POSITIONS, MELS)).astype(np.float32)
    heard = jax.jit(lambda w, f: whisper.encode(config, w, f))(weights, features)
    cache = jax.tree.map(lambda s: np.zeros(s.shape, s.dtype), whisper.cache_shapes(config, CONTEXT))
    step = jax.jit(lambda w, h, c, t, p: whisper.step(config, w, h, c, t, p))
    tokens = [5, 17, 3, 40]
    for position, token in enumerate(tokens):
        logits, cache = step(weights, heard, cache, np.int32(token), np.int32(position))
        wanted = plain_logits(tensors(layers=2), features, tokens[: position + 1], layers=2)
        assert np.abs(np.asarray(logits) - wanted).max() < 2e-4


def test_shapes_are_those_of_the_weights(files: dict[str, Path], config: WhisperConfig) -> None:
    weights = read_weights(CTranslate2File(files["weights"]), config)
    told = jax.tree.map(lambda leaf: leaf.shape, whisper.weight_shapes(config))
    assert told == jax.tree.map(lambda leaf: leaf.shape, weights)


def test_a_tone_is_in_its_band() -> None:
    """A pure tone is loudest in the band that has its pitch, and silence is the floor everywhere."""
    bands = mel.bands(80)
    time = np.arange(WINDOW // 30) / 16_000
    for pitch in (300.0, 1_000.0, 3_000.0):
        found = mel.features(np.sin(2 * np.pi * pitch * time).astype(np.float32), 80)
        loudest = int(found[20].argmax())
        nearest = int(np.argmax(bands[round(pitch / 40)]))
        assert abs(loudest - nearest) <= 1
    silence = mel.features(np.zeros(1000, np.float32), 80)
    assert silence.shape == (3000, 80)
    assert np.all(silence == silence[0, 0])


# What may follow what.


@settings(max_examples=60)
@given(seed=st.integers(0, 2**32), sharp=st.sampled_from([0.5, 3.0, 10.0]), length=st.integers(8_000, WINDOW))
def test_whatever_the_logits_time_goes_forward(words: WhisperWords, seed: int, sharp: float, length: int) -> None:
    draw = np.random.default_rng(seed)
    reading = WhisperReading(words, length, None)
    token: int | None = reading.prompt[0]
    taken: list[int] = []
    for position in range(CONTEXT):
        token = reading.choose((sharp * draw.standard_normal(VOCAB)).astype(np.float32), position)
        if token is None:
            break
        if position + 1 >= len(reading.prompt):
            taken.append(token)
    assert reading.language in ("en", "de")
    assert len(reading.prompt) == 3
    assert len(taken) <= CONTEXT // 2
    assert not set(taken) & set(words.never)
    times = [token for token in taken if token >= words.first_time]
    assert times == sorted(times)
    if taken:
        assert words.first_time <= taken[0] <= words.first_time + 50
    # A time that ends a text is followed by one that begins the next, or by nothing.
    for before, at, behind in zip(taken, taken[1:], taken[2:], strict=False):
        if before < words.first_time <= at:
            assert behind >= words.first_time
    ends = 0.0
    for segment in reading.segments():
        assert ends <= segment.start < segment.end <= length / 16_000 + 1e-9
        ends = segment.end
    assert 0 < reading.heard <= length


def test_a_known_language_is_not_asked_for(words: WhisperWords) -> None:
    reading = WhisperReading(words, 16_000, "de")
    assert [words.languages.get(token) for token in reading.prompt] == [None, "de", None]


def test_nobody_speaks(words: WhisperWords) -> None:
    """Where the model says that nobody speaks, and is unsure of the text, there is none."""
    for silent, many in ((0.9, 0), (0.0, 1)):
        reading = WhisperReading(words, 16_000, "en")
        logits = np.zeros(VOCAB, np.float32)
        logits[words.silent] = 50.0 * silent
        for position in range(8):
            logits[5] = 0.5 if position == 3 else 0.0
            if reading.choose(logits, position) is None:
                break
        assert bool(reading.segments()) == bool(many) or not many


def test_a_text_that_goes_on_is_left_to_the_next_window(words: WhisperWords) -> None:
    first = words.first_time

    def said(*tokens: int) -> WhisperReading:
        reading = WhisperReading(words, WINDOW, "en")
        for number, token in enumerate((*tokens, words.end)):
            logits = np.full(VOCAB, -5.0, np.float32)
            logits[token] = 100.0
            reading.choose(logits, 2 + number)
        return reading

    going_on = said(first, 5, 6, first + 500, first + 500)
    assert going_on.heard == 10 * 16_000
    assert [(part.start, part.end) for part in going_on.segments()] == [(0.0, 10.0)]
    over = said(first, 5, first + 500)
    assert over.heard == WINDOW
    untimed = said(first, 5, 6)
    assert [(part.start, part.end) for part in untimed.segments()] == [(0.0, 30.0)]


# The engine, on random weights.


def test_programs_are_kept(files: dict[str, Path], tmp_path: Path) -> None:
    """A second process (a second model, here) loads what the first compiled, and hears the same."""
    source = WhisperFile(files, "tiny")
    sound = np.random.default_rng(2).integers(-3000, 3000, 48_000).astype("<i2").tobytes()

    async def heard(model: XlaRecognizer) -> list[object]:
        async def pieces() -> AsyncIterator[bytes]:
            yield sound

        return [segment async for segment in model.transcribe(pieces(), 16_000)]

    found: list[list[object]] = []
    compiled: list[int] = []
    for _ in range(2):
        model = XlaRecognizer(source, tmp_path)
        model.open()
        found.append(anyio.run(heard, model))
        compiled.append(model.compiled)
    assert compiled == [3, 0]
    assert found[0] == found[1]


# Files that lie.


@settings(max_examples=150)
@given(data=st.data())
def test_a_damaged_file_is_a_problem(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    """Cut anywhere, or with any bytes changed: what is read is what was written, or `DamagedFile`."""
    whole = _SMALL
    cut = data.draw(st.integers(0, len(whole)))
    changed = bytearray(whole[:cut] if data.draw(st.booleans()) else whole)
    for _ in range(data.draw(st.integers(0, 3))):
        if changed:
            changed[data.draw(st.integers(0, len(changed) - 1))] = data.draw(st.integers(0, 255))
    path = tmp_path_factory.getbasetemp() / "damaged.bin"
    path.write_bytes(bytes(changed))
    try:
        file = CTranslate2File(path)
        for name, shape in file.shapes.items():
            assert file.tensor(name, *shape).shape == shape
        read_config(file)
    except DamagedFile:
        pass


_SMALL = ctranslate2({"a/b": np.ones((2, 3), np.float32), "encoder/num_heads": np.array(2, np.int16)})


@pytest.mark.parametrize(
    ("place", "value", "words"),
    [
        (0, struct.pack("<I", 99), "no CTranslate2 file of version"),
        (22, struct.pack("<I", 2**31), "says that it has 2,147,483,648 tensors"),
        (32, b"\xff", "axes"),
        (33, struct.pack("<II", 2**31, 2**31), "which is not its shape"),
        (41, b"\x09", "unknown type 9"),
    ],
)
def test_sizes_that_lie_are_refused(tmp_path: Path, place: int, value: bytes, words: str) -> None:
    data = bytearray(_SMALL)
    data[place : place + len(value)] = value
    path = tmp_path / "model.bin"
    path.write_bytes(bytes(data))
    with pytest.raises(DamagedFile, match=words):
        CTranslate2File(path)


def test_a_model_that_does_not_fit_is_a_problem(files: dict[str, Path], tmp_path: Path) -> None:
    for held, why in (
        ({"decoder/embeddings/weight": np.ones((4, 4), np.float32)}, "is missing"),
        ({**tensors(), "encoder/num_heads": np.array(3, np.int16)}, "do not share"),
        ({**tensors(), "encoder/activation": np.array(0, np.int8)}, "another activation"),
    ):
        path = tmp_path / "model.bin"
        path.write_bytes(ctranslate2(held))

        spec = TranscribingSpec("broken", WhisperFile({**files, "weights": path}, "broken"))
        with pytest.raises(OutsideError) as caught:
            anyio.run(load, spec, False)
        assert caught.value.problem.slug == "model-does-not-load"
        assert why in caught.value.problem.title


def test_a_tokenizer_of_another_model_is_a_problem(files: dict[str, Path], tmp_path: Path) -> None:
    config_file = tmp_path / "config.json"
    config_file.write_text('{"suppress_ids": [99999999], "suppress_ids_begin": []}')
    with pytest.raises(OutsideError, match="names tokens that are none"):
        WhisperFile({**files, "config": config_file}, "tiny").reading(1, None)
    assert len(WORDS) == 40
