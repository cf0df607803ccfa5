"""What a target is, and what it gives."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

from ...base.problems import Problems

STABLEHLO, IREE = "stablehlo", "iree"


@dataclass(frozen=True, slots=True)
class Built:
    """A function built for a target. `kind` is `stablehlo` (portable; whoever runs it compiles it) or `iree` (a VM
    module with machine code in it). `checks` are what was read in it, by name: `machine` => `EM_AARCH64`. `note` says
    what could not be done here."""

    data: bytes = field(repr=False)
    kind: str
    checks: tuple[tuple[str, str], ...] = ()
    note: str | None = None

    @property
    def native(self) -> bool:
        """Whether it holds machine code, which runs only with a signature or by trust."""
        return self.kind != STABLEHLO

    @property
    def suffix(self) -> str:
        """Of its file's name."""
        return ".vmfb" if self.kind == IREE else ".shlo"


class Target(Protocol):
    """One kind of hardware, by one compiler."""

    @property
    def name(self) -> str: ...

    @property
    def about(self) -> str:
        """One line for people."""
        ...

    @property
    def variants(self) -> tuple[str, ...]:
        """Processors of the kind, the default first; none where there is nothing to choose."""
        ...

    @property
    def builder(self) -> str:
        """What builds, with its version: another one makes other bytes."""
        ...

    def build(self, function: bytes, name: str, variant: str = "") -> tuple[Built | None, Problems]:
        """Build a portable StableHLO artifact; `name` is for problems. Blocks: seconds for a step of a model."""
        ...
