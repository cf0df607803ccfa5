"""Plain data as YAML: keys in the order given, two spaces a level, whatever could be read as something else in quotes.

A writer of forty lines in place of a library: what is written here is small, and the same to the byte everywhere.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence

Plain = Mapping[str, "Plain"] | Sequence["Plain"] | str | int | float | bool

# What no reader takes for a number, a date, a truth or an operator.
_BARE = re.compile(r"[A-Za-z/][A-Za-z0-9_./-]*( [A-Za-z0-9_./-]+)*")
_TRUTHS = {"true", "false", "yes", "no", "on", "off", "null", "y", "n"}


def documents(values: Sequence[Plain], about: str = "") -> str:
    """Several documents as one file, under a comment."""
    head = "".join(f"# {line}\n" for line in about.splitlines())
    return head + "---\n".join("\n".join(_lines(value)) + "\n" for value in values)


def _lines(value: Plain) -> Iterator[str]:
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _entry(f"{_scalar(key)}:", inner)
    elif isinstance(value, Sequence) and not isinstance(value, str):
        for inner in value:
            first, *rest = list(_lines(inner)) if inner else [_scalar(inner)]
            yield f"- {first}"
            yield from (f"  {line}" for line in rest)
    else:
        yield _scalar(value)


def _entry(key: str, value: Plain) -> Iterator[str]:
    if isinstance(value, str) and value.endswith("\n") and "\n" in value[:-1] and value.isprintable() is False:
        yield from _block(key, value)
    elif isinstance(value, str | int | float) or not value:
        yield f"{key} {_scalar(value)}"
    else:
        yield key
        yield from (f"  {line}" for line in _lines(value))


def _block(key: str, text: str) -> Iterator[str]:
    """A text of several lines as it stands, where that is safe; else as one quoted line."""
    lines = text[:-1].split("\n")
    if any(not line.isprintable() or line != line.rstrip() for line in lines) or lines[0][:1] in ("", " "):
        yield f"{key} {_scalar(text)}"
        return
    yield f"{key} |"
    yield from (f"  {line}" if line else "" for line in lines)


def _scalar(value: Plain) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        bare = _BARE.fullmatch(value) and value.lower() not in _TRUTHS
        return value if bare else _quoted(value)
    if isinstance(value, int | float):
        return json.dumps(value)
    return "{}" if isinstance(value, Mapping) else "[]"


def _quoted(text: str) -> str:
    """In double quotes. YAML has no pairs of surrogates, which JSON has for what lies beyond sixteen bits."""
    plain = (json.dumps(each)[1:-1] if ord(each) < 0x10000 else f"\\U{ord(each):08X}" for each in text)
    return f'"{"".join(plain)}"'
