"""`--record FILE` and `--replay FILE`, which `run` and `test` share."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import TYPE_CHECKING

from . import problems as words
from .console import Console, Exit, unread

if TYPE_CHECKING:
    from ..tapes import Recording, Tape


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--record", metavar="TAPE", help="write down what models and tools answer")
    parser.add_argument("--replay", metavar="TAPE", help="answer from what was recorded; no model is opened")
    parser.add_argument(
        "--keep-label",
        metavar="NAME",
        action="append",
        default=[],
        help="record values with this label as they are; all others are masked",
    )


def open_tapes(
    arguments: argparse.Namespace, programs: Sequence[str], console: Console
) -> tuple[Recording | None, Tape | None] | int:
    """What was asked for, or the exit code where it cannot be had."""
    if arguments.record and arguments.replay:
        return console.fail((words.record_and_replay(),), {}, Exit.USAGE)
    if arguments.record and not arguments.record.endswith(".journal"):
        from ..tapes import Recording

        labels = [name.removeprefix("@") for name in arguments.keep_label]
        return Recording(arguments.record, programs, labels), None
    if arguments.replay:
        from ..tapes import read

        tape, found = read(arguments.replay)
        if tape is None:
            return console.fail(found, {}, unread(found))
        return None, tape
    return None, None


def tell_recorded(record: Recording, console: Console) -> None:
    """Where a recording is, after it."""
    calls = f"{record.calls} call{'' if record.calls == 1 else 's'}"
    if record.path.exists() and not record.part.exists():
        console.note(f"{calls} recorded in {record.path}")
    else:
        console.note(f"interrupted: the {calls} recorded so far are in {record.part}")
