"""What is inside an IREE VM module, read without IREE and without the hardware: ELF, PTX, HSACO, SPIR-V and Metal.

A VM module is also a zip file whose entries, stored as they are, are the executables: an ELF file for a processor, and
for a GPU a flatbuffer around the code of its kind. The code is found in it by what it begins with.
"""

from __future__ import annotations

import io
import re
import struct
import zipfile
from collections.abc import Callable, Mapping
from types import MappingProxyType

ELF_MACHINES: Mapping[str, int] = MappingProxyType({"x86-64": 62, "arm64": 183, "riscv64": 243, "amdgpu": 224})
"""`e_machine` by the names that we give processors."""

_AMDGPU_HSA = 64
_AMDGPU_MACHINES: Mapping[str, int] = MappingProxyType({"gfx90a": 0x3F, "gfx942": 0x4C, "gfx1100": 0x41})
_RISCV_DOUBLE = 0x4
_ELF = b"\x7fELF"
_PTX = re.compile(rb"\.version\s+(\d+\.\d+)\s*\n\s*\.target\s+(\w+)")
_PTX_ENTRY = re.compile(rb"\.entry\s+([\w$]+)")
_METAL = re.compile(rb"#include <metal_stdlib>[^\0]*")
_METAL_KERNEL = re.compile(rb"\bkernel void (\w+)\(")
_MOST = 1 << 30


class Unsound(ValueError):
    """The bytes are not what they should be. The text says why."""


def executables(module: bytes) -> tuple[bytes, ...]:
    """The executables of a VM module, as they stand in it. Raises `Unsound`."""
    try:
        with zipfile.ZipFile(io.BytesIO(module)) as archive:
            entries = archive.infolist()
            if not any(entry.filename == "module.fb" for entry in entries):
                raise Unsound("it is no VM module: it has no module.fb")
            if sum(entry.file_size for entry in entries) > _MOST:
                raise Unsound("its parts are larger than all of it")
            return tuple(
                archive.read(entry)
                for entry in entries
                if entry.filename.endswith((".so", ".fb", ".dll")) and entry.filename != "module.fb"
            )
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, OSError, struct.error) as error:
        raise Unsound(f"it is no VM module ({error})") from error


def elf_for(machine: str) -> Callable[[bytes, str], Mapping[str, str]]:
    """`elf` for one machine, whatever the variant."""

    def check(code: bytes, variant: str) -> Mapping[str, str]:
        del variant
        return elf(code, machine)

    return check


def elf(code: bytes, machine: str) -> Mapping[str, str]:
    """The header of a 64-bit little-endian ELF file for a processor of `ELF_MACHINES`. Raises `Unsound`."""
    if code[:4] != _ELF or len(code) < 64:
        raise Unsound("an executable is no ELF file")
    wide, order, _, system = code[4:8]
    kind, found, _, _, programs, sections, flags, header, program_size, program_count = struct.unpack_from(
        "<HHIQQQIHHH", code, 16
    )
    if (wide, order) != (2, 1):
        raise Unsound("an executable is no 64-bit little-endian ELF file")
    if found != ELF_MACHINES[machine]:
        names = {number: name for name, number in ELF_MACHINES.items()}
        raise Unsound(f"an executable is for {names.get(found, f'machine {found}')}, not for {machine}")
    if kind != 3 or header != 64 or programs + program_count * program_size > len(code) or sections > len(code):
        raise Unsound("an executable's ELF header does not fit its file")
    if machine == "riscv64" and flags & 0x6 != _RISCV_DOUBLE:
        raise Unsound(f"an executable passes floats in another way (flags {flags:#x})")
    del system
    return {"format": "elf", "machine": machine}


def hsaco(code: bytes, variant: str) -> Mapping[str, str]:
    """The HSA code object inside: an ELF file for AMD's GPUs, of that generation. Raises `Unsound`."""
    at = code.find(_ELF)
    if at < 0:
        raise Unsound("an executable has no HSA code object in it")
    inside = code[at:]
    elf(inside, "amdgpu")
    if inside[7] != _AMDGPU_HSA:
        raise Unsound("an executable is no HSA code object")
    generation = struct.unpack_from("<I", inside, 48)[0] & 0xFF
    if generation != _AMDGPU_MACHINES[variant]:
        raise Unsound(f"an executable is for another generation ({generation:#x}), not for {variant}")
    return {"format": "hsaco", "machine": variant}


def ptx(code: bytes, variant: str) -> Mapping[str, str]:
    """The PTX inside: its version, its target, its kernels. Raises `Unsound`."""
    head = _PTX.search(code)
    if head is None:
        raise Unsound("an executable has no PTX in it")
    version, target = (part.decode() for part in head.groups())
    if target != variant:
        raise Unsound(f"an executable is for {target}, not for {variant}")
    if not _PTX_ENTRY.search(code, head.end()):
        raise Unsound("an executable's PTX has no kernel")
    return {"format": "ptx", "version": version, "machine": target}


def metal(code: bytes, variant: str) -> Mapping[str, str]:
    """The source in the Metal shading language inside. Raises `Unsound`."""
    del variant
    sources = _METAL.findall(code)
    if not sources:
        raise Unsound("an executable has no Metal source in it")
    for source in sources:
        if not _METAL_KERNEL.search(source):
            raise Unsound("a Metal source has no kernel")
        if source.count(b"{") != source.count(b"}"):
            raise Unsound("a Metal source is cut off")
    return {"format": "msl"}


def spirv(code: bytes, variant: str) -> Mapping[str, str]:
    """The SPIR-V modules inside, walked instruction by instruction (`spirv.validate`). Raises `Unsound`."""
    del variant
    from .spirv import modules, validate

    found = modules(code)
    if not found:
        raise Unsound("an executable has no SPIR-V in it")
    versions = {validate(module) for module in found}
    if len(versions) > 1:
        raise Unsound(f"its SPIR-V modules are of versions {', '.join(sorted(versions))}")
    return {"format": "spirv", "version": versions.pop()}
