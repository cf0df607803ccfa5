"""The store with local sources: whole or absent, checked, and one clear problem for each thing that goes wrong."""

from __future__ import annotations

import hashlib
import json
import os
import resource
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from agentlang.base.problems import OutsideError, Problem
from agentlang.stdlib import problems, store
from agentlang.stdlib.catalogue import (
    CatalogueError,
    Entry,
    HubSource,
    IndexSource,
    ModelFile,
    PathSource,
    Shape,
    WheelsSource,
    catalogue,
    read_catalogue,
)
from agentlang.stdlib.catalogue.entries import ROLES

WEIGHTS = bytes(range(256)) * 40
WORDS = b'{"words": []}'


def _shape() -> Shape:
    return catalogue()["smollm2-135m-instruct"].transformer


def _model(folder: str, contents: Mapping[str, bytes] | None = None) -> Entry:
    promised = contents or {"weights": WEIGHTS, "tokenizer": WORDS}
    files = tuple(
        ModelFile(role, f"{role}.bin", hashlib.sha256(data).hexdigest(), len(data)) for role, data in promised.items()
    )
    return Entry("tiny", "chat", "Apache-2.0", "", _shape(), files, (PathSource(folder),))


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("AGENTLANG_HOME", str(tmp_path / "home"))
    return tmp_path / "home" / "models"


@pytest.fixture
def given(tmp_path: Path) -> Path:
    folder = tmp_path / "given"
    folder.mkdir()
    (folder / "weights.bin").write_bytes(WEIGHTS)
    (folder / "tokenizer.bin").write_bytes(WORDS)
    return folder


def _problem(model: Entry, progress: store.Progress = lambda step: None) -> Problem:
    with pytest.raises(OutsideError) as caught:
        store.pull(model, progress)
    assert caught.value.problem.hint, "each problem names a next step"
    return caught.value.problem


def _kept(home: Path) -> list[str]:
    """What the store holds, apart from its (empty) locks."""
    return sorted(path.name for path in home.iterdir() if path.name != ".locks")


def test_pull_puts_files_and_a_manifest(home: Path, given: Path) -> None:
    model = _model(str(given))
    assert store.located(model) is None
    steps: list[store.Step] = []
    files = store.pull(model, steps.append)
    assert files["weights"].read_bytes() == WEIGHTS
    assert files["tokenizer"].read_bytes() == WORDS
    assert files == store.located(model, verify=True)
    assert steps[-1].done == steps[-1].total == len(WEIGHTS) + len(WORDS)
    manifest = json.loads((home / "tiny" / "manifest.json").read_text())
    assert manifest["source"] == f"folder {given}"
    assert manifest["files"]["weights"]["sha256"] == hashlib.sha256(WEIGHTS).hexdigest()
    assert _kept(home) == ["tiny"]


def test_pull_twice_fetches_once(home: Path, given: Path) -> None:
    model = _model(str(given))
    first = store.pull(model)
    before = first["weights"].stat().st_mtime_ns
    steps: list[store.Step] = []
    assert store.pull(model, steps.append) == first
    assert steps == []
    assert first["weights"].stat().st_mtime_ns == before


def test_damage_is_seen_and_repaired(home: Path, given: Path) -> None:
    model = _model(str(given))
    weights = store.pull(model)["weights"]
    weights.write_bytes(b"\0" * len(WEIGHTS))
    assert store.located(model) is not None, "the cheap look does not read the files"
    assert store.located(model, verify=True) is None
    assert store.pull(model)["weights"].read_bytes() == WEIGHTS
    weights.write_bytes(b"short")
    assert store.located(model) is None, "the cheap look sees a wrong size"


@pytest.mark.parametrize("manifest", [b"", b"[]", b'{"files": 3}', b'{"files": {"weights": {}}}', b"\xff"])
def test_a_broken_manifest_is_an_absent_model(home: Path, given: Path, manifest: bytes) -> None:
    model = _model(str(given))
    store.pull(model)
    (home / "tiny" / "manifest.json").write_bytes(manifest)
    assert store.located(model) is None
    assert store.pull(model)["weights"].read_bytes() == WEIGHTS


