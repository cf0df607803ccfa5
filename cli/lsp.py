"""`agentlang lsp`: the language server, which speaks over standard input and output with an editor."""

from __future__ import annotations

import argparse
import contextlib
import logging
import sys

from .console import Console, Exit


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--stdio", action="store_true", help="what it does anyway; some editors say so")
    parser.add_argument(
        "--log", choices=("error", "info", "debug"), default="error", help="what goes to standard error"
    )


def execute(arguments: argparse.Namespace, console: Console) -> int:
    from ..stdlib.extras import need

    if console.json:
        from . import problems as words

        return console.fail((words.no_json("lsp"),), {}, Exit.USAGE)
    need("lsp", "the language server")
    from ..services.lsp.server import create

    logging.basicConfig(stream=sys.stderr, level=arguments.log.upper(), format="%(levelname)s %(name)s: %(message)s")
    server = create()
    stdout = sys.stdout.buffer
    # Standard output belongs to the protocol: what anything else prints would end up in the middle of a message.
    with contextlib.redirect_stdout(sys.stderr):
        server.start_io(sys.stdin.buffer, stdout)
    return Exit.DONE
