"""What editors ask of a file: problems, definitions, references, completion, and so on. No word of any protocol here.

`Document` is one text that is being edited and gives an `Analysis` of it; every question is a function of an analysis
and an offset. Nothing here resolves a name or a type: the checker says what it found (`checker.facts`).
"""

from __future__ import annotations

from .analysis import Analysis
from .document import Document

__all__ = ["Analysis", "Document"]