def test_a_changed_file_is_refused(home: Path, given: Path) -> None:
    (given / "tokenizer.bin").write_bytes(WORDS.replace(b"words", b"wards"))
    problem = _problem(_model(str(given)))
    assert problem.slug == "wrong-hash"
    assert problem.detail is not None and "tokenizer.bin" in problem.detail
    assert _kept(home) == []


def test_a_longer_file_is_refused(home: Path, given: Path) -> None:
    (given / "weights.bin").write_bytes(WEIGHTS + b"more")
    assert _problem(_model(str(given))).slug == "wrong-hash"
    assert _kept(home) == []


def test_a_short_file_says_how_short(home: Path, given: Path) -> None:
    (given / "weights.bin").write_bytes(WEIGHTS[:100])
    problem = _problem(_model(str(given)))
    assert problem.slug == "download-failed"
    assert "100 of 10,240 bytes" in problem.title
    assert _kept(home) == []


def test_a_missing_file_is_named(home: Path, given: Path) -> None:
    (given / "tokenizer.bin").unlink()
    problem = _problem(_model(str(given)))
    assert problem.slug == "download-failed"
    assert "tokenizer.bin" in problem.title
    assert _kept(home) == []


def test_the_next_source_is_tried(home: Path, given: Path, tmp_path: Path) -> None:
    bad = tmp_path / "bad"
    bad.mkdir()
    (bad / "weights.bin").write_bytes(b"x" * len(WEIGHTS))
    model = _model(str(given))
    sources = (PathSource("$AGENTLANG_NOT_SET/tiny"), PathSource(str(bad)), PathSource(str(given)))
    files = store.pull(Entry("tiny", "chat", "", "", model.shape, model.files, sources))
    assert files["weights"].read_bytes() == WEIGHTS
    assert json.loads((home / "tiny" / "manifest.json").read_text())["source"] == f"folder {given}"


@pytest.mark.parametrize("fault", [KeyboardInterrupt, RuntimeError])
def test_what_stops_a_fetch_leaves_nothing(home: Path, given: Path, fault: type[BaseException]) -> None:
    def progress(step: store.Step) -> None:
        raise fault

    with pytest.raises(fault):
        store.pull(_model(str(given)), progress)
    assert _kept(home) == []


def test_what_a_killed_process_left_is_swept(home: Path, given: Path) -> None:
    left = home / ".tiny.abc.work" / "ready"
    left.mkdir(parents=True)
    (left / "weights.bin").write_bytes(b"half")
    store.pull(_model(str(given)))
    assert _kept(home) == ["tiny"]


