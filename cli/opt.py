"""`agentlang opt FILE.mlir --passes a,b{key=value}`: a module through passes, as `mlir-opt` does it.

A module may be anybody's. Another process reads and verifies it first, so whatever it holds, this one lives on to say
what is wrong with it, at its place in the file.
"""

from __future__ import annotations

import argparse
import inspect
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from ..base.problems import Problem, Problems, has_errors
from ..base.source import Source
from ..base.store import write_atomic
from ..ir.problems import unreadable
from . import problems as words
from .console import Console, Exit

if TYPE_CHECKING:
    from ..ir.compile import Module
    from ..ir.library import Library

_BYTECODE = b"ML\xefR"
_STDIN = "<stdin>"


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", metavar="FILE", help="a module as text, or with --sha256 as bytecode; - for stdin")
    parser.add_argument("--passes", metavar="LIST", default="", help="in this order: inline_pipelines,drop_unread,…")
    parser.add_argument("--sha256", metavar="HEX", help="what bytecode must be to be read")
    parser.add_argument(
        "--verify", action="store_true", help="verify and check all laws after each pass, not at the end"
    )
    parser.add_argument("--print-after-all", action="store_true", help="the module after each pass, on stderr")
    parser.add_argument("--time-passes", action="store_true", help="how long each pass took, on stderr")
    parser.add_argument("--pretty", action="store_true", help="the form for people; the other form reads back")
    parser.add_argument(
        "--out", metavar="FILE", help="write here instead of to stdout; FILE.mlirbc is written as bytecode"
    )


@dataclass(frozen=True, slots=True)
class Ordered:
    """A pass of `--passes`, with its options as values."""

    name: str
    options: Mapping[str, object] = field(default_factory=dict[str, object])


@dataclass(frozen=True, slots=True)
class Given:
    """What was read, and the path that problems point into."""

    name: str
    data: bytes

    @property
    def bytecode(self) -> bool:
        return self.data.startswith(_BYTECODE)


def execute(arguments: argparse.Namespace, console: Console) -> int:
    passes, found = ordered(arguments.passes)
    if found:
        return console.fail(found, {}, Exit.USAGE)
    given = _read(arguments.file)
    if isinstance(given, Problem):
        code = Exit.USAGE if given.slug in ("no-such-file", "not-a-file") else Exit.ERRORS
        return console.fail((given,), {}, code)
    sources: dict[str, Source] = {}
    if not given.bytecode and _utf8(given.data):
        sources[given.name] = Source(given.name, given.data.decode())
    module, found = _parsed(given, arguments.sha256)
    if module is None:
        return console.fail(found, sources)
    shown: list[dict[str, object]] = []
    located = b"loc(" in given.data or given.bytecode
    folder = Path() if given.name == _STDIN else Path(given.name).parent
    for each in passes:
        module, more = _put_through(module, each, _library(folder), arguments.verify, shown, given.name, sources)
        if module is None:
            return console.fail((*found, *more), sources)
        found = (*found, *more)
        text = module.text(locations=located) if arguments.print_after_all else ""
        if arguments.print_after_all:
            shown[-1]["text"] = text
        if text and not console.json:
            console.note(f"// ----- after {each.name} -----\n{text.rstrip()}\n")
    if not arguments.verify and passes:
        found = (*found, *_verified(module, given.name, sources))
    if has_errors(found):
        return console.fail(found, sources)
    if arguments.time_passes and not console.json:
        for entry in shown:
            console.note(f"{float(str(entry['seconds'])) * 1000:9.2f} ms  {entry['name']}")
    return _give(module, arguments, console, shown, found, located)


# --- what was asked --------------------------------------------------------------------------------------------------


def ordered(written: str) -> tuple[tuple[Ordered, ...], Problems]:
    """The passes of `a,b{key=value,other=3},c`."""
    from ..ir.passes import ALL

    passes: list[Ordered] = []
    for item in _items(written):
        name, brace, rest = item.partition("{")
        name = name.strip()
        if name not in ALL:
            return (), (words.unknown_pass(name, ALL),)
        if brace and not rest.rstrip().endswith("}"):
            return (), (words.pass_option(name, "its options are not closed with `}`", _known(name)),)
        options, wrong = _options(name, rest.rstrip().removesuffix("}"))
        if wrong is not None:
            return (), (wrong,)
        passes.append(Ordered(name, options))
    return tuple(passes), ()


def _items(written: str) -> list[str]:
    """Split at the commas that stand outside of braces."""
    items, depth = [""], 0
    for letter in written:
        depth += (letter == "{") - (letter == "}")
        if letter == "," and depth <= 0:
            items.append("")
        else:
            items[-1] += letter
    return [item for item in items if item.strip()]


def _known(name: str) -> dict[str, str]:
    """The options of a pass, with the names of their types."""
    from ..ir.passes import load

    parameters = inspect.signature(load(name)).parameters.values()
    return {p.name: str(p.annotation) for p in parameters if p.kind is inspect.Parameter.KEYWORD_ONLY}


