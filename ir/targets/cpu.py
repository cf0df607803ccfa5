"""This kind of machine's processor, by XLA: ships StableHLO."""

from __future__ import annotations

from .xla import XlaTarget

TARGET = XlaTarget("cpu", "any processor that JAX runs on; StableHLO, compiled by XLA where it runs", "cpu")
