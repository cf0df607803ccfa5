"""How a model is split: what the two processes are told when they load it. Plain values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

Transport = Literal["memory", "socket"]
"""`memory`: the numbers of a cache lie in memory that both processes share. `socket`: they go over TCP."""


@dataclass(frozen=True, slots=True)
class SplitSettings:
    """`dtype` and `page` are the form that caches travel in (`forms.CacheForm`): with another type than float32 half as
    many bytes travel, and replies are no longer those of one process to the last bit.

    `prefill_niceness` is by how much the prefilling process gives way to others of this machine, from 0 to 19: replies
    that are decoded go first, and prompts take what is left of the cores. `overlap` False sends a cache only once it is
    whole, to measure against.
    """

    transport: Transport = "memory"
    dtype: str = "float32"
    page: int = 0
    prefill_niceness: int = 5
    overlap: bool = True


@dataclass(frozen=True, slots=True)
class Load:
    """What a worker loads, and as which half."""

    role: Literal["prefill", "decode"]
    name: str
    maker: str
    arguments: dict[str, Any]
    context: int | None
    keep_programs: bool
    settings: SplitSettings
