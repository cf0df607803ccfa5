"""The page of the standard library, `docs/library.md`, made from the interfaces that programs are checked against.

`pytest tests/tidy/test_documents.py --update` writes it again.
"""

from __future__ import annotations

import re
from itertools import groupby

from agentlang.base.source import Source
from agentlang.lang import syntax as s
from agentlang.lang.parser import parse
from agentlang.stdlib.interfaces import MODULES, interface

HEAD = """\
# The standard library

`use std/llm` brings a module under its last name: `llm.chat(…)`. A method is called on what it belongs to:
`writer.chat(…)`. `T` stands for any type. A stage with several signatures goes by the type of its first argument.
What is always in scope, without `use`, is in [the language](language.md#declarations). Programs with `std/speech`
check and plan; nothing that hears or speaks stands behind it yet.
"""


def text() -> str:
    """The whole page."""
    return "\n".join((HEAD, *(_module(name) for name in sorted(MODULES))))


def _module(name: str) -> str:
    source = interface(f"std/{name}")
    assert source is not None
    file, problems = parse(source)
    assert not problems
    shown = [
        node for node in file.declarations if isinstance(node, s.HandleDecl | s.RecordDecl | s.EnumDecl | s.StageDecl)
    ]
    lines = [f"## std/{name}", "", *([_said(file.doc), ""] if file.doc else [])]
    for _, same in groupby(shown, lambda node: _name(node)):
        lines += _entry(name, source, list(same))
    return "\n".join(lines) + "\n"


def _entry(module: str, source: Source, same: list[s.Declaration]) -> list[str]:
    """A declaration; further signatures of the same stage that have no words of their own stand in its line."""
    lines: list[str] = []
    for node in same:
        assert isinstance(node, s.HandleDecl | s.RecordDecl | s.EnumDecl | s.StageDecl)
        if node.doc is None and lines and isinstance(node, s.StageDecl):
            first = source.text[node.parameters[0].type.span.start : node.parameters[0].type.span.end]
            lines[-1] += f"{',' if ' Also for ' in lines[-1] else ' Also for'} `{first}`"
            continue
        lines.append(f"- `{_signature(module, source, node)}`  \n  {_said(node.doc)}")
    return [f"{line}." if " Also for " in line else line for line in lines]


def _signature(module: str, source: Source, node: s.Declaration) -> str:
    end = node.result.span.end if isinstance(node, s.StageDecl) else node.span.end
    written = re.sub(r"\s+", " ", source.text[node.span.start : end])
    written = written.replace("( ", "(").replace(" )", ")")
    if isinstance(node, s.StageDecl):
        written = written.removeprefix("stage ")
        return written if len(node.name.parts) > 1 else f"{module}.{written}"
    keyword, _, rest = written.partition(" ")
    return f"{keyword} {module}.{rest}"


def _name(node: s.Declaration) -> str:
    if isinstance(node, s.StageDecl):
        return ".".join(part.text for part in node.name.parts)
    assert isinstance(node, s.HandleDecl | s.RecordDecl | s.EnumDecl)
    return f"type {node.name.text}"


def _said(doc: s.Doc | None) -> str:
    return re.sub(r"\s*\n\s*", " ", doc.text.strip()) if doc else ""
