"""Files of weights that are cut off, or written by somebody who means harm: a problem with a name, whatever they say,
and never more memory than they are large. What opens them runs in a process that gets no more."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from damaged_files import FOLDER, GGUF, ONNX, SOUND_ONNX
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tiny_gguf import write_gguf
from tiny_safetensors import write_safetensors

from agentlang.base.problems import OutsideError
from agentlang.stdlib.models import open_chat
from agentlang.stdlib.models.checkpoint import DamagedFile
from agentlang.stdlib.models.onnx_file import read_onnx
from agentlang.stdlib.models.tiny import RandomCheckpoint

# What a process may take beside what it has once it opened a sound file.
ROOM = 256 << 20
OPEN = """
import json, resource, sys
from pathlib import Path
from agentlang.base.problems import OutsideError
from agentlang.stdlib.models import open_chat
from agentlang.stdlib.models.checkpoint import DamagedFile
from agentlang.stdlib.models.onnx_file import read_onnx

def opened(path):
    if path.suffix == ".onnx":
        read_onnx(path)
    else:
        source = open_chat(path, "broken")
        source.tokenizer()
        source.functions()
        source.facts()

room, sound, *paths = sys.argv[1:]
opened(Path(sound))
size = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (size + int(room), size + int(room)))
for path in map(Path, paths):
    try:
        opened(path)
    except OutsideError as error:
        said = [error.problem.slug, error.problem.title]
    except DamagedFile as error:
        said = ["damaged", str(error)]
    except BaseException as error:
        said = ["BUG", repr(error)]
    else:
        said = ["sound", ""]
    print(json.dumps([str(path), *said]), flush=True)
