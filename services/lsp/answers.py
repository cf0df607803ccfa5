"""Answers in the protocol's form."""

from __future__ import annotations

from collections.abc import Iterator
from difflib import SequenceMatcher

from lsprotocol import types

from ...lang.ide.hover import Hover
from ...lang.ide.items import Item
from ...lang.ide.outline import Entry, outline
from ...lang.ide.signatures import Signature
from ...lang.ide.tokens import KINDS, colours
from .convert import Convert
from .text import Lines

_C = types.CompletionItemKind
_COMPLETIONS = {
    "module": _C.Module,
    "file": _C.File,
    "stage": _C.Function,
    "tool": _C.Function,
    "pipeline": _C.Function,
    "agent": _C.Function,
    "builtin": _C.Function,
    "method": _C.Method,
    "record": _C.Struct,
    "opaque type": _C.Class,
    "type": _C.Class,
    "enum": _C.Enum,
    "case": _C.EnumMember,
    "field": _C.Field,
    "argument": _C.Property,
    "constant": _C.Constant,
    "unit": _C.Unit,
    "keyword": _C.Keyword,
    "policy": _C.Keyword,
    "declaration": _C.Snippet,
    "reason": _C.EnumMember,
    "value": _C.Value,
}
_S = types.SymbolKind
_SYMBOLS = {
    "module": _S.Module,
    "record": _S.Struct,
    "enum": _S.Enum,
    "case": _S.EnumMember,
    "field": _S.Field,
    "opaque type": _S.Class,
    "constant": _S.Constant,
    "model": _S.Object,
    "resource": _S.Object,
    "memory": _S.Object,
    "server": _S.Object,
    "tool": _S.Interface,
    "stage": _S.Function,
    "pipeline": _S.Function,
    "agent": _S.Function,
    "binding": _S.Variable,
    "goal": _S.Event,
    "fleet": _S.Namespace,
    "tier": _S.Object,
    "test": _S.Method,
}
_MOST_SYMBOLS = 400


def hover_text(found: Hover, predicted: tuple[str, ...] = ()) -> types.MarkupContent:
    parts = [f"```agentlang\n{found.code}\n```"]
    if found.what:
        parts.append(f"*{found.what}*")
    if found.doc:
        parts.append(found.doc)
    lines = [*found.lines, *predicted]
    if lines:
        parts.append("\n".join(f"- {_escaped(line)}" for line in lines))
    return types.MarkupContent(types.MarkupKind.Markdown, "\n\n".join(parts))


def _escaped(line: str) -> str:
    return line.replace("<", "&lt;").replace("*", "\\*").replace("_", "\\_").replace("$", "\\$")


def completion_item(item: Item, replaced: types.Range) -> types.CompletionItem:
    text = item.label if item.insert is None else item.insert
    snippet = item.insert is not None and "$" in item.insert
    return types.CompletionItem(
        item.label,
        kind=_COMPLETIONS.get(item.kind, _C.Variable),
        detail=item.detail or None,
        documentation=item.doc,
        sort_text=f"{item.rank}{item.label}",
        insert_text_format=types.InsertTextFormat.Snippet if snippet else types.InsertTextFormat.PlainText,
        text_edit=types.TextEdit(replaced, text),
    )


def signature_help(found: Signature, encoding: types.PositionEncodingKind) -> types.SignatureHelp:
    lines = Lines(found.label, encoding)
    parameters = [
        types.ParameterInformation((lines.position(start).character, lines.position(end).character))
        for start, end in found.parameters
    ]
    active = found.active
    one = types.SignatureInformation(found.label, found.doc, parameters, active)
    return types.SignatureHelp([one], 0, active)


def text_edits(before: str, after: str, lines: Lines, within: types.Range | None = None) -> list[types.TextEdit]:
    """The lines that differ, so that a cursor elsewhere stays where it is; only those that a range touches, where one
    is given."""
    old, new = before.splitlines(keepends=True), after.splitlines(keepends=True)
    starts = [0]
    for line in old:
        starts.append(starts[-1] + len(line))
    edits: list[types.TextEdit] = []
    for tag, first, last, from_, to in SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        if tag == "equal":
            continue
        whole = within is None or last - first != to - from_
        # Line by line where lines only changed, so that those outside of the range stay as they are.
        parts = (
            [(first, last, from_, to)]
            if whole
            else [(first + n, first + n + 1, from_ + n, from_ + n + 1) for n in range(to - from_)]
        )
        for begin, end, source, target in parts:
            if within is None or _touches(within, begin, end):
                edits.append(types.TextEdit(lines.range(starts[begin], starts[end]), "".join(new[source:target])))
    return edits


def _touches(within: types.Range, first: int, last: int) -> bool:
    """Whether lines up to `last` (or the place before `first`, where that is the same) are of a range. A range that
    ends before the first character of a line does not have that line."""
    end = within.end.line
    if end > within.start.line and within.end.character == 0:
        end -= 1
    return first <= end and max(first, last - 1) >= within.start.line


def symbol(convert: Convert, entry: Entry) -> types.DocumentSymbol:
    return types.DocumentSymbol(
        entry.name,
        _SYMBOLS.get(entry.kind, _S.Variable),
        convert.range(entry.span),
        convert.range(entry.name_span),
        detail=entry.detail or entry.kind,
        children=[symbol(convert, inner) for inner in entry.inside],
    )


def workspace_symbols(convert: Convert, query: str) -> list[types.WorkspaceSymbol]:
    """The names of a file that hold the letters of a query in their order."""
    found: list[types.WorkspaceSymbol] = []
    for entry, owner in _flat(outline(convert.analysis), None):
        if _matches(query.lower(), entry.name.lower()) and len(found) < _MOST_SYMBOLS:
            place = types.Location(convert.buffer.uri, convert.range(entry.name_span))
            kind = _SYMBOLS.get(entry.kind, _S.Variable)
            found.append(types.WorkspaceSymbol(place, entry.name, kind, container_name=owner))
    return found


def _flat(entries: tuple[Entry, ...], owner: str | None) -> Iterator[tuple[Entry, str | None]]:
    for entry in entries:
        if entry.kind not in ("module", "binding"):
            yield entry, owner
            yield from _flat(entry.inside, entry.name)


def _matches(query: str, name: str) -> bool:
    rest = iter(name)
    return all(letter in rest for letter in query)


def semantic_tokens(convert: Convert) -> list[int]:
    """Five numbers for each token, places relative to the one before; a token of many lines is one for each line."""
    lines = convert.lines
    out: list[int] = []
    last_line = last_start = 0
    for part in colours(convert.analysis):
        kind = KINDS.index(part.kind)
        start = part.start
        while start < part.end:
            position = lines.position(start)
            end = min(part.end, lines.line_end(position.line))
            if end > start:
                same = position.line == last_line
                out += [
                    position.line - last_line,
                    position.character - last_start if same else position.character,
                    lines.width(start, end),
                    kind,
                    part.modifiers,
                ]
                last_line, last_start = position.line, position.character
            start = max(end, start) + 1
    return out
