"""Real speech for tests: LibriVox clips with what is said in them, where the Debian package that has them is installed.

Models, clips and voices are asked for here, so that a test that lacks one says which and how to get it.
"""

from __future__ import annotations

import re
import shutil
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

from agentlang.base.audio import Audio, whole
from agentlang.base.problems import OutsideError
from agentlang.executor.engines.speech.sources import TranscribingSpec, VoiceSpec
from agentlang.stdlib import store
from agentlang.stdlib.models.opening import open_transcriber

FOLDER = Path("/usr/share/pocketsphinx/test/data/librivox")


@dataclass(frozen=True)
class Clip:
    """A recording, and its words in small letters."""

    path: Path
    words: tuple[str, ...]

    @property
    def audio(self) -> Audio:
        return whole(self.path.read_bytes())


@cache
def clips() -> tuple[Clip, ...]:
    """The clips, or a skip."""
    if not (FOLDER / "transcription").is_file():
        pytest.skip("needs real speech: apt install pocketsphinx-testdata")
    found: list[Clip] = []
    for line in (FOLDER / "transcription").read_text("utf-8").splitlines():
        match = re.fullmatch(r"<s> (.*) </s> \((.*)\)", line.strip())
        if match:
            # The reader stumbles once; the transcript holds it, and nobody would write it down.
            said = match[1].replace("a more a amiable", "a more amiable")
            found.append(Clip(FOLDER / f"{match[2]}.wav", words(said)))
    assert len(found) == 5
    return tuple(found)


def words(text: str) -> tuple[str, ...]:
    """The words of a text, as they are compared: small letters, nothing but letters and digits."""
    plain = re.sub(r"\bmr\b\.?", "mister", text.lower()).replace("-", " ")
    plain = plain.replace("coldhearted", "cold hearted")
    return tuple(re.sub(r"[^a-z0-9' ]", " ", plain).replace("'", "").split())


def errors(said: tuple[str, ...], written: tuple[str, ...]) -> int:
    """Words that were added, left out or put for others: the least number that makes one of the other."""
    row = list(range(len(written) + 1))
    for number, word in enumerate(said, 1):
        before, row[0] = row[0], number
        for at, other in enumerate(written, 1):
            before, row[at] = row[at], min(row[at] + 1, row[at - 1] + 1, before + (word != other))
    return row[-1]


def recognizer(name: str = "whisper-tiny.en") -> TranscribingSpec:
    """A recogniser of the catalogue, or a skip."""
    return TranscribingSpec(name, open_transcriber(store.entry(name), files(name)))


def files(name: str) -> dict[str, Path]:
    try:
        return dict(store.obtain(store.entry(name)))
    except OutsideError as error:
        pytest.skip(error.problem.title)


def voice(name: str = "flite-slt") -> VoiceSpec:
    """A voice of the catalogue, or a skip."""
    entry = store.entry(name)
    if shutil.which(entry.program) is None:
        pytest.skip(f"needs a voice: apt install {entry.program}")
    return VoiceSpec(name, entry.program, entry.voice)
