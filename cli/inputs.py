"""A run's inputs from the command line: `name=value`, `name=@file`, `name=@-`, and `--input FILE` with a JSON object.

Gathers JSON data by parameter name; the executor's `bind` turns it into typed values. Every problem at once.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import cast

from ..base.problems import Problem, Problems
from ..base.suggest import suggest
from ..executor.values import from_text, to_json
from ..ir.graph import Graph, GraphPipeline

LARGEST_INPUT = 64 << 20


def gather(
    graph: Graph, pipeline: GraphPipeline, values: Iterable[str], input_file: str | None
) -> tuple[dict[str, object], Problems]:
    """JSON data by parameter name, and what is wrong with how it was given."""
    found: list[Problem] = []
    data = dict(_from_file(input_file, found)) if input_file else {}
    types = {parameter.name: parameter.type for parameter in pipeline.inputs}
    records = {shape.name: shape for shape in graph.records}
    for word in values:
        name, equals, text = word.partition("=")
        if not equals:
            hint = f"write it as name=value, for example {next(iter(types), 'name')}={_quoted(word)}"
            found.append(Problem("argument-unnamed", f"{word!r} is not name=value", hint=hint))
            continue
        if name in data:
            found.append(Problem("argument-twice", f"{name!r} is given twice", hint="give it once"))
            continue
        if text.startswith("@"):
            text = _read(text[1:], name, found)
            if text is None:
                continue
        if name not in types:
            data[name] = text  # `bind` says that there is no such parameter
            continue
        value, problems = from_text(text, types[name], records, name)
        found += problems
        data[name] = to_json(value) if not problems else None
        if problems:
            del data[name]
            types.pop(name)
    return data, tuple(found)


def _from_file(name: str, found: list[Problem]) -> Mapping[str, object]:
    text = _read(name, "--input", found)
    if text is None:
        return {}
    try:
        data: object = json.loads(text)
    except ValueError as error:
        where = f"line {error.lineno}: {error.msg}" if isinstance(error, json.JSONDecodeError) else str(error)
        found.append(Problem("input-not-json", f"{_shown(name)} is not JSON: {where}", hint="give one JSON object"))
        return {}
    except RecursionError:
        found.append(Problem("input-not-json", f"{_shown(name)} is nested too deeply", hint="give one JSON object"))
        return {}
    if not isinstance(data, dict):
        title = f"{_shown(name)} must hold one JSON object, a value for each parameter by name"
        found.append(Problem("input-not-json", title, hint='for example {"question": "…"}'))
        return {}
    return cast("dict[str, object]", data)


def _read(name: str, what: str, found: list[Problem]) -> str | None:
    try:
        data = sys.stdin.buffer.read(LARGEST_INPUT + 1) if name == "-" else _file(Path(name))
    except FileNotFoundError:
        near = suggest(Path(name).name, (p.name for p in Path(name).parent.glob("*")))
        hint = f"did you mean {Path(name).parent / near}?" if near else "check the path"
        found.append(Problem("no-such-file", f"{what}: there is no file {name}", hint=hint))
        return None
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        found.append(Problem("unreadable-file", f"{what}: {name} cannot be read: {reason}", hint="check the path"))
        return None
    if len(data) > LARGEST_INPUT:
        title = f"{what}: {_shown(name)} is larger than {LARGEST_INPUT >> 20} MiB"
        found.append(Problem("input-too-large", title, hint="give less at once"))
        return None
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        title = f"{what}: {_shown(name)} is not UTF-8 text: byte {error.start:,} is not valid"
        found.append(Problem("not-text", title, hint="convert it to UTF-8"))
        return None


def _file(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(LARGEST_INPUT + 1)


def _shown(name: str) -> str:
    return "standard input" if name == "-" else name


def _quoted(word: str) -> str:
    return json.dumps(word, ensure_ascii=False) if " " in word else word
