"""Retrieval: documents cut into passages, an index of their embeddings, search and reranking."""

from __future__ import annotations

from .index import Encoder, Index, Passage, build
from .ranking import best

__all__ = ["Encoder", "Index", "Passage", "best", "build"]
