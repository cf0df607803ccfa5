"""The command line: finds the command, gives it a console, and turns what goes wrong into an exit code.

Start-up is part of the product, so a command's module is imported only when it is the one to run; the table below is
all that `--help` needs.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import Any, NoReturn, Protocol, cast

from ..base.problems import OutsideError
from .console import Console, Exit

COMMANDS: dict[str, str] = {
    "init": "a new folder with a program that works",
    "check": "say every problem of a program, without running it",
    "fmt": "rewrite a program in the canonical form, comments kept",
    "run": "run a pipeline; its result streams to stdout",
    "plan": "the placement for a pipeline's goal, or why there is none",
    "simulate": "a plan under load, on a virtual clock: percentiles, cost, blame",
    "verify": "derive every number and choice of a plan again, from its program",
    "export": "a plan as files for Kubernetes or Ray",
    "profile": "measure a pipeline here on each engine, so that plans are nearer",
    "compile": "show each step from syntax to StableHLO",
    "opt": "put a module through passes of the compiler",
    "test": "run the tests of a program",
    "runs": "durable runs that are not over: list, drop",
    "trace": "a recorded or durable run: what ran when, stepped back and forth",
    "explain": "the page of a problem, or what stands in a line",
    "repl": "try things out: definitions one at a time, expressions at once",
    "graph": "a picture of a pipeline: SVG, Mermaid, Graphviz, JSON",
    "models": "the models that are on this machine: list, pull, where, remove",
    "hardware": "the devices and links that plans know, and this machine: list, links, show, measure, compare",
    "worker": "a place where stages of other machines' runs run",
    "lsp": "the language server, for editors",
    "doctor": "what works here and what is missing",
}


# What the two that talk for long have to say is no JSON; they say so where it is asked for.
_JSON: dict[str, str] = {
    "run": "what leaves the run, one JSON line each, on stdout",
    "repl": argparse.SUPPRESS,
    "lsp": argparse.SUPPRESS,
}


class Command(Protocol):
    """What a command's module gives."""

    def configure(self, parser: argparse.ArgumentParser) -> None: ...

    def execute(self, arguments: argparse.Namespace, console: Console) -> int: ...


class Parser(argparse.ArgumentParser):
    """Wrong usage is one line on what is wrong and one on what to do; exit code 2. Options may stand anywhere among
    the other words, which argparse takes only when it is told to."""

    _mixes = True
    _width = 78

    def add_subparsers(self, **settings: Any) -> Any:
        # What follows the name of a command is for the command's own parser, as it stands.
        self._mixes = False
        return super().add_subparsers(**settings)

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:  # pyright: ignore[reportIncompatibleMethodOverride]
        if not self._mixes:
            found: Any = super().parse_known_args(args, namespace)
            return found
        # Mixing calls this again, for the options and then for the rest.
        self._mixes = False
        try:
            mixed: Any = self.parse_known_intermixed_args(args, namespace)
            return mixed
        finally:
            self._mixes = True

    def _get_formatter(self) -> argparse.HelpFormatter:
        # Each argument that is added makes one; with a width it need not look for the terminal's, which loads archives.
        make: Any = self.formatter_class
        return make(prog=self.prog, width=self._width)

    def format_help(self) -> str:
        from shutil import get_terminal_size

        self._width = get_terminal_size().columns - 2
        return super().format_help()

    def error(self, message: str) -> NoReturn:
        from .usage import explained

        sys.stderr.write(explained(self, message))
        raise SystemExit(Exit.USAGE)


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns its exit code."""
    given = list(sys.argv[1:] if argv is None else argv)
    try:
        return _dispatch(given)
    except BrokenPipeError:
        # The reader of our output went away; say nothing, and keep the interpreter from flushing into the void.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return Exit.DONE
    except SystemExit as stop:
        return stop.code if isinstance(stop.code, int) else Exit.USAGE
    except OutsideError as failure:
        console = Console(json="--json" in given)
        return console.fail((failure.problem,), {}, Exit.OUTSIDE)
    except Exception as error:
        if _interrupted(error):
            raise KeyboardInterrupt from None
        from .crash import report

        return report(error, given)


def _interrupted(error: BaseException) -> bool:
    """Whether it came of cleaning up after Ctrl-C: argparse, for one, undoes what it had not done yet."""
    before: BaseException | None = error
    while before is not None:
        if isinstance(before, KeyboardInterrupt):
            return True
        before = before.__cause__ or before.__context__
    return False


def _dispatch(given: list[str]) -> int:
    parser = _parser(given)
    arguments = parser.parse_args(given)
    name = cast("str | None", arguments.command)
    if name is None:
        parser.print_help()
        return Exit.USAGE
    command = _command(name)
    return command.execute(arguments, Console(json=bool(getattr(arguments, "json", False))))


def _parser(given: list[str]) -> argparse.ArgumentParser:
    from .. import __version__

    parser = Parser(prog="agentlang", description="Check, compile, plan and run agent pipelines.", allow_abbrev=False)
    parser.add_argument("--version", action="version", version=f"agentlang {__version__}")
    # With its own `prog`, no help is laid out to find it; and only one command is made, unless all are to be told.
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", prog="agentlang", parser_class=Parser)
    wanted = next((word for word in given if not word.startswith("-")), None)
    for name, words in COMMANDS.items():
        if wanted in COMMANDS and name != wanted:
            continue
        child = commands.add_parser(name, help=words, description=words, allow_abbrev=False)
        if name == wanted:
            child.add_argument("--json", action="store_true", help=_JSON.get(name, "one JSON document on stdout"))
            _command(name).configure(child)
    return parser


def _command(name: str) -> Command:
    return cast("Command", import_module(f".{name}", __package__))
