"""Voices that are programs of their own: flite, espeak-ng, Piper. Text goes in, sound comes out, pieces as they come.

A program is started for each text, with a list of arguments and never through a shell: a text is an argument behind its
option, or the program's standard input, and so is nothing but text. Who drops the sound kills the program.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import tempfile
import unicodedata
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anyio
import anyio.abc

from ....base.audio import RATE, RATES, NotSound, Reader
from ....base.problems import OutsideError, Problem
from ..families import Operation
from ..problems import model_does_not_load
from ..protocol import Capabilities, ModelSpec
from . import problems
from .sources import VoiceSpec

PIECE_SECONDS = 0.2
"""The longest piece of sound: what a listener who interrupts hears at most of what was on its way."""
_LONGEST_ERROR = 400


@dataclass(frozen=True, slots=True)
class _Started:
    """How a program is asked for one text: its arguments, and what it reads."""

    arguments: list[str]
    input: bytes | None


def _flite(voice: str, text: str) -> _Started:
    # It knows ASCII alone, and reads no text from standard input.
    plain = unicodedata.normalize("NFKD", text.translate(_PLAIN)).encode("ascii", "ignore").decode("ascii")
    return _Started(["-voice", voice, "-t", plain, "-o", "/dev/stdout"], None)


_PLAIN = str.maketrans({"’": "'", "‘": "'", "“": '"', "”": '"', "–": "-", "—": "-", "…": "..."})


def _espeak(voice: str, text: str) -> _Started:
    return _Started(["-v", voice, "--stdin", "--stdout"], text.encode())


def _piper(voice: str, text: str) -> _Started:
    # A line is a text; the voice is its file.
    return _Started(["--model", voice, "--output-raw"], " ".join(text.split()).encode() + b"\n")


@dataclass(frozen=True, slots=True)
class _Program:
    """A program that speaks, and how it is asked. `framed`: its sound is a WAV file."""

    ask: Callable[[str, str], _Started]
    framed: bool = True
    voices: tuple[str, ...] = ()
    """What lists its voices, for a program that speaks by another one where it has not the one asked for."""


PROGRAMS: dict[str, _Program] = {
    "flite": _Program(_flite, voices=("-lv",)),
    "espeak-ng": _Program(_espeak),
    "piper": _Program(_piper, framed=False),
}


class ProcessEngine:
    """An `Engine` that names SYNTHESISE alone."""

    @property
    def name(self) -> str:
        return "process"

    @property
    def operations(self) -> frozenset[Operation]:
        return frozenset({Operation.SYNTHESISE})

    @property
    def capabilities(self) -> Capabilities:
        return Capabilities(sequences_per_step=0)

    async def load(self, spec: ModelSpec) -> Any:
        raise OutsideError(model_does_not_load(spec.name, "the engine 'process' runs no chat models"))

    async def load_synthesising(self, spec: VoiceSpec) -> ProcessVoice:
        """Raises `OutsideError`: voice-program-missing, or model-does-not-load where the program has no such voice."""
        program = PROGRAMS.get(spec.program)
        if program is None:
            known = ", ".join(PROGRAMS)
            why = f"the engine 'process' speaks by {known}" + (f", not by {spec.program!r}" if spec.program else "")
            raise OutsideError(model_does_not_load(spec.name, why))
        path = shutil.which(spec.program)
        if path is None:
            raise OutsideError(problems.voice_program_missing(spec.name, spec.program))
        voice = (spec.files or {}).get("weights", spec.voice)
        if program.voices:
            listed = await anyio.run_process([path, *program.voices], check=False)
            if voice not in listed.stdout.decode("utf-8", "replace").split():
                raise OutsideError(model_does_not_load(spec.name, f"{spec.program} has no voice {voice!r}"))
        made = ProcessVoice(spec.name, path, program, voice, None if program.framed else _piper_rate(spec, voice))
        await made.open()
        return made


class ProcessVoice:
    """A `SynthesisingModel`."""

    def __init__(self, name: str, path: str, program: _Program, voice: str, rate: int | None) -> None:
        self._name = name
        self._path = path
        self._program = program
        self._voice = voice
        self._rate = rate
        self._open = True

    async def open(self) -> None:
        """Say a word: whether the program works and has the voice, and how fast its samples are."""
        heard = 0
        async for piece in self.synthesise("yes"):
            heard += len(piece)
        if not heard or self._rate is None:
            raise OutsideError(self._fails("it said nothing"))

    @property
    def rate(self) -> int:
        assert self._rate is not None, "a voice is opened before it speaks"
        return self._rate

    async def synthesise(self, text: str) -> AsyncGenerator[bytes]:
        if not self._open:
            raise RuntimeError("the voice was closed")
        if not any(mark.isalnum() for mark in text):
            return  # Nothing can be said of it, and some programs would wait for more.
        started = self._program.ask(self._voice, text.replace("\0", " "))
        with tempfile.TemporaryFile() as given, tempfile.TemporaryFile() as said:
            # Files and no pipes, so that nobody waits for anybody.
            given.write(started.input or b"")
            given.seek(0)
            try:
                process = await anyio.open_process(
                    [self._path, *started.arguments], stdin=given, stdout=subprocess.PIPE, stderr=said
                )
            except OSError as error:
                raise OutsideError(self._fails(f"{self._path} does not start: {error.strerror}")) from error
            try:
                async with aclosing(self._sound(process)) as sound:
                    async for piece in sound:
                        yield piece
                if await process.wait():
                    said.seek(0)
                    raise OutsideError(self._fails("its program failed", said.read(_LONGEST_ERROR)))
            finally:
                with suppress(ProcessLookupError):
                    process.kill()
                with anyio.CancelScope(shield=True):
                    await process.aclose()

    async def close(self) -> None:
        self._open = False

    async def _sound(self, process: anyio.abc.Process) -> AsyncGenerator[bytes]:
        """The samples of what the process writes."""
        assert process.stdout is not None
        reader = Reader() if self._program.framed else None
        rest, ended = b"", False
        while not ended:
            try:
                data = await process.stdout.receive()
            except anyio.EndOfStream:
                data, ended = b"", True
            if reader is not None:
                try:
                    found = reader.end() if ended else reader.feed(data)
                except NotSound as error:
                    raise OutsideError(self._fails(f"what it says is no sound: {error}")) from error
                data = b"".join(piece.pcm for piece in found)
                if found:
                    self._rate = self._rate or reader.rate
            rest += data
            most = int((self._rate or RATE) * PIECE_SECONDS) * 2
            while len(rest) >= most or (ended and rest):
                yield rest[:most]
                rest = rest[most:]

    def _fails(self, why: str, words: bytes = b"") -> Problem:
        return model_does_not_load(self._name, why, words.decode("utf-8", "replace").strip() or None)


def _piper_rate(spec: VoiceSpec, voice: str) -> int:
    """What the file beside a Piper voice says of its samples."""
    path = Path((spec.files or {}).get("config", f"{voice}.json"))
    try:
        rate = json.loads(path.read_bytes())["audio"]["sample_rate"]
        if not isinstance(rate, int) or not RATES[0] <= rate <= RATES[1]:
            raise ValueError(f"{rate!r} samples a second")
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise OutsideError(
            model_does_not_load(spec.name, f"{path.name} does not describe a voice ({error})")
        ) from error
    return rate
