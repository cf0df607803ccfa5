"""The files that the client has open, as they are in its buffers, and an analysis of each that is made when asked for.

What is not open is read from the disk. A file that imports an open one sees its buffer, saved or not.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path

from lsprotocol import types
from pygls import uris

from ...api import Imports, read
from ...base.source import Source
from ...lang.ide import Analysis, Document
from ...stdlib.interfaces import interface
from ...stdlib.settings.read import FILE as SETTINGS
from .text import Lines

# Files of a folder that are looked through for uses of a name.
MOST_FILES = 500


class Buffer:
    """One file: its text and its analysis, which stays good until the text or one that it imports changes."""

    def __init__(self, uri: str, path: str, text: str, version: int | None) -> None:
        self.uri = uri
        self.source = Source(path, text)
        self.version = version
        self.document = Document(interface)
        # For texts that are only tried, such as one with a word at the cursor.
        self.scratch = Document(interface)
        self.analysis: Analysis | None = None
        self.lines: Lines | None = None

    def set(self, text: str, version: int | None) -> None:
        self.source = Source(self.source.path, text)
        self.version = version
        self.analysis = self.lines = None


class Workspace:
    """`encoding` is how the client counts characters; it is known once the client has said hello."""

    def __init__(self) -> None:
        self.encoding = types.PositionEncodingKind.Utf16
        self.folders: list[Path] = []
        self._buffers: dict[str, Buffer] = {}
        self._by_path: dict[Path, Buffer] = {}

    # --- buffers

    def open(self, uri: str, text: str, version: int | None) -> Buffer:
        self.close(uri)
        path = _path(uri)
        buffer = Buffer(uri, path, text, version)
        self._buffers[uri] = buffer
        self._by_path[_real(path)] = buffer
        self.forget(buffer)
        return buffer

    def close(self, uri: str) -> None:
        buffer = self._buffers.pop(uri, None)
        if buffer is not None:
            self._by_path.pop(_real(buffer.source.path), None)
            self.forget(buffer)

    def get(self, uri: str) -> Buffer | None:
        """The open file, or the one on the disk, or None."""
        buffer = self._buffers.get(uri)
        if buffer is not None:
            return buffer
        is_program = uri.startswith("file:") and not is_settings(uri)
        source, _ = read(_path(uri)) if is_program else (None, ())
        return None if source is None else Buffer(uri, source.path, source.text, None)

    def opened(self, uri: str) -> Buffer | None:
        return self._buffers.get(uri)

    def buffers(self) -> tuple[Buffer, ...]:
        return tuple(self._buffers.values())

    def forget(self, changed: Buffer) -> list[Buffer]:
        """Forget the analyses that a change of one file makes stale: those of the files that import it."""
        stale: list[Buffer] = []
        for buffer in self._buffers.values():
            known = buffer.analysis
            if buffer is not changed and (known is None or _imports(known, changed.source.path)):
                buffer.analysis = None
                stale.append(buffer)
        return stale

    def forget_all(self) -> None:
        for buffer in self._buffers.values():
            buffer.analysis = None

    # --- analyses

    def analysis(self, buffer: Buffer) -> Analysis:
        if buffer.analysis is None:
            files = Imports(buffer.source, self._unsaved)
            buffer.analysis = buffer.document.update(buffer.source, files.find)
        return buffer.analysis

    def looker(self, buffer: Buffer) -> Callable[[str], Analysis]:
        """Analyses texts that stand in for a file's."""

        def look(text: str) -> Analysis:
            if text == buffer.source.text:
                return self.analysis(buffer)
            source = Source(buffer.source.path, text)
            return buffer.scratch.update(source, Imports(source, self._unsaved).find)

        return look

    def tried(self, texts: Mapping[str, str], paths: Iterable[str]) -> Iterator[Analysis]:
        """Analyses of files as they would be with other texts, by path; files that are not named stay as they are."""
        by_real = {_real(path): text for path, text in texts.items()}

        def unsaved(real: Path, name: str) -> Source | None:
            return Source(name, by_real[real]) if real in by_real else self._unsaved(real, name)

        for path in paths:
            source = Source(path, texts[path])
            yield Document(interface).update(source, Imports(source, unsaved).find)

    def lines(self, buffer: Buffer) -> Lines:
        if buffer.lines is None:
            buffer.lines = Lines(buffer.source.text, self.encoding)
        return buffer.lines

    def lines_of(self, source: Source) -> Lines:
        """The lines of any text that an analysis points into."""
        buffer = self._by_path.get(_real(source.path))
        if buffer is not None and buffer.source.text == source.text:
            return self.lines(buffer)
        return Lines(source.text, self.encoding)

    def _unsaved(self, real: Path, name: str) -> Source | None:
        buffer = self._by_path.get(real)
        return None if buffer is None else Source(name, buffer.source.text)

    # --- files beside each other

    def uri(self, path: str) -> str:
        """The address of a file, which is the client's own where it has the file open."""
        buffer = self._by_path.get(_real(path))
        if buffer is not None:
            return buffer.uri
        return uris.from_fs_path(path) or path

    def neighbours(self, path: str) -> Iterator[Buffer]:
        """The programs that may import a file: those in its folder and in the folders above it, up to the workspace."""
        folder = _real(path).parent
        roots = [root for root in self.folders if folder.is_relative_to(root)]
        above = [folder]
        while roots and above[-1] not in roots:
            above.append(above[-1].parent)
        # Below the workspace's own folder, everything; an import reaches no folder above its file's.
        wide = above[-1].rglob("*.agent") if roots else above[-1].glob("*.agent")
        files = [*(file for folder in above[:-1] for file in sorted(folder.glob("*.agent"))), *sorted(wide)]
        seen: set[Path] = set()
        for buffer in self.buffers():
            if _real(buffer.source.path).parent in above:
                seen.add(_real(buffer.source.path))
                yield buffer
        for file in files[:MOST_FILES]:
            if _real(str(file)) not in seen:
                seen.add(_real(str(file)))
                if (found := self.get(uris.from_fs_path(str(file)) or "")) is not None:
                    yield found

    def everywhere(self) -> Iterator[Buffer]:
        """All files of the workspace, and those that are open."""
        seen = {_real(buffer.source.path) for buffer in self._buffers.values()}
        yield from self.buffers()
        for root in self.folders:
            for file in sorted(root.rglob("*.agent"))[:MOST_FILES]:
                if _real(str(file)) not in seen:
                    seen.add(_real(str(file)))
                    buffer = self.get(uris.from_fs_path(str(file)) or "")
                    if buffer is not None:
                        yield buffer


def is_settings(uri: str) -> bool:
    """Whether this is an `agentlang.toml`, which is no program."""
    return uri.startswith("file:") and uri.rsplit("/", 1)[-1] == SETTINGS


def _path(uri: str) -> str:
    """The path of a file; what is no file (an untitled buffer) keeps its address, which no file has."""
    return (uris.to_fs_path(uri) if uri.startswith("file:") else None) or uri


def _real(path: str) -> Path:
    try:
        return Path(path).resolve()
    except (OSError, RuntimeError, ValueError):
        return Path(path)


def _imports(analysis: Analysis, path: str) -> bool:
    """Whether a file uses another, or failed to find one, which may be this."""
    real = _real(path)
    return any(_real(known) == real for known in analysis.sources) or any(
        problem.slug == "import-not-found" for problem in analysis.problems
    )
