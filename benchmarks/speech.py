"""Hearing, turns and speaking on real recordings: how much faster than life, and how many words are wrong.

The recordings are the five LibriVox clips of Debian's `pocketsphinx-testdata`, 25 s in all, with what is said in them.
Each recogniser of the catalogue that is here writes each clip down, several times; the least time counts. Beside it
faster-whisper (CTranslate2) on the same files, where it is installed, here or in the environment whose Python
`AGENTLANG_FASTER_WHISPER` names: f32 as ours, one beam, no temperature, the same number of threads.

    python -m benchmarks.speech [--repeats 3] [--only whisper-tiny.en] [--json]
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from pathlib import Path

import anyio
import numpy as np

from agentlang.base.audio import Audio, whole
from agentlang.base.problems import OutsideError
from agentlang.executor.engines.speech.processes import ProcessEngine
from agentlang.executor.engines.speech.sources import TranscribingSpec, VoiceSpec
from agentlang.executor.engines.xla.transcribing import load
from agentlang.stdlib import store
from agentlang.stdlib.models.opening import open_transcriber
from agentlang.stdlib.models.silero import STEP, Hearing, Silero

CLIPS = Path("/usr/share/pocketsphinx/test/data/librivox")
RECOGNIZERS = ("whisper-tiny.en", "whisper-base")
VOICES = ("flite-kal", "flite-slt", "espeak-en-us")
TEXT = "He was not an ill disposed young man. He might even have been made amiable himself."

# What runs in the other environment: file names in, JSON with seconds and texts out.
THEIRS = """
import json, sys, time
from faster_whisper import WhisperModel
folder, threads, repeats, *clips = sys.argv[1:]
began = time.perf_counter()
model = WhisperModel(folder, device="cpu", compute_type="float32", cpu_threads=int(threads))
opened = time.perf_counter() - began
out = []
for clip in clips:
    least = 1e9
    for _ in range(int(repeats)):
        began = time.perf_counter()
        segments, _ = model.transcribe(clip, beam_size=1, temperature=0, language="en")
        text = "".join(segment.text for segment in segments)
        least = min(least, time.perf_counter() - began)
    out.append([least, text])
