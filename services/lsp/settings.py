"""The problems of `agentlang.toml`, which decides what a program's models and tools are.

The editor is told of them when a program of the folder is opened and when the file changes: on the disk, or in a buffer
where the client sends those of settings too.
"""

from __future__ import annotations

from pathlib import Path

from lsprotocol import types
from pygls import uris

from ...base.source import Source
from .convert import SEVERITIES, page
from .text import Lines


class SettingsFiles:
    """The settings that somebody should be told of, by their address."""

    def __init__(self) -> None:
        self._buffers: dict[str, tuple[str, int | None]] = {}
        # Those of which problems were shown, or asked for: they are looked at again when something changes.
        self._watched: set[str] = set()

    def set(self, uri: str, text: str, version: int | None) -> None:
        """What the client has in a buffer."""
        self._buffers[uri] = text, version
        self._watched.add(uri)

    def text(self, uri: str) -> str | None:
        found = self._buffers.get(uri)
        return None if found is None else found[0]

    def close(self, uri: str) -> None:
        """What is on the disk counts again."""
        self._buffers.pop(uri, None)

    def of(self, program: str) -> str | None:
        """The address of the settings of the program at a path, if it has some."""
        from ...stdlib.settings import find

        place = find(Path(program).parent) if Path(program).is_absolute() else None
        uri = None if place is None else uris.from_fs_path(str(place))
        if uri is not None:
            self._watched.add(uri)
        return uri

    def watched(self) -> tuple[str, ...]:
        return tuple(sorted(self._watched))

    def diagnostics(self, uri: str, encoding: types.PositionEncodingKind) -> types.PublishDiagnosticsParams:
        """All problems of one file; none where there is no such file any more."""
        from ...stdlib.settings import read

        text, version = self._buffers.get(uri, (None, None))
        path = uris.to_fs_path(uri) or uri
        source = Source(path, text) if text is not None else None
        if source is None:
            try:
                source = Source(path, Path(path).read_text("utf-8-sig"))
            except (OSError, UnicodeDecodeError):
                self._watched.discard(uri)
                return types.PublishDiagnosticsParams(uri, [])
        _, problems = read(source)
        lines = Lines(source.text, encoding)
        found = [
            types.Diagnostic(
                range=lines.range(problem.span.start, problem.span.end) if problem.span else lines.range(0, 0),
                message=problem.title if problem.hint is None else f"{problem.title}\n{problem.hint}",
                severity=SEVERITIES[problem.severity],
                code=problem.slug,
                code_description=None if (address := page(problem.slug)) is None else types.CodeDescription(address),
                source="agentlang",
            )
            for problem in problems
        ]
        return types.PublishDiagnosticsParams(uri, found, version)
