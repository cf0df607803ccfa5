"""The words programs start with: `use std/llm` reads `llm.agent` here. Interface files hold signatures only."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from ...base.source import Source

MODULES = ("embed", "http", "list", "llm", "mcp", "memory", "process", "search", "speech", "text")


@cache
def interface(module: str) -> Source | None:
    """The interface source of `std/NAME`, or None for a module that does not exist. Its path is `std/NAME.agent`."""
    folder, _, name = module.partition("/")
    if folder != "std" or name not in MODULES:
        return None
    # Not by `importlib.resources`: that costs every command more than reading the file does.
    text = Path(__file__).with_name(f"{name}.agent").read_text("utf-8")
    return Source(f"std/{name}.agent", text)
