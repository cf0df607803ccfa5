"""Processors of the 64-bit Arm kind, by IREE: an ELF library inside the module."""

from __future__ import annotations

from .contents import elf_for
from .iree import IreeTarget, processor

TARGET = IreeTarget(
    "arm64",
    "64-bit Arm processors, machine code by IREE",
    {"generic": processor("aarch64-unknown-linux-gnu", "generic")},
    elf_for("arm64"),
)
