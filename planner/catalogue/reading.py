"""From the text of a catalogue to its entries, and to a problem at its line for everything in it that is wrong.

An entry with a problem is left out whole: half a device would make a plan that is quietly wrong. The library that reads
TOML keeps no lines, so the line of a key is found in the text again.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import MISSING, fields
from types import MappingProxyType
from typing import Any, TypeVar, cast

from ...base.problems import Problem, Problems
from ...base.source import Source, Span
from ...base.suggest import suggest
from .. import catalogue_problems as problems
from ..figures import Basis, Figure
from .entries import BASES, CatalogueError, Device, Link, Region, Reported

T = TypeVar("T", Device, Link, Region)
Path = tuple[str, ...]
Wrong = tuple[str, Path, str | None]
"""What is wrong, the path of where, and a hint."""

_HEADER = re.compile(r"^[ \t]*\[([A-Za-z0-9_.\-]+)\]", re.MULTILINE)
_KEY = re.compile(r"^[ \t]*([A-Za-z0-9_\-]+)[ \t]*=[^\n]*", re.MULTILINE)
_FIGURE = ("value", "unit", "basis", "source", "date")
_MOST = 1 << 20


def read_entries(source: Source, kind: type[T]) -> tuple[Mapping[str, T], Problems]:
    """The sound entries of a text in TOML by name, and what is wrong with the others."""
    import tomllib

    if len(source.text) > _MOST:
        return {}, (problems.catalogue_unsound("a catalogue of more than a million characters", None, None),)
    try:
        tables = tomllib.loads(source.text)
    except (ValueError, RecursionError) as error:  # ValueError also for a number of thousands of digits
        return {}, (problems.catalogue_unsound(f"not TOML: {error}", _told(source, str(error)), None),)
    found: list[Problem] = []
    entries: dict[str, T] = {}
    word = kind.__name__.lower()
    for name, table in tables.items():
        entry, wrong = _entry(name, table, kind)
        for text, path, hint in wrong:
            found.append(problems.catalogue_unsound(f"{word} {name}: {text}", _at(source, (name, *path)), hint))
        if entry is not None:
            entries[name] = entry
    return MappingProxyType(entries), tuple(found)


def known_names(
    source: Source, entries: Mapping[str, Device], links: Mapping[str, Link], regions: Mapping[str, Region]
) -> tuple[Mapping[str, Device], Problems]:
    """The devices whose links and region somebody has, and a problem for each that nobody has."""
    found: list[Problem] = []
    sound: dict[str, Device] = {}
    for device in entries.values():
        named = [("link", "links", link, links) for link in device.links]
        named += [("region", "region", device.region, regions)] if device.region else []
        unknown = [(word, key, name, known) for word, key, name, known in named if name not in known]
        for word, key, name, known in unknown:
            text = f"device {device.name}: no {word} is called {name!r}"
            found.append(problems.catalogue_unsound(text, _at(source, (device.name, key)), _meant(name, known)))
        if not unknown:
            sound[device.name] = device
    return MappingProxyType(sound), tuple(found)


def _entry(name: str, table: object, kind: type[T]) -> tuple[T | None, list[Wrong]]:
    if not isinstance(table, dict):
        return None, [("is no table", (), f"begin it with [{name}]")]
    given = cast("dict[str, Any]", table)
    types = {field.name: str(field.type) for field in fields(kind) if field.name != "name"}
    wrong = list(_keys(given, kind))
    values: dict[str, Any] = {"name": name}
    for key, value in given.items():
        if key not in types:
            continue
        made, faults = _value(key, value, types[key])
        values[key] = made
        wrong += faults
    if wrong:
        return None, wrong
    try:
        return kind(**values), []
    except CatalogueError as error:
        return None, [(str(error), error.key, None)]


def _keys(table: Mapping[str, Any], kind: type[Device] | type[Link] | type[Region]) -> Iterator[Wrong]:
    """Keys that nobody knows, and keys that are missing."""
    known = {field.name: field for field in fields(kind) if field.name != "name"}
    for key in table:
        if key not in known:
            yield f"unknown key {key!r}", (key,), _meant(key, known)
    for key, field in known.items():
        if key not in table and field.default is MISSING:
            yield f"{key} is missing", (), None


def _value(key: str, value: object, written: str) -> tuple[Any, list[Wrong]]:
    """What a key holds, by the type that is written at its field."""
    if written.startswith("Figure"):
        return _figure(key, value, (key,))
    if written.startswith("Mapping"):
        return _rates(value)
    if written.startswith("Reported"):
        return _reported(value)
    if written.startswith("tuple"):
        names = cast("list[object]", value) if isinstance(value, list) else None
        if names is not None and all(isinstance(one, str) for one in names):
            return tuple(names), []
        return (), [(f"{key} is not a list of names", (key,), None)]
    wanted: type[object] = int if written == "int" else str
    if type(value) is not wanted:
        return None, [(f"{key} is not {'a whole number' if wanted is int else 'a text'}", (key,), None)]
    return value, []


def _rates(value: object) -> tuple[Any, list[Wrong]]:
    if not isinstance(value, dict):
        return {}, [("compute is no table of rates by number format", ("compute",), None)]
    rates: dict[str, Any] = {}
    wrong: list[Wrong] = []
    table = cast("dict[str, object]", value)
    for form, figure in table.items():
        rates[form], faults = _figure(f"compute.{form}", figure, ("compute", form))
        wrong += faults
    return MappingProxyType(rates), wrong


def _reported(value: object) -> tuple[Reported | None, list[Wrong]]:
    table = cast("dict[str, object]", value) if isinstance(value, dict) else {}
    compute, operating, source = table.get("compute"), table.get("operating"), table.get("source")
    if len(table) == 3 and isinstance(compute, float) and isinstance(operating, float) and isinstance(source, str):
        return Reported(compute, operating, source), []
    return None, [("reported holds compute and operating, two numbers, and source", ("reported",), None)]


def _figure(name: str, value: object, path: Path) -> tuple[Figure | None, list[Wrong]]:
    if not isinstance(value, dict):
        hint = f'{path[-1]} = {{ value = 1, unit = "…", basis = "datasheet", source = "…", date = "2026-01" }}'
        return None, [(f"{name} is no figure with a value, a unit, a basis, a source and a date", path, hint)]
    table = cast("dict[str, Any]", value)
    wrong: list[Wrong] = [
        (f"{name} has an unknown key {key!r}", path, _meant(key, _FIGURE))
        for key in table
        if key not in (*_FIGURE, "error")
    ]
    wrong += [(f"{name} has no {key}", path, None) for key in _FIGURE if key not in table]
    for key in ("value", "error"):
        number = table.get(key, 0.0)
        # A whole number beyond the largest float is none that can be counted with either.
        if isinstance(number, bool) or not isinstance(number, int | float) or abs(number) > 1e300:
            wrong.append((f"the {key} of {name} is {str(number)[:40]!r}, which is no number", path, None))
    for key in _FIGURE[1:]:
        if key in table and not isinstance(table[key], str):
            wrong.append((f"the {key} of {name} is {table[key]!r}, which is no text", path, None))
    bases = [basis.value for basis in BASES]
    if isinstance(table.get("basis"), str) and table["basis"] not in bases:
        wrong.append((f"{name} has the basis {table['basis']!r}", path, f"one of {', '.join(bases)}"))
    if wrong:
        return None, wrong
    made = Figure(
        value=float(table["value"]),
        unit=table["unit"],
        basis=Basis(table["basis"]),
        source=table["source"],
        date=table["date"],
        error=float(table.get("error", 0.0)),
    )
    return made, []


def _meant(name: str, known: Mapping[str, object] | tuple[str, ...]) -> str:
    meant = suggest(name, known)
    return f"did you mean {meant}?" if meant else f"one of {', '.join(known)}"


# --- places ----------------------------------------------------------------------------------------------------------


def _places(source: Source) -> Iterator[tuple[Path, Span]]:
    """The lines of tables and keys by their path. Later ones win: a table of that name again is not TOML anyway."""
    headers = [(match.start(), match.end(), tuple(match[1].split("."))) for match in _HEADER.finditer(source.text)]
    for _, end, path in headers:
        start = source.text.rfind("[", 0, end)
        yield path, source.span(start, end)
    ends = [start for start, _, _ in headers[1:]] + [len(source.text)]
    for (_, begin, path), end in zip(headers, ends, strict=True):
        for match in _KEY.finditer(source.text, begin, end):
            yield (*path, match[1]), source.span(match.start(1), match.end())


def _at(source: Source, path: Path) -> Span | None:
    """The place of the path, or of the nearest that it lies in. Sought only where something is wrong."""
    places = dict(_places(source))
    while path:
        if path in places:
            return places[path]
        path = path[:-1]
    return None


def _told(source: Source, text: str) -> Span | None:
    """The place that the reader of TOML tells: `(at line 3, column 5)`."""
    match = re.search(r"at line (\d+), column (\d+)", text)
    if match is None:
        return None
    start = source.line_starts[min(int(match[1]), len(source.line_starts)) - 1]
    at = min(start + int(match[2]) - 1, len(source.text))
    return source.span(at, min(at + 1, len(source.text)))
