"""Apple's GPUs, by IREE: sources in the Metal shading language inside the module, compiled where they run."""

from __future__ import annotations

from .contents import metal
from .iree import IreeTarget

TARGET = IreeTarget(
    "metal",
    "Apple GPUs, Metal sources by IREE",
    {"generic": ("--iree-hal-target-device=metal",)},
    metal,
)
