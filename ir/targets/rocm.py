"""AMD GPUs, by XLA: ships StableHLO."""

from __future__ import annotations

from .xla import XlaTarget

TARGET = XlaTarget(
    "rocm",
    "AMD GPUs; StableHLO, compiled by XLA where it runs",
    "rocm",
    ("jax_plugins.xla_rocm7", "jax_plugins.xla_rocm60", "jax_rocm7_plugin", "jax_rocm60_plugin"),
)
