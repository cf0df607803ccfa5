"""Processors of the x86-64 kind, by IREE: an ELF library inside the module. `v3` has AVX2, as most since 2013."""

from __future__ import annotations

from .contents import elf_for
from .iree import IreeTarget, processor

TARGET = IreeTarget(
    "x86-64",
    "x86-64 processors, machine code by IREE",
    {level: processor("x86_64-unknown-linux-gnu", f"x86-64-{level}") for level in ("v3", "v2", "v4")},
    elf_for("x86-64"),
)
