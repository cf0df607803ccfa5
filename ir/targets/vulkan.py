"""Any GPU with a Vulkan driver, by IREE: SPIR-V inside the module."""

from __future__ import annotations

from .contents import spirv
from .iree import IreeTarget

TARGET = IreeTarget(
    "vulkan",
    "GPUs with a Vulkan driver, SPIR-V by IREE",
    {"generic": ("--iree-hal-target-device=vulkan",)},
    spirv,
)
