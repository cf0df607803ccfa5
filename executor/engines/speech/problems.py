"""The words for what can go wrong with voices."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from ....base.problems import Problem

PACKAGES: Mapping[str, str] = MappingProxyType(
    {
        "flite": "the package `flite` of your system (`apt install flite`, `brew install flite`)",
        "espeak-ng": "the package `espeak-ng` of your system (`apt install espeak-ng`, `brew install espeak-ng`)",
        "piper": "the Python package `piper-tts`",
    }
)
"""What to install, by program."""


def voice_program_missing(name: str, program: str) -> Problem:
    return Problem(
        "voice-program-missing",
        f"the voice {name!r} is spoken by {program}, which is not installed",
        hint=f"install {PACKAGES.get(program, program)}, or choose another voice that `agentlang models list` shows",
    )
