"""AMD GPUs, by IREE: an HSA code object inside the module, for one generation each."""

from __future__ import annotations

from .contents import hsaco
from .iree import IreeTarget

TARGET = IreeTarget(
    "iree-rocm",
    "AMD GPUs, code objects by IREE",
    {each: ("--iree-hal-target-device=hip", f"--iree-rocm-target={each}") for each in ("gfx942", "gfx1100")},
    hsaco,
)
