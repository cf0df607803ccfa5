"""What is said of a command line that cannot be read: what is wrong, and the line that was most likely meant.

Only imported when something is wrong.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from ..base.suggest import suggest

_CHOICE = re.compile(
    r"argument (?P<what>.+?): invalid choice: '?(?P<given>.*?)'? \(choose from (?P<known>.*)\)", re.DOTALL
)
_UNKNOWN = "unrecognized arguments: "


def explained(parser: argparse.ArgumentParser, message: str) -> str:
    """argparse's message as ours: one line on what is wrong, one on what to do next."""
    choice = _CHOICE.fullmatch(message)
    if choice is not None:
        known = [word.strip().strip("'") for word in choice["known"].split(",")]
        return _choice(parser, choice["what"], choice["given"], known)
    if message.startswith(_UNKNOWN):
        return _unknown(parser, message.removeprefix(_UNKNOWN).split(" "))
    return _said(message, f"{parser.prog} --help")


def _choice(parser: argparse.ArgumentParser, what: str, given: str, known: list[str]) -> str:
    if what == "COMMAND" and _is_program(given):
        return _said(f"{given!r} is a program, and no command", f"{parser.prog} run {given} (or check, test, plan …)")
    meant = suggest(given, known)
    kind = "command" if what in ("COMMAND", "ACTION") else f"value of {what}"
    wrong = f"{given!r} is no {kind} of {parser.prog}" if kind == "command" else f"{given!r} is no {kind}"
    if meant is None:
        return _said(f"{wrong}; there {_are(known)}", f"{parser.prog} --help")
    return _said(wrong, f"{parser.prog} {meant} …" if kind == "command" else f"{what} {meant}")


def _unknown(parser: argparse.ArgumentParser, words: list[str]) -> str:
    child = _chosen(parser)
    option = next((word for word in words if word.startswith("-")), None)
    if option is None:
        return _said(f"{child.prog} takes no {' '.join(words)!r}", f"{child.prog} --help")
    name, equals, value = option.partition("=")
    meant = suggest(name, [known for known in _options(child) if known.startswith("--")])
    wrong = f"{child.prog} has no option {name}"
    return _said(wrong, f"{meant}{equals}{value}" if meant else f"{child.prog} --help")


def _chosen(parser: argparse.ArgumentParser) -> argparse.ArgumentParser:
    """The command's own parser, where one was chosen: all others have no arguments."""
    for action in parser._actions:  # pyright: ignore[reportPrivateUsage] - there is no other way to ask
        choices: Any = action.choices
        if isinstance(choices, dict) and len(choices) == 1:  # pyright: ignore[reportUnknownArgumentType]
            (child,) = choices.values()  # pyright: ignore[reportUnknownVariableType]
            return _chosen(child) if isinstance(child, argparse.ArgumentParser) else parser
    return parser


def _options(parser: argparse.ArgumentParser) -> Iterable[str]:
    for action in parser._actions:  # pyright: ignore[reportPrivateUsage]
        yield from action.option_strings


def _is_program(word: str) -> bool:
    return word.rpartition(":")[0].endswith(".agent") or word.endswith(".agent") or Path(word).is_file()


def _are(known: list[str]) -> str:
    return f"are {', '.join(known[:-1])} and {known[-1]}" if len(known) > 1 else f"is {known[0]}"


def _said(wrong: str, following: str) -> str:
    return f"error[usage]: {wrong}\n  = next: {following}\n"
