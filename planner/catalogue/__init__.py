"""The devices, links and regions known by name: data files and their checked reader. Read only when a fleet names a
device, or somebody asks.

More come in by the entry point group `agentlang.devices`: the name of a text in TOML like `devices.toml` here, or of a
function that returns one. A stranger's device never takes the place of one of ours, and a stranger's mistake costs no
more than that entry: it is a problem at its line, kept in `Catalogue.problems`.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from types import MappingProxyType
from typing import TYPE_CHECKING, TypeVar

from ...base.problems import Problem, Problems
from ...base.source import Source
from .. import catalogue_problems as problems
from .entries import CatalogueError, Device, Link, Region, Reported
from .reading import known_names, read_entries

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

__all__ = [
    "Catalogue",
    "CatalogueError",
    "Device",
    "Link",
    "Region",
    "Reported",
    "catalogue",
    "device",
    "instead",
    "links",
    "read_catalogue",
    "regions",
    "whole",
    "with_strangers",
]

T = TypeVar("T")
ENTRY_POINTS = "agentlang.devices"
OURS = ("cpus.toml", "devices.toml", "paper.toml")


@dataclass(frozen=True, slots=True)
class Catalogue:
    """Devices by name in the order of the files, ours first; what is wrong with those of strangers, and their texts."""

    devices: Mapping[str, Device]
    problems: Problems = ()
    sources: Mapping[str, Source] = field(default_factory=dict[str, Source])


_INSTEAD: ContextVar[Mapping[str, Device]] = ContextVar("_INSTEAD", default=MappingProxyType({}))


@contextmanager
def instead(devices: Mapping[str, Device]) -> Generator[None]:
    """While this lasts, these count instead of ours of the same names: to look again at what was planned with an older
    catalogue."""
    before = _INSTEAD.set(devices)
    try:
        yield
    finally:
        _INSTEAD.reset(before)


def device(name: str) -> Device | None:
    """The device of that name. Reads no more than it must: a plan for this machine asks for its laptop alone."""
    if found := _INSTEAD.get().get(name):
        return found
    for file in OURS:
        if found := _read(file).get(name):
            return found
    return catalogue().get(name)


def catalogue() -> Mapping[str, Device]:
    """Every device by name. Raises `CatalogueError` if one of our own files contradicts itself."""
    replaced = _INSTEAD.get()
    return {**whole().devices, **replaced} if replaced else whole().devices


@cache
def whole() -> Catalogue:
    """Our devices and those of installed packages. Raises `CatalogueError` as above."""
    from importlib.metadata import entry_points

    return with_strangers(
        {name: found for file in OURS for name, found in _read(file).items()}, entry_points(group=ENTRY_POINTS)
    )


@cache
def links() -> Mapping[str, Link]:
    """Every kind of link by name. Raises `CatalogueError`."""
    return _sound(*read_entries(_file("links.toml"), Link))


@cache
def regions() -> Mapping[str, Region]:
    """Every region by name. Raises `CatalogueError`."""
    return _sound(*read_entries(_file("regions.toml"), Region))


def read_catalogue(text: str) -> Mapping[str, Device]:
    """The devices of a catalogue text in TOML. Raises `CatalogueError`, which names the first that is wrong."""
    source = Source("devices.toml", text)
    read, wrong = read_entries(source, Device)
    found, unknown = known_names(source, read, links(), regions())
    return _sound(found, (*wrong, *unknown))


def with_strangers(ours: Mapping[str, Device], points: Iterable[EntryPoint]) -> Catalogue:
    """Our devices and those of the entry points, in order of their names."""
    devices = dict(ours)
    found: list[Problem] = []
    sources: dict[str, Source] = {}
    for point in sorted(points, key=lambda point: (point.name, point.value)):
        try:
            given: object = point.load()
            text = given() if callable(given) else given
        except Exception as error:  # A stranger's code may raise anything.
            found.append(problems.catalogue_unsound(f"{point.value} does not load: {error!r}", None, None))
            continue
        if not isinstance(text, str):
            found.append(problems.catalogue_unsound(f"{point.value} is neither a text nor gives one", None, None))
            continue
        source = Source(point.value, text)
        sources[source.path] = source
        read, wrong = read_entries(source, Device)
        theirs, unknown = known_names(source, read, links(), regions())
        found += (*wrong, *unknown)
        for name, device in theirs.items():
            if name in devices:
                found.append(problems.catalogue_unsound(f"{point.value}: device {name} is there already", None, None))
            else:
                devices[name] = device
    return Catalogue(MappingProxyType(devices), tuple(found), MappingProxyType(sources))


@cache
def _read(file: str) -> Mapping[str, Device]:
    """One of our files. That their links and regions exist is a test's to say, not every plan's."""
    return _sound(*read_entries(_file(file), Device))


def _file(name: str) -> Source:
    return Source(name, (files(str(__package__)) / name).read_text("utf-8"))


def _sound(found: Mapping[str, T], wrong: Problems) -> Mapping[str, T]:
    if wrong:
        raise CatalogueError(f"{wrong[0].span or ''} {wrong[0].title}".strip())
    return found
