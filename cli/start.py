"""Where the process begins: as little as can be interrupted before somebody is there to say so politely."""

from __future__ import annotations

import sys


def main() -> int:
    """The `agentlang` command. Ctrl-C while modules load is an interrupt like any other, exit code 130."""
    try:
        from .main import main as run

        return run()
    except KeyboardInterrupt:
        sys.stderr.write("interrupted\n")
        return 130
