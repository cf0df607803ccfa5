"""`agentlang init NAME`: a new folder with a program that works, to change from there."""

from __future__ import annotations

import argparse
from pathlib import Path

from .console import Console, Exit


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", metavar="NAME", help="the name of the folder and of its program")


def execute(arguments: argparse.Namespace, console: Console) -> int:
    from ..project import create, files

    name = arguments.name
    place, problems = create(name, Path())
    if place is None:
        code = Exit.OUTSIDE if any(p.slug == "not-written" for p in problems) else Exit.USAGE
        console.fail(problems, {})
        return code
    if console.json:
        console.document({"folder": str(place), "files": sorted(files(name)), "problems": []})
        return Exit.DONE
    console.note(f"made {place}: {', '.join(files(name))}")
    console.note(f"  = next: cd {place} && agentlang run {name}.agent:note id=1042")
    return Exit.DONE
