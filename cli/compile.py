"""`agentlang compile FILE`: each step of the compiler, as text; with `--target`, all of them, as a package."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path

from ..api import check, lowered, read
from ..base.problems import Problem, has_errors
from ..base.source import Source
from ..base.store import write_atomic
from ..packages import keeping
from . import problems as words
from .console import Console, Exit, unread

FORMS = ("syntax", "program", "mlir", "stablehlo", "artifacts")
_SUFFIX = {"syntax": "txt", "program": "txt", "mlir": "mlir", "stablehlo": "mlir", "artifacts": "txt"}


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", metavar="FILE", help="a program, as in shop.agent")
    parser.add_argument("--emit", choices=FORMS, default="mlir", help="which step to show (default: mlir)")
    parser.add_argument(
        "--after", metavar="PASS", help="stop after this pass (default: all of them; `lower`: before the first)"
    )
    parser.add_argument(
        "-O", choices=("0", "1"), default="1", help="0: only the passes that it takes to run (default: 1)"
    )
    parser.add_argument("--pretty", action="store_true", help="the form for people; the other form reads back")
    help_longest = "with --emit artifacts or --target: the functions for inputs of up to so many tokens"
    parser.add_argument("--longest", metavar="TOKENS", type=int, default=0, help=help_longest)
    parser.add_argument("--out", metavar="DIR", help="write into this folder instead of to stdout")
    parser.add_argument(
        "--target",
        metavar="T[,T2]",
        help="build a package for cpu, cuda, rocm, x86-64, arm64, riscv64, vulkan, metal, …",
    )
    parser.add_argument("--sign", metavar="KEYFILE", help="sign the package with this Ed25519 key")
    help_include = "files of the folder that the package takes along besides those that the program names"
    parser.add_argument("--include", metavar="PATTERN", action="append", default=[], help=help_include)
    parser.add_argument("--profile", metavar="NAME", help="a profile of agentlang.toml, for the package")


def execute(arguments: argparse.Namespace, console: Console) -> int:
    if arguments.target is not None:
        from .compile_package import execute as package

        return package(arguments, console)
    source, problems = read(arguments.file)
    if source is None:
        return console.fail(problems, {}, unread(problems))
    lowers = arguments.emit in ("mlir", "stablehlo")
    asked = ("text", arguments.emit, arguments.after, arguments.pretty, arguments.O)
    kept = keeping.recall(keeping.name_of(source, *asked), source) if lowers else None
    if kept is not None:
        return _give(kept[1][0].decode(), (), arguments, console, {})
    checked = check(source)
    if arguments.emit == "syntax":
        from ..lang.dump import dump

        text, problems = dump(checked.file), checked.problems
    elif checked.program is None:
        return console.fail(checked.problems, checked.sources)
    elif arguments.emit == "program":
        from ..lang.dump import dump

        text, problems = dump(checked.program), checked.problems
    elif arguments.emit == "artifacts":
        from .compile_artifacts import describe, document, table

        functions = describe(checked.program, Path(arguments.file).parent, max(0, arguments.longest))
        if console.json and not arguments.out:
            console.document(document(functions))
            return Exit.DONE
        text, problems = table(functions), checked.problems
    else:
        from ..ir.passes import LOWERED, PASSES, PLAIN

        plain = arguments.O == "0"
        known = (LOWERED, *(PLAIN if plain else PASSES))
        if arguments.after and arguments.after not in known:
            return console.fail((words.unknown_pass(arguments.after, known),), {}, Exit.USAGE)
        functions = arguments.emit == "stablehlo"
        module, found = lowered(checked.program, Path(arguments.file).parent, arguments.after, functions, plain)
        problems = (*checked.problems, *found)
        if module is None:
            return console.fail(problems, checked.sources)
        text = module.text(pretty=arguments.pretty)
        if not problems:
            inputs = keeping.Inputs(keeping.imports_of(checked))
            keeping.keep(keeping.name_of(source, *asked), source, inputs, {}, [text.encode()])
    return _give(text, problems, arguments, console, checked.sources)


def _give(
    text: str,
    problems: tuple[Problem, ...],
    arguments: argparse.Namespace,
    console: Console,
    sources: Mapping[str, Source],
) -> int:
    console.problems(problems, sources)
    if has_errors(problems):
        return Exit.ERRORS
    if arguments.out:
        path = Path(arguments.out) / f"{Path(arguments.file).stem}.{_SUFFIX[arguments.emit]}"
        write_atomic(path, text.encode())
        console.note(f"wrote {path}")
    elif console.json:
        console.document({"emit": arguments.emit, "after": arguments.after, "text": text})
    else:
        console.print(text.rstrip("\n"))
    return Exit.DONE
