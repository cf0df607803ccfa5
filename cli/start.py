"""Where the process begins: as little as can be interrupted before somebody is there to say so politely.

Ctrl-C outside of a run, which listens for it itself, raises KeyboardInterrupt as in any Python program, but not while a
module is being loaded: native modules crash where an exception comes out of what they load (a segmentation fault, or
the exception is lost and the command goes on). Nothing is open then that would have to be put away.
"""

from __future__ import annotations

import os
import signal
import sys
from types import FrameType

_LOADING = "<frozen importlib._bootstrap>"


def main() -> int:
    """The `agentlang` command. Ctrl-C is exit code 130, and a word."""
    # Who was started deaf to it (by nohup, in the background of a script) stays so.
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _interrupt)
    try:
        from .main import main as run

        return run()
    except KeyboardInterrupt:
        sys.stderr.write("interrupted\n")
        return 130


def _interrupt(_: int, frame: FrameType | None) -> None:
    while frame is not None:
        if frame.f_code.co_filename == _LOADING:
            os.write(2, b"interrupted\n")
            os._exit(130)
        frame = frame.f_back
    raise KeyboardInterrupt
