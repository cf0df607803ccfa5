"""Which files of its folder a program needs to run, and what else it needs that no package can hold.

Python tools come with the modules of the folder that they import, as far as their text says so; indexes with the
documents that their patterns match; settings with `agentlang.toml`, which names secrets and never holds one. Data that
a tool opens by itself is named with `--include`.
"""

from __future__ import annotations

import ast
import glob
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast
from urllib.parse import urlsplit

from .. import package_problems as problems
from ..base.problems import Problem, Problems
from ..ir.graph import Graph
from ..stdlib.settings import Settings, find

CODE, DOCUMENTS, SETTINGS, INCLUDED = "code", "documents", "settings", "included"


@dataclass(frozen=True, slots=True)
class Found:
    """Files by path (relative to the program's folder, `/` between parts) with what they are for, and the names of what
    a run needs besides."""

    files: Mapping[str, str]
    commands: tuple[str, ...]
    servers: tuple[str, ...]
    hosts: tuple[str, ...]
    secrets: tuple[str, ...]
    patterns: tuple[str, ...]
    modules: tuple[str, ...]
    """What was looked for: another file may be found next time."""


def find_resources(graph: Graph, folder: Path, settings: Settings, include: Sequence[str]) -> tuple[Found, Problems]:
    """What the program of a graph needs of its folder. Files that are missing are left for the run to tell."""
    root = folder.resolve()
    files: dict[str, str] = {}
    wrong: list[Problem] = []

    def take(paths: Iterable[Path], purpose: str, whose: str) -> None:
        for path in paths:
            # The way that the program writes, as long as what it leads to is below the folder.
            inside = path.resolve()
            if inside.is_relative_to(root):
                files.setdefault(Path(os.path.relpath(path, root)).as_posix(), purpose)
            else:
                wrong.append(problems.resource_outside(whose, str(path)))

    modules: list[str] = []
    patterns: list[str] = []
    for tool in graph.tools:
        if tool.entry == "python:call":
            modules.append(str(tool.settings.get("target", "")).partition(":")[0])
            take(python_files(root, modules[-1]), CODE, f"the tool {tool.name!r}")
    commands = tuple(_commands(graph))
    for command in commands:
        if "/" in command and (root / command).is_file():
            take([root / command], CODE, f"the command {command!r}")
    for handle in graph.handles:
        if handle.entry == "search:index":
            patterns.append(str(handle.arguments["pattern"]))
            take(matches(root, patterns[-1]), DOCUMENTS, f"the index {handle.name!r}")
    settings_file = find(folder)
    if settings_file is not None:
        files["agentlang.toml"] = SETTINGS
    for pattern in include:
        matched = list(matches(root, pattern))
        if not matched:
            wrong.append(problems.include_nothing(pattern))
        take(matched, INCLUDED, f"--include {pattern}")
    secrets = dict.fromkeys((*_secrets(tool.settings for tool in graph.tools), *settings.secrets()))
    servers = tuple(handle.name for handle in graph.handles if handle.keyword == "server")
    sorted_files = dict(sorted(files.items()))
    looked = (tuple(dict.fromkeys((*patterns, *include))), tuple(dict.fromkeys(modules)))
    found = Found(sorted_files, commands, servers, tuple(_hosts(graph)), tuple(secrets), *looked)
    return found, tuple(dict.fromkeys(wrong))


def source_of(folder: Path, path: str, purpose: str) -> Path:
    """Where a file of `Found` lies: settings may be found above the program's folder."""
    return (find(folder) or folder / path) if purpose == SETTINGS else folder / path


def python_files(root: Path, module: str) -> Iterator[Path]:
    """The file of a module of the folder, and those of the folder that it imports, each once."""
    seen: set[Path] = set()
    waiting = [module]
    while waiting:
        for file in _files_of(root, waiting.pop()):
            if file in seen:
                continue
            seen.add(file)
            yield file
            waiting += _imports(file, root)


def _files_of(root: Path, module: str) -> Iterator[Path]:
    """The files that importing a module of the folder reads: those of the packages around it too."""
    parts = module.split(".")
    if not all(part.isidentifier() for part in parts):
        return
    for count in range(1, len(parts) + 1):
        base = root.joinpath(*parts[:count])
        for file in (base / "__init__.py", base.with_name(f"{base.name}.py")):
            if file.is_file():
                yield file
                break


def _imports(file: Path, root: Path) -> list[str]:
    """The modules that a file's text imports; none of a file that is no Python."""
    try:
        tree = ast.parse(file.read_bytes())
    except (OSError, SyntaxError, ValueError, RecursionError):
        return []
    here = file.relative_to(root).with_suffix("").parts
    package = here[:-1]
    found: list[str] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            around = package[: len(package) - node.level + 1] if node.level else ()
            base = ".".join((*around, *((node.module,) if node.module else ())))
            # What is imported from a package may be a module of it.
            found += [base, *(f"{base}.{alias.name}" if base else alias.name for alias in node.names)]
    return [name for name in found if name]


def matches(root: Path, pattern: str) -> Iterator[Path]:
    """The files that a pattern of the program finds, as `retrieval.documents` does."""
    for name in sorted(glob.glob(pattern, root_dir=root, recursive=True)):  # noqa: PTH207
        if (root / name).is_file():
            yield root / name


def _commands(graph: Graph) -> Iterator[str]:
    seen: set[str] = set()
    words = [tool.settings.get("command") for tool in graph.tools if tool.entry.startswith("process:")]
    words += [handle.arguments.get("command") for handle in graph.handles if handle.keyword == "server"]
    for given in words:
        command = cast("Sequence[object]", given) if isinstance(given, tuple | list) else ()
        if command and isinstance(command[0], str) and command[0] not in seen:
            seen.add(command[0])
            yield command[0]


def _hosts(graph: Graph) -> Iterator[str]:
    seen: set[str] = set()
    for tool in graph.tools:
        url: object = tool.settings.get("url")
        if isinstance(url, Mapping):
            parts: Any = cast("Mapping[str, object]", url).get("parts", ())
            url = parts[0] if parts else None
        host = urlsplit(url).netloc if isinstance(url, str) else ""
        if host and host not in seen:
            seen.add(host)
            yield host


def _secrets(values: Iterable[object]) -> Iterator[str]:
    for value in values:
        if isinstance(value, Mapping):
            given = cast("Mapping[str, object]", value)
            name = given.get("secret")
            if isinstance(name, str):
                yield name
            yield from _secrets(given.values())
        elif isinstance(value, tuple | list):
            yield from _secrets(cast("Sequence[object]", value))
