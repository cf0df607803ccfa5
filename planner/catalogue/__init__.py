"""The devices known by name: a data file and its checked reader. Read only when a fleet names a device."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from types import MappingProxyType
from typing import Any

from ..figures import Basis, Figure
from .entries import CatalogueError, Device, Reported

__all__ = ["CatalogueError", "Device", "Reported", "catalogue", "read_catalogue"]


@cache
def catalogue() -> Mapping[str, Device]:
    """Every device by name, in the order of the data file. Raises `CatalogueError` if the file contradicts itself."""
    return read_catalogue((files(str(__package__)) / "devices.toml").read_text("utf-8"))


def read_catalogue(text: str) -> Mapping[str, Device]:
    """The devices of a catalogue text in TOML. Raises `CatalogueError`, which names the device."""
    import tomllib

    try:
        tables = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise CatalogueError(f"not TOML: {error}") from None
    return MappingProxyType({name: _device(name, table) for name, table in tables.items()})


def _device(name: str, table: dict[str, Any]) -> Device:
    try:
        values: dict[str, Any] = dict(table)
        for key, value in table.items():
            if key == "compute":
                values[key] = MappingProxyType({form: _figure(form, figure) for form, figure in value.items()})
            elif key == "reported":
                values[key] = Reported(**value)
            elif isinstance(value, dict):
                values[key] = _figure(key, table[key])
        return Device(name=name, **values)
    except (TypeError, ValueError, KeyError, AttributeError, CatalogueError) as error:
        # A missing or unknown field shows as a TypeError of the constructor, which names it.
        raise CatalogueError(f"device {name}: {error}") from None


def _figure(name: str, table: dict[str, Any]) -> Figure:
    try:
        fields: dict[str, Any] = {**table, "value": float(table["value"]), "basis": Basis(table["basis"])}
        return Figure(**fields)
    except KeyError as error:
        raise CatalogueError(f"{name} has no {error.args[0]}") from None
    except (TypeError, ValueError) as error:
        raise CatalogueError(f"{name}: {error}") from None