print(json.dumps([opened, out]))
"""


@dataclass(frozen=True)
class Row:
    """What was measured of one: seconds to open, real-time factor (time of work, of the sound's own), words wrong."""

    name: str
    opening: float
    factor: float
    wrong: int | None = None
    words: int | None = None


def main() -> int:
    parser = argparse.ArgumentParser(description="Speech on real recordings.")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--only", choices=RECOGNIZERS, help="one recogniser")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    rows = [*voices(given.repeats)]
    if not (CLIPS / "transcription").is_file():
        print("no recordings: apt install pocketsphinx-testdata", file=sys.stderr)
    else:
        names = (given.only,) if given.only else RECOGNIZERS
        rows = [*hearing(names, given.repeats), *turns(given.repeats), *rows]
    if given.json:
        print(json.dumps([asdict(row) for row in rows], indent=2))
        return 0
    print(f"{'':34}{'opening':>9}  {'of real time':>13}  words wrong")
    for row in rows:
        wrong = "" if row.wrong is None else f"{row.wrong} of {row.words}"
        print(f"{row.name:34}{row.opening:7.2f} s  {row.factor:13.4f}  {wrong:>11}")
    return 0


def recordings() -> list[tuple[Path, Audio, tuple[str, ...]]]:
    found: list[tuple[Path, Audio, tuple[str, ...]]] = []
    for line in (CLIPS / "transcription").read_text("utf-8").splitlines():
        match = re.fullmatch(r"<s> (.*) </s> \((.*)\)", line.strip())
        if match:
            path = CLIPS / f"{match[2]}.wav"
            # The reader stumbles once.
            found.append((path, whole(path.read_bytes()), words(match[1].replace("more a amiable", "more amiable"))))
    return found


def words(text: str) -> tuple[str, ...]:
    plain = re.sub(r"\bmr\b\.?", "mister", text.lower()).replace("-", " ").replace("coldhearted", "cold hearted")
    return tuple(re.sub(r"[^a-z0-9 ]", "", plain).split())


def wrong_words(said: tuple[str, ...], written: tuple[str, ...]) -> int:
    row = list(range(len(written) + 1))
    for number, word in enumerate(said, 1):
        before, row[0] = row[0], number
        for at, other in enumerate(written, 1):
            before, row[at] = row[at], min(row[at] + 1, row[at - 1] + 1, before + (word != other))
    return row[-1]


def hearing(names: Sequence[str], repeats: int) -> list[Row]:
    rows: list[Row] = []
    clips = recordings()
    seconds = sum(audio.seconds for _, audio, _ in clips)
    count = sum(len(said) for *_, said in clips)
    for name in names:
        try:
            files = store.need(store.entry(name))
        except OutsideError as error:
            print(f"{name}: {error.problem.title}", file=sys.stderr)
            continue
        opening, found = anyio.run(ours, name, files, [audio for _, audio, _ in clips], repeats)
        for label, opened, result in (
            (f"{name}, XLA", opening, found),
            *theirs(name, files, [path for path, *_ in clips], repeats),
        ):
            wrong = sum(wrong_words(said, words(text)) for (*_, said), (_, text) in zip(clips, result, strict=True))
            rows.append(Row(label, opened, sum(took for took, _ in result) / seconds, wrong, count))
    return rows


async def ours(
    name: str, files: Mapping[str, Path], recordings: list[Audio], repeats: int
) -> tuple[float, list[tuple[float, str]]]:
    spec = TranscribingSpec(name, open_transcriber(store.entry(name), files))
    await (await load(spec)).close()  # Compiled once on a machine; that is not what opening costs.
    began = time.perf_counter()
    model = await load(spec)
    opening = time.perf_counter() - began
    out: list[tuple[float, str]] = []
    for audio in recordings:
        least, text = float("inf"), ""

        async def pieces(audio: Audio = audio) -> AsyncIterator[bytes]:
            yield audio.pcm

        for _ in range(repeats):
            began = time.perf_counter()
            text = "".join([segment.text async for segment in model.transcribe(pieces(), audio.rate)])
            least = min(least, time.perf_counter() - began)
        out.append((least, text))
    await model.close()
    return opening, out


def theirs(
    name: str, files: Mapping[str, Path], recordings: list[Path], repeats: int
) -> list[tuple[str, float, list[tuple[float, str]]]]:
    python = os.environ.get("AGENTLANG_FASTER_WHISPER") or (sys.executable if find_spec("faster_whisper") else None)
    if python is None:
        return []
    threads = str(len(os.sched_getaffinity(0)))
    clips = [str(path) for path in recordings]
    with tempfile.TemporaryDirectory() as folder:
        beside(Path(folder), files)
        command = [python, "-c", THEIRS, folder, threads, str(repeats), *clips]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        print(f"faster-whisper failed: {done.stderr[-300:]}", file=sys.stderr)
        return []
    opening, out = json.loads(done.stdout)
    return [(f"{name}, faster-whisper f32", opening, [(took, text) for took, text in out])]


def beside(folder: Path, files: Mapping[str, Path]) -> None:
    """The model as CTranslate2 wants it: its files, and the words of its vocabulary by their ids."""
    from agentlang.stdlib.models.ctranslate2_file import CTranslate2File

    for path in files.values():
        (folder / path.name).symlink_to(path)
    told = json.loads(files["tokenizer"].read_bytes())
    known = {token: word for word, token in told["model"]["vocab"].items()}
    known.update({added["id"]: added["content"] for added in told["added_tokens"]})
    count = CTranslate2File(files["weights"]).shapes["decoder/embeddings/weight"][0]
    (folder / "vocabulary.json").write_text(json.dumps([known.get(n, f"<|time {n}|>") for n in range(count)]), "utf-8")


def turns(repeats: int) -> list[Row]:
    try:
        files = store.need(store.entry("silero-vad"))
    except OutsideError as error:
        print(error.problem.title, file=sys.stderr)
        return []
    began = time.perf_counter()
    model = Silero(files["weights"], "silero-vad")
    opening = time.perf_counter() - began
    pcm = b"".join(audio.pcm for _, audio, _ in recordings())
    samples = np.frombuffer(pcm, "<i2").astype(np.float32) / 32768

    def listen() -> None:
        heard = Hearing(model)
        for at in range(0, len(samples) - STEP, STEP):
            heard.step(samples[at : at + STEP])

    return [Row("silero-vad, NumPy", opening, least(listen, repeats) / (len(samples) / 16_000))]


def voices(repeats: int) -> list[Row]:
    rows: list[Row] = []
    for name in VOICES:
        entry = store.entry(name)
        if shutil.which(entry.program) is None:
            print(f"{name}: {entry.program} is not installed", file=sys.stderr)
            continue
        rows.append(anyio.run(spoken, VoiceSpec(name, entry.program, entry.voice), repeats))
    return rows


async def spoken(spec: VoiceSpec, repeats: int) -> Row:
    began = time.perf_counter()
    voice = await ProcessEngine().load_synthesising(spec)
    opening = time.perf_counter() - began
    best, seconds = float("inf"), 0.0
    for _ in range(repeats):
        began = time.perf_counter()
        seconds = sum([len(piece) async for piece in voice.synthesise(TEXT)]) / 2 / voice.rate
        best = min(best, time.perf_counter() - began)
    return Row(f"{spec.name}, process", opening, best / seconds)


def least(work: Callable[[], None], repeats: int) -> float:
    found = float("inf")
    for _ in range(repeats):
        began = time.perf_counter()
        work()
        found = min(found, time.perf_counter() - began)
    return found


if __name__ == "__main__":
    raise SystemExit(main())
