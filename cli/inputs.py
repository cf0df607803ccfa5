"""A run's inputs from the command line: `name=value`, `name=@file`, `name=@-`, and `--input FILE` with a JSON object.

Gathers JSON data by parameter name; the executor's `bind` turns it into typed values. Every problem at once.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import cast

from ..base.audio import Audio, NotSound, whole
from ..base.problems import Problem, Problems
from ..base.suggest import suggest
from ..executor.values import Shapes, from_text, to_json
from ..ir.graph import Graph, GraphPipeline
from ..lang.types import OptionType, Primitive, StreamType
from . import problems as words
from .sound import sound_of
from .streaming import stream_of

LARGEST_INPUT = 64 << 20
AUDIO = Primitive("Audio")


def gather(
    graph: Graph, pipeline: GraphPipeline, values: Iterable[str], input_file: str | None
) -> tuple[dict[str, object], Problems]:
    """JSON data by parameter name, and what is wrong with how it was given."""
    found: list[Problem] = []
    types = {parameter.name: parameter.type for parameter in pipeline.inputs}
    shapes = Shapes.of(graph)
    streams = [(name, type.element) for name, type in types.items() if isinstance(type, StreamType)]
    if input_file and len(streams) == 1:
        # The file is the stream; what else the pipeline takes is given by name.
        name, element = streams[0]
        there = _is_there(input_file, found)
        data: dict[str, object] = {}
        if there:
            data[name] = stream_of(name, element, shapes, input_file, plain=False)
    else:
        data = dict(_from_file(input_file, found)) if input_file else {}
    for word in values:
        name, equals, text = word.partition("=")
        if not equals:
            found.append(words.argument_unnamed(word, f"{next(iter(types), 'name')}={_quoted(word)}"))
            continue
        if name in data:
            found.append(words.input_twice(name))
            continue
        stream = types.get(name)
        if isinstance(stream, StreamType) and text.startswith("@"):
            if _is_there(text[1:], found):
                sound = stream.element == AUDIO
                data[name] = (
                    sound_of(name, text[1:]) if sound else stream_of(name, stream.element, shapes, text[1:], plain=True)
                )
            else:
                types.pop(name)
            continue
        if text.startswith("@") and types.get(name) in (AUDIO, OptionType(AUDIO)):
            data[name] = _sound(text[1:], name, found)
            if data[name] is None:
                del data[name]
                types.pop(name)
            continue
        if text.startswith("@"):
            text = _read(text[1:], name, found)
            if text is None:
                continue
        if name not in types:
            data[name] = text  # `bind` says that there is no such parameter
            continue
        value, problems = from_text(text, types[name], shapes, name)
        found += problems
        data[name] = to_json(value) if not problems else None
        if problems:
            del data[name]
            types.pop(name)
    return data, tuple(found)


def _is_there(name: str, found: list[Problem]) -> bool:
    """Whether a stream's file can be opened; its content is looked at as it is read."""
    try:
        if name != "-":
            Path(name).open("rb").close()
    except FileNotFoundError:
        near = suggest(Path(name).name, (p.name for p in Path(name).parent.glob("*")))
        found.append(words.input_missing("--input", name, str(Path(name).parent / near) if near else None))
        return False
    except OSError as error:
        found.append(words.input_unreadable("--input", name, (error.strerror or str(error)).lower()))
        return False
    return True


def _from_file(name: str, found: list[Problem]) -> Mapping[str, object]:
    text = _read(name, "--input", found)
    if text is None:
        return {}
    try:
        data: object = json.loads(text)
    except ValueError as error:
        where = f"line {error.lineno}: {error.msg}" if isinstance(error, json.JSONDecodeError) else str(error)
        found.append(words.input_not_json(_shown(name), f"is not JSON: {where}"))
        return {}
    except RecursionError:
        found.append(words.input_not_json(_shown(name), "is nested too deeply"))
        return {}
    if not isinstance(data, dict):
        found.append(words.input_not_json(_shown(name), "must hold one JSON object"))
        return {}
    return cast("dict[str, object]", data)


def _sound(name: str, what: str, found: list[Problem]) -> Audio | None:
    data = _bytes(name, what, found)
    try:
        return None if data is None else whole(data)
    except NotSound as error:
        found.append(words.not_sound(what, _shown(name), str(error)))
        return None


def _read(name: str, what: str, found: list[Problem]) -> str | None:
    data = _bytes(name, what, found)
    if data is None:
        return None
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        found.append(words.input_not_text(what, _shown(name), error.start))
        return None


def _bytes(name: str, what: str, found: list[Problem]) -> bytes | None:
    try:
        data = sys.stdin.buffer.read(LARGEST_INPUT + 1) if name == "-" else _file(Path(name))
    except FileNotFoundError:
        near = suggest(Path(name).name, (p.name for p in Path(name).parent.glob("*")))
        found.append(words.input_missing(what, name, str(Path(name).parent / near) if near else None))
        return None
    except OSError as error:
        found.append(words.input_unreadable(what, name, (error.strerror or str(error)).lower()))
        return None
    if len(data) > LARGEST_INPUT:
        found.append(words.input_too_large(what, _shown(name), LARGEST_INPUT))
        return None
    return data


def _file(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(LARGEST_INPUT + 1)


def _shown(name: str) -> str:
    return "standard input" if name == "-" else name


def _quoted(word: str) -> str:
    return json.dumps(word, ensure_ascii=False) if " " in word else word
