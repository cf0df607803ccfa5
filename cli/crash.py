"""A bug of ours, told in one line: what happened, where the details are, where to report it."""

from __future__ import annotations

import platform
import sys
import time
import traceback

from .console import Exit


def report(error: Exception, given: list[str]) -> int:
    """Write the traceback to a log file and one line to stderr. The values of arguments are left out of the log."""
    from .. import __version__
    from ..base.paths import logs_home
    from ..base.store import write_atomic

    names = [word.split("=", 1)[0] for word in given]
    text = "\n".join(
        [
            f"agentlang {__version__}, Python {platform.python_version()}, {platform.platform()}",
            f"command: {' '.join(names)}",
            "".join(traceback.format_exception(error)),
        ]
    )
    # What an exception says may quote what was given.
    for value in sorted((word.partition("=")[2] for word in given), key=len, reverse=True):
        if len(value) > 2:
            text = text.replace(value, "…")
    path = logs_home() / time.strftime("crash-%Y%m%d-%H%M%S.log")
    where = f"details in {path}"
    try:
        write_atomic(path, text.encode(), 0o600)
    except OSError:
        where = "its log could not be written"
    sys.stderr.write(
        f"error[bug]: agentlang met a bug of its own ({type(error).__name__}); {where}\n"
        "  = next: report it with that file to the project's issue tracker\n"
    )
    return Exit.OUTSIDE
