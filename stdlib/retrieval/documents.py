"""Finding and reading the documents that a pattern names."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ...base.problems import OutsideError, Problem
from ...base.source import Span
from ...base.store import sha256_bytes
from .. import problems

_LARGEST = 64 << 20


@dataclass(frozen=True, slots=True)
class Document:
    """A readable document: its path as the pattern writes it, its text, and the SHA-256 of its bytes."""

    path: str
    text: str
    sha256: str


def read(folder: Path, pattern: str, span: Span | None = None) -> tuple[tuple[Document, ...], tuple[Problem, ...]]:
    """The documents that `pattern` matches below `folder`, sorted by path, and a warning for each that is left out.

    Raises `OutsideError` (no-documents) if there is none to read.
    """
    # Not Path.glob, which takes no absolute pattern and rewrites what the pattern says.
    matches = glob.glob(pattern, root_dir=folder, recursive=True)  # noqa: PTH207
    found = sorted(path for path in matches if (folder / path).is_file())
    documents: list[Document] = []
    skipped: list[Problem] = []
    for path in found:
        name = path.replace(os.sep, "/")
        read = _read(folder / path)
        if isinstance(read, str):
            skipped.append(problems.document_skipped(name, read))
        else:
            documents.append(Document(name, read.decode("utf-8"), sha256_bytes(read)))
    if not documents:
        why = _why_none(folder, pattern) if not found else _why_unread(skipped)
        raise OutsideError(problems.no_documents(pattern, str(folder), why, span))
    return tuple(documents), tuple(skipped)


def _read(path: Path) -> bytes | str:
    """The bytes of a text, or why they are none."""
    try:
        if path.stat().st_size > _LARGEST:
            return f"it is larger than {_LARGEST >> 20} MiB"
        data = path.read_bytes()
        data.decode("utf-8")
    except OSError as error:
        return f"it cannot be read ({error.strerror})"
    except UnicodeDecodeError as error:
        return f"it is not UTF-8 (byte {error.start})"
    return "it is not text (it holds zero bytes)" if b"\0" in data else data


def _why_none(folder: Path, pattern: str) -> str:
    plain = Path(*_plain_parts(pattern))
    place = folder / plain
    if plain == Path(pattern):
        return f"{place} is a folder; name its files ({pattern.rstrip('/')}/*.md)" if place.is_dir() else "no such file"
    if not place.is_dir():
        return f"there is no folder {place}"
    return f"no file in {place} matches"


def _plain_parts(pattern: str) -> Iterator[str]:
    """The folders before the first part that is a pattern."""
    for part in Path(pattern).parts:
        if glob.has_magic(part):
            return
        yield part


def _why_unread(skipped: list[Problem]) -> str:
    first = skipped[0].title
    return first if len(skipped) == 1 else f"none of {len(skipped)} files can be read; the first: {first}"
