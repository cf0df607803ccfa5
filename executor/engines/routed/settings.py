"""How many instances of a model there are, and what each is told when it loads it. Plain values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ...routing import Policy


@dataclass(frozen=True, slots=True)
class RoutedSettings:
    """`engine` runs the model in each of `instances` processes, of which each has `threads` cores to itself, by default
    its share of this machine's. `policy` is how one is chosen, by blocks of `block` tokens."""

    instances: int = 2
    engine: str = "xla"
    policy: Policy = "cache_aware"
    threads: int | None = None
    block: int = 16
    host_bytes: float = 0.0
    disk_bytes: float = 0.0
    cache_bytes: float | None = None

    def __post_init__(self) -> None:
        if self.instances < 1 or self.block < 1 or (self.threads is not None and self.threads < 1):
            raise ValueError("instances, threads and the tokens of a block are at least 1")


@dataclass(frozen=True, slots=True)
class Load:
    """What a process loads; `cores` are those that it may run on. Sizes in bytes, as of `XlaEngine`."""

    name: str
    maker: str
    arguments: dict[str, Any]
    context: int | None
    engine: str
    cores: tuple[int, ...]
    host_bytes: float = 0.0
    disk_bytes: float = 0.0
    cache_bytes: float | None = None
