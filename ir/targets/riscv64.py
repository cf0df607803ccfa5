"""Processors of the 64-bit RISC-V kind (RV64GC), by IREE: an ELF library inside the module."""

from __future__ import annotations

from .contents import elf_for
from .iree import IreeTarget, processor

_GC = ("--iree-llvmcpu-target-cpu-features=+m,+a,+f,+d,+c", "--iree-llvmcpu-target-abi=lp64d")

TARGET = IreeTarget(
    "riscv64",
    "64-bit RISC-V processors (RV64GC), machine code by IREE",
    {"generic": (*processor("riscv64-unknown-linux-gnu", "generic-rv64"), *_GC)},
    elf_for("riscv64"),
)
