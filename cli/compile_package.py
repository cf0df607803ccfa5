"""`agentlang compile FILE --target T --out DIR`: a package. What was built before is taken as it is."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import TYPE_CHECKING

from ..api import check, read, settings_of
from ..base.problems import OutsideError, has_errors
from ..base.source import Source
from ..ir import targets
from ..packages import keeping
from .console import Console, Exit, unread

if TYPE_CHECKING:
    from ..packages.building import Package


def execute(arguments: argparse.Namespace, console: Console) -> int:
    from ..packages.writing import write

    wanted, found = targets.wanted(arguments.target)
    if found:
        return console.fail(found, {}, Exit.USAGE)
    source, problems = read(arguments.file)
    if source is None:
        return console.fail(problems, {}, unread(problems))
    signature = None
    key = None
    if arguments.sign is not None:
        from ..packages.signing import private_key

        try:
            # A key that cannot be read is told before anything is built for minutes.
            key = private_key(arguments.sign)
        except OutsideError as error:
            usage = error.problem.slug == "key-unreadable"
            return console.fail((error.problem,), {}, Exit.USAGE if usage else Exit.OUTSIDE)
    package = _package(source, wanted, arguments, console)
    if isinstance(package, int):
        return package
    if key is not None:
        from ..packages.signing import sign

        signature = sign(key, package.manifest)
    folder = Path(arguments.out or f"{Path(arguments.file).stem}.package")
    written = write(package, folder, signature)
    if not isinstance(written, bool):
        return console.fail((written,), {}, Exit.USAGE if written.slug == "out-not-a-package" else Exit.OUTSIDE)
    _tell(package, folder, written, console)
    return Exit.DONE


def _package(source: Source, wanted: targets.Wanted, arguments: argparse.Namespace, console: Console) -> Package | int:
    """The package, kept or built; or the exit code where there is none."""
    from ..packages.building import LONGEST, Order, Package, build

    longest = arguments.longest or LONGEST
    asked = [
        [target.name, variant, target.builder, getattr(target, "present", True)] for target, variant in wanted
    ]  # fmt: skip
    profile = arguments.profile or os.environ.get("AGENTLANG_PROFILE")
    name = keeping.name_of(source, "package", asked, longest, arguments.include, profile, arguments.O)
    kept = keeping.recall(name, source)
    if kept is not None:
        head, (manifest, *files) = kept
        return Package(manifest, dict(zip(head["files"], files, strict=True)), tuple(head["notes"]))
    from ..packages.functions import unheard
    from ..stdlib.library import Library
    from ..stdlib.store import silent
    from .models import Watch

    checked = check(source)
    if checked.program is None:
        return console.fail(checked.problems, checked.sources)
    folder = Path(source.path).parent
    settings, found = settings_of(folder, arguments.profile)
    if has_errors(found):
        return console.fail(found, {settings.source.path: settings.source} if settings.source else {})
    progress = silent if console.json else Watch(console)
    library = Library(folder, progress, settings=settings)

    def working(what: str, done: int, total: int) -> None:
        console.note(f"built {what} ({done} of {total})")

    machine_code = any(target.builder != "stablehlo" for target, _ in wanted)
    heard = working if machine_code and not console.json else unheard
    order = Order(wanted, longest, tuple(arguments.include), arguments.O == "0")
    package, found = build(checked, order, settings, library, progress, heard)
    problems = (*checked.problems, *found)
    if package is None:
        return console.fail(problems, checked.sources)
    if not console.json:
        console.problems(problems, checked.sources)
    if not problems:
        head = {"files": list(package.files), "notes": list(package.notes)}
        keeping.keep(name, source, package.inputs, head, [package.manifest, *package.files.values()])
    return package


def _tell(package: Package, folder: Path, written: bool, console: Console) -> None:
    import hashlib

    digest = hashlib.sha256(package.manifest).hexdigest()
    size = len(package.manifest) + sum(len(data) for data in package.files.values())
    if console.json:
        console.document(
            {
                "package": str(folder),
                "sha256": digest,
                "files": len(package.files),
                "bytes": size,
                "written": written,
                "notes": list(package.notes),
            }
        )
        return
    for note in package.notes:
        console.note(f"note: {note}")
    state = "wrote" if written else "unchanged:"
    console.note(f"{state} {folder}: {len(package.files)} files, {size / 1000:,.0f} kB, sha256 {digest[:16]}")
