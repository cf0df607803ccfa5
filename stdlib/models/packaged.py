"""All functions of a catalogue's model that a package takes along."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from ..catalogue import Entry

if TYPE_CHECKING:
    from ...ir.artifact import Artifact


def functions(entry: Entry, files: Mapping[str, Path], longest: int) -> tuple[Artifact, ...]:
    """What runs for inputs of up to `longest` tokens: of a chat model the parts of its steps, as the engine calls them;
    of the others their functions (`operators`), which read a longer text in parts, and so come in all sizes.

    Raises `OutsideError` (model-does-not-load). Imports JAX.
    """
    if entry.role == "chat":
        from ...executor.engines.xla.parts import export_parts
        from . import open_chat

        source = open_chat(files["weights"], entry.name)
        return export_parts(source.functions(), longest, source.facts().context)
    if entry.shape is None:
        return ()  # a table of word vectors has no function
    from .operators import operators

    return operators(entry, files, entry.shape.context)
