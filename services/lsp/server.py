"""The server itself: what the client says goes to the workspace, what it asks goes to `features`.

Everything runs on one event loop. Diagnostics are made a moment after the last edit, and an edit that comes before then
puts them off, so that a burst of keys costs one analysis. Requests are answered from an analysis of the text as it is.
Nothing that a client sends may end the server: what fails is logged on standard error, and the next message is read.
"""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path
from typing import Any, cast

from lsprotocol import types
from pygls import uris
from pygls.lsp.server import LanguageServer
from pygls.protocol import LanguageServerProtocol, lsp_method

from .convert import Convert
from .settings import SettingsFiles
from .text import changed
from .workspace import Buffer, Workspace, is_settings

_log = logging.getLogger(__name__)

# Seconds between the last edit and the analysis: less than a person notices, more than lies between two messages of one
# edit.
DELAY = 0.015
# Other files that import an edited one wait longer: nobody is looking at the cursor there.
DELAY_OF_OTHERS = 0.4


class Protocol(LanguageServerProtocol):
    """pygls keeps the texts too, and ends lines where Python does; ours are the only ones here."""

    @lsp_method(types.TEXT_DOCUMENT_DID_OPEN)
    def lsp_text_document__did_open(self, params: types.DidOpenTextDocumentParams) -> Any:
        yield _handler(self, types.TEXT_DOCUMENT_DID_OPEN), (params,), None

    @lsp_method(types.TEXT_DOCUMENT_DID_CHANGE)
    def lsp_text_document__did_change(self, params: types.DidChangeTextDocumentParams) -> Any:
        yield _handler(self, types.TEXT_DOCUMENT_DID_CHANGE), (params,), None

    @lsp_method(types.TEXT_DOCUMENT_DID_CLOSE)
    def lsp_text_document__did_close(self, params: types.DidCloseTextDocumentParams) -> Any:
        yield _handler(self, types.TEXT_DOCUMENT_DID_CLOSE), (params,), None


def _handler(protocol: LanguageServerProtocol, method: str) -> Any:
    return cast("dict[str, Any]", protocol.fm.features)[method]  # pyright: ignore[reportUnknownMemberType]


class Server(LanguageServer):
    """The language server of agentlang."""

    def __init__(self) -> None:
        from ... import __version__

        super().__init__(  # pyright: ignore[reportUnknownMemberType]
            "agentlang", __version__, protocol_cls=Protocol
        )
        self.files = Workspace()
        self.settings = SettingsFiles()
        self._waiting: dict[str, asyncio.TimerHandle] = {}

    def publish_soon(self, buffer: Buffer, delay: float = DELAY) -> None:
        """Make diagnostics of a file once nothing has changed for a moment."""
        waiting = self._waiting.pop(buffer.uri, None)
        if waiting is not None:
            waiting.cancel()
        loop = asyncio.get_running_loop()
        self._waiting[buffer.uri] = loop.call_later(delay, self.publish, buffer)

    def publish(self, buffer: Buffer) -> None:
        self._waiting.pop(buffer.uri, None)
        if self.files.opened(buffer.uri) is not buffer:
            return
        try:
            found = Convert(self.files, buffer).diagnostics()
        except Exception:
            # A bug of ours must not take the editor's other features along.
            _log.exception("no diagnostics of %s", buffer.uri)
            return
        self.text_document_publish_diagnostics(types.PublishDiagnosticsParams(buffer.uri, found, buffer.version))

    def publish_settings(self, uri: str) -> None:
        """What is wrong with a settings file, at once: it is short."""
        try:
            found = self.settings.diagnostics(uri, self.files.encoding)
        except Exception:
            _log.exception("no diagnostics of %s", uri)
            return
        self.text_document_publish_diagnostics(found)

    def dropped(self, uri: str) -> None:
        """Nothing more is said of a file that was closed."""
        waiting = self._waiting.pop(uri, None)
        if waiting is not None:
            waiting.cancel()
        self.text_document_publish_diagnostics(types.PublishDiagnosticsParams(uri, []))

    def report_server_error(self, error: Exception, source: Any) -> None:
        """Into the log, which editors show where it is looked for, and not over the text."""
        _log.error("%s: %s", getattr(source, "__name__", source), error)


def create() -> Server:
    """The server with everything it can do."""
    from .features import register

    server = Server()

    @server.feature(types.INITIALIZE)
    def initialize(params: types.InitializeParams) -> None:
        server.files.encoding = types.PositionEncodingKind(server.workspace.position_encoding)
        roots = [folder.uri for folder in params.workspace_folders or ()] or [params.root_uri]
        for root in roots:
            path = uris.to_fs_path(root) if root else None
            if path:
                server.files.folders.append(Path(path).resolve())

    @server.feature(types.TEXT_DOCUMENT_DID_OPEN)
    def opened(params: types.DidOpenTextDocumentParams) -> None:
        item = params.text_document
        if is_settings(item.uri):
            server.settings.set(item.uri, item.text, item.version)
            server.publish_settings(item.uri)
            return
        buffer = server.files.open(item.uri, item.text, item.version)
        server.publish_soon(buffer)
        settings = server.settings.of(buffer.source.path)
        if settings is not None:
            server.publish_settings(settings)
        others()

    @server.feature(types.TEXT_DOCUMENT_DID_CHANGE)
    def edited(params: types.DidChangeTextDocumentParams) -> None:
        uri = params.text_document.uri
        if (text := server.settings.text(uri)) is not None:
            for change in params.content_changes:
                text = changed(text, change, server.files.encoding)
            server.settings.set(uri, text, params.text_document.version)
            server.publish_settings(uri)
            return
        buffer = server.files.opened(uri)
        if buffer is None:
            return
        text = buffer.source.text
        for change in params.content_changes:
            text = changed(text, change, server.files.encoding)
        buffer.set(text, params.text_document.version)
        server.publish_soon(buffer)
        for other in server.files.forget(buffer):
            server.publish_soon(other, DELAY_OF_OTHERS)

    @server.feature(types.TEXT_DOCUMENT_DID_CLOSE)
    def closed(params: types.DidCloseTextDocumentParams) -> None:
        if server.settings.text(params.text_document.uri) is not None:
            server.settings.close(params.text_document.uri)
            server.publish_settings(params.text_document.uri)
            return
        server.files.close(params.text_document.uri)
        server.dropped(params.text_document.uri)
        others()

    @server.feature(types.TEXT_DOCUMENT_DID_SAVE)
    def saved(params: types.DidSaveTextDocumentParams) -> None:
        del params

    @server.feature(types.WORKSPACE_DID_CHANGE_WATCHED_FILES)
    def on_disk(params: types.DidChangeWatchedFilesParams) -> None:
        server.files.forget_all()
        for buffer in server.files.buffers():
            server.publish_soon(buffer, DELAY_OF_OTHERS)
            server.settings.of(buffer.source.path)
        changed_on_disk = {change.uri for change in params.changes if is_settings(change.uri)}
        for uri in sorted(changed_on_disk.union(server.settings.watched())):
            server.publish_settings(uri)

    def others() -> None:
        """The files whose imports may now be found, or lost."""
        for buffer in server.files.buffers():
            if buffer.analysis is None:
                server.publish_soon(buffer)

    register(server)
    return server


def serve() -> None:
    """Speak over standard input and output until the client says exit or goes away."""
    create().start_io()
