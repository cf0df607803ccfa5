"""Pictures of a pipeline: what runs, what flows, what decides. `picture` reads a frozen graph; a file for each form
that it is shown in. Nothing here needs MLIR.
"""

from __future__ import annotations

from collections.abc import Callable

from .dot import dot
from .mermaid import mermaid
from .picture import Box, Edge, Picture, picture
from .plain import plain
from .svg import svg

__all__ = ["FORMATS", "Box", "Edge", "Picture", "picture"]

FORMATS: dict[str, Callable[[Picture], str]] = {"svg": svg, "mermaid": mermaid, "dot": dot, "json": plain}
"""The forms by the name that the command line knows them by."""
