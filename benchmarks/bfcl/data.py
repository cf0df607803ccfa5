"""The questions and their truths: taken out of the wheel that publishes them, pinned by hash, kept with other caches.

No code of the package runs, and nothing of it is in this repository (it is Apache-2.0, by the authors of BFCL).
"""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from agentlang.base import paths
from agentlang.stdlib.catalogue import IndexSource
from agentlang.stdlib.store.index import download

WHEEL = IndexSource(
    package="bfcl-eval",
    version="2026.3.23",
    sha256="3bb6dfa5f0c68ad403c9ec50b00db2bb3b4cc9b38ab1ff33f48fe30d853d3a0a",
    size=1_925_664,
    files={},
)
SETS = {"simple": "BFCL_v4_simple_python.json", "multiple": "BFCL_v4_multiple.json"}
_INSIDE = "bfcl_eval/data/"
_HASHES = {
    "BFCL_v4_simple_python.json": "82dd63ba502eb2520c6b5d1d9a5c4b590e03ff261565175561f6228a367d1991",
    "possible_answer/BFCL_v4_simple_python.json": "90cd5bc653690ee8e459b5b3f3fc9458606f7f3fcbf795bb51b7dc581f8c86dc",
    "BFCL_v4_multiple.json": "aef168155ebd74b7ac2401198b201343bc7d16d7a3d7e0d4e6d8ee82c6969b2a",
    "possible_answer/BFCL_v4_multiple.json": "244e00ce9395df948bcafc7bee64e8f9c87ef70887587d83cae45b13699f3047",
}


@dataclass(frozen=True, slots=True)
class Question:
    """`functions` as the set describes them; `truth` is the call, with all values that count for each argument."""

    id: str
    text: str
    functions: tuple[dict[str, Any], ...]
    truth: dict[str, dict[str, list[Any]]]


class Changed(Exception):
    """A file that is not the one that was pinned."""


def folder() -> Path:
    return paths.home() / "benchmarks" / f"{WHEEL.package}-{WHEEL.version}"


def questions(name: str, where: Path | None = None) -> list[Question]:
    """A set, from the folder `where` or fetched. Raises `Changed`, and what fetching raises."""
    home = where or fetched()
    truths = {row["id"]: row["ground_truth"] for row in _rows(home, f"possible_answer/{SETS[name]}")}
    return [
        Question(row["id"], row["question"][0][0]["content"], tuple(row["function"]), truths[row["id"]][0])
        for row in _rows(home, SETS[name])
    ]


def _rows(home: Path, name: str) -> Iterator[dict[str, Any]]:
    data = (home / name).read_bytes()
    if hashlib.sha256(data).hexdigest() != _HASHES[name]:
        raise Changed(f"{home / name} is not the file of {WHEEL.package} {WHEEL.version}")
    for line in data.decode("utf-8").splitlines():
        yield cast("dict[str, Any]", json.loads(line))


def fetched() -> Path:
    """The folder with the files; the wheel is fetched if they are not there. Raises `SourceFailed`."""
    home = folder()
    if all((home / name).is_file() for name in _HASHES):
        return home
    home.parent.mkdir(parents=True, exist_ok=True)
    work = Path(tempfile.mkdtemp(dir=home.parent, prefix=".bfcl."))
    try:
        wheel = download(WHEEL, work, lambda _: None)
        with zipfile.ZipFile(wheel) as archive:
            for name in _HASHES:
                into = work / "ready" / name
                into.parent.mkdir(parents=True, exist_ok=True)
                into.write_bytes(archive.read(_INSIDE + name))
        shutil.rmtree(home, ignore_errors=True)
        (work / "ready").replace(home)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return home
