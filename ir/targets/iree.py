"""What the IREE targets share: the compiler, run as a process of its own, and a look into what it gave.

Machine code for hardware that is not here can be built but not run, so the artifact itself is read: its executables are
taken out of the VM module and held against what was asked for (`contents`).
"""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path

from ...base.problems import Problems
from . import target_problems as problems
from .contents import Unsound, executables
from .protocol import IREE, Built

_SECONDS = 900.0
_ALWAYS = (
    "--iree-input-type=stablehlo",
    # The zip directory that lets anybody list what is in a module, ourselves included.
    "--iree-vm-emit-polyglot-zip=true",
    # The names of source files and lines would make the same function other bytes elsewhere.
    "--iree-vm-bytecode-module-strip-source-map=true",
)

Check = Callable[[bytes, str], Mapping[str, str]]
"""From an executable and the variant to what was read in it; raises `Unsound` where it is for something else."""


@dataclass(frozen=True, slots=True)
class IreeTarget:
    """One of IREE's devices. `flags` are by variant; `check` reads each executable."""

    name: str
    about: str
    flags: Mapping[str, tuple[str, ...]]
    check: Check = field(repr=False)

    @property
    def variants(self) -> tuple[str, ...]:
        return tuple(self.flags)

    @property
    def builder(self) -> str:
        return f"iree {_version()}"

    def build(self, function: bytes, name: str, variant: str = "") -> tuple[Built | None, Problems]:
        tool = compiler()
        if tool is None:
            return None, (problems.extra_missing(f"the target {self.name}", "iree"),)
        variant = variant or self.variants[0]
        command = [str(tool), "-", *_ALWAYS, *self.flags[variant], "-o", "-"]
        try:
            made = subprocess.run(command, input=function, capture_output=True, timeout=_SECONDS)
        except subprocess.TimeoutExpired:
            return None, (problems.target_failed(name, self.name, f"it takes longer than {_SECONDS:g} s"),)
        except OSError as error:
            return None, (problems.target_failed(name, self.name, (error.strerror or str(error)).lower()),)
        if made.returncode:
            said = made.stderr.decode("utf-8", "replace")
            return None, (problems.target_failed(name, self.name, _reason(said, made.returncode), said[-4000:]),)
        try:
            checks = self._read(made.stdout, variant)
        except Unsound as error:
            return None, (problems.artifact_unsound(name, self.name, str(error)),)
        return Built(made.stdout, IREE, tuple(checks.items())), ()

    def _read(self, module: bytes, variant: str) -> Mapping[str, str]:
        """What all executables say of themselves; `Unsound` if there is none, or two say different things."""
        found: dict[str, str] = {}
        codes = executables(module)
        if not codes:
            raise Unsound("it has no executable")
        for code in codes:
            for what, said in self.check(code, variant).items():
                if found.setdefault(what, said) != said:
                    raise Unsound(f"its executables are of different kinds: {what} is {found[what]} and {said}")
        return {"executables": str(len(codes)), **found}


def check(module: bytes, target: IreeTarget, variant: str) -> Mapping[str, str]:
    """Read an artifact again, of whatever origin. Raises `Unsound`."""
    return target._read(module, variant)  # pyright: ignore[reportPrivateUsage]


def processor(triple: str, name: str) -> tuple[str, ...]:
    """The flags for a processor: LLVM's triple, and LLVM's name of the oldest one that has to run it."""
    return (
        "--iree-hal-target-device=local",
        "--iree-hal-local-target-device-backends=llvm-cpu",
        f"--iree-llvmcpu-target-triple={triple}",
        f"--iree-llvmcpu-target-cpu={name}",
    )


@cache
def compiler() -> Path | None:
    """IREE's compiler, of the extra [iree]; None where it is not installed. Imports nothing of IREE."""
    try:
        found = find_spec("iree.compiler")
    except ModuleNotFoundError:
        return None
    if found is None or found.origin is None:
        return None
    tool = Path(found.origin).parent / "_mlir_libs" / "iree-compile"
    return next((path for path in (tool, tool.with_suffix(".exe")) if path.is_file()), None)


def _version() -> str:
    try:
        return version("iree-base-compiler")
    except PackageNotFoundError:
        return "?"


def _reason(said: str, code: int) -> str:
    """The first error of what the compiler said."""
    if code < 0:
        return f"the compiler died (signal {-code})"
    lines = [line.partition("error: ")[2] for line in said.splitlines() if "error: " in line]
    return lines[0][:200] if lines else f"the compiler failed (exit code {code})"
