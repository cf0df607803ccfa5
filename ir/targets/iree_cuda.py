"""NVIDIA GPUs, by IREE: PTX inside the module, which the driver compiles for the GPU that it finds, if not older."""

from __future__ import annotations

from .contents import ptx
from .iree import IreeTarget

TARGET = IreeTarget(
    "iree-cuda",
    "NVIDIA GPUs, PTX by IREE",
    # What it makes for sm_90 and newer does not assemble; drivers take what is made for older ones.
    {
        each: ("--iree-hal-target-device=cuda", f"--iree-cuda-target={each}")
        for each in ("sm_80", "sm_75", "sm_86", "sm_89")
    },
    ptx,
)