def _options(name: str, written: str) -> tuple[dict[str, object], Problem | None]:
    known = _known(name)
    options: dict[str, object] = {}
    for entry in written.replace(",", " ").split():
        key, equals, value = entry.partition("=")
        if key not in known:
            return {}, words.pass_option(name, f"it has no option {key!r}", known)
        try:
            options[key] = _value(value if equals else "true", known[key])
        except ValueError:
            return {}, words.pass_option(name, f"{key} is {known[key]}, not {value!r}", known)
    return options, None


def _value(written: str, kind: str) -> object:
    """ValueError for what is no value of the type."""
    match kind:
        case "bool":
            if written not in ("true", "false"):
                raise ValueError
            return written == "true"
        case "int":
            return int(written)
        case "float":
            return float(written)
        case _:
            return tuple(written.split("+")) if kind.startswith(("tuple", "Sequence")) else written


# --- what was given --------------------------------------------------------------------------------------------------


def _read(file: str) -> Given | Problem:
    from ..ir.foreign import LARGEST

    if file == "-":
        return Given(_STDIN, sys.stdin.buffer.read(LARGEST + 1))
    path = Path(file)
    try:
        if path.is_dir():
            return words.module_not_a_file(file)
        if path.stat().st_size > LARGEST:
            return unreadable(f"it has {path.stat().st_size:,} bytes, and {LARGEST:,} are read")
        return Given(file, path.read_bytes())
    except FileNotFoundError:
        return words.no_module(file)
    except OSError as error:
        return unreadable((error.strerror or str(error)).lower())


def _utf8(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


def _parsed(given: Given, sha256: str | None) -> tuple[Module | None, Problems]:
    """The module, read by another process before this one reads it."""
    from ..ir.compile import parse
    from ..ir.foreign import parse_foreign

    if not given.data.strip():
        return None, (unreadable("it is empty"),)
    if given.bytecode:
        if sha256 is None:
            return None, (words.bytecode_without_hash(given.name),)
        foreign, found = parse_foreign(given.data, given.name, sha256.lower(), graph=True)
    else:
        try:
            text = given.data.decode()
        except UnicodeDecodeError as error:
            return None, (unreadable(f"byte {error.start:,} is not UTF-8"),)
        if "\0" in text:
            return None, (unreadable("it holds zero bytes"),)
        foreign, found = parse_foreign(text, given.name, sha256.lower() if sha256 else None, graph=True)
    if foreign is None:
        return None, found
    try:
        module, more = parse(foreign.text)
    except RecursionError:
        return None, (unreadable("it is nested too deeply"),)
    return module, (*found, *more)


# --- passes ----------------------------------------------------------------------------------------------------------


def _library(folder: Path) -> Library:
    from ..stdlib.library import Library as Standard

    return Standard(folder)


def _put_through(
    module: Module,
    each: Ordered,
    library: Library,
    verify: bool,
    shown: list[dict[str, object]],
    name: str,
    sources: Mapping[str, Source],
) -> tuple[Module | None, Problems]:
    """One pass. What it raises is a problem too: the module is somebody's own, and may be what no program is."""
    from ..ir.compile import run_passes
    from ..ir.foreign import placed

    def timed(told: str, seconds: float) -> None:
        shown.append({"name": told, "seconds": round(seconds, 6)})

    try:
        made, found = run_passes(
            module, library, passes=[each.name], options={each.name: each.options}, laws=verify, timed=timed
        )
    except RecursionError:
        return None, (words.pass_failed(each.name, "the module is nested too deeply"),)
    except Exception as error:
        return None, (words.pass_failed(each.name, f"{type(error).__name__}: {error}"),)
    return made, placed(found, name, sources.get(name))


def _verified(module: Module, name: str, sources: Mapping[str, Source]) -> Problems:
    from ..ir.foreign import placed
    from ..ir.verify import verify

    return placed(verify(module.operation, module.passes), name, sources.get(name))


def _give(
    module: Module,
    arguments: argparse.Namespace,
    console: Console,
    shown: list[dict[str, object]],
    found: Problems,
    located: bool,
) -> int:
    try:
        text = module.text(pretty=arguments.pretty, locations=located)
    except RecursionError:
        return console.fail((unreadable("it is nested too deeply"),), {})
    if arguments.out:
        path = Path(arguments.out)
        written = module.bytecode() if path.suffix == ".mlirbc" else f"{text.rstrip()}\n".encode()
        write_atomic(path, written)
        if path.suffix == ".mlirbc":
            import hashlib

            console.note(f"wrote {path}, SHA-256 {hashlib.sha256(written).hexdigest()}")
        else:
            console.note(f"wrote {path}")
    if console.json:
        console.document({"passes": shown, "digest": module.digest, "text": None if arguments.out else text})
    elif not arguments.out:
        console.print(text.rstrip("\n"))
    console.problems(found, {})
    return Exit.DONE