"""


@pytest.fixture(autouse=True)
def home(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AGENTLANG_HOME", str(tmp_path_factory.getbasetemp() / "home"))


def outcomes(sound: Path, damaged: dict[str, Path]) -> dict[str, tuple[str, str]]:
    """How opening each file ends, in one process with little room."""
    command = [sys.executable, "-c", OPEN, str(ROOM), str(sound), *map(str, damaged.values())]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    found = {path: (slug, title) for path, slug, title in map(json.loads, done.stdout.splitlines())}
    return {name: found[str(path)] for name, path in damaged.items()}


def hold(found: dict[str, tuple[str, str]], slug: str) -> None:
    wrong = {name: how for name, how in found.items() if how[0] != slug or len(how[1]) > 700}
    assert not wrong


def test_a_gguf_file_that_lies_is_a_problem(tmp_path: Path) -> None:
    sound = tmp_path / "sound.gguf"
    write_gguf(sound)
    paths: dict[str, Path] = {}
    for number, (name, damage) in enumerate(GGUF.items()):
        paths[name] = tmp_path / f"{number}.gguf"
        paths[name].write_bytes(damage(sound.read_bytes()))
        assert paths[name].read_bytes() != sound.read_bytes(), name
    hold(outcomes(sound, paths), "model-does-not-load")


def test_a_folder_that_lies_is_a_problem(tmp_path: Path) -> None:
    checkpoint = RandomCheckpoint()
    sound = tmp_path / "sound"
    write_safetensors(sound, checkpoint)
    paths: dict[str, Path] = {}
    for number, (name, harm) in enumerate(FOLDER.items()):
        paths[name] = tmp_path / str(number)
        write_safetensors(paths[name], checkpoint)
        harm(paths[name])
    hold(outcomes(sound, paths), "model-does-not-load")


def test_an_onnx_file_that_lies_is_told(tmp_path: Path) -> None:
    sound = tmp_path / "sound.onnx"
    sound.write_bytes(SOUND_ONNX)
    assert set(read_onnx(sound).tensors) == {"a", "b"}
    paths: dict[str, Path] = {}
    for number, (name, data) in enumerate(ONNX.items()):
        paths[name] = tmp_path / f"{number}.onnx"
        paths[name].write_bytes(data)
    hold(outcomes(sound, paths), "damaged")


# --- at random ---

WORDS = [bytes(1), bytes(8), b"\xff", b"\xff" * 4, b"\xff" * 8, b"{", b"]", b'"', b"9" * 8]
WORDS += [(1 << bit).to_bytes(8, "little") for bit in (31, 32, 40, 60, 62, 63)]
WORDS += [number.to_bytes(4, "little") for number in (1, 2, 4, 8, 9, 12, 13, 30, 99)]
EDIT = st.tuples(
    st.floats(0, 1, exclude_max=True), st.one_of(st.sampled_from(WORDS), st.binary(min_size=1, max_size=8))
)


@st.composite
def edits(draw: st.DrawFn) -> Any:
    """A change of a file: some bytes in some places of its first part, now and then its end is cut off."""
    places = draw(st.lists(EDIT, min_size=1, max_size=4))
    cut = draw(st.one_of(st.just(1.0), st.just(1.0), st.floats(0, 1)))

    def changed(data: bytes, front: int) -> bytes:
        made = bytearray(data)
        for place, word in places:
            at = int(place * front)
            made[at : at + len(word)] = word
        return bytes(made[: int(cut * len(made))])

    return changed


FEW = settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
MANY = settings(FEW, max_examples=4000)


@pytest.fixture(scope="module")
def gguf_data(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("sound") / "sound.gguf"
    write_gguf(path)
    return path.read_bytes()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("sound") / "folder"
    write_safetensors(path, RandomCheckpoint())
    return path


def opens_or_says_why(path: Path) -> None:
    try:
        source = open_chat(path, "random")
        source.tokenizer()
        source.functions()
        source.facts()
    except OutsideError as error:
        assert error.problem.slug == "model-does-not-load"
        assert len(error.problem.title) < 700


def a_changed_gguf(data: bytes, edit: Any, path: Path) -> None:
    front = data.index(b"output_norm.weight") + 400
    (path / "model.gguf").write_bytes(edit(data, front))
    opens_or_says_why(path / "model.gguf")


def a_changed_folder(folder: Path, name: str, edit: Any) -> None:
    file = folder / name
    sound = file.read_bytes()
    front = 8 + int.from_bytes(sound[:8], "little") if file.suffix == ".safetensors" else len(sound)
    try:
        file.write_bytes(edit(sound, front))
        opens_or_says_why(folder)
    finally:
        file.write_bytes(sound)


def a_changed_onnx(edit: Any, path: Path) -> None:
    (path / "model.onnx").write_bytes(edit(SOUND_ONNX, len(SOUND_ONNX)))
    try:
        read_onnx(path / "model.onnx")
    except DamagedFile as error:
        assert len(str(error)) < 500


FILES = st.sampled_from(
    ["model.safetensors", "model.safetensors", "config.json", "tokenizer.json", "tokenizer_config.json"]
)


@given(edits())
@FEW
def test_no_change_of_a_gguf_breaks_its_reader(gguf_data: bytes, tmp_path: Path, edit: Any) -> None:
    a_changed_gguf(gguf_data, edit, tmp_path)


@given(FILES, edits())
@FEW
def test_no_change_of_a_folder_breaks_its_reader(folder: Path, name: str, edit: Any) -> None:
    a_changed_folder(folder, name, edit)


@given(edits())
@FEW
def test_no_change_of_an_onnx_file_breaks_its_reader(tmp_path: Path, edit: Any) -> None:
    a_changed_onnx(edit, tmp_path)


@pytest.mark.slow
@given(edits(), FILES)
@MANY
def test_no_change_of_any_file_in_long(gguf_data: bytes, folder: Path, tmp_path: Path, edit: Any, name: str) -> None:
    a_changed_gguf(gguf_data, edit, tmp_path)
    a_changed_folder(folder, name, edit)
    a_changed_onnx(edit, tmp_path)
