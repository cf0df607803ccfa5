"""`agentlang repl [FILE]`: definitions one at a time, expressions evaluated at once, their output as it comes.

`session` knows what was defined and bound, `loop` reads inputs and does what they say, `commands` are the words with a
colon, `terminal` is the line editor. Without a terminal the inputs come from stdin, line by line.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from ..console import Console, Exit


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", nargs="?", metavar="FILE", help="definitions to start with")
    parser.add_argument("--no-history", action="store_true", help="neither read nor write the history of inputs")


def execute(arguments: argparse.Namespace, console: Console) -> int:
    from ...stdlib.extras import need
    from .loop import Loop
    from .session import Session

    if console.json:
        from .. import problems as words

        return console.fail((words.no_json("repl"),), {}, Exit.USAGE)
    at_terminal = sys.stdin.isatty() and sys.stdout.isatty()
    if at_terminal:
        need("repl", "the interactive loop")
    folder = Path(arguments.file).parent if arguments.file else Path()
    loop = Loop(Session(folder), console)
    if at_terminal:
        from .terminal import Terminal

        inputs = Terminal(loop, history=not arguments.no_history)
    else:
        from .plain import Lines

        inputs = Lines(sys.stdin)
    return loop.run(inputs, arguments.file)
