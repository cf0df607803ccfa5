"""A language client that speaks to a server of ours in a process of its own, as editors do."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from ide_texts import cut
from lsprotocol import types
from pygls.lsp.client import LanguageClient

SECONDS = 20.0
UTF8, UTF16 = types.PositionEncodingKind.Utf8, types.PositionEncodingKind.Utf16


class Client:
    """One open folder. Texts are given with a cursor where a place is meant."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.lsp = LanguageClient("tests", "1")
        self.published: dict[str, types.PublishDiagnosticsParams] = {}
        self.capabilities: types.ServerCapabilities = types.ServerCapabilities()
        self._news = asyncio.Event()
        self._versions: dict[str, int] = {}
        self.texts: dict[str, str] = {}

        def heard(params: types.PublishDiagnosticsParams) -> None:
            self.published[params.uri] = params
            self._news.set()

        self.lsp.feature(types.TEXT_DOCUMENT_PUBLISH_DIAGNOSTICS)(heard)

    async def start(self, encoding: types.PositionEncodingKind) -> None:
        await self.lsp.start_io(sys.executable, "-m", "agentlang", "lsp", cwd=str(self.folder))
        general = types.GeneralClientCapabilities(position_encodings=[encoding])
        folders = [types.WorkspaceFolder(self.folder.as_uri(), "folder")]
        params = types.InitializeParams(types.ClientCapabilities(general=general), workspace_folders=folders)
        answer = await asyncio.wait_for(self.lsp.initialize_async(params), SECONDS)
        self.capabilities = answer.capabilities
        self.lsp.initialized(types.InitializedParams())

    def uri(self, name: str) -> str:
        return (self.folder / name).as_uri()

    def document(self, name: str) -> types.TextDocumentIdentifier:
        return types.TextDocumentIdentifier(self.uri(name))

    def position(self, name: str, offset: int) -> types.Position:
        """In UTF-16, or in any encoding where the line is ASCII."""
        before = self.texts[name][:offset]
        line = before.rpartition("\n")[2]
        return types.Position(before.count("\n"), len(line.encode("utf-16-le")) // 2)

    def span(self, name: str, found: types.Range) -> str:
        """The text of a range."""
        lines = self.texts[name].split("\n")
        if found.start.line != found.end.line:
            return "\n".join(lines[found.start.line : found.end.line + 1])
        return lines[found.start.line][found.start.character : found.end.character]

    # --- files

    def open(self, name: str, text: str) -> None:
        self._versions[name] = 1
        self.texts[name] = text
        item = types.TextDocumentItem(self.uri(name), "agentlang", 1, text)
        self.lsp.text_document_did_open(types.DidOpenTextDocumentParams(item))

    def change(self, name: str, start: int, end: int, text: str) -> None:
        """Replace a part of a file, as typing does."""
        self._versions[name] += 1
        place = types.Range(self.position(name, start), self.position(name, end))
        before = self.texts[name]
        self.texts[name] = before[:start] + text + before[end:]
        document = types.VersionedTextDocumentIdentifier(self._versions[name], self.uri(name))
        change = types.TextDocumentContentChangePartial(place, text)
        self.lsp.text_document_did_change(types.DidChangeTextDocumentParams(document, [change]))

    def replace(self, name: str, text: str) -> None:
        self._versions[name] += 1
        self.texts[name] = text
        document = types.VersionedTextDocumentIdentifier(self._versions[name], self.uri(name))
        change = types.TextDocumentContentChangeWholeDocument(text)
        self.lsp.text_document_did_change(types.DidChangeTextDocumentParams(document, [change]))

    def close(self, name: str) -> None:
        self.lsp.text_document_did_close(types.DidCloseTextDocumentParams(self.document(name)))

    async def problems(self, name: str) -> list[types.Diagnostic]:
        """Of the file as it is now, but for what is not used."""
        uri = self.uri(name)
        async with asyncio.timeout(SECONDS):
            while uri not in self.published or self.published[uri].version != self._versions[name]:
                self._news.clear()
                await self._news.wait()
        return [problem for problem in self.published[uri].diagnostics if problem.code != "unused"]

    async def next_problems(self, name: str) -> list[types.Diagnostic]:
        """The next that is said of a file, whatever version of it."""
        self.published.pop(self.uri(name), None)
        async with asyncio.timeout(SECONDS):
            while self.uri(name) not in self.published:
                self._news.clear()
                await self._news.wait()
        return [problem for problem in self.published[self.uri(name)].diagnostics if problem.code != "unused"]

    # --- questions

    async def ask(self, method: str, params: Any) -> Any:
        return await asyncio.wait_for(self.lsp.protocol.send_request_async(method, params), SECONDS)

    def at(self, name: str, text: str) -> types.TextDocumentPositionParams:
        """Open or replace a file by a text with a cursor; the place of the cursor."""
        source, offset = cut(text)
        if name in self.texts:
            self.replace(name, source)
        else:
            self.open(name, source)
        return types.TextDocumentPositionParams(self.document(name), self.position(name, offset))

    async def completions(self, name: str, text: str) -> dict[str, types.CompletionItem]:
        place = self.at(name, text)
        params = types.CompletionParams(place.text_document, place.position)
        found = await self.ask(types.TEXT_DOCUMENT_COMPLETION, params)
        return {item.label: item for item in found.items}


@asynccontextmanager
async def server(folder: Path, encoding: types.PositionEncodingKind = UTF16) -> AsyncGenerator[Client]:
    """A server for a folder, asked to end when the test does; it must then end by itself, and well."""
    client = Client(folder)
    await client.start(encoding)
    process: asyncio.subprocess.Process = client.lsp._server  # pyright: ignore[reportPrivateUsage, reportAssignmentType]
    try:
        yield client
        await asyncio.wait_for(client.lsp.shutdown_async(None), SECONDS)
        client.lsp.exit(None)
        assert await asyncio.wait_for(process.wait(), SECONDS) == 0
    finally:
        if process.returncode is None:
            process.kill()
        await asyncio.wait_for(client.lsp.stop(), SECONDS)


def apply(text: str, edits: list[types.TextEdit]) -> str:
    """A text with edits made, positions in UTF-16."""
    lines = text.split("\n")
    starts = [0]
    for line in lines:
        starts.append(starts[-1] + len(line) + 1)

    def offset(position: types.Position) -> int:
        if position.line >= len(lines):
            return len(text)
        units = lines[position.line].encode("utf-16-le")[: 2 * position.character]
        return starts[position.line] + len(units.decode("utf-16-le"))

    for edit in sorted(edits, key=lambda e: (e.range.start.line, e.range.start.character), reverse=True):
        text = text[: offset(edit.range.start)] + edit.new_text + text[offset(edit.range.end) :]
    return text
