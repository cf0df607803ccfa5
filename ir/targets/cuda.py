"""NVIDIA GPUs, by XLA: ships StableHLO."""

from __future__ import annotations

from .xla import XlaTarget

TARGET = XlaTarget(
    "cuda",
    "NVIDIA GPUs; StableHLO, compiled by XLA where it runs",
    "cuda",
    ("jax_plugins.xla_cuda12", "jax_plugins.xla_cuda13", "jax_cuda12_plugin", "jax_cuda13_plugin"),
)
