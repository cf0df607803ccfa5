"""Another name for something, wherever it is used; refused where the program would then mean something else.

No name of the language hides another, so a new name that is taken anywhere it matters is an error in the renamed text:
that is tried out before a change is offered.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping

from ...base.problems import Edit, has_errors
from ...base.source import Source, Span
from ..checker.context import BUILTINS
from ..checker.prelude import TYPE_NAMES
from ..checker.symbols import ModuleSymbol
from ..patterns import WORD
from ..tokens import RESERVED
from .analysis import Analysis
from .index import Word
from .labels import OF_THE_LANGUAGE, label_at, labels_of, uses_of_label
from .navigation import references
from .things import kind_of

_NAME = re.compile(rf"{WORD}\Z")
# Analyses of the texts as they would be, by path.
Try = Callable[[Mapping[str, str]], Iterable[Analysis]]


class Refused(Exception):
    """Why there is no other name for something; one line for the person who asked."""


def renameable(analysis: Analysis, offset: int) -> Span:
    """The word that would be renamed. Raises `Refused`."""
    word = analysis.index.word(offset)
    if word is None:
        label = label_at(analysis, offset)
        if label is None:
            raise Refused("there is no name here that could be changed")
        if label[0] in OF_THE_LANGUAGE:
            raise Refused(f"`@{label[0]}` belongs to the language: it is what tools of the network return")
        return label[1]
    target = analysis.index.target(word.mention)
    if target.path.startswith("std/"):
        raise Refused(f"`{_written(analysis, word)}` belongs to the library")
    if kind_of(word.mention.thing) == "test":
        raise Refused("this is the title of a test")
    if isinstance(word.mention.thing, ModuleSymbol) and analysis.text[word.start : word.start + 1] in ".s":
        written = _written(analysis, word)
        if "/" in written:
            raise Refused(f"`{written}` is a path; give the import a name with `as`, or rename a use of it")
    return analysis.source.span(word.start, word.end)


def rename(analysis: Analysis, offset: int, name: str, neighbours: Iterable[Analysis] = ()) -> tuple[Edit, ...]:
    """The edits that give the thing at the offset another name, in all files that use it. Raises `Refused`."""
    here = renameable(analysis, offset)
    old = analysis.text[here.start : here.end]
    word = analysis.index.word(offset)
    if word is None:
        return _rename_label((analysis, *neighbours), old, name.removeprefix("@"))
    _check_name(analysis, word, name)
    if name == old:
        return ()
    programs = (analysis, *neighbours)
    sources: dict[str, Source] = {}
    for program in programs:
        sources |= {**program.sources, program.path: program.source}
    edits: list[Edit] = []
    for span in references(analysis, offset, neighbours):
        written = sources[span.path].text[span.start : span.end] if span.path in sources else ""
        if written == old:
            edits.append(Edit(span, name))
        elif "/" in written:
            # The path of an import, which gets a name of its own.
            end = sources[span.path].span(span.end, span.end)
            edits.append(Edit(end, f" as {name}"))
    return tuple(edits)


def _rename_label(programs: tuple[Analysis, ...], old: str, name: str) -> tuple[Edit, ...]:
    if not _NAME.match(name):
        raise Refused(f"{name!r} is no name: letters, digits and `_`, and no digit first")
    if name == old:
        return ()
    if name in labels_of(programs) or name in OF_THE_LANGUAGE:
        raise Refused(f"`@{name}` is a label already, and the two could not be told apart any more")
    return tuple(Edit(span, name) for span in uses_of_label(programs, old))


def check_renamed(before: Iterable[Analysis], edits: Iterable[Edit], look: Try) -> None:
    """Raise `Refused` if a program that had no errors has some with the edits, or one that had some has more."""
    before = tuple(before)
    texts: dict[str, str] = {}
    for program in before:
        texts |= {path: source.text for path, source in program.sources.items()}
        texts[program.path] = program.text
    changed = applied(texts, edits)
    errors = {program.path: _errors(program) for program in before}
    for after in look(changed):
        new = _errors(after)
        if len(new) > len(errors.get(after.path, ())):
            known = errors.get(after.path, [])
            title = next((title for title in new if title not in known), new[0])
            raise Refused(f"then {title}")


def applied(texts: Mapping[str, str], edits: Iterable[Edit]) -> dict[str, str]:
    """Texts by path, with edits made."""
    changed = dict(texts)
    for edit in sorted(edits, key=lambda edit: edit.span.start, reverse=True):
        text = changed.get(edit.span.path)
        if text is not None:
            changed[edit.span.path] = text[: edit.span.start] + edit.text + text[edit.span.end :]
    return changed


def _errors(analysis: Analysis) -> list[str]:
    return [problem.title for problem in analysis.problems if has_errors((problem,))]


def _check_name(analysis: Analysis, word: Word, name: str) -> None:
    if not _NAME.match(name):
        raise Refused(f"{name!r} is no name: letters, digits and `_`, and no digit first")
    field = kind_of(word.mention.thing) == "parameter" and analysis.index.is_field(word.mention)
    if name in RESERVED and not field:
        raise Refused(f"`{name}` is a word of the language")
    if name in BUILTINS or name in TYPE_NAMES:
        raise Refused(f"`{name}` is a part of the language, in scope in every file")


def _written(analysis: Analysis, word: Word) -> str:
    return analysis.text[word.start : word.end]
