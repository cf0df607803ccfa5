"""The models known by name: a data file and its reader.

TOML, since people edit it: reading it takes some 7 ms (of which 6 import the parser), JSON some 1 ms. Nothing reads it
before a program names a model.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from types import MappingProxyType
from typing import Any

from .entries import Entry, HubSource, IndexSource, ModelFile, PathSource, Source, WheelsSource
from .shapes import CatalogueError, Shape

__all__ = [
    "CatalogueError",
    "Entry",
    "HubSource",
    "IndexSource",
    "ModelFile",
    "PathSource",
    "Shape",
    "Source",
    "WheelsSource",
    "catalogue",
    "read_catalogue",
]

_SOURCES: dict[str, type[Source]] = {"path": PathSource, "index": IndexSource, "hub": HubSource}


@cache
def catalogue() -> Mapping[str, Entry]:
    """Every model by name, in the order of the data file. Raises `CatalogueError` if the file contradicts itself."""
    return read_catalogue((files(__name__) / "models.toml").read_text("utf-8"))


def read_catalogue(text: str) -> Mapping[str, Entry]:
    """The entries of a catalogue text in TOML."""
    import tomllib

    return MappingProxyType({name: _entry(name, table) for name, table in tomllib.loads(text).items()})


def _entry(name: str, table: dict[str, Any]) -> Entry:
    try:
        shape = Shape(**table.pop("shape")) if "shape" in table else None
        model_files = tuple(ModelFile(**file) for file in table.pop("files", ()))
        sources = tuple(_source(source) for source in table.pop("sources", ()))
        return Entry(name=name, shape=shape, files=model_files, sources=sources, **table)
    except (TypeError, KeyError, CatalogueError) as error:
        # A missing or unknown field shows as a TypeError of the constructor, which names it.
        text = str(error)
        raise CatalogueError(text if text.startswith(f"model {name}: ") else f"model {name}: {text}") from None


def _source(table: dict[str, Any]) -> Source:
    kind = table.pop("kind")
    if kind == "wheels":
        return WheelsSource(tuple(_wheel(wheel) for wheel in table.pop("wheels")))
    if kind not in _SOURCES:
        raise CatalogueError(f"source kind {kind!r} is not one of {', '.join(_SOURCES)}, wheels")
    if "files" in table:
        table["files"] = MappingProxyType(table["files"])
    return _SOURCES[kind](**table)


def _wheel(table: dict[str, Any]) -> IndexSource:
    files = MappingProxyType(table.pop("files"))
    return IndexSource(files=files, **table)