def test_a_file_too_large_for_the_disk(home: Path, given: Path) -> None:
    # A limit on the size of files is refused by the kernel in the middle of a write, like a full disk.
    code = (
        "import resource, sys, pathlib\n"
        "sys.path.insert(0, sys.argv[2])\n"
        "from test_store import _model, store, OutsideError\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (4096, resource.RLIM_INFINITY))\n"
        "try:\n    store.pull(_model(sys.argv[1]))\n"
        "except OutsideError as error:\n    print(error.problem.slug)\n"
    )
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[1] == resource.RLIM_INFINITY
    done = subprocess.run(
        [sys.executable, "-c", code, str(given), str(Path(__file__).parent)],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "disk-full"
    assert _kept(home) == []


def test_a_home_that_cannot_be_written(given: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("not a folder")
    monkeypatch.setenv("AGENTLANG_HOME", str(tmp_path / "file"))
    assert _problem(_model(str(given))).slug == "store-unusable"


def test_remove_and_where(home: Path) -> None:
    # A real entry, with its files in place by hand: neither call reads them.
    model = catalogue()["ms-marco-minilm-l12"]
    with pytest.raises(OutsideError) as caught:
        store.where(model.name)
    assert caught.value.problem.slug == "model-not-here"
    folder = home / model.name
    folder.mkdir(parents=True)
    for file in model.files:
        with (folder / file.name).open("wb") as out:
            out.truncate(file.size)
    files = {file.role: {"sha256": file.sha256} for file in model.files}
    (folder / "manifest.json").write_text(json.dumps({"files": files}))
    assert store.where(model.name) == folder
    assert store.need(model)["weights"] == folder / "model.onnx"
    assert store.remove(model.name) >= model.size
    assert _kept(home) == []
    with pytest.raises(OutsideError) as caught:
        store.remove(model.name)
    assert caught.value.problem.slug == "model-not-here"


def test_an_unknown_name_gets_one_suggestion() -> None:
    with pytest.raises(OutsideError) as caught:
        store.entry("smolm2-135m-instruct")
    assert caught.value.problem.slug == "model-unknown"
    assert "'smollm2-135m-instruct'" in (caught.value.problem.hint or "")
    with pytest.raises(OutsideError) as caught:
        store.entry("zzz")
    assert "did you mean" not in (caught.value.problem.hint or "")


def test_a_shape_does_not_run(home: Path) -> None:
    shape_only = catalogue()["llama-3-8b-instruct"]
    assert store.located(shape_only) is None
    assert _problem(shape_only).slug == "model-shape-only"


def test_offline_names_the_way(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AGENTLANG_OFFLINE", "1")
    monkeypatch.delenv("AGENTLANG_MODELS", raising=False)
    problem = _problem(catalogue()["smollm2-135m-instruct"])
    assert problem.slug == "model-not-here"
    assert "AGENTLANG_OFFLINE" in problem.title
    assert _kept(home) == []


def test_a_folder_of_models_serves_offline(home: Path, given: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AGENTLANG_OFFLINE", "1")
    monkeypatch.setenv("TINY_FOLDER", str(given.parent))
    assert store.pull(_model("$TINY_FOLDER/given"))["tokenizer"].read_bytes() == WORDS


def test_the_catalogue_is_complete() -> None:
    names = set(catalogue())
    assert {"smollm2-135m-instruct", "all-minilm-l6-v2", "ms-marco-minilm-l12", "rampart-pii"} <= {
        name for name in names if catalogue()[name].runs
    }
    assert {"whisper-tiny.en", "whisper-base", "silero-vad"} <= {n for n in names if catalogue()[n].files}
    assert {"flite-slt", "espeak-en-us"} <= {n for n in names if catalogue()[n].program}
    assert {"llama-3-8b-instruct", "llama-3-70b-instruct", "gpt-oss-120b", "qwen3-32b"} <= names
    for entry in catalogue().values():
        assert any(isinstance(s, IndexSource | WheelsSource) for s in entry.sources) == bool(entry.files)
        # What the shape says of the weights agrees with the files, within the share of tables and metadata.
        if entry.files and entry.shape is not None:
            weights = next(file.size for file in entry.files if file.role == "weights")
            assert abs(entry.shape.weight_bytes - weights) < 0.03 * weights


def test_a_voice_is_here_where_its_program_is(home: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    voice = catalogue()["flite-slt"]
    monkeypatch.setenv("PATH", str(tmp_path))
    assert store.located(voice) is None
    for ask in (store.obtain, store.pull, store.need):
        with pytest.raises(OutsideError) as caught:
            ask(voice)
        assert caught.value.problem.slug == "voice-program-missing"
    (tmp_path / "flite").write_text("#!/bin/sh\n")
    (tmp_path / "flite").chmod(0o755)
    assert store.obtain(voice) == {}
    assert store.where("flite-slt") == tmp_path
    with pytest.raises(OutsideError) as caught:
        store.remove("flite-slt")
    assert caught.value.problem.slug == "model-is-program"


def test_a_voice_needs_no_shape_and_a_chat_model_does() -> None:
    entry = '[a]\nrole = "speak"\nlicence = ""\nabout = ""\nprogram = "flite"\nvoice = "x"\n'
    assert read_catalogue(entry)["a"].runs
    with pytest.raises(CatalogueError, match="only voices, listeners and word vectors"):
        read_catalogue(entry.replace("speak", "chat"))


def test_every_role_has_words() -> None:
    """Any model may be named where one of another role is wanted."""
    for entry in catalogue().values():
        for wanted in ROLES:
            assert entry.name in problems.wrong_role(entry.name, entry.role, wanted).title


def test_published_sizes_of_large_models() -> None:
    # gpt-oss-120b: 116.83 B parameters, 5.13 B active, a checkpoint of 60.8 GiB (its model card).
    shape = catalogue()["gpt-oss-120b"].transformer
    assert f"{shape.parameters / 1e9:.2f} {shape.active_parameters / 1e9:.2f}" == "116.83 5.13"
    assert f"{shape.weight_bytes / 2**30:.1f}" == "60.8"


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("layers = 32", "layers = 33", "the figures give"),
        ("kv_heads = 8", "kv_heads = 7", "evenly"),
        ('dtype = "bf16"', 'dtype = "bf15"', "bf15"),
        ('family = "llama"', 'family = "lama"', "lama"),
        ('role = "chat"', 'role = "chatter"', "chatter"),
        ("layers = 32", "", "layers"),
        ("layers = 32", "layers = 32\ndepth = 3", "depth"),
    ],
)
def test_an_entry_that_contradicts_itself_is_refused(old: str, new: str, words: str) -> None:
    text = (Path(store.__file__).parent.parent / "catalogue" / "models.toml").read_text()
    start = text.index("[llama-3-8b-instruct]")
    entry = text[start : text.index("[llama-3-70b-instruct]")]
    assert read_catalogue(entry)["llama-3-8b-instruct"].transformer.layers == 32
    with pytest.raises(CatalogueError, match=f"model llama-3-8b-instruct: .*{words}"):
        read_catalogue(entry.replace(old, new, 1))


def test_names_that_could_escape_are_refused() -> None:
    digest = "0" * 64
    with pytest.raises(CatalogueError):
        ModelFile("weights", "../weights.bin", digest, 1)
    with pytest.raises(CatalogueError):
        ModelFile("weights", "weights.bin", "abc", 1)
    with pytest.raises(CatalogueError):
        IndexSource("tiny --index-url http://x", "1", digest, 1, {})
    file = ModelFile("weights", "weights.bin", digest, 1)
    with pytest.raises(CatalogueError, match="does not name each"):
        Entry("tiny", "chat", "", "", _shape(), (file,), (HubSource("a/b", "main", {"tokenizer": "x"}),))


def test_importing_the_store_loads_nothing_heavy() -> None:
    code = (
        "import sys, agentlang.stdlib.store, agentlang.stdlib.text\n"
        "print([m for m in ('numpy', 'jax', 'onnxruntime', 'tokenizers', 'zipfile', 'tomllib') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env={**os.environ, "PYTHONPATH": ""}
    )
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("wheel", ["cp311", "cp311-cp311-x86 64", "--index-url x-y", "py3-none-any"])
def test_a_wheel_is_named_by_words_that_are_none_of_pips(wheel: str) -> None:
    with pytest.raises(CatalogueError, match="does not name a wheel"):
        IndexSource("p", "1.0", "0" * 64, 1, {}, wheel)


def test_pip_is_asked_for_the_wheel_that_is_named() -> None:
    from agentlang.stdlib.store import index

    plain = index._command(Path("r"), Path("w"))
    named = index._command(Path("r"), Path("w"), "cp311-abi3-manylinux2014_x86_64")
    assert "--platform" not in plain
    asked = " ".join(named)
    assert "--python-version 3.11 --implementation cp --abi abi3 --platform manylinux2014_x86_64" in asked
