"""What the server answers, one function for each request of the protocol.

A request about a file that is not there, or about a place of which nothing is known, gets an empty answer; what goes
wrong inside one is logged and costs that answer alone.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from lsprotocol import types

from ...lang.ide import navigation
from ...lang.ide.completion import completion
from ...lang.ide.fixes import all_of, repairs
from ...lang.ide.hints import hints
from ...lang.ide.hover import hover
from ...lang.ide.outline import foldings, outline
from ...lang.ide.rename import Refused
from ...lang.ide.signatures import signature
from ...lang.ide.tokens import KINDS, MODIFIERS
from . import answers, renaming
from .convert import Convert
from .predict import Predictions
from .workspace import Buffer
from .world import world_of

if TYPE_CHECKING:
    from .server import Server

# Seconds that a hover waits for a prediction that is being made; the next one finds it made.
PATIENCE = 0.4


def register(server: Server) -> None:
    """Everything but the keeping of the files themselves."""
    files = server.files
    feature: Any = server.feature
    predictions = Predictions()

    def open_(document: types.TextDocumentIdentifier) -> tuple[Buffer, Convert] | None:
        buffer = files.get(document.uri)
        return None if buffer is None else (buffer, Convert(files, buffer))

    def at(params: Any) -> tuple[Convert, int] | None:
        found = open_(params.text_document)
        return None if found is None else (found[1], found[1].lines.offset(params.position))

    # --- what is under the cursor

    @feature(types.TEXT_DOCUMENT_HOVER)
    async def hovered(params: types.HoverParams) -> types.Hover | None:
        place = at(params)
        found = None if place is None else hover(place[0].analysis, place[1])
        if place is None or found is None:
            return None
        convert = place[0]
        predicted: tuple[str, ...] = ()
        if found.pipeline is not None:
            coming = asyncio.ensure_future(predictions.of(convert.analysis, found))
            done, _ = await asyncio.wait({coming}, timeout=PATIENCE)
            predicted = coming.result() if done else ()
        return types.Hover(answers.hover_text(found, predicted), convert.range(found.span))

    @feature(types.TEXT_DOCUMENT_DEFINITION)
    def defined(params: types.DefinitionParams) -> types.Location | None:
        place = at(params)
        found = None if place is None else navigation.definition(place[0].analysis, place[1])
        return None if place is None or found is None else place[0].location(found[1])

    @feature(types.TEXT_DOCUMENT_REFERENCES)
    def referenced(params: types.ReferenceParams) -> list[types.Location]:
        place = at(params)
        if place is None:
            return []
        convert, offset = place
        others = renaming.neighbours(files, convert, offset)
        spans = navigation.references(convert.analysis, offset, others)
        if not params.context.include_declaration:
            target = navigation.definition(convert.analysis, offset)
            spans = tuple(span for span in spans if target is None or span != target[1])
        return [place for span in spans if (place := renaming.location(files, convert, others, span)) is not None]

    @feature(types.TEXT_DOCUMENT_DOCUMENT_HIGHLIGHT)
    def highlighted(params: types.DocumentHighlightParams) -> list[types.DocumentHighlight]:
        place = at(params)
        spans = () if place is None else navigation.same_name(place[0].analysis, place[1])
        return [types.DocumentHighlight(place[0].range(span)) for span in spans if place is not None]

    # --- while writing

    @feature(types.TEXT_DOCUMENT_COMPLETION, types.CompletionOptions(trigger_characters=[".", "@", "/", ":", "(", ","]))
    def completed(params: types.CompletionParams) -> types.CompletionList:
        buffer = files.get(params.text_document.uri)
        if buffer is None:
            return types.CompletionList(False, [])
        lines = files.lines(buffer)
        offset = lines.offset(params.position)
        start, found = completion(buffer.source.text, offset, files.looker(buffer), world_of(buffer.source.path))
        replaced = lines.range(start, offset)
        return types.CompletionList(False, [answers.completion_item(item, replaced) for item in found])

    @feature(types.TEXT_DOCUMENT_SIGNATURE_HELP, types.SignatureHelpOptions(["(", ","]))
    def called(params: types.SignatureHelpParams) -> types.SignatureHelp | None:
        buffer = files.get(params.text_document.uri)
        if buffer is None:
            return None
        offset = files.lines(buffer).offset(params.position)
        found = signature(buffer.source.text, offset, files.looker(buffer))
        return None if found is None else answers.signature_help(found, files.encoding)

    # --- changes

    @feature(types.TEXT_DOCUMENT_PREPARE_RENAME)
    def renameable(params: types.PrepareRenameParams) -> types.Range | None:
        place = at(params)
        if place is None:
            return None
        try:
            return place[0].range(renaming.renameable(place[0], place[1]))
        except Refused as refused:
            raise renaming.as_error(refused) from refused

    @feature(types.TEXT_DOCUMENT_RENAME, types.RenameOptions(prepare_provider=True))
    def renamed(params: types.RenameParams) -> types.WorkspaceEdit | None:
        place = at(params)
        if place is None:
            return None
        try:
            return renaming.rename(files, place[0], place[1], params.new_name)
        except Refused as refused:
            raise renaming.as_error(refused) from refused

    @feature(types.TEXT_DOCUMENT_FORMATTING)
    def formatted(params: types.DocumentFormattingParams) -> list[types.TextEdit]:
        from ...lang.format import format_source

        buffer = files.get(params.text_document.uri)
        if buffer is None:
            return []
        text, _ = format_source(buffer.source)
        return answers.text_edits(buffer.source.text, text, files.lines(buffer))

    @feature(types.TEXT_DOCUMENT_RANGE_FORMATTING)
    def formatted_range(params: types.DocumentRangeFormattingParams) -> list[types.TextEdit]:
        from ...lang.format import format_source

        buffer = files.get(params.text_document.uri)
        if buffer is None:
            return []
        text, _ = format_source(buffer.source)
        return answers.text_edits(buffer.source.text, text, files.lines(buffer), params.range)

    @feature(
        types.TEXT_DOCUMENT_CODE_ACTION,
        types.CodeActionOptions([types.CodeActionKind.QuickFix, types.CodeActionKind.SourceFixAll]),
    )
    def actions(params: types.CodeActionParams) -> list[types.CodeAction]:
        found = open_(params.text_document)
        if found is None:
            return []
        convert = found[1]
        start, end = convert.lines.offset(params.range.start), convert.lines.offset(params.range.end)
        made: list[types.CodeAction] = []
        for repair in repairs(convert.analysis, start, end):
            made.append(
                types.CodeAction(
                    repair.fix.title,
                    kind=types.CodeActionKind.QuickFix,
                    diagnostics=[convert.diagnostic(repair.problem)],
                    is_preferred=True,
                    edit=types.WorkspaceEdit(changes=convert.edits(repair.fix.edits)),
                )
            )
            every = all_of(convert.analysis, repair.problem.slug)
            if every is not None:
                edit = types.WorkspaceEdit(changes=convert.edits(every.edits))
                made.append(types.CodeAction(every.title, kind=types.CodeActionKind.QuickFix, edit=edit))
        return list({action.title: action for action in made}.values())

    # --- the whole file

    @feature(types.TEXT_DOCUMENT_DOCUMENT_SYMBOL)
    def symbols(params: types.DocumentSymbolParams) -> list[types.DocumentSymbol]:
        found = open_(params.text_document)
        return [] if found is None else [answers.symbol(found[1], entry) for entry in outline(found[1].analysis)]

    @feature(types.WORKSPACE_SYMBOL)
    def all_symbols(params: types.WorkspaceSymbolParams) -> list[types.WorkspaceSymbol]:
        return [
            symbol
            for buffer in files.everywhere()
            for symbol in answers.workspace_symbols(Convert(files, buffer), params.query)
        ]

    @feature(types.TEXT_DOCUMENT_FOLDING_RANGE)
    def folded(params: types.FoldingRangeParams) -> list[types.FoldingRange]:
        found = open_(params.text_document)
        if found is None:
            return []
        return [
            types.FoldingRange(span.line - 1, span.end_line - 1, kind=types.FoldingRangeKind(kind))
            for span, kind in foldings(found[1].analysis)
        ]

    @feature(
        types.TEXT_DOCUMENT_SEMANTIC_TOKENS_FULL,
        types.SemanticTokensLegend(token_types=list(KINDS), token_modifiers=list(MODIFIERS)),
    )
    def coloured(params: types.SemanticTokensParams) -> types.SemanticTokens:
        found = open_(params.text_document)
        return types.SemanticTokens([] if found is None else answers.semantic_tokens(found[1]))

    @feature(types.TEXT_DOCUMENT_INLAY_HINT)
    def hinted(params: types.InlayHintParams) -> list[types.InlayHint]:
        found = open_(params.text_document)
        if found is None:
            return []
        convert = found[1]
        start, end = convert.lines.offset(params.range.start), convert.lines.offset(params.range.end)
        return [
            types.InlayHint(convert.lines.position(hint.offset), hint.text, kind=types.InlayHintKind.Type)
            for hint in hints(convert.analysis, start, end)
        ]
