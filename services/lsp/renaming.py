"""References and new names across the files of a folder."""

from __future__ import annotations

from lsprotocol import types
from pygls.exceptions import JsonRpcException

from ...base.source import Span
from ...lang.ide import Analysis, navigation
from ...lang.ide import rename as ide
from ...lang.ide.labels import label_at
from ...lang.ide.rename import Refused
from .convert import Convert
from .workspace import Workspace


def neighbours(files: Workspace, convert: Convert, offset: int) -> list[Analysis]:
    """The programs around a file that may use what stands at an offset: those that import the file that declares it.
    Nothing that is bound inside a pipeline is used anywhere else."""
    found = navigation.definition(convert.analysis, offset)
    if found is None and (label := label_at(convert.analysis, offset)) is not None:
        return _sharing(files, convert.analysis, f"@{label[0]}")
    if found is None or found[1].path.startswith("std/"):
        return []
    declared = found[1].path
    others = [buffer for buffer in files.neighbours(declared) if buffer.source.path != convert.analysis.path]
    importing = [buffer for buffer in others if "use " in buffer.source.text and "./" in buffer.source.text]
    analyses = [files.analysis(buffer) for buffer in importing]
    kept = [analysis for analysis in analyses if declared in analysis.sources or analysis.path == declared]
    if declared != convert.analysis.path:
        kept += [files.analysis(buffer) for buffer in others if buffer.source.path == declared]
    return list({analysis.path: analysis for analysis in kept}.values())


def _sharing(files: Workspace, analysis: Analysis, text: str) -> list[Analysis]:
    """The programs that have files in common with this one, directly or by others between them, and hold a text in one
    of their files: a label is of all of them."""
    around = [b for b in files.neighbours(analysis.path) if b.source.path != analysis.path]
    known = {analysis.path, *analysis.sources}
    waiting = [files.analysis(buffer) for buffer in around]
    kept: list[Analysis] = []
    while found := [other for other in waiting if known & {other.path, *other.sources}]:
        known = known.union(*({other.path, *other.sources} for other in found))
        kept += found
        waiting = [other for other in waiting if other not in found]
    return [k for k in kept if any(text in s.text for s in (k.source, *k.sources.values()))]


def location(files: Workspace, convert: Convert, others: list[Analysis], span: Span) -> types.Location | None:
    """Where a place is that one of several programs has."""
    if span.path == convert.analysis.path:
        return convert.location(span)
    for analysis in others:
        source = analysis.source if analysis.path == span.path else analysis.sources.get(span.path)
        if source is not None:
            lines = files.lines_of(source)
            return types.Location(files.uri(span.path), lines.range(span.start, span.end))
    return convert.location(span)


def renameable(convert: Convert, offset: int) -> Span:
    return ide.renameable(convert.analysis, offset)


def rename(files: Workspace, convert: Convert, offset: int, name: str) -> types.WorkspaceEdit:
    """The edits of all files, once it is known that the programs mean what they did. Raises `Refused`."""
    others = neighbours(files, convert, offset)
    edits = ide.rename(convert.analysis, offset, name, others)
    programs = (convert.analysis, *others)
    ide.check_renamed(programs, edits, lambda texts: files.tried(texts, [program.path for program in programs]))
    changes: dict[str, list[types.TextEdit]] = {}
    for edit in edits:
        place = location(files, convert, others, edit.span)
        if place is None:
            raise Refused(f"{edit.span.path} cannot be changed")
        changes.setdefault(place.uri, []).append(types.TextEdit(place.range, edit.text))
    return types.WorkspaceEdit(changes=changes)


def as_error(refused: Refused) -> JsonRpcException:
    """What the editor shows to the person who asked."""
    return JsonRpcException(str(refused), code=types.LSPErrorCodes.RequestFailed.value)
