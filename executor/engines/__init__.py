"""What runs models. Each engine is one file (or folder) and one line in `ENGINES`; a stranger's is an entry point.

Names only: an engine's code is imported when it is asked for.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from .protocol import Engine

ENTRY_POINTS = "agentlang.engines"

ENGINES: dict[str, str] = {
    "llamacpp": "llamacpp.engine:LlamaCppEngine",
    "null": "null:NullEngine",
    "onnx": "onnx.engine:OnnxEngine",
    "process": "speech.processes:ProcessEngine",
    "routed": "routed.engine:RoutedEngine",
    "split": "split.engine:SplitEngine",
    "table": "table:TableEngine",
    "xla": "xla.engine:XlaEngine",
}
"""Name → `module:factory`, the module relative to this package."""


class UnknownEngine(LookupError):
    """No engine of that name; `known` lists those there are."""

    def __init__(self, name: str, known: tuple[str, ...]) -> None:
        super().__init__(f"no engine is named {name!r}; known: {', '.join(known)}")
        self.known = known


def engine_names() -> tuple[str, ...]:
    """Our engines, then those of installed plugins."""
    ours = tuple(ENGINES)
    return ours + tuple(e.name for e in entry_points(group=ENTRY_POINTS) if e.name not in ENGINES)


def engine(name: str) -> Engine:
    """A new engine. Raises `UnknownEngine`."""
    if name in ENGINES:
        module, _, factory = ENGINES[name].partition(":")
        return cast("Callable[[], Engine]", getattr(import_module(f".{module}", __name__), factory))()
    for entry in entry_points(group=ENTRY_POINTS):
        if entry.name == name:
            return cast("Callable[[], Engine]", entry.load())()
    raise UnknownEngine(name, engine_names())
